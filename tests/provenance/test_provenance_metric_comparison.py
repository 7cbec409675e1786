"""Where metrics differ is found to the bit, and whether by more than seeds do, by a limit with a stated probability."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from secondorder.provenance.metric_comparison import (
    first_array_difference,
    first_beyond_seeds,
    first_metric_difference,
)
from secondorder.training.recorder import SCHEMA


def metrics(*rows):
    """Rows of a metrics file: seed, scope, step, metric, value."""
    named = ("seed", "scope", "step", "metric", "value")
    frame = pd.DataFrame([dict(zip(named, row, strict=True)) for row in rows])
    return frame.assign(evaluation=0, epoch=0.5, gradients=1, losses=0, products=0, gradient_equivalents=1.0)[
        SCHEMA.names
    ]


ROWS = [
    (0, "step", 1, "batch_loss", 2.3),
    (0, "step", 2, "batch_loss", float("nan")),
    (0, "final", 2, "test_loss", 0.0),
]


def with_value(row, value):
    changed = metrics(*ROWS)
    changed.loc[row, "value"] = value
    return changed


def test_same_rows_do_not_differ():
    assert first_metric_difference(metrics(*ROWS), metrics(*ROWS)) is None


@pytest.mark.parametrize(
    ("other", "place"),
    [
        pytest.param(
            with_value(0, np.nextafter(2.3, 3)),
            "seed 0, step at step 1, metric batch_loss: 2.3 became 2.3000000000000003",
            id="the last bit",
        ),
        pytest.param(
            with_value(2, -0.0), "seed 0, final at step 2, metric test_loss: 0.0 became -0.0", id="a sign of zero"
        ),
        pytest.param(
            with_value(1, 1.0), "seed 0, step at step 2, metric batch_loss: nan became 1.0", id="no number before"
        ),
        pytest.param(
            metrics(*ROWS).assign(products=[0, 4, 5]),
            "seed 0, step at step 2, column products: 0 became 4",
            id="a column of work",
        ),
        pytest.param(
            with_value(0, 5.0).assign(step=[3, 2, 2]),
            "seed 0, step at step 1, column step: 1 became 3",
            id="two columns",
        ),
        pytest.param(metrics(*ROWS[:2]), "seed 0, final at step 2, metric test_loss is missing", id="a row less"),
        pytest.param(
            metrics(*ROWS, (0, "final", 2, "test_accuracy", 1.0)),
            "seed 0, final at step 2, metric test_accuracy is new",
            id="a row more",
        ),
    ],
)
def test_first_difference_is_named(other, place):
    assert first_metric_difference(metrics(*ROWS), other) == place


ARRAYS = {"weight": np.zeros((2, 3), dtype=np.float32), "bias": np.ones(3, dtype=np.float32)}


@pytest.mark.parametrize(
    ("change", "name"),
    [
        pytest.param({}, None, id="none"),
        pytest.param({"bias": np.nextafter(ARRAYS["bias"], 2)}, "bias", id="the last bit"),
        pytest.param({"weight": ARRAYS["weight"].T}, "weight", id="a shape"),
        pytest.param({"bias": ARRAYS["bias"].astype(np.float64)}, "bias", id="a precision"),
        pytest.param({"mean": np.zeros(1)}, "mean", id="an array more"),
    ],
)
def test_array_that_differs_is_named(change, name):
    assert first_array_difference(ARRAYS, {**ARRAYS, **change}) == name
    assert first_array_difference({**ARRAYS, **change}, ARRAYS) == name


def ends(evaluation=3, **values):
    """The value of each metric at the end, or at an evaluation, of three seeds or fewer, given as a list by metric."""
    rows = [
        (seed, "final" if metric.startswith("test") else "evaluation", 1, metric, value)
        for metric, of_seeds in values.items()
        for seed, value in enumerate(of_seeds)
    ]
    return metrics(*rows).assign(evaluation=evaluation)


# Of 1, 2 and 3: s = 1, and the limit is 4.302653 √2.
LIMIT = 4.302653 * 2**0.5


@pytest.mark.parametrize(
    ("original", "recomputed", "words"),
    [
        pytest.param([1.0, 2.0, 3.0], [1.0], None, id="nothing moves"),
        pytest.param([1.0, 2.0, 3.0], [1.0 + 0.999999 * LIMIT], None, id="just within"),
        pytest.param([1.0, 2.0, 3.0], [1.0 + 1.000001 * LIMIT], "more than 6.08, the limit of 3 seeds", id="beyond"),
        pytest.param([1.0, 2.0, 3.0], [1.0 - 1.000001 * LIMIT], "seed 0, end of training", id="below"),
        pytest.param([1.0, 2.0, 3.0], [1.0, 99.0], "seed 1, end of training, metric test_loss", id="another seed"),
        pytest.param([1.0, 2.0, 3.0], [float("nan")], "1.0 became nan", id="no number"),
        pytest.param([0.1, 0.1, 0.1], [0.1], None, id="seeds that agree"),
        pytest.param([0.1, 0.1, 0.1], [0.1 + 1e-12], "more than 0, the limit", id="seeds that agree have no spread"),
        pytest.param([1.0], [1.0 + 1e-12], "more than 0, the limit", id="one seed has no spread"),
    ],
)
def test_value_may_move_as_far_as_two_seeds_are_apart(original, recomputed, words):
    found = first_beyond_seeds(ends(test_loss=original), ends(test_loss=recomputed), range(len(original)), 0.95)
    assert found is None if words is None else words in found


def test_of_several_values_each_has_a_wider_limit():
    limit = stats.t.ppf(1 - 0.025 / 2, 2) * 2**0.5
    original = ends(test_loss=[1.0, 2.0, 3.0], validation_loss=[1.0, 2.0, 3.0])
    within, beyond = (ends(test_loss=[1.0], validation_loss=[1.0 + factor * limit]) for factor in (0.999, 1.001))
    assert first_beyond_seeds(original, within, range(3), 0.95) is None
    assert "seed 0, evaluation 3, metric validation_loss" in first_beyond_seeds(original, beyond, range(3), 0.95)


def test_test_metric_that_one_has_alone_is_named():
    both, one = ends(accuracy=[1.0, 2.0, 3.0], test_loss=[1.0, 2.0, 3.0]), ends(accuracy=[1.0])
    assert "test_loss is missing" in first_beyond_seeds(both, one, range(3), 0.95)
    assert "test_loss is new" in first_beyond_seeds(one, both, [0], 0.95)


def test_evaluation_that_one_has_alone_is_not_compared():
    original, recomputed = (ends(evaluation, validation_loss=[1.0, 2.0, 3.0]) for evaluation in (3, 4))
    assert first_beyond_seeds(original, recomputed, range(3), 0.95) is None


def test_diverged_seeds_have_no_end_to_compare():
    original, recomputed = ends(test_loss=[1.0, 2.0, 3.0]), ends(test_loss=[1e30])
    assert first_beyond_seeds(original, recomputed, [1, 2], 0.95) is None


def test_two_more_seeds_are_within_the_limit_as_often_as_stated():
    generator = np.random.default_rng(0)
    draws = generator.normal(size=(200_000, 5))
    limits = stats.t.ppf(0.95, 2) * draws[:, :3].std(axis=1, ddof=1) * 2**0.5
    share = np.mean(np.abs(draws[:, 3] - draws[:, 4]) <= limits)
    assert share == pytest.approx(0.9, abs=0.003)
    values = draws[0]
    original = ends(test_loss=values[:3])
    for factor, beyond in ((0.999, False), (1.001, True)):
        moved = ends(test_loss=[values[0] + factor * limits[0]])
        assert (first_beyond_seeds(original, moved, range(3), 0.9) is not None) is beyond
