"""What is read from tables for a part of a claim: pairs, choices, misses, divergence, and what is missing."""

import math

import numpy as np
import pandas as pd
import pytest
from claim_cases import bound, outcomes, part, with_problem

from secondorder.claims.measurement import measure
from secondorder.statistics.rankings import ranking_changes

CHOICE = {"of": ["new"], "against": ["old", "older"], "best_by": ["validation_error"]}


def only_case(given, table, conditions=None):
    (case,) = measure(given, table, conditions or {})
    return case


def test_effects_are_paired_by_seed_and_not_by_row():
    table = outcomes(new=[1, 2, 3], old=[10, 20, 30]).sample(frac=1, random_state=0)
    assert sorted(only_case(part(), table).effects) == [-27, -18, -9]


def test_ratio_is_judged_by_its_logarithm():
    case = only_case(part(effect="ratio"), outcomes(new=[1, 2], old=[10, 20]))
    assert case.effects == pytest.approx(np.log([0.1, 0.1]))


def test_problems_are_cases_of_their_own_and_conditions_are_none():
    one = outcomes(new=[1, 2], old=[3, 4])
    table = pd.concat([one, with_problem(one, "cifar"), with_problem(one, "mnist_dropout")])
    cases = measure(part(), table, {"mnist": {"mnist_dropout": "mnist"}})
    assert [case.name for case in cases] == ["mnist", "cifar"]


def test_a_problem_is_no_condition_where_it_is_compared_with_one_of_its_own():
    one = outcomes(new=[1, 2], old=[3, 4])
    table = pd.concat([one, with_problem(one, "mnist_none")])
    cases = measure(part(), table, {"mnist": {"mnist": "mnist_none"}})
    assert [case.name for case in cases] == ["mnist"]


def test_steps_of_one_seed_are_averaged():
    table = outcomes(new=[1, 5], old=[10, 10])
    steps = pd.concat([table, table.assign(test_error=lambda rows: rows["test_error"] + 2)])
    assert list(only_case(part(), steps).effects) == [2 - 11, 6 - 11]


def chosen(**validation):
    """The choice among old runs by these validation errors, one per seed; their test errors are told apart by tens."""
    tests = {"new": [0, 0, 0], "old": [10, 10, 10], "older": [20, 20, 20]}
    rows = outcomes(**tests)
    rows["validation_error"] = [value for run in tests for value in validation.get(run, [0.0, 0.0, 0.0])]
    return only_case(part(compared=CHOICE), rows)


def test_the_better_baseline_is_compared_with():
    case = chosen(old=[5, 5, 5], older=[4, 4, 4])
    assert case.reference == "older"
    assert list(case.effects) == [-20, -20, -20]


def test_a_seed_has_no_say_in_the_choice_for_itself():
    # Seed 0 made `older` look good; the others know better. For them it may count, for seed 0 it does not.
    case = chosen(old=[5, 5, 5], older=[0, 6, 6])
    assert list(case.effects) == [-10, -20, -20]


def test_choice_of_the_best_of_equals_does_not_flatter_it():
    """Six equal runs: the best by each seed's own noise would look better than the mean, the chosen one does not."""
    generator = np.random.default_rng(0)
    runs = [f"run{number}" for number in range(6)]
    flattered, chosen_effects = [], []
    for _ in range(20):
        noise = {run: generator.normal(size=3) for run in runs}
        table = outcomes(new=[0, 0, 0], **noise)
        table["validation_error"] = table["test_error"]
        choice = {"of": ["new"], "against": runs, "best_by": ["validation_error"]}
        chosen_effects.append(-only_case(part(compared=choice), table).effects.mean())
        flattered.append(min(values.mean() for values in noise.values()))
    assert np.mean(chosen_effects) == pytest.approx(0.0, abs=0.35)
    assert np.mean(flattered) < -0.5


def test_a_diverged_candidate_is_not_chosen():
    assert chosen(old=[5, 5, 5], older=[1, math.nan, 1]).reference == "old, older"
    assert chosen(old=[5, 5, 5], older=[math.nan] * 3).reference == "old"


def test_equal_candidates_are_told_apart_by_the_next_column():
    rows = outcomes(new=[0, 0], old=[10, 10], older=[20, 20]).assign(epochs=math.inf)
    rows["validation_error"] = [0, 0, 5, 5, 4, 4]
    choice = CHOICE | {"best_by": ["epochs", "validation_error"]}
    assert only_case(part(compared=choice), rows).reference == "older"


def test_a_miss_stays_infinite():
    case = only_case(part(effect="ratio"), outcomes(new=[1, math.inf], old=[10, 20]))
    assert case.effects == pytest.approx([math.log(0.1), math.inf])


def test_two_misses_are_no_number_and_are_kept():
    case = only_case(part(effect="ratio"), outcomes(new=[math.inf, 1], old=[math.inf, 10]))
    assert len(case.effects) == 2
    assert math.isnan(case.effects[0])


STOPPED = {
    "own seed diverged": ({"new": [1, None], "old": [3, 4]}, "failure", "new diverged on seed 1", False),
    "other seed diverged": ({"new": [1, 2], "old": [3, None]}, "obstacle", "old diverged on seed 1", False),
    "other seeds": ({"new": [1, 2], "old": [3]}, "obstacle", "not measured at the same seed", False),
    "numbers that are none": ({"new": [1, math.nan], "old": [3, 4]}, "obstacle", "do not exist", False),
    "not trained": ({"old": [3, 4]}, "obstacle", "outcomes has no such numbers of new", True),
    "nothing to compare with": ({"new": [1, 2]}, "obstacle", "outcomes has no such rows", True),
}


@pytest.mark.parametrize(("errors", "where", "said", "missing"), STOPPED.values(), ids=STOPPED)
def test_what_stands_in_the_way_is_said(errors, where, said, missing):
    case = only_case(part(), outcomes(**errors))
    assert said in getattr(case, where)
    assert case.missing is missing
    assert len(case.effects) == 0


def test_a_column_that_is_not_there_is_named():
    case = only_case(part(column="test_errors"), outcomes(new=[1], old=[2]))
    assert (case.obstacle, case.missing) == ("outcomes has no column test_errors", True)


CHECKS = pd.DataFrame(
    {
        "kind": ["a", "a", "b", "b"],
        "size": [1.0, 10.0, 100.0, 1000.0],
        "error": [2.0, 4.0, 6.0, math.nan],
        "tolerance": [1.0, 2.0, 3.0, 4.0],
        "passed": [True, False, True, True],
        "state": ["fine", "fine", "bad", "fine"],
    }
)
NUMBERS = {
    "truth": (bound(), [1, 0, 1, 1]),
    "rows by value": (bound(where={"kind": "b"}), [1, 1]),
    "rows by values": (bound(where={"kind": ["a", "b"], "passed": False}), [0]),
    "rows by a range": (bound(column="error", within={"size": {"at_least": 10, "at_most": 100}}), [4, 6]),
    "rows from a bound on": (bound(within={"size": {"at_least": 100}}), [1, 1]),
    "quotient": (bound(column="error", over="tolerance", where={"kind": "a"}), [2, 2]),
    "word": (bound(column="state", equals="fine"), [1, 1, 0, 1]),
}


@pytest.mark.parametrize(("given", "numbers"), NUMBERS.values(), ids=NUMBERS)
def test_numbers_are_those_of_the_named_rows(given, numbers):
    assert list(only_case(given, CHECKS).effects) == numbers


def test_a_number_that_does_not_exist_is_not_left_out():
    case = only_case(bound(column="error"), CHECKS)
    assert case.obstacle == "1 of 4 numbers of checks do not exist"
    assert not case.missing


def test_of_rows_that_are_not_there_nothing_was_measured():
    assert only_case(bound(where={"kind": "c"}), CHECKS).missing


RANKED = part(compared=None, effect="rank_change", each=[])
PLAIN = {"a": [1, 1, 1], "b": [2, 2, 2], "c": [3, 3, 3], "d": [4, 4, 4]}
CONDITIONS = {"mnist": {"mnist_dropout": "mnist"}}


def ranked(**changed):
    table = pd.concat([outcomes(**PLAIN), with_problem(outcomes(**changed), "mnist_dropout")])
    return only_case(RANKED, table, CONDITIONS)


def test_a_ranking_that_does_not_change_has_no_effect():
    assert list(ranked(**{run: [10 * value for value in errors] for run, errors in PLAIN.items()}).effects) == [0, 0, 0]


def test_a_ranking_that_is_turned_around_loses_all_agreement():
    case = ranked(**{run: [-value for value in errors] for run, errors in PLAIN.items()})
    assert case.effects == pytest.approx([-2, -2, -2])


def test_a_diverged_run_ranks_last():
    assert ranked(**{**PLAIN, "a": [None, 1, 1]}).effects[0] == pytest.approx((3 - 3) / 6 - 1)


def test_noise_of_seeds_alone_changes_no_ranking_on_average():
    generator = np.random.default_rng(0)
    changes = [
        ranking_changes(pd.DataFrame(generator.normal(size=(4, 6))), pd.DataFrame(generator.normal(size=(4, 6)))).mean()
        for _ in range(25)
    ]
    assert np.mean(changes) == pytest.approx(0.0, abs=0.12)


def test_without_conditions_no_change_was_measured():
    assert only_case(RANKED, outcomes(**PLAIN)).missing
