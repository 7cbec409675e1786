"""A file that is no claim is refused in one line, which begins with the file; those of the project are claims."""

import json
import re
from pathlib import Path

import pytest
import yaml

from secondorder.claims.documentation import SCHEMA_FILE, schema
from secondorder.claims.loading import load_claims
from secondorder.errors import ConfigurationError

ROOT = Path(__file__).resolve().parents[2]
LEDGER = load_claims(ROOT / "claims")
DEFAULTS = yaml.safe_load((ROOT / "config" / "defaults.yaml").read_text(encoding="utf-8"))


def test_every_claim_of_the_sources_has_its_file():
    assert list(LEDGER) == [f"{source}{number}" for source in "ABC" for number in range(1, 7)]


@pytest.mark.parametrize("name", LEDGER)
def test_claim_says_where_it_is_from_and_is_shown_by_what_the_tiers_make(name):
    claim = LEDGER[name]
    assert "abstract only" in claim.source.text
    assert claim.figures
    assert claim.tables
    assert set(claim.figures) <= set(DEFAULTS["figures"])
    assert set(claim.tables) <= set(DEFAULTS["tables"])


@pytest.mark.parametrize("name", LEDGER)
def test_claim_names_runs_that_there_are(name):
    runs = {*DEFAULTS["runs"], *(run for study in DEFAULTS["studies"].values() for run in study["runs"])}
    for part in LEDGER[name].evidence:
        named = [part.where.get("run", [])] if part.table in {"outcomes", "landscape_outcomes", "sharpness"} else []
        if part.compared and part.compared.column == "run":
            named += [part.compared.of, part.compared.against]
        for given in named:
            assert set([given] if isinstance(given, str) else given) <= runs


def test_schema_is_what_the_models_say():
    written = (ROOT / SCHEMA_FILE).read_text(encoding="utf-8")
    assert written == schema(), f"{SCHEMA_FILE} is out of date: run `make document`"


def test_schema_refuses_unknown_keys_everywhere():
    parts = json.loads(schema())
    assert all(part["additionalProperties"] is False for part in (parts, *parts["$defs"].values()))


PART = {
    "name": "error",
    "table": "outcomes",
    "column": "test_error",
    "compared": {"of": ["adam"], "against": ["sgd"]},
    "effect": "difference",
    "statistic": "mean",
    "test": "superiority",
    "margin": 0.5,
    "why": "Half a point is a lot.",
}
CLAIM = {
    "id": "D1",
    "family": "mine",
    "source": {"paper": "Mine", "text": "all of it"},
    "sentence": "Adam is better than SGD.",
    "reading": "Its test error is smaller.",
    "evidence": [PART],
}


def written(folder, **changes):
    (folder / "claims").mkdir()
    (folder / "claims" / "D1.yaml").write_text(yaml.safe_dump({**CLAIM, **changes}), encoding="utf-8")
    return load_claims(folder / "claims")


def evidence(**changes):
    return {"evidence": [{key: value for key, value in {**PART, **changes}.items() if value is not None}]}


def test_a_claim_is_one_file(tmp_path):
    assert list(written(tmp_path)) == ["D1"]


def test_without_a_folder_there_are_no_claims(tmp_path):
    assert load_claims(tmp_path / "claims") == {}


LINES = {
    "unknown key": ({"sentense": "x"}, "sentense: unknown key, did you mean 'sentence'?; known here: id, family,"),
    "unknown key of a part": (evidence(marginn=1.0), "evidence.0.marginn: unknown key, did you mean 'margin'?"),
    "unknown key of what is compared": (
        evidence(compared={"of": ["adam"], "agianst": ["sgd"], "against": ["sgd"]}),
        "evidence.0.compared.agianst: unknown key, did you mean 'against'?",
    ),
    "name of another file": ({"id": "D2"}, "id: given 'D2'; name it 'D1', or rename the file"),
    "unknown table": (
        evidence(table="outcome"),
        "evidence.error.table: there is no table of results 'outcome', did you mean 'outcomes'?",
    ),
    "verdicts are no evidence": (evidence(table="verdicts"), "evidence.error.table: there is no table of results"),
    "unknown figure": ({"figures": ["krilov"]}, "figures: there is no figure 'krilov', did you mean 'krylov'?"),
    "unknown table of the paper": ({"tables": ["final"]}, "tables: there is no table 'final', did you mean 'final_"),
    "unknown test": (evidence(test="superior"), "evidence.0.test: given 'superior'; should be 'superiority', "),
    "no reason for the margin": (evidence(why=None), "evidence.0.why: is missing; Why this margin."),
    "effect without comparison": (evidence(compared=None), "evidence.error.effect: `difference` and `ratio` go with"),
    "comparison without effect": (evidence(effect="value"), "evidence.error.effect: `difference` and `ratio` go with"),
    "several and no choice": (
        evidence(compared={"of": ["adam"], "against": ["sgd", "rmsprop"]}),
        "evidence.error.compared.best_by: is missing",
    ),
    "inference of a largest value": (
        evidence(statistic="largest"),
        "evidence.error.statistic: tests over seeds are of",
    ),
    "equivalence of a median": (
        evidence(test="equivalence", statistic="median"),
        "evidence.error.statistic: tests over seeds are of a mean or a median, `equivalence` of a mean",
    ),
    "negative margin": (evidence(margin=-0.5), "evidence.error.margin: given -0.5; it is at least 0 here"),
    "factor below 1": (evidence(effect="ratio"), "evidence.error.margin: given 0.5; it is at least 1 here"),
    "growth without a size": (
        evidence(compared=None, effect="value", statistic="exponent", test="at_least"),
        "evidence.error.per: goes with the statistic `exponent`",
    ),
    "two parts of one name": ({"evidence": [PART, PART]}, "evidence: two parts have one name"),
    "only controls": (evidence(control=True), "evidence: all parts are controls"),
}


@pytest.mark.parametrize(("changes", "line"), LINES.values(), ids=LINES)
def test_what_is_wrong_is_said_in_one_line(tmp_path, changes, line):
    with pytest.raises(ConfigurationError, match=rf"^claims/D1\.yaml: {re.escape(line)}") as error:
        written(tmp_path, **changes)
    assert "\n" not in str(error.value)
