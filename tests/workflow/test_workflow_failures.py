"""What goes wrong stops cleanly, and the same command goes on."""

import json
import shutil
import time
from pathlib import Path

import pytest
from project_copy import Project, kill_group

pytestmark = [pytest.mark.workflow, pytest.mark.xdist_group("workflow")]

RUNS = "results/trimmed/runs/mnist_mlp"


def metrics_of(project: Project) -> dict[str, bytes]:
    """Return the bytes of the metrics files by run."""
    return {path.parent.name: path.read_bytes() for path in (project.folder / RUNS).glob("*/metrics.parquet")}


def wait_for(condition: Path, seconds: float = 120) -> None:
    """Wait until a file exists."""
    deadline = time.monotonic() + seconds
    while not condition.exists():
        assert time.monotonic() < deadline, f"{condition} did not appear"
        time.sleep(0.02)


def test_killed_run_goes_on_to_the_same_bits(fresh_project: Project, finished_project: Project) -> None:
    process = fresh_project.start()
    checkpoint = fresh_project.folder / "results/trimmed/checkpoints/mnist_mlp/sgd/seed_0.pt"
    wait_for(checkpoint)
    kill_group(process)
    assert not (fresh_project.folder / "results/trimmed/report.html").exists()

    result = fresh_project.snakemake()

    assert result.returncode == 0, result.stdout
    assert metrics_of(fresh_project) == metrics_of(finished_project)


def test_job_that_outlives_its_snakemake_is_waited_for(fresh_project: Project, finished_project: Project) -> None:
    process = fresh_project.start()
    wait_for(fresh_project.folder / "results/trimmed/checkpoints/mnist_mlp/sgd/seed_0.pt")
    process.kill()
    process.wait()

    result = fresh_project.snakemake()

    assert result.returncode == 0, result.stdout
    assert metrics_of(fresh_project) == metrics_of(finished_project)


def test_second_call_in_the_same_folder_stops_with_one_line(fresh_project: Project) -> None:
    process = fresh_project.start()
    wait_for(fresh_project.folder / "results/lock")
    try:
        result = fresh_project.snakemake("--config", "tier=other")
    finally:
        kill_group(process)
    assert result.returncode != 0
    assert "results is in use by another run (process" in result.stdout
    assert "Traceback" not in result.stdout


@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param("seedz=3", ["seedz", "did you mean 'seeds'?"], id="an unknown key"),
        pytest.param("threads=many", ["threads", "'many'", "integer"], id="a wrong type"),
        pytest.param("based_on=papr", ["based_on", "'papr'", "'paper'"], id="an unknown tier"),
    ],
)
def test_bad_configuration_stops_before_any_job(finished_project: Project, change: str, words: list[str]) -> None:
    result = finished_project.snakemake("--dry-run", "--config", change)
    complaints = [line for line in result.stdout.splitlines() if line.startswith("configuration:")]
    assert result.returncode != 0
    assert len(complaints) == 1
    assert all(word in complaints[0] for word in words)
    assert "Traceback" not in result.stdout
    assert "Job stats" not in result.stdout


@pytest.mark.parametrize(
    ("field", "value", "named"),
    [
        pytest.param(("specification", "optimizer_settings", "learning_rate"), 0.9, "learning_rate", id="settings"),
        pytest.param(("data", "sha256"), "0" * 64, "data.sha256", id="data"),
        pytest.param(("specification", "seeds"), [5, 6], "seeds", id="seeds"),
    ],
)
def test_foreign_result_is_refused(project: Project, field: tuple[str, ...], value: object, named: str) -> None:
    shutil.rmtree(project.folder / ".snakemake")
    shutil.rmtree(project.folder / "results/trimmed/aggregated")
    path = project.folder / RUNS / "adam/manifest.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    inner = manifest
    for key in field[:-1]:
        inner = inner[key]
    inner[field[-1]] = value
    path.write_text(json.dumps(manifest), encoding="utf-8")

    result = project.snakemake("tables")

    assert result.returncode != 0
    assert named in result.stdout
    assert "does not belong here" in result.stdout
    assert not (project.folder / "results/trimmed/aggregated/mnist_mlp/final_metric.parquet").exists()


def test_diverged_seeds_are_reported_and_others_go_on(project: Project) -> None:
    result = project.snakemake("--config", "runs={'adam': {'settings': {'learning_rate': 1.0e+30}}}")
    page = (project.folder / "results/trimmed/report.html").read_text(encoding="utf-8")
    table = (project.folder / "paper_tables/trimmed/final_metric.csv").read_text(encoding="utf-8")
    assert result.returncode == 0, result.stdout
    assert "Diverged:" in page
    assert "mnist_mlp,accuracy (%),higher,adam,2,,,,2" in table
