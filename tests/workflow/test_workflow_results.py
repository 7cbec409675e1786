"""What a complete run leaves, on real images."""

import json
import platform
from pathlib import Path

import pandas as pd
import pytest
from project_copy import Project

from secondorder.files import file_digest
from secondorder.provenance.tier_manifest import read_tier_manifest

pytestmark = [pytest.mark.workflow, pytest.mark.xdist_group("workflow")]


@pytest.mark.parametrize(
    "path",
    [
        "figures/trimmed/training_curves_mnist_mlp.pdf",
        "figures/trimmed/training_curves_mnist_mlp.png",
        "paper_tables/trimmed/final_metric.csv",
        "paper_tables/trimmed/final_metric.md",
        "paper_tables/trimmed/final_metric.tex",
        "paper_tables/trimmed/time_to_target.csv",
        "results/trimmed/report.html",
        "results/trimmed/manifest.json",
        "results/trimmed/runs/mnist_mlp/adam/metrics.parquet",
        "results/trimmed/runs/mnist_mlp/adam/timing.parquet",
        "results/trimmed/runs/mnist_mlp/adam/manifest.json",
    ],
)
def test_file_is_there(finished_project: Project, path: str) -> None:
    assert (finished_project.folder / path).stat().st_size > 0


def test_network_learns_real_digits(finished_project: Project) -> None:
    table = pd.read_csv(finished_project.folder / "paper_tables/trimmed/final_metric.csv").set_index("optimizer")
    assert table.loc["adam", "mean"] > 80


def test_accuracy_in_the_table_is_the_mean_of_the_metrics(finished_project: Project) -> None:
    metrics = pd.read_parquet(finished_project.folder / "results/trimmed/runs/mnist_mlp/sgd/metrics.parquet")
    table = pd.read_csv(finished_project.folder / "paper_tables/trimmed/final_metric.csv").set_index("optimizer")
    final = metrics[metrics["metric"] == "test_accuracy"]
    assert list(final["seed"]) == [0, 1]
    assert table.loc["sgd", "mean"] == pytest.approx(100 * final["value"].mean(), rel=1e-12)


def test_every_run_gets_the_same_work(finished_project: Project) -> None:
    runs = (finished_project.folder / "results/trimmed/runs/mnist_mlp").iterdir()
    work = {run.name: pd.read_parquet(run / "metrics.parquet")["gradient_equivalents"].max() for run in runs}
    assert work == pytest.approx(dict.fromkeys(work, 2 * 109))


def test_manifest_names_verified_data(finished_project: Project) -> None:
    path = finished_project.folder / "results/trimmed/runs/mnist_mlp/adam/manifest.json"
    data = json.loads(path.read_text(encoding="utf-8"))["data"]
    assert data["name"] == "mnist_5k"
    assert data["verified"] is True


def test_manifest_of_the_tier_knows_every_run_and_table_by_its_sum(finished_project: Project) -> None:
    results = finished_project.folder / "results/trimmed"
    manifest = read_tier_manifest(results / "manifest.json")
    assert list(manifest.runs["mnist_mlp"]) == ["adam", "nesterov", "sgd"]
    for (problem, run), record in manifest.all_runs.items():
        assert record.manifest_sha256 == file_digest(results / "runs" / problem / run / "manifest.json")
    assert "aggregated/mnist_mlp/final_metric.parquet" in manifest.tables
    for path, table in manifest.tables.items():
        assert table.sha256 == file_digest(results / path)


def test_manifest_of_the_tier_names_no_place(finished_project: Project) -> None:
    text = (finished_project.folder / "results/trimmed/manifest.json").read_text(encoding="utf-8")
    assert str(finished_project.folder) not in text
    assert platform.node() not in text


def test_console_says_where_everything_is(console: str) -> None:
    assert "results/trimmed/report.html" in console
    assert "paper_tables/trimmed/" in console


def test_no_temporary_file_is_left(finished_project: Project) -> None:
    left = [path for path in Path(finished_project.folder).rglob("*.partial*") if ".snakemake" not in path.parts]
    assert left == []
