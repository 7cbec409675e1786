"""Growth is measured where it fits and said where it does not."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from secondorder.validation import growth
from secondorder.validation.growth import Limits, count_parameters, measure_growth
from secondorder.validation.networks import initialised, perceptron, small_images

WIDTHS = [2, 6, 30]
LIMITS = Limits(parameters=600, memory_bytes=8 * 3200**2)


@pytest.fixture(scope="module")
def tables(dataset):
    return measure_growth(*small_images(dataset, 1), WIDTHS, repeats=2, limits=LIMITS)


@pytest.mark.parametrize("width", [1, 2, 6])
def test_parameters_are_counted_as_they_are(width):
    model = initialised(lambda: perceptron([width, width], "relu"), seed=0)
    assert count_parameters(width) == sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize(
    ("parameters", "status"), [(600, "measured"), (601, "left out"), (3200, "left out"), (3201, "does not fit")]
)
def test_dense_matrix_is_followed_as_far_as_told(parameters, status):
    assert LIMITS.dense_status(parameters) == status


def test_there_is_a_row_for_each_width_and_method(tables):
    for table in tables:
        assert table["width"].tolist() == [2, 2, 6, 6, 30, 30]
        assert table["method"].tolist() == ["exact", "dense"] * 3
        assert table["status"].tolist() == ["measured"] * 5 + ["left out"]


def test_errors_are_there_where_the_dense_matrix_is(tables):
    exact = tables[0][tables[0]["method"] == "exact"]
    assert exact["eigenvalue_error"].notna().tolist() == [True, True, False]
    assert exact["eigenvalue_error"].max() < 1e-12
    assert exact["certificate"].max() < 1e-12


def test_seconds_and_memory_are_measured(tables):
    measured = tables[1][tables[1]["status"] == "measured"]
    assert (measured["fastest"] > 0).all()
    assert (measured["fastest"] <= measured["seconds"]).all()
    assert (measured["seconds"] <= measured["slowest"]).all()
    assert (measured["memory_bytes"] >= 0).all()
    left_out = tables[1][tables[1]["status"] != "measured"]
    assert left_out[["seconds", "fastest", "slowest", "memory_bytes"]].isna().all(axis=None)


MEMORY = """
import torch
from secondorder.validation.growth import Limits, measure_growth
given = torch.ones(1, 1, 8, 8, dtype=torch.float64), torch.tensor([3])
_, timing = measure_growth(*given, [16], repeats=1, limits=Limits(2000, 2**30))
print(*timing["memory_bytes"])
"""


def test_memory_of_the_dense_matrix_is_at_least_its_entries_and_that_of_the_closed_form_less():
    # In a process of its own, because memory that this one has freed would be used again and not be seen.
    source = str(Path(growth.__file__).parents[2])
    result = subprocess.run(
        [sys.executable, "-c", MEMORY],
        env={**os.environ, "PYTHONPATH": source},
        capture_output=True,
        text=True,
        check=True,
    )
    exact, dense = map(float, result.stdout.split())
    assert exact < 8 * count_parameters(16) ** 2 <= dense


def test_numbers_repeat_bit_for_bit(tables, dataset):
    again, _ = measure_growth(*small_images(dataset, 1), WIDTHS[:2], repeats=1, limits=LIMITS)
    assert again.equals(tables[0].iloc[:4])
