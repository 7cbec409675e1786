"""`snakemake tune` writes what later calls read, and is asked for by nothing else."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import yaml
from project_copy import Project, copy_of_project

pytestmark = [pytest.mark.workflow, pytest.mark.xdist_group("workflow")]

# Another seed than the tier's own, so that no value of its own trials is drawn.
FEW = ("--config", "tuning={'trials': 2, 'seed': 5}")
PACKAGE = "src/secondorder"
TUNED = "config/tuned/trimmed.yaml"
EVIDENCE = "config/tuned/trimmed.csv"
RUNS = ("sgd", "nesterov", "adam")


@pytest.fixture(scope="module")
def tuned_project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project that was trained and then tuned; tests read it and leave it alone."""
    project = copy_of_project(tmp_path_factory.mktemp("tuned") / "project")
    for target in ("training", "tune"):
        result = project.snakemake(target, *FEW)
        assert result.returncode == 0, result.stdout
    return project


@pytest.fixture
def project(tuned_project: Project, tmp_path: Path) -> Project:
    """A copy of the tuned project that a test may change."""
    shutil.copytree(tuned_project.folder, tmp_path / "project", symlinks=True)
    return Project(tmp_path / "project")


@pytest.fixture
def edited(project: Project) -> Callable[[str], Project]:
    """A copy of the tuned project in which one line was added to one file."""

    def edit(path: str) -> Project:
        project.append(path, "\n# edited\n")
        return project

    return edit


def test_best_trial_of_every_run_is_written(tuned_project: Project) -> None:
    tuned = yaml.safe_load((tuned_project.folder / TUNED).read_text(encoding="utf-8"))["tuned"]["mnist_mlp"]
    trials = pd.read_csv(tuned_project.folder / EVIDENCE)
    assert tuple(tuned) == RUNS
    for run, entry in tuned.items():
        own = trials[trials["run"] == run]
        best = own.sort_values(["validation_metric", "validation_loss"], ascending=[False, True]).iloc[0]
        assert list(own["trial"]) == [0, 1]
        assert own["chosen"].sum() == 1
        assert best["chosen"]
        assert entry["settings"] == {"learning_rate": best["learning_rate"]}
        assert (entry["tier"], entry["trials"]) == ("trimmed", 2)


def test_trials_of_all_runs_are_the_same_points(tuned_project: Project) -> None:
    trials = pd.read_csv(tuned_project.folder / EVIDENCE).set_index(["run", "trial"])["learning_rate"]
    for trial in (0, 1):
        # Nesterov's range is SGD's divided by ten.
        assert trials["nesterov", trial] * 10 == pytest.approx(trials["sgd", trial], rel=0.01)


def test_trials_leave_nothing_that_was_measured_on_the_test_images(tuned_project: Project) -> None:
    files = list((tuned_project.folder / "results/trimmed/tuning").rglob("metrics.parquet"))
    assert len(files) == 2 * len(RUNS)
    for path in files:
        assert not pd.read_parquet(path)["metric"].str.startswith("test").any()


def test_second_call_does_nothing(tuned_project: Project) -> None:
    assert tuned_project.planned("tune", *FEW) == {}


def test_runs_are_trained_again_with_what_was_chosen(tuned_project: Project) -> None:
    assert tuned_project.planned("training", *FEW) == {"train_runs": len(RUNS), "training": 1}


def test_nothing_else_tunes(tuned_project: Project) -> None:
    assert {"train_trials", "select_settings"}.isdisjoint(tuned_project.planned(*FEW))


def test_value_of_a_call_goes_before_the_tuned_one(tuned_project: Project) -> None:
    manifest = tuned_project.folder / "results/trimmed/runs/mnist_mlp/adam/manifest.json"
    settings = json.loads(manifest.read_text(encoding="utf-8"))["specification"]["optimizer_settings"]
    own = (*FEW, f"runs={{'adam': {{'settings': {{'learning_rate': {settings['learning_rate']}}}}}}}")
    assert tuned_project.planned("training", *own) == {"train_runs": len(RUNS) - 1, "training": 1}
    assert tuned_project.planned("tune", *own) == {}, "and it changes no trial"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        pytest.param("tuning/selection.py", {"select_settings": 1}, id="the choice"),
        pytest.param("optim/adam.py", {"train_trials": 1, "select_settings": 1}, id="an optimizer"),
        pytest.param("training/seed.py", {"train_trials": 3, "select_settings": 1}, id="the training loop"),
        pytest.param("report/rendering.py", {}, id="the report"),
    ],
)
def test_edit_of_code(edited: Callable[[str], Project], path: str, expected: dict[str, int]) -> None:
    planned = edited(f"{PACKAGE}/{path}").planned("tune", *FEW)
    assert planned == ({**expected, "tune": 1} if expected else {})


def test_failed_choice_leaves_the_committed_file_alone(project: Project) -> None:
    before = (project.folder / TUNED).read_bytes()
    with (project.folder / "results/trimmed/tuning/mnist_mlp/sgd/trial_0/metrics.parquet").open("ab") as stream:
        stream.write(b"x")
    result = project.snakemake("tune", *FEW)
    assert result.returncode != 0
    assert "was changed after it was written" in result.stdout
    assert (project.folder / TUNED).read_bytes() == before


def test_lost_trials_come_back_to_the_same_choice(project: Project) -> None:
    before = {path: (project.folder / path).read_bytes() for path in (TUNED, EVIDENCE)}
    for path in ("results/trimmed/tuning", "results/trimmed/checkpoints/tuning", ".snakemake"):
        shutil.rmtree(project.folder / path)
    result = project.snakemake("tune", *FEW)
    assert result.returncode == 0, result.stdout
    assert {path: (project.folder / path).read_bytes() for path in before} == before
