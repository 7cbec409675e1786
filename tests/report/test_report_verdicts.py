"""The page opens on the verdicts: a row per claim with its reason, its numbers and links to what shows it."""

import re
from pathlib import Path

import pandas as pd
import pytest
from report_page import MANIFEST, Page, manifest

from secondorder.claims.ledger import judge_claims
from secondorder.claims.models import Claim
from secondorder.claims.runs import runs_behind
from secondorder.claims.verdicts import Verdict
from secondorder.configuration.contexts import context_of
from secondorder.configuration.loading import load_configuration
from secondorder.report.claims import SYMBOLS, Ledger, power, statistics_of
from secondorder.report.rendering import ReportFigure, render_report
from secondorder.tables import load
from secondorder.tables.table import Table

CONFIGURATION = load_configuration({}, Path(__file__).resolve().parents[2] / "config")
CONTEXT = context_of(CONFIGURATION)
HOSTILE = "<script>alert('&')</script>"
NOT_MADE = "No figure and no table of the tier reads it."


def part(**values):
    return {
        "name": "error",
        "table": "outcomes",
        "column": "test_error",
        "why": "Half a point is no difference.",
    } | values


def against_sgd(**values):
    compared = {"of": ["newton_krylov"], "against": ["sgd"]}
    return part(compared=compared, effect="difference", statistic="mean", test="superiority", margin=1.0, **values)


def claim(name, *evidence, **values):
    shown = {"figures": ["training_curves", "krylov"], "tables": ["final_metric"]}
    stated = {"sentence": f"Sentence of {name}.", "reading": f"Reading of {name}."}
    source = {"paper": "Somebody, A paper, 2021", "arxiv": "2104.03804", "text": "abstract only"}
    return Claim(id=name, family="all", source=source, evidence=list(evidence), **{**shown, **stated, **values})


CLAIMS = {
    "A1": claim("A1", part(statistic="largest", test="at_most", margin=60.0)),
    "A2": claim("A2", part(statistic="largest", test="at_most", margin=1.0)),
    "B1": claim("B1", against_sgd()),
    "C1": claim("C1", part(table="growth", column="rank", statistic="largest", test="at_most", margin=1.0)),
}
OUTCOMES = pd.DataFrame(
    {
        "problem": "mnist_mlp",
        "run": ["sgd"] * 3 + ["newton_krylov"] * 3,
        "seed": [0, 1, 2] * 2,
        "status": "finished",
        "test_error": [10.0, 12.0, 11.0, 9.0, 11.5, 13.0],
        "data_verified": True,
    }
)


def ledger_of(*claims, outcomes=OUTCOMES):
    findings_and_verdicts = judge_claims(claims, {"outcomes": outcomes}, {"growth": NOT_MADE}, {}, 0.95)
    return Ledger(
        claims, *reversed(findings_and_verdicts), {each.id: runs_behind(each, CONFIGURATION) for each in claims}
    )


@pytest.fixture(scope="module")
def render(tmp_path_factory):
    """Render the page with verdicts on some claims, one figure and the tables of claims and of final metrics."""
    png = tmp_path_factory.mktemp("figures") / "figure.png"
    png.write_bytes(b"\x89PNG")

    def render(*claims, outcomes=OUTCOMES, manifests=(MANIFEST,)):
        ledger = ledger_of(*(claims or CLAIMS.values()), outcomes=outcomes)
        tables = {
            "final_metric": Table(pd.DataFrame({"problem": ["mnist_mlp"]}), "Final."),
            "claims": load("claims").build({"verdicts": ledger.verdicts, "claims": ledger.findings}, CONTEXT),
        }
        figures = [ReportFigure("training_curves_mnist_mlp", "training_curves", png, "Curves.")]
        return render_report(CONFIGURATION, figures, tables, manifests, CONTEXT, ledger)

    return render


@pytest.fixture(scope="module")
def page(render):
    """The page with verdicts on all four claims."""
    return render()


def row(page, name):
    """Return the part of the page that is about a claim."""
    start = page.index(f'id="claim_{name}"')
    return page[start : page.index("</article>", start)]


def text(html):
    return " ".join(re.sub(r"<[^>]*>", " ", html).split())


def test_verdicts_come_before_tables_and_figures(page):
    places = [page.index(f'<section id="{name}">') for name in ("verdicts", "tables", "figures", "protocol")]
    assert places == sorted(places)


def test_a_page_without_claims_has_no_verdicts():
    page = render_report(CONFIGURATION, [], {}, [MANIFEST], CONTEXT)
    assert "verdicts" not in Page(page).ids
    assert "#verdicts" not in page


@pytest.mark.parametrize(
    ("name", "verdict", "reason"),
    [
        pytest.param("A1", "REPRODUCED", "All is shown", id="reproduced"),
        pytest.param("A2", "NOT-REPRODUCED", "The margin is refuted", id="refuted"),
        pytest.param("B1", "INCONCLUSIVE", "seeds would decide", id="open"),
        pytest.param("C1", "NOT-RUN", NOT_MADE.rstrip("."), id="not run"),
    ],
)
def test_a_row_has_the_verdict_as_a_word_its_sign_and_its_reason(page, name, verdict, reason):
    told = text(row(page, name))
    assert f"{name} {SYMBOLS[Verdict(verdict)]} {verdict} Sentence of {name}." in told
    assert reason in told


def test_every_verdict_is_counted_with_links_to_its_claims(page):
    counted = text(page[page.index('<ul class="counts"') : page.index("</ul>")])
    assert "✓ REPRODUCED 1 A1 ↗ DIRECTION-ONLY 0 ✗ NOT-REPRODUCED 1 A2 ? INCONCLUSIVE 1 B1 – NOT-RUN 1 C1" in counted


def test_ids_are_unique_and_every_link_leads_to_one(page):
    found = Page(page)
    assert len(found.ids) == len(set(found.ids))
    links = {address[1:] for address in found.addresses if address.startswith("#")}
    assert {f"claim_{name}" for name in CLAIMS} <= links
    assert links <= set(found.ids)


def test_nothing_is_loaded_from_outside(page):
    found = Page(page)
    assert all(address.startswith(("#", "data:")) for address in found.addresses)
    assert not any(tag in {"script", "iframe", "object", "embed", "base"} for tag, _ in found.tags)


def test_a_row_links_to_what_is_on_the_page_and_names_what_the_tier_does_not_make(page):
    found = row(page, "A1")
    assert re.findall(r'href="#(\w+)"', found) == ["figure_training_curves_mnist_mlp", "table_final_metric"]
    assert "Not made in this tier: krylov." in text(found)


def test_figures_and_tables_link_back_to_the_claims_they_are_evidence_of(render):
    page = render(CLAIMS["A1"], CLAIMS["B1"])
    figure = page[page.index("<figcaption") : page.index("</figcaption>")]
    assert re.findall(r'href="#(\w+)"', figure) == ["claim_A1", "claim_B1"]
    assert "Evidence of A1 , B1 ." in text(figure)


@pytest.mark.parametrize(
    "words",
    [
        "Source: Somebody, A paper, 2021, arXiv 2104.03804 (abstract only).",
        "snakemake claim_B1",
        "Read as: Reading of B1.",
        "Half a point is no difference.",
        "data: verified",
    ],
)
def test_a_row_says(page, words):
    assert words in text(row(page, "B1"))


def test_a_row_says_on_what_the_claim_was_measured(render):
    other = manifest(specification={"problem": "mnist_mlp", "run": "newton_krylov"}, wall_seconds=30.0)
    unasked = manifest(specification={"problem": "mnist_mlp", "run": "adam"}, wall_seconds=500.0)
    told = text(row(render(manifests=[MANIFEST, other, unasked]), "B1"))
    assert "trained runs: 2 seeds: 3 device: cpu (Some CPU) wall time of training: 42 s data: verified" in told


def test_a_claim_that_was_not_run_says_that_nothing_was_measured(page):
    told = text(row(page, "C1"))
    assert "measured: nothing" in told
    assert "wall time" not in told


def test_unverified_data_is_told_with_each_claim(render):
    assert "data: UNVERIFIED" in text(row(render(outcomes=OUTCOMES.assign(data_verified=False)), "A1"))


def test_statistics_are_folded(page):
    folded = [attributes for tag, attributes in Page(page).tags if tag == "details"]
    assert len(folded) == len(CLAIMS)
    assert not any("open" in attributes for attributes in folded)


def test_statistics_of_what_is_inferred():
    ledger = ledger_of(CLAIMS["B1"])
    (shown,) = statistics_of(CLAIMS["B1"], ledger.findings, CONTEXT).shown().to_dict("records")
    effects = OUTCOMES["test_error"][3:].to_numpy() - OUTCOMES["test_error"][:3].to_numpy()
    assert shown["compared"] == "Newton-Krylov against SGD"
    assert float(shown["estimate"]) == pytest.approx(effects.mean(), rel=5e-3)
    half = 2.919986 * effects.std(ddof=1) / 3**0.5  # Student's t of 2 degrees of freedom, 95 % on one side.
    assert shown["90 % interval"] == f"{effects.mean() - half:.3g} to {effects.mean() + half:.3g}"
    assert shown["claimed"] == "below -1"
    assert shown["measured"] == "3 seeds"
    assert shown["seeds needed"].isdigit()


def test_statistics_of_a_bound_have_no_columns_of_inference():
    ledger = ledger_of(CLAIMS["A2"])
    (shown,) = statistics_of(CLAIMS["A2"], ledger.findings, CONTEXT).shown().to_dict("records")
    assert shown == {
        "part": "error",
        "verdict": "NOT-REPRODUCED",
        "estimate": "13.0",
        "claimed": "at most 1",
        "measured": "6 numbers",
    }


def test_what_has_no_number_is_named_with_the_reason_below_the_numbers(page):
    found = row(page, "C1")
    assert f"No number: {NOT_MADE} (error)" in text(found)
    assert "<td>" not in found


def test_the_table_of_claims_is_shown_once_as_the_verdicts(page):
    found = Page(page)
    assert found.ids.count("table_claims") == 1
    assert "snakemake table_claims" in found.text()


@pytest.mark.parametrize(
    ("claims", "seeds", "words"),
    [
        pytest.param(["A1"], 3, "No verdict of this tier rests on a comparison over seeds.", id="nothing is inferred"),
        pytest.param(["B1"], 3, "With 3 seeds per run 0 of 1 comparisons over seeds are decided; half of", id="open"),
        pytest.param(["B1"], 1, "With 1 seed per run", id="one seed"),
    ],
)
def test_power_is_told(claims, seeds, words):
    assert words in power(ledger_of(*(CLAIMS[name] for name in claims)), seeds, 0.95)


@pytest.mark.parametrize(("seeds", "told"), [(4, True), (5, False)])
def test_a_median_that_no_effect_could_show_is_told(seeds, told):
    compared = {"of": ["newton_krylov"], "against": ["sgd"]}
    of_median = claim("B2", part(compared=compared, effect="ratio", statistic="median", test="superiority", margin=2.0))
    sentence = power(ledger_of(of_median), seeds, 0.95)
    assert ("no comparison of medians can be decided with fewer than 5 seeds" in sentence) == told


def test_text_of_a_claim_is_text(render):
    hostile = claim(
        "A3", part(statistic="largest", test="at_most", margin=60.0, why=HOSTILE), sentence=HOSTILE, reading=HOSTILE
    )
    page = Page(render(hostile))
    assert not any(tag == "script" for tag, _ in page.tags)
    assert page.text("article").count(HOSTILE) == 3


@pytest.mark.parametrize(
    ("evidence", "runs"),
    [
        pytest.param(
            against_sgd(each=["problem"]), {("mnist_rnn", "sgd"), ("mnist_rnn", "newton_krylov")}, id="both sides"
        ),
        pytest.param(part(where={"problem": "mnist_rnn", "run": "adam"}), {("mnist_rnn", "adam")}, id="rows"),
        pytest.param(part(table="growth", column="rank"), set(), id="measured without training"),
    ],
)
def test_runs_behind_a_claim(evidence, runs):
    judged = {"statistic": "largest", "test": "at_most", "margin": 1.0} | evidence
    found = {run for run in runs_behind(claim("A1", judged), CONFIGURATION) if run[0] == "mnist_rnn"}
    assert found == runs


def test_a_problem_that_trains_one_side_alone_is_not_behind_a_comparison():
    compared = {"of": ["exact_per_sample"], "against": ["sgd"]}
    evidence = part(compared=compared, effect="difference", statistic="mean", test="superiority", margin=1.0)
    assert "mnist_lenet5" not in {problem for problem, _ in runs_behind(claim("A1", evidence), CONFIGURATION)}
