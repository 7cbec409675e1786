"""Which runs are computed again, and what a manifest says of a configuration."""

import json
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest

from secondorder.configuration.loading import load_configuration
from secondorder.configuration.models import VerifySection
from secondorder.configuration.resolution import runs_of
from secondorder.configuration.verification import verified_runs
from secondorder.errors import ConfigurationError

CONFIG = Path(__file__).resolve().parents[2] / "config"


@cache
def smoke():
    return load_configuration({}, CONFIG)


def chosen(**verify):
    return verified_runs(smoke().model_copy(update={"verify": VerifySection.model_validate(verify)}))


ALL = [(problem, run) for problem in smoke().all_problems for run in runs_of(smoke(), problem)]


@pytest.mark.parametrize("count", [1, 2, 7, len(ALL) - 1, len(ALL)])
def test_runs_are_evenly_spaced(count):
    positions = [ALL.index(pair) for pair in chosen(count=count)]
    gaps = {later - earlier for earlier, later in pairwise(positions)}
    assert len(positions) == count
    assert not gaps or max(gaps) - min(gaps) <= 1
    # As much is left before the first as behind the last.
    assert abs(positions[0] - (len(ALL) - 1 - positions[-1])) <= 1


def test_all_runs_are_taken_where_there_are_fewer():
    assert chosen(count=10 * len(ALL)) == ALL


def test_named_runs_are_taken_in_the_order_of_the_configuration():
    assert chosen(runs={"mnist_rnn": ["adam", "sgd"], "mnist_mlp": ["kfac"]}, count=1) == [
        ("mnist_mlp", "kfac"),
        ("mnist_rnn", "sgd"),
        ("mnist_rnn", "adam"),
    ]


@pytest.mark.parametrize(
    ("runs", "words"),
    [
        pytest.param({"mnist_mpl": ["sgd"]}, ["verify.runs", "mnist_mpl", "'mnist_mlp'"], id="a problem"),
        pytest.param({"mnist_mlp": ["adma"]}, ["verify.runs.mnist_mlp", "adma", "'adam'"], id="a run"),
        pytest.param({"mnist_lenet5": ["exact_per_sample"]}, ["verify.runs.mnist_lenet5"], id="a run left out"),
        pytest.param({"mnist_mlp": []}, ["verify.runs.mnist_mlp"], id="no run"),
    ],
)
def test_runs_that_there_are_not_are_errors(runs, words):
    with pytest.raises(ConfigurationError) as caught:
        load_configuration({"verify": {"runs": runs}}, CONFIG)
    assert all(word in str(caught.value) for word in words)


def test_values_for_a_manifest_name_no_folder(tmp_path):
    configuration = load_configuration({"data": {"folder": str(tmp_path)}}, CONFIG)
    text = json.dumps(configuration.without_places())
    assert str(tmp_path) not in text
    assert configuration.without_places() == smoke().without_places()
    assert str(tmp_path) in json.dumps(configuration.model_dump(mode="json")), "the folder would be there otherwise"
