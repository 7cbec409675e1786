"""The configuration of a tier that shows kept metrics: that of the metrics themselves."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from secondorder.archive.kept import check_kept, read_kept
from secondorder.configuration.explanation import explain, unknown_name
from secondorder.configuration.models import ArchiveSection
from secondorder.errors import ConfigurationError

GIVEN = ("tier", "based_on", "archive", "per_process")
"""Keys that such a tier can be given; everything else was decided when the metrics were made."""


def archived_values(given: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Return the configuration that kept metrics were made with, under the name of the tier that shows them.

    Args:
        given: What files and user give, without the defaults; it has a section ``archive``.
        folder: Holds a folder of kept metrics for each tier.

    Raises:
        ConfigurationError: There are no such metrics, or a key is given that they do not depend on any more.
        ResultError: A kept file is not what was kept.
    """
    try:
        section = ArchiveSection.model_validate(given["archive"])
    except ValidationError as error:
        raise explain(error, ArchiveSection, ["archive"]) from None
    refused = [str(key) for key, value in given.items() if key not in GIVEN and value is not None]
    if refused:
        raise ConfigurationError(
            f"{refused[0]}: cannot be given to {given.get('tier')!r}, which shows kept metrics of {section.tier!r} as "
            f"they were made; take it out, or run another tier; known here: {', '.join(GIVEN)}"
        )
    kept_tiers = sorted(path.name for path in folder.glob("*") if path.is_dir())
    if not kept_tiers:
        raise ConfigurationError(
            f"archive.tier: {folder} holds no kept metrics; run the tier {section.tier!r} and keep its metrics with "
            f"`snakemake keep_metrics --config tier={section.tier}`"
        )
    if section.tier not in kept_tiers:
        raise unknown_name("archive.tier", f"folder of kept metrics in {folder} of tier", section.tier, kept_tiers)
    kept = read_kept(folder / section.tier)
    check_kept(kept)
    shown = {key: given[key] for key in GIVEN if given.get(key) is not None}
    return {**kept.configuration, **shown}
