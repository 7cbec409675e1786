"""From the files of a folder to checked claims."""

from collections.abc import Iterable
from pathlib import Path

from pydantic import ValidationError

from secondorder import plotting, tables
from secondorder.claims.models import INFERRED, Claim, Evidence
from secondorder.configuration.explanation import explain, unknown_name
from secondorder.configuration.loading import read_yaml
from secondorder.configuration.resolution import MEASURED
from secondorder.errors import ConfigurationError


def load_claims(folder: Path) -> dict[str, Claim]:
    """Return the claims in ``<folder>/*.yaml`` by their names, in the order of these; none where there are none.

    Raises:
        ConfigurationError: In one line, the file, the key, what was given, what is allowed, and the nearest known name.
    """
    claims = [_load_claim(path) for path in sorted(folder.glob("*.yaml"))]
    return {claim.id: claim for claim in sorted(claims, key=lambda claim: (claim.id[0], int(claim.id[1:])))}


def _load_claim(path: Path) -> Claim:
    where = f"{path.parent.name}/{path.name}"
    try:
        claim = Claim.model_validate(read_yaml(path))
    except ValidationError as error:
        raise ConfigurationError(f"{where}: {explain(error, Claim)}") from None
    if claim.id != path.stem:
        raise ConfigurationError(f"{where}: id: given {claim.id!r}; name it {path.stem!r}, or rename the file")
    for part in claim.evidence:
        _require(f"{where}: evidence.{part.name}.table", "table of results", [part.table], MEASURED)
        if complaint := _incoherence(part):
            raise ConfigurationError(f"{where}: evidence.{part.name}.{complaint}")
    if len({part.name for part in claim.evidence}) < len(claim.evidence):
        raise ConfigurationError(f"{where}: evidence: two parts have one name; name each part differently")
    if all(part.control for part in claim.evidence):
        raise ConfigurationError(f"{where}: evidence: all parts are controls; give one that tests the claim")
    _require(f"{where}: figures", "figure", claim.figures, plotting.available())
    _require(f"{where}: tables", "table", claim.tables, tables.available())
    return claim


def _require(key: str, kind: str, named: Iterable[str], known: Iterable[str]) -> None:
    listed = list(known)
    for name in named:
        if name not in listed:
            raise unknown_name(key, kind, name, listed)


def _incoherence(part: Evidence) -> str | None:
    """Return what in a part does not go together, as a key and a sentence; None where all of it does."""
    compares, inferred = part.compared is not None, part.test in INFERRED
    sides = (part.compared.of, part.compared.against) if part.compared else ()
    smallest_margin = 1 if part.effect == "ratio" else 0
    complaints = {
        "effect: `difference` and `ratio` go with `compared`, and no other effect does; add it or take it away": (
            (part.effect in {"difference", "ratio"}) != compares
        ),
        "compared.best_by: is missing, and a side names several values; say by what column to choose one": (
            part.compared is not None and not part.compared.best_by and any(len(side) > 1 for side in sides)
        ),
        "statistic: tests over seeds are of a mean or a median, `equivalence` of a mean; change the statistic": (
            inferred and part.statistic not in ({"mean"} if part.test == "equivalence" else {"mean", "median"})
        ),
        f"margin: given {part.margin:g}; it is at least {smallest_margin} here": inferred
        and part.margin < smallest_margin,
        "per: goes with the statistic `exponent`, and with no other; add it or take it away": (
            (part.statistic == "exponent") != (part.per is not None)
        ),
    }
    return next((complaint for complaint, holds in complaints.items() if holds), None)
