"""The list of a tier's targets, made by asking Snakemake for its targets and its graph of jobs."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from secondorder.errors import ConfigurationError
from secondorder.files import write_text
from secondorder.targets.costs import read_benchmarks, target_cost
from secondorder.targets.graph import parse_graph
from secondorder.targets.listing import parse_menu, render_listing

# Prepared data is no tier's own, so neither is what preparing it cost.
_OF_DATA = Path("results/data/benchmarks")


def list_targets(root: Path, tier: str, options: Sequence[str]) -> Path:
    """Write the list of a tier's targets and what they cost to ``results/<tier>/targets.md``; return its path.

    Nothing else is made or run.

    Args:
        root: The project's folder.
        tier: The tier.
        options: The options of Snakemake that choose it.

    Raises:
        ConfigurationError: Snakemake is missing or refuses.
        ResultError: A measurement cannot be read.
    """
    menu = parse_menu(_ask_snakemake(root, ["--list-target-rules", *options]))
    # Options of several values take whatever follows them for theirs, so targets come first.
    graph = parse_graph(_ask_snakemake(root, [*menu, "--forceall", "--dag", "dot", *options]))
    seconds = read_benchmarks([root / "results" / tier / "benchmarks", root / _OF_DATA])
    page = root / "results" / tier / "targets.md"
    write_text(page, render_listing(tier, menu, {target: target_cost(graph, seconds, target) for target in menu}))
    return page


def _ask_snakemake(root: Path, arguments: Sequence[str]) -> str:
    asked = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "snakemake", *arguments], cwd=root, capture_output=True, text=True, check=False
    )
    if asked.returncode != 0:
        said = asked.stderr.strip().splitlines() or ["nothing"]
        raise ConfigurationError(f"snakemake lists no targets in {root.resolve()}; it said last: {said[-1]}")
    return asked.stdout
