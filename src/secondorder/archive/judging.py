"""Verdicts on claims from kept metrics, without a workflow."""

from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import pandas as pd

from secondorder.archive.kept import KeptMetrics
from secondorder.claims.ledger import judge_claims
from secondorder.claims.models import Claim
from secondorder.configuration.models import Configuration
from secondorder.configuration.resolution import absence, condition_references
from secondorder.statistics.aggregation import read_aggregated


def judge_kept(
    kept: KeptMetrics, configuration: Configuration, claims: Mapping[str, Claim]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the findings and the verdicts of :func:`~secondorder.claims.ledger.judge_claims`, from kept metrics.

    Args:
        kept: The metrics.
        configuration: The one that they were made with.
        claims: The claims by their names.
    """
    files = kept_tables(kept, list(configuration.all_problems))
    read = dict.fromkeys(part.table for claim in claims.values() for part in claim.evidence)
    absent = {name: reason for name in read if (reason := absence(configuration, name, files))}
    tables = read_aggregated({name: [str(path) for path in files[name]] for name in read if name not in absent})
    references = condition_references(configuration)
    return judge_claims(list(claims.values()), tables, absent, references, configuration.statistics.confidence)


def kept_tables(kept: KeptMetrics, problems: list[str]) -> dict[str, list[Path]]:
    """Return the files of kept tables by the tables' names, those of several problems in the problems' order.

    Args:
        kept: The metrics.
        problems: All problems.
    """
    found: dict[str, dict[str, Path]] = {}
    for listed in kept.manifest["files"]:
        path = PurePosixPath(listed)
        # A table lies in the folder of its problem, or the file of its problem in the folder of the table.
        name, problem = (path.parent.name, path.stem) if path.stem in problems else (path.stem, path.parent.name)
        found.setdefault(name, {})[problem] = kept.folder / listed
    order = {problem: number for number, problem in enumerate(problems)}
    return {name: [of[each] for each in sorted(of, key=lambda each: order.get(each, -1))] for name, of in found.items()}
