"""Diagnostics of Newton-Krylov steps: a row per step, and none for other optimizers."""

import math

import pandas as pd
import pytest

from secondorder.newton.krylov_end import KrylovEnd
from secondorder.statistics.krylov import DIAGNOSTICS, ENDS, krylov_steps


def step_rows(run, step, seed=0, scope="step", **metrics):
    """The rows of one step."""
    moment = {"problem": "mnist_mlp", "run": run, "seed": seed, "scope": scope, "evaluation": 0, "step": step}
    moment |= {"epoch": 0.5 * step, "gradient_equivalents": 20.0 * step}
    return [{**moment, "metric": metric, "value": float(value)} for metric, value in metrics.items()]


WHOLE = dict.fromkeys(DIAGNOSTICS, 0.25) | {"krylov_products": 7, "krylov_end": KrylovEnd.DISTURBED}


def steps_of(*rows):
    return krylov_steps(pd.DataFrame([row for part in rows for row in part]))


def test_a_step_is_a_row_with_its_diagnostics_and_its_moment():
    (row,) = steps_of(step_rows("newton", 3, loss=1.0, **WHOLE)).to_dict("records")
    assert row == {
        "problem": "mnist_mlp",
        "run": "newton",
        "seed": 0,
        "step": 3,
        "epoch": 1.5,
        "gradient_equivalents": 60.0,
        **WHOLE,
        "krylov_end": "disturbed",
    }


def test_steps_are_in_their_order_within_each_seed():
    rows = steps_of(*(step_rows("newton", step, seed, **WHOLE) for seed in (1, 0) for step in (10, 2)))
    assert rows[["seed", "step"]].to_numpy().tolist() == [[0, 2], [0, 10], [1, 2], [1, 10]]


def test_what_a_step_does_not_record_is_missing():
    short = {"krylov_products": 1, "krylov_end": KrylovEnd.ZERO_GRADIENT, "step_size": 0.0}
    rows = steps_of(step_rows("newton", 1, **WHOLE), step_rows("newton", 2, **short))
    assert rows["krylov_end"].tolist() == ["disturbed", "zero gradient"]
    assert math.isnan(rows["taylor_error"].iloc[1])


def test_column_that_no_step_records_is_there():
    rows = steps_of(step_rows("newton", 1, krylov_products=2, krylov_end=0))
    assert list(rows.columns[-len(DIAGNOSTICS) :]) == list(DIAGNOSTICS)
    assert rows["actual_change"].isna().all()


OTHERS = {
    "another optimizer": step_rows("sgd", 1, loss=1.0),
    "another optimizer with a step size": step_rows("exact", 1, step_size=0.5),
    "an evaluation": step_rows("newton", 1, scope="evaluation", krylov_products=2.0),
}


@pytest.mark.parametrize("others", OTHERS.values(), ids=OTHERS)
def test_there_is_no_row_for(others):
    assert steps_of(others).empty
    beside = steps_of(others, step_rows("newton", 2, **WHOLE))
    assert beside[["run", "step"]].to_numpy().tolist() == [["newton", 2]]


def test_every_end_has_its_own_word():
    assert len(set(ENDS.values())) == len(KrylovEnd)
