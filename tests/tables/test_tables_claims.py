"""The table of claims says what the ledger says."""

import pandas as pd
import pytest
from claim_cases import bound, claim

from secondorder import tables
from secondorder.claims.ledger import judge_claims
from secondorder.presentation import Context

CONTEXT = Context(labels={}, targets={}, confidence=0.95, exclusive=True)
CHECKS = pd.DataFrame({"passed": [True, False]})


def built(verified=True):
    checks = CHECKS.assign(data_verified=verified)
    claims = [claim(bound(margin=0.5)), claim(bound(), name="A2"), claim(bound(table="none"), name="A3")]
    findings, verdicts = judge_claims(claims, {"checks": checks}, {"none": "the tier makes none"}, {}, 0.95)
    return tables.load("claims").build({"claims": findings, "verdicts": verdicts}, CONTEXT)


def test_every_claim_has_its_verdict_and_why():
    rows = built().rows.set_index("claim")
    assert rows["verdict"].to_dict() == {"A1": "REPRODUCED", "A2": "NOT-REPRODUCED", "A3": "NOT-RUN"}
    assert rows.loc["A2", "why"] == "The margin is refuted: bound: share passed 0.5 (2 numbers), claimed at least 1."
    assert rows.loc["A3", "why"] == "The tier makes none."


def test_it_can_be_written_in_all_forms_and_latex_breaks_sentences_into_lines():
    table = built()
    assert "| A1" in table.markdown()
    assert r"{llp{0.35\textwidth}p{0.35\textwidth}}" in table.latex()


@pytest.mark.parametrize("verified", [True, False])
def test_note_on_unverified_data(verified):
    assert ("fails its published checksums" in built(verified).caption) is not verified
