"""`snakemake verify` computes runs again beside the originals, and fails where one is different."""

import json
import shutil
import subprocess

import pytest
from project_copy import Project

pytestmark = [pytest.mark.long, pytest.mark.workflow, pytest.mark.xdist_group("workflow")]

RESULTS = "results/trimmed"
FEW = ("--config", "verify={'count': 2}")


@pytest.fixture(scope="module")
def verified(
    finished_project: Project, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Project, "subprocess.CompletedProcess[str]"]:
    """The finished project after a verification, and what that printed."""
    folder = tmp_path_factory.mktemp("verified") / "project"
    shutil.copytree(finished_project.folder, folder, symlinks=True)
    return Project(folder), Project(folder).snakemake("verify", *FEW)


def test_runs_are_the_same_bits_and_each_has_its_line(
    verified: tuple[Project, "subprocess.CompletedProcess[str]"],
) -> None:
    project, result = verified
    assert result.returncode == 0, result.stdout
    assert "mnist_mlp/sgd (seed 0): bitwise equal\nmnist_mlp/adam (seed 0): bitwise equal\n" in result.stdout
    record = json.loads((project.folder / RESULTS / "verification/report.json").read_text(encoding="utf-8"))
    assert [run["verdict"] for run in record["runs"]] == ["bitwise equal"] * 2


def test_changed_result_fails_and_is_named(verified: tuple[Project, "subprocess.CompletedProcess[str]"]) -> None:
    project, _ = verified
    path = project.folder / RESULTS / "runs/mnist_mlp/adam/metrics.parquet"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    result = project.snakemake("verify", "--config", "verify={'runs': {'mnist_mlp': ['adam']}}")
    assert result.returncode != 0
    assert "mnist_mlp/adam (seed 0): different; " in result.stdout
    assert "metrics.parquet: was changed after it was written" in result.stdout
    assert "Traceback" not in result.stdout
