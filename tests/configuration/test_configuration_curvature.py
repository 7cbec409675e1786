"""What the configuration says of snapshots and of the curvature stage."""

from pathlib import Path

import pytest

from secondorder.configuration.loading import load_configuration
from secondorder.configuration.resolution import (
    READABLE,
    datasets_of,
    followed_runs,
    problems_with,
    reads_of,
    run_specification,
)
from secondorder.errors import ConfigurationError
from secondorder.validation.names import CURVATURE

CONFIG = Path(__file__).resolve().parents[2] / "config"
SHARES = "must be different shares of the budget in ascending order"


def loaded(**overrides):
    return load_configuration(overrides, CONFIG)


@pytest.mark.parametrize(
    ("overrides", "line"),
    [
        ({"snapshots": [0.5, 0.1]}, f"snapshots: given [0.5, 0.1]; {SHARES}"),
        ({"snapshots": [0.5, 0.5]}, f"snapshots: given [0.5, 0.5]; {SHARES}"),
        ({"snapshots": [1.5]}, "snapshots.0: given 1.5; should be less than or equal to 1"),
        ({"snapshots": 0.5}, "snapshots: given 0.5; should be a valid list"),
        ({"curvature": {"runs": ["sdg"]}}, "curvature.runs: there is no run 'sdg', did you mean 'sgd'?; there are sgd"),
        ({"curvature": {"dataset": "mnits"}}, "curvature.dataset: there is no dataset 'mnits', did you mean 'mnist'?"),
        (
            {"curvature": {"exact_hessian": {"samples": [1, 5000]}}},
            "curvature.exact_hessian.samples: given 5000; mnist_5k has 3500 training images; give smaller batches",
        ),
        (
            {"curvature": {"products": {"batch_sizes": [5000]}}},
            "curvature.products.batch_sizes: given 5000; mnist_5k has 3500 training images; give smaller batches",
        ),
        ({"curvature": {"products": {"widths": [8]}}}, "curvature.products.widths.0: given 8; should be greater than"),
        (
            {"curvature": {"products": {"steps": [0.0]}}},
            "curvature.products.steps.0: given 0.0; should be greater than",
        ),
        ({"curvature": {"products": {"steps": [1.0]}}}, "curvature.products.steps.0: given 1.0; should be less than 1"),
        (
            {"curvature": {"full_hessian": {"images": 5000}}},
            "curvature.full_hessian.images: given 5000; mnist_5k has 4000 images outside the test split; give fewer",
        ),
        (
            {"curvature": {"full_hessian": {"batch_size": 2000}}},
            "curvature.full_hessian.batch_size: given 2000; there are 500 images; give a smaller batch",
        ),
        ({"curvature": {"spectrum": {"sample": 2}}}, "curvature.spectrum.sample: unknown key, did you mean 'samples'?"),
        (
            {"curvature": {"approximations": {"pair": 3}}},
            "curvature.approximations.pair: unknown key, did you mean 'pairs'?",
        ),
        (
            {"curvature": {"approximations": {"fractions": [0.5, 1.0]}}},
            "curvature.approximations.fractions.1: given 1.0; should be less than 1",
        ),
        (
            {"curvature": {"approximations": {"damping": 0.0}}},
            "curvature.approximations.damping: given 0.0; should be greater than 0",
        ),
        (
            {"curvature": {"approximations": {"probes": [1]}}},
            "curvature.approximations.probes.0: given 1; should be greater than or equal to 2",
        ),
        (
            {"problems": {"mnist_mlp": {"curvature": ["spectra"]}}},
            "problems.mnist_mlp.curvature.0: given 'spectra'; should be 'spectrum', 'directions', 'sharpness' or "
            "'approximations'",
        ),
        (
            {"tables": {"sharpness": {"reads": ["sharpnes"]}}},
            "tables.sharpness.reads: there is no aggregated table 'sharpnes', did you mean 'sharpness'?",
        ),
    ],
)
def test_what_is_wrong_is_said_in_one_line(overrides, line):
    with pytest.raises(ConfigurationError) as caught:
        loaded(**overrides)
    assert str(caught.value).startswith(line)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("tier", ["smoke", "reduced", "paper"])
def test_every_tier_reads_every_table_of_the_stage(tier):
    configuration = loaded(tier=tier)
    assert set(CURVATURE) <= reads_of(configuration) <= set(READABLE)
    for table in CURVATURE:
        assert problems_with(configuration, table)


def test_shares_reach_the_training_job():
    assert run_specification(loaded(snapshots=[0, 1]), "mnist_mlp", "sgd").snapshots == (0.0, 1.0)


def test_problem_has_the_tables_that_it_asks_for():
    configuration = loaded(problems={"mnist_mlp": {"curvature": ["directions"]}, "mnist_lenet5": {"curvature": []}})
    assert "mnist_mlp" in problems_with(configuration, "directions")
    assert "mnist_mlp" not in problems_with(configuration, "spectrum")
    assert "mnist_lenet5" not in problems_with(configuration, "sharpness")
    assert problems_with(configuration, "final_metric") == list(configuration.problems)


KRYLOV = {
    "runs": {"newton": {"optimizer": "newton_krylov"}, "newton_krylov": None, "newton_cg": None},
    "studies": None,
    "problems": {
        "mnist_mlp": {"studies": None, "condition_runs": None},
        "mnist_mlp_narrow": None,
        "mnist_lenet5": {"without": ["newton"]},
    },
}


def test_steps_of_newton_krylov_are_of_problems_that_train_it():
    configuration = loaded(**KRYLOV)
    assert "mnist_mlp" in problems_with(configuration, "krylov")
    assert "mnist_lenet5" not in problems_with(configuration, "krylov")


def test_run_of_a_study_alone_brings_no_table_of_newton_krylov():
    study = {"label": "Krylov", "varies": "newton", "runs": {"short": {"settings": {"krylov_steps": 2}}}}
    configuration = loaded(
        runs={"newton": {"optimizer": "newton_krylov"}},
        studies={"krylov": study},
        problems={"mnist_mlp": {"runs": ["sgd"], "studies": ["krylov"]}},
    )
    assert "mnist_mlp" not in problems_with(configuration, "krylov")


def test_without_snapshots_there_is_nothing_to_look_at():
    configuration = loaded(snapshots=[])
    for table in ("spectrum", "directions", "sharpness", "approximations"):
        assert problems_with(configuration, table) == []
    assert problems_with(configuration, "exact_hessian") == list(configuration.problems)


def test_runs_are_followed_where_they_are_trained():
    configuration = loaded(problems={"mnist_mlp": {"runs": ["adam", "lbfgs"]}}, curvature={"runs": ["sgd", "adam"]})
    assert followed_runs(configuration, "mnist_mlp") == ["adam"]
    assert followed_runs(loaded(curvature={"runs": None}), "mnist_mlp")[:2] == ["sgd", "nesterov"]


def test_problem_that_trains_no_followed_run_has_no_spectrum():
    configuration = loaded(problems={"mnist_mlp": {"runs": ["lbfgs"]}}, curvature={"runs": ["sgd"]})
    assert "mnist_mlp" not in problems_with(configuration, "spectrum")
    assert "mnist_mlp" in problems_with(configuration, "sharpness")


def test_dataset_of_the_checks_is_needed_only_where_they_are_read():
    figures = ("exact_hessian_error", "exact_hessian_growth", "product_error", "product_cost", "full_hessian")
    of_stage = {
        "figures": dict.fromkeys(figures),
        "tables": dict.fromkeys(("exact_hessian", "product_error", "product_cost")),
    }
    assert datasets_of(loaded(tier="reduced")) == ["cifar10", "mnist", "mnist_5k"]
    assert datasets_of(loaded(tier="reduced", **of_stage)) == ["cifar10", "mnist"]
