"""Verdicts on claims that are built to have them, and on such that must not."""

import math

import numpy as np
import pandas as pd
import pytest
from claim_cases import bound, claim, outcomes, part, with_problem

from secondorder.claims.ledger import judge_claims
from secondorder.claims.verdicts import Strength, Verdict, conclude

CLEAR = [10.0, 10.2, 9.9, 10.1, 10.05, 9.95]
CHECKS = pd.DataFrame({"passed": [True, True, True]})
FAULTS = pd.DataFrame({"passed": [True, False, True]})
ABSENT = {name: f"the tier makes no {name}" for name in ("outcomes", "checks", "faults")}


def judged(*claims, conditions=None, **tables):
    """Findings and verdicts on claims."""
    return judge_claims(claims, tables, ABSENT, conditions or {}, 0.95)


def verdict_on(*parts, **tables):
    """The verdict on one claim, with why."""
    (row,) = judged(claim(*parts), **tables)[1].to_dict("records")
    return row["verdict"], row["why"]


def shifted(by, values=CLEAR):
    return [value + by for value in values]


def spread(values, scale):
    """The same mean, with deviations that are so many times as large."""
    mean = sum(values) / len(values)
    return [mean + scale * (-1) ** place for place, _ in enumerate(values)]


# By more than 1 better is what the part claims.
SUPERIOR = {
    "better by much more": (outcomes(new=shifted(-3), old=CLEAR[::-1]), "REPRODUCED"),
    "better, but by less": (outcomes(new=shifted(-0.6), old=CLEAR[::-1]), "DIRECTION-ONLY"),
    "better, by about as much": (outcomes(new=shifted(-1.0), old=CLEAR[::-1]), "DIRECTION-ONLY"),
    "equal": (outcomes(new=CLEAR, old=CLEAR[::-1]), "NOT-REPRODUCED"),
    "worse": (outcomes(new=shifted(3), old=CLEAR[::-1]), "NOT-REPRODUCED"),
    "better by more, with too much spread": (outcomes(new=spread(shifted(-3), 6), old=CLEAR), "INCONCLUSIVE"),
    "one seed": (outcomes(new=[1.0], old=[9.0]), "INCONCLUSIVE"),
    "own seed diverged": (outcomes(new=[*shifted(-3)[:5], None], old=CLEAR), "NOT-REPRODUCED"),
    "other seed diverged": (outcomes(new=shifted(-3), old=[*CLEAR[:5], None]), "INCONCLUSIVE"),
    "not trained": (outcomes(old=CLEAR), "NOT-RUN"),
}


@pytest.mark.parametrize(("table", "verdict"), SUPERIOR.values(), ids=SUPERIOR)
def test_verdict_on_better_by_more_than_a_margin(table, verdict):
    assert verdict_on(part(), outcomes=table)[0] == verdict


def test_higher_is_better_where_the_claim_says_so():
    assert verdict_on(part(better="higher"), outcomes=outcomes(new=shifted(3), old=CLEAR[::-1]))[0] == "REPRODUCED"


NOT_INFERIOR = {
    "worse by less": (shifted(0.4), "REPRODUCED"),
    "worse by more": (shifted(2), "NOT-REPRODUCED"),
    "worse by about as much": (shifted(1), "INCONCLUSIVE"),
}


@pytest.mark.parametrize(("new", "verdict"), NOT_INFERIOR.values(), ids=NOT_INFERIOR)
def test_verdict_on_not_worse_by_more_than_a_margin(new, verdict):
    assert verdict_on(part(test="non_inferiority"), outcomes=outcomes(new=new, old=CLEAR[::-1]))[0] == verdict


EQUIVALENT = {"equal": (CLEAR, "REPRODUCED"), "better by more": (shifted(-2), "NOT-REPRODUCED")}


@pytest.mark.parametrize(("new", "verdict"), EQUIVALENT.values(), ids=EQUIVALENT)
def test_verdict_on_equivalence(new, verdict):
    assert verdict_on(part(test="equivalence"), outcomes=outcomes(new=new, old=CLEAR[::-1]))[0] == verdict


TEN_TIMES = part(effect="ratio", statistic="median", margin=10.0)
MISS = math.inf
SPEED = {
    "twelve times": ([1] * 6, [12] * 6, "REPRODUCED"),
    "three times": ([4] * 6, [12] * 6, "DIRECTION-ONLY"),
    "twelve times in three seeds": ([1] * 3, [12] * 3, "INCONCLUSIVE"),
    "the others miss": ([1] * 6, [MISS] * 6, "REPRODUCED"),
    "it misses": ([MISS] * 6, [12] * 6, "NOT-REPRODUCED"),
    "both miss": ([MISS] * 6, [MISS] * 6, "INCONCLUSIVE"),
    "it misses twice in six": ([1, 1, 1, 1, MISS, MISS], [12] * 6, "INCONCLUSIVE"),
}


@pytest.mark.parametrize(("new", "old", "verdict"), SPEED.values(), ids=SPEED)
def test_verdict_on_ten_times_faster_counts_misses_as_infinite(new, old, verdict):
    assert verdict_on(TEN_TIMES, outcomes=outcomes(new=new, old=old))[0] == verdict


def test_too_few_seeds_are_told_how_many_would_do():
    table = outcomes(new=[1] * 3, old=[12] * 3)
    findings, verdicts = judged(claim(TEN_TIMES), outcomes=table)
    needed = findings["seeds_needed"].iloc[0]
    assert needed > 3
    assert f"about {needed:.0f} seeds would decide" in verdicts["why"].iloc[0]


BOUNDS = {
    "all pass": (bound(), CHECKS, "REPRODUCED"),
    "one does not": (bound(), FAULTS, "NOT-REPRODUCED"),
    "a number does not exist": (bound(), pd.DataFrame({"passed": [1.0, math.nan]}), "INCONCLUSIVE"),
    "no rows": (bound(), CHECKS.iloc[:0], "NOT-RUN"),
}


@pytest.mark.parametrize(("given", "table", "verdict"), BOUNDS.values(), ids=BOUNDS)
def test_verdict_on_a_bound(given, table, verdict):
    assert verdict_on(given, checks=table)[0] == verdict


GROWTH = pd.DataFrame({"parameters": [10.0, 100.0, 1000.0], "bytes": [8e2, 8e4, 8e6]})


@pytest.mark.parametrize(("least", "verdict"), [(1.99, "REPRODUCED"), (2.01, "NOT-REPRODUCED")])
def test_exponent_is_the_slope_in_logarithms(least, verdict):
    given = bound(column="bytes", per="parameters", statistic="exponent", margin=least)
    assert verdict_on(given, checks=GROWTH)[0] == verdict


NOISE = np.array([1.0, 1.6, 0.7, 1.0])


@pytest.mark.parametrize(
    ("sizes", "noise", "verdict"),
    [
        pytest.param([10.0, 20.0, 30.0, 40.0], NOISE, "INCONCLUSIVE", id="too noisy to tell"),
        pytest.param([10.0, 1e3, 1e5, 1e7], NOISE, "REPRODUCED", id="the same noise over many magnitudes"),
        pytest.param([10.0, 20.0], NOISE[:2], "INCONCLUSIVE", id="two sizes have no error"),
    ],
)
def test_exponent_is_known_no_better_than_its_measurements(sizes, noise, verdict):
    table = pd.DataFrame({"parameters": sizes, "bytes": 8 * np.square(sizes) * noise})
    given = bound(column="bytes", per="parameters", statistic="exponent", margin=1.8)
    assert verdict_on(given, checks=table)[0] == verdict


def test_evidence_that_fails_its_own_control_shows_nothing():
    control = bound(name="control", table="faults", control=True)
    verdict, why = verdict_on(bound(), control, checks=CHECKS, faults=FAULTS)
    assert verdict == "INCONCLUSIVE"
    assert why.startswith("The evidence fails its own control: control: share passed 0.667")


def test_nor_does_it_refute():
    control = bound(name="control", table="faults", control=True)
    assert verdict_on(bound(), control, checks=FAULTS, faults=FAULTS)[0] == "INCONCLUSIVE"


def test_tables_that_the_tier_does_not_make_are_said_to_be_not_run():
    assert verdict_on(bound()) == ("NOT-RUN", "The tier makes no checks.")


def test_a_part_that_was_not_measured_leaves_a_claim_open_and_does_not_hide_a_refutation():
    verdict, why = verdict_on(part(), bound(), checks=CHECKS)
    assert (verdict, why) == ("INCONCLUSIVE", "Not measured: part.")
    assert verdict_on(part(), bound(), checks=FAULTS)[0] == "NOT-REPRODUCED"


def test_all_parts_have_to_hold():
    table = outcomes(new=shifted(-3), old=CLEAR[::-1])
    assert verdict_on(part(), bound(), outcomes=table, checks=CHECKS)[0] == "REPRODUCED"
    assert verdict_on(part(), bound(), outcomes=table, checks=FAULTS)[0] == "NOT-REPRODUCED"


@pytest.mark.parametrize(("share", "verdict"), [(1.0, "NOT-REPRODUCED"), (0.5, "REPRODUCED")])
def test_it_has_to_hold_in_as_many_cases_as_the_claim_says(share, verdict):
    good, bad = outcomes(new=shifted(-3), old=CLEAR[::-1]), outcomes(new=shifted(3), old=CLEAR[::-1])
    table = pd.concat([good, with_problem(bad, "cifar")])
    assert verdict_on(part(of_cases=share), outcomes=table)[0] == verdict


def test_claims_of_a_source_are_corrected_together_and_others_are_not():
    table = outcomes(new=[8.3, 8.9, 8.0, 8.8], old=[10.0, 10.1, 9.9, 10.0])
    alone = judged(claim(part(name="one")), outcomes=table)[0]
    together = judged(*(claim(part(), name=f"A{number}") for number in range(1, 7)), outcomes=table)[0]
    apart = judged(*(claim(part(), name=f"A{n}", family=f"f{n}") for n in range(1, 7)), outcomes=table)[0]
    assert alone["verdict"].tolist() == ["REPRODUCED"]
    assert set(apart["verdict"]) == {"REPRODUCED"}
    assert "REPRODUCED" not in set(together["verdict"])
    assert list(together["p_adjusted"] / together["p"]) == pytest.approx([6] * 6)


def test_claims_that_infer_nothing_do_not_weaken_those_that_do():
    table = outcomes(new=shifted(-3), old=CLEAR[::-1])
    rows = judged(claim(part()), claim(bound(), name="A2"), outcomes=table, checks=FAULTS)[0].set_index("claim")
    assert rows.loc["A1", "p_adjusted"] == rows.loc["A1", "p"]
    assert math.isnan(rows.loc["A2", "p"])


CONCLUSIONS = {
    "margin shown": (Strength(0.01, 0.01, 1.0), Verdict.REPRODUCED),
    "direction shown, margin open": (Strength(0.2, 0.01, 0.5), Verdict.DIRECTION_ONLY),
    "direction shown, margin refuted": (Strength(1.0, 0.01, 0.01), Verdict.DIRECTION_ONLY),
    "margin refuted, direction open": (Strength(1.0, 0.2, 0.01), Verdict.NOT_REPRODUCED),
    "nothing shown": (Strength(0.2, 0.2, 0.2), Verdict.INCONCLUSIVE),
}


@pytest.mark.parametrize(("strength", "verdict"), CONCLUSIONS.values(), ids=CONCLUSIONS)
def test_rules(strength, verdict):
    assert conclude(strength, 0.05) is verdict


REASONS = {
    "difference": (
        part(),
        "mean difference of test error, new against old, -3 (-3.17 to -2.83, 3 seeds), claimed below -1",
    ),
    "factor": (
        part(effect="ratio", margin=1.25),
        "geometric mean ratio of test error, new against old, 0.7 (0.683 to 0.717, 3 seeds), claimed below 0.8",
    ),
    "not worse": (
        part(test="non_inferiority", margin=0.5),
        "mean difference of test error, new against old, -3 (-3.17 to -2.83, 3 seeds), claimed below 0.5",
    ),
    "equivalent": (
        part(test="equivalence", margin=0.5),
        "mean difference of test error, new against old, -3 (-3.17 to -2.83, 3 seeds), claimed between -0.5 and 0.5",
    ),
}


@pytest.mark.parametrize(("given", "text"), REASONS.values(), ids=REASONS)
def test_reasons_have_the_numbers(given, text):
    table = outcomes(new=[7.0, 6.9, 7.1], old=[10.0, 10.0, 10.0])
    findings, _ = judged(claim(given), outcomes=table)
    assert findings["reason"].tolist() == [f"part (mnist): {text}"]


def test_unverified_data_shows_in_the_verdicts():
    table = outcomes(new=shifted(-3), old=CLEAR).assign(data_verified=False)
    assert judged(claim(part()), outcomes=table)[1]["data_verified"].tolist() == [False]
