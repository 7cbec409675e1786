"""The curvature stage runs where it is asked for, again where its code changes, and stops when a control passes."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from project_copy import Project

pytestmark = [pytest.mark.workflow, pytest.mark.xdist_group("workflow")]

STAGE = "results/trimmed/curvature"
BLIND = """

def _with_one_sign_flipped(right: Claim) -> Claim:
    return right
"""


@pytest.fixture(scope="module")
def checked_project(finished_project: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The finished project after the curvature stage; tests read it and leave it alone."""
    folder = tmp_path_factory.mktemp("checked") / "project"
    shutil.copytree(finished_project.folder, folder, symlinks=True)
    result = Project(folder).snakemake("curvature")
    assert result.returncode == 0, result.stdout
    return Project(folder)


@pytest.fixture
def edited_stage(checked_project: Project, tmp_path: Path) -> Callable[[str, str], Project]:
    """A copy of the project after the stage in which text was added to one file."""

    def edit(path: str, text: str) -> Project:
        shutil.copytree(checked_project.folder, tmp_path / "project", symlinks=True)
        project = Project(tmp_path / "project")
        project.append(path, text)
        return project

    return edit


def test_stage_runs_only_where_it_is_asked_for(finished_project: Project) -> None:
    assert not (finished_project.folder / STAGE).exists()
    assert finished_project.planned() == {}


@pytest.mark.parametrize(
    "table",
    [
        "exact_hessian",
        "growth",
        "growth_timing",
        "product_error",
        "product_cost",
        "product_cost_timing",
        "full_hessian",
        "full_hessian_timing",
        "mnist_mlp/spectrum",
        "mnist_mlp/directions",
        "mnist_mlp/sharpness",
    ],
)
def test_table_is_there_and_says_that_its_data_is_verified(checked_project: Project, table: str) -> None:
    frame = pd.read_parquet(checked_project.folder / f"{STAGE}/{table}.parquet")
    assert len(frame) > 0
    assert frame["data_verified"].all()


def test_closed_form_is_right_about_real_images(checked_project: Project) -> None:
    cases = pd.read_parquet(checked_project.folder / f"{STAGE}/exact_hessian.parquet")
    assert cases["passed"].tolist() == (cases["control"] == "").tolist()


def test_every_seed_of_every_run_has_its_sharpness(checked_project: Project) -> None:
    table = pd.read_parquet(checked_project.folder / f"{STAGE}/mnist_mlp/sharpness.parquet")
    assert table.groupby("run")["seed"].apply(list).to_dict() == {run: [0, 1] for run in ("adam", "nesterov", "sgd")}


def test_second_call_does_nothing(checked_project: Project) -> None:
    assert checked_project.planned("curvature") == {}


@pytest.mark.long
@pytest.mark.parametrize(
    ("edited_file", "expected"),
    [
        ("validation/sharpness.py", {"measure_sharpness": 1}),
        ("validation/accumulated_products.py", {"measure_sharpness": 1, "measure_full_hessian": 1}),
        ("validation/truth.py", {"compare_approximations": 1}),
        ("validation/spectral_controls.py", {"measure_spectral_controls": 1}),
        ("validation/spectrum.py", {"track_spectrum": 1}),
        ("validation/product_error.py", {"measure_product_error": 1}),
        ("validation/certified_spectrum.py", {"measure_full_hessian": 1}),
        ("validation/product_floor.py", {"measure_product_cost": 1}),
        ("validation/dense.py", {"validate_exact_hessian": 1, "measure_exact_growth": 1}),
    ],
)
def test_edit_does_again_what_it_touches(
    edited_stage: Callable[[str, str], Project], edited_file: str, expected: dict[str, int]
) -> None:
    planned = edited_stage(f"src/secondorder/{edited_file}", "\n# edited\n").planned("curvature")
    planned.pop("curvature", None)
    assert planned == expected


def test_control_that_passes_stops_the_stage(edited_stage: Callable[[str, str], Project]) -> None:
    project = edited_stage("src/secondorder/validation/exact_hessian.py", BLIND)
    result = project.snakemake(f"{STAGE}/exact_hessian.parquet")
    assert result.returncode != 0
    assert "the control 'one sign flipped'" in result.stdout
    assert "Traceback" not in result.stdout


def test_other_shares_train_again(checked_project: Project) -> None:
    planned = checked_project.planned("curvature", "--config", "snapshots=[0.5, 1]")
    assert planned["train_runs"] == 3
