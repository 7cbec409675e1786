"""The list of targets, made of a complete run."""

import math
import subprocess
import sys

import pandas as pd
import pytest
from project_copy import TRIMMED, Project

pytestmark = [pytest.mark.long, pytest.mark.workflow, pytest.mark.xdist_group("workflow")]


def test_every_target_is_listed_with_what_was_measured(project: Project) -> None:
    listed = subprocess.run(
        [sys.executable, "-m", "secondorder", "targets", "--configfile", str(TRIMMED)],
        cwd=project.folder,
        env={**project.environment(), "PYTHONPATH": str(project.folder / "src")},
        text=True,
        capture_output=True,
        check=False,
    )
    assert listed.returncode == 0, listed.stderr
    page = (project.folder / "results/trimmed/targets.md").read_text(encoding="utf-8")
    rows = {cells[0].strip("`"): cells[1:] for line in page.splitlines() if len(cells := line[2:-2].split(" | ")) == 5}

    drawn = {f"figure_{path.stem}" for path in (project.folder / "figures/trimmed").glob("*.png")}
    written = {f"table_{path.stem}" for path in (project.folder / "paper_tables/trimmed").glob("*.csv")}
    claimed = {f"claim_{path.stem}" for path in (project.folder / "claims").glob("*.yaml")}
    assert {name for name in rows if name.startswith(("figure_", "table_", "claim_"))} == drawn | written | claimed

    # All that the run did is upstream of `all`, and it did all of that. It judged no claim.
    measured = [pd.read_csv(path, sep="\t")["s"].item() for path in (project.folder / "results").rglob("*.tsv")]
    assert rows["all"][2:] == [f"{math.fsum(measured):,.1f}", str(len(measured))]
    assert not [name for name in drawn | written if "not measured" in rows[name][3]]
    assert rows["claims"][1] == "not measured"
    assert "`judge_claims`" in page
