"""Claims are judged where a target asks for it, again where a claim changes, and refused where one is wrong."""

import shutil
from pathlib import Path

import pandas as pd
import pytest
from project_copy import Project

pytestmark = [pytest.mark.workflow, pytest.mark.xdist_group("workflow")]


@pytest.fixture(scope="module")
def judged_project(finished_project: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The finished project with its claims judged; tests read it and leave it alone."""
    folder = tmp_path_factory.mktemp("judged") / "project"
    shutil.copytree(finished_project.folder, folder, symlinks=True)
    result = Project(folder).snakemake("claims")
    assert result.returncode == 0, result.stdout
    return Project(folder)


@pytest.fixture(scope="module")
def verdicts(judged_project: Project) -> pd.DataFrame:
    """The verdicts by claim."""
    return pd.read_parquet(judged_project.folder / "results/trimmed/claims/verdicts.parquet").set_index("claim")


def test_every_claim_is_judged_once(verdicts: pd.DataFrame) -> None:
    files = Path(__file__).resolve().parents[2].glob("claims/*.yaml")
    assert sorted(verdicts.index) == sorted(file.stem for file in files)


def test_what_the_tier_does_not_make_is_not_run_and_the_reason_is_said(verdicts: pd.DataFrame) -> None:
    assert verdicts.loc["A1", "verdict"] == "NOT-RUN"
    assert verdicts.loc["A1", "why"] == (
        "No figure and no table of tier trimmed reads exact_hessian, so that it is not made."
    )


@pytest.mark.long
def test_a_claim_has_a_target_that_makes_its_evidence(finished_project: Project, judged_project: Project) -> None:
    assert finished_project.planned("claim_B6") == {"judge_claims": 1, "claim_B6": 1}
    assert judged_project.planned("claim_B6") == {}


@pytest.mark.long
def test_another_margin_is_judged_anew_and_trains_nothing(judged_project: Project, tmp_path: Path) -> None:
    shutil.copytree(judged_project.folder, tmp_path / "project", symlinks=True)
    path = tmp_path / "project" / "claims" / "A6.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("margin: 0.5", "margin: 0.4"), encoding="utf-8")
    assert Project(tmp_path / "project").planned("claims") == {"judge_claims": 1, "claims": 1}


def test_a_claim_with_an_unknown_key_stops_before_any_job(fresh_project: Project) -> None:
    fresh_project.append("claims/A1.yaml", "figurs: [krylov]\n")
    result = fresh_project.snakemake("--dry-run")
    assert result.returncode != 0
    assert "configuration: claims/A1.yaml: figurs: unknown key, did you mean 'figures'?" in result.stdout
