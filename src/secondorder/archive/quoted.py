"""What pages of the project say of results: sentences and a table that are made of kept metrics alone."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq

from secondorder.archive.judging import judge_kept, kept_tables
from secondorder.archive.kept import KeptMetrics, read_kept
from secondorder.archive.layout import JOBS, KEPT_FOLDER, MANIFEST
from secondorder.archive.pages import filled, has_blocks
from secondorder.claims.loading import load_claims
from secondorder.claims.verdicts import Verdict
from secondorder.configuration.loading import load_configuration
from secondorder.configuration.models import Configuration

TIER = "smoke"
"""The tier whose results are quoted."""

NOTHING_KEPT = "No metrics are kept yet; `snakemake keep_metrics` keeps those of a finished run."


def quoting_pages(root: Path) -> dict[str, str]:
    """Return the pages that have blocks, as they have to be, by their paths below the project's folder.

    They are looked for in the README and in ``docs/``.

    Args:
        root: The project's folder.

    Raises:
        ResultError: Kept metrics are not what was kept.
        InputError: A page has a block that has no end, or that nothing is known to write.
    """
    blocks, pages = quoted_blocks(root), {}
    for path in (root / "README.md", *sorted((root / "docs").glob("*.md"))):
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        if has_blocks(text):
            name = path.relative_to(root).as_posix()
            pages[name] = filled(text, blocks, name)
    return pages


def quoted_blocks(root: Path) -> dict[str, Callable[[], str]]:
    """Return what writes each block, by its name; each says in one line where no metrics are kept.

    Args:
        root: The project's folder.
    """
    folder = root / KEPT_FOLDER / TIER
    if not (folder / MANIFEST).is_file():
        return {name: lambda: NOTHING_KEPT for name in ("exact_hessian", "times", "verdicts")}

    @cache
    def of_tier() -> tuple[KeptMetrics, Configuration]:
        # Loading compares every file with the manifest.
        shown = load_configuration({"tier": "archive", "archive": {"tier": TIER}}, root / "config")
        return read_kept(folder), shown.model_copy(update={"tier": TIER, "archive": None})

    return {
        "exact_hessian": lambda: exact_hessian_block(*_growth(*of_tier())),
        "times": lambda: times_block(of_tier()[0], pq.read_table(folder / JOBS).to_pandas()),
        "verdicts": lambda: verdicts_block(of_tier()[0], judge_kept(*of_tier(), load_claims(root / "claims"))[1]),
    }


def times_block(kept: KeptMetrics, jobs: pd.DataFrame) -> str:
    """Return how long a tier took, and on what.

    Args:
        kept: Says machine, commit and day, and the seconds of training.
        jobs: Columns job, seconds and memory_bytes, a row for each job.
    """
    seconds, cores = jobs["seconds"].sum(), kept.manifest["whole_run"]["hardware"]["cores"]
    each = f", which is {_minutes(seconds / cores)} for each of the {cores} cores" if cores else ""
    return (
        f"The {len(jobs)} jobs of the tier {kept.tier} took {_minutes(seconds)} together{each}; "
        f"{_minutes(kept.manifest['made_by']['wall_seconds'])} of it were the training and evaluation of all runs. The "
        f"largest job held {_bytes(jobs['memory_bytes'].max())} of memory. *{kept.note}*"
    )


def verdicts_block(kept: KeptMetrics, verdicts: pd.DataFrame) -> str:
    """Return how often each verdict was given, and the verdict on each claim with its reason.

    Args:
        kept: Says machine, commit and day.
        verdicts: Columns claim, sentence, verdict and why, a row for each claim.
    """
    given = verdicts["verdict"].value_counts()
    counts = ", ".join(f"{given[verdict]} {verdict}" for verdict in Verdict if verdict in given)
    rows = [
        f"| [{row.claim}](claims/{row.claim}.yaml): {_cell(row.sentence)} | {row.verdict} | {_cell(row.why)} |"
        for row in verdicts.itertuples()
    ]
    heading = ["| claim | verdict | why |", "| --- | --- | --- |"]
    return "\n".join([f"Of {len(verdicts)} claims: {counts}. *{kept.note}*", "", *heading, *rows])


def exact_hessian_block(growth: pd.DataFrame, timing: pd.DataFrame) -> str:
    """Return what the exact spectrum of the largest network took, beside the size of its dense Hessian.

    Args:
        growth: Columns method, status, parameters, rank, matrix_bytes and certificate.
        timing: Columns method, status, parameters, seconds and memory_bytes.
    """
    measured = [table[(table["method"] == "exact") & (table["status"] == "measured")] for table in (growth, timing)]
    largest, took = (table.sort_values("parameters").iloc[-1] for table in measured)
    return (
        f"Of a perceptron with {largest['parameters']:,} parameters, all {largest['rank']:,} eigenvalues that may "
        f"differ from 0 took {took['seconds']:.2g} s and {_bytes(took['memory_bytes'])} on one core, with a "
        f"certificate of {largest['certificate']:.1g}; its dense Hessian would take {_bytes(largest['matrix_bytes'])}."
    )


def _growth(kept: KeptMetrics, configuration: Configuration) -> tuple[pd.DataFrame, pd.DataFrame]:
    files = kept_tables(kept, list(configuration.all_problems))
    growth, timing = (pd.read_parquet(files[name][0]) for name in ("growth", "growth_timing"))
    return growth, timing


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.1f} minutes"


def _bytes(count: float) -> str:
    unit, size = ("GB", 1e9) if count >= 1e9 else ("MB", 1e6)
    return f"{count / size:.3g} {unit}"


def _cell(text: object) -> str:
    return str(text).replace("|", r"\|")
