"""Kept metrics of a finished tier are all that figures, tables and report need; falsified ones stop every call."""

import shutil
import subprocess

import pandas as pd
import pytest
from project_copy import Project

from secondorder.archive.judging import judge_kept
from secondorder.archive.kept import read_kept
from secondorder.claims.loading import load_claims
from secondorder.claims.names import OF_CLAIMS
from secondorder.configuration.loading import load_configuration

pytestmark = [pytest.mark.long, pytest.mark.workflow, pytest.mark.xdist_group("workflow")]


def archive(project: Project, *targets: str) -> subprocess.CompletedProcess[str]:
    """Draw from kept metrics of the trimmed tier."""
    shown = ("--config", "archive={'tier': 'trimmed'}")
    return project.snakemake(*targets, *shown, configuration=project.folder / "config" / "archive.yaml")


@pytest.fixture
def kept_alone(project: Project) -> Project:
    """A project that has kept metrics of a finished run, and of its results nothing else."""
    result = project.snakemake("keep_metrics")
    assert result.returncode == 0, result.stdout
    shutil.rmtree(project.folder / "results")
    return project


def test_archive_is_the_finished_run_until_a_metric_is_falsified(
    kept_alone: Project, finished_project: Project
) -> None:
    drawn = archive(kept_alone, "all", "claims")
    assert drawn.returncode == 0, drawn.stdout
    for path in ("figures/{tier}/training_curves_mnist_mlp.png", "paper_tables/{tier}/final_metric.csv"):
        shown = kept_alone.folder / path.format(tier="archive")
        measured = finished_project.folder / path.format(tier="trimmed")
        assert shown.read_bytes() == measured.read_bytes()
    page = (kept_alone.folder / "results/archive/report.html").read_text(encoding="utf-8")
    assert "Kept metrics of the tier trimmed" in page

    kept = read_kept(kept_alone.folder / "reference/metrics/trimmed")
    shown = load_configuration({"tier": "archive", "archive": {"tier": "trimmed"}}, kept_alone.folder / "config")
    judged = judge_kept(kept, shown, load_claims(kept_alone.folder / "claims"))
    for name, rows in zip(OF_CLAIMS, judged, strict=True):
        of_workflow = pd.read_parquet(kept_alone.folder / f"results/archive/claims/{name}.parquet")
        pd.testing.assert_frame_equal(rows, of_workflow, check_exact=True)
    assert (pd.read_parquet(kept.folder / "jobs.parquet")["seconds"] > 0).all()

    metric = kept_alone.folder / "reference/metrics/trimmed/aggregated/mnist_mlp/curves.parquet"
    content = bytearray(metric.read_bytes())
    content[100] ^= 1
    metric.write_bytes(content)
    refused = archive(kept_alone)
    assert refused.returncode != 0
    assert "curves.parquet: was changed" in refused.stdout
    assert "Traceback" not in refused.stdout
