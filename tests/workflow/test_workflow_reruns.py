"""What an edit makes the next call do: what it touches, and nothing else."""

import re
from collections.abc import Callable

import pandas as pd
import pytest
from project_copy import Project

pytestmark = [pytest.mark.workflow, pytest.mark.xdist_group("workflow")]

PACKAGE = "src/secondorder"
RENDER_FIGURE = {"draw_figures": 1, "render_report": 1}
AFTER_TRAINING = {
    "aggregate_metrics": 1,
    "draw_figures": 1,
    "write_tables": 3,
    "render_report": 1,
    "write_manifest": 1,
}


def test_second_call_does_nothing(finished_project: Project) -> None:
    assert finished_project.planned() == {}


@pytest.mark.parametrize(
    ("edited_file", "expected"),
    [
        pytest.param("plotting/training_curves.py", RENDER_FIGURE, id="a figure redraws"),
        pytest.param("plotting/style.py", RENDER_FIGURE, id="the style redraws"),
        pytest.param("tables/final_metric.py", {"write_tables": 1, "render_report": 1}, id="a table is written"),
        pytest.param("report/rendering.py", {"render_report": 1}, id="the report is rendered"),
        pytest.param("provenance/hardware.py", {"write_manifest": 1, "render_report": 1}, id="the manifest is written"),
        pytest.param("statistics/final_metric.py", AFTER_TRAINING, id="statistics aggregate"),
        pytest.param("optim/adam.py", {"train_runs": 1, **AFTER_TRAINING}, id="an optimizer trains its run"),
        pytest.param("optim/sgd.py", {"train_runs": 2, **AFTER_TRAINING}, id="SGD trains its two runs"),
        pytest.param("problems/mnist_mlp.py", {"train_runs": 3, **AFTER_TRAINING}, id="a problem trains its runs"),
        pytest.param("data/transfer.py", {}, id="a download changes no verified data"),
        pytest.param(
            "data/splits.py", {"prepare_dataset": 1, "train_runs": 3, **AFTER_TRAINING}, id="a split trains all"
        ),
        pytest.param("problems/cifar10_3c3d.py", {}, id="a problem of another tier"),
        pytest.param("optim/lbfgs.py", {}, id="an optimizer of no run"),
        pytest.param("training/seed.py", {"train_runs": 3, **AFTER_TRAINING}, id="the training loop trains all"),
    ],
)
def test_edit_of_code(edited: Callable[[str, str], Project], edited_file: str, expected: dict[str, int]) -> None:
    assert edited(f"{PACKAGE}/{edited_file}", "\n# edited\n").planned() == expected


def test_edit_of_an_optimizer_trains_that_one_only(edited: Callable[[str, str], Project]) -> None:
    assert edited(f"{PACKAGE}/optim/adam.py", "\n# edited\n").planned_runs() == {"mnist_mlp/adam"}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        pytest.param(
            "runs={'adam': {'settings': {'learning_rate': 0.002}}}", {"train_runs": 1, **AFTER_TRAINING}, id="a setting"
        ),
        pytest.param(
            "runs={'adam': {'label': 'ADAM'}}",
            {name: count for name, count in AFTER_TRAINING.items() if name != "aggregate_metrics"},
            id="a label",
        ),
        pytest.param("seeds=3", {"train_runs": 3, **AFTER_TRAINING}, id="a seed"),
        pytest.param("statistics={'confidence': 0.9}", AFTER_TRAINING, id="the confidence level"),
    ],
)
def test_edit_of_configuration(finished_project: Project, change: str, expected: dict[str, int]) -> None:
    assert finished_project.planned("--config", change) == expected


def test_runs_that_share_a_process_are_trained_again_only_where_their_own_code_is_another(
    edited: Callable[[str, str], Project],
) -> None:
    project = edited(f"{PACKAGE}/optim/adam.py", "# edited\n")
    result = project.snakemake("training", "--config", "per_process={'runs': 3}")
    assert result.returncode == 0, result.stdout
    log = (project.folder / "logs" / "trimmed" / "train_runs" / "mnist_5k_1.log").read_text()
    assert re.findall(r"/(\w+): seed 0: resumed at step \d+ \(finished\)", log) == ["sgd", "nesterov"]
    assert "adam: seed_0.pt: is from other code" in log


def test_jobs_that_several_problems_share_keep_their_results_apart(project: Project) -> None:
    dropout = "{'label': 'Dropout', 'settings': {'dropout': 0.3}}"
    problem = f"problems={{'mnist_mlp': {{'conditions': {{'dropout': {dropout}}}, 'condition_runs': ['sgd']}}}}"
    call = ("--config", problem, "per_process={'runs': 4, 'summaries': 2}")
    planned = project.planned(*call)
    assert {rule: planned[rule] for rule in ("train_runs", "aggregate_metrics")} == {
        "train_runs": 1,
        "aggregate_metrics": 1,
    }
    result = project.snakemake(*call)
    assert result.returncode == 0, result.stdout
    for name, runs in {"mnist_mlp": ["sgd", "nesterov", "adam"], "mnist_mlp_dropout": ["sgd"]}.items():
        seeds = pd.read_parquet(project.folder / f"results/trimmed/aggregated/{name}/seeds.parquet")
        assert set(seeds["problem"]) == {name}
        assert list(seeds["run"].unique()) == runs
