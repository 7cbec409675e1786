"""From a checked configuration to the runs that are computed again to verify it."""

from collections.abc import Sequence

from secondorder.configuration.explanation import unknown_name
from secondorder.configuration.models import Configuration
from secondorder.configuration.resolution import runs_of


def verified_runs(configuration: Configuration) -> list[tuple[str, str]]:
    """Return problem and name of each run to compute again, in the order of the configuration.

    They are those that ``verify.runs`` names, or ``verify.count`` of all, evenly spaced.
    """
    trained = [(problem, run) for problem in configuration.all_problems for run in runs_of(configuration, problem)]
    named = configuration.verify.runs
    if named is None:
        return _evenly_spaced(trained, configuration.verify.count)
    return [(problem, run) for problem, run in trained if run in named.get(problem, [])]


def _evenly_spaced(pairs: Sequence[tuple[str, str]], count: int) -> list[tuple[str, str]]:
    """Return the middles of equally many equal parts, all where there are fewer."""
    count = min(count, len(pairs))
    return [pairs[(2 * number + 1) * len(pairs) // (2 * count)] for number in range(count)]


def check_verification(configuration: Configuration) -> None:
    """Check that the runs to verify are trained.

    Raises:
        ConfigurationError: In one line, the key, what was given and what there is.
    """
    for problem, runs in (configuration.verify.runs or {}).items():
        if problem not in configuration.all_problems:
            raise unknown_name("verify.runs", "problem", problem, configuration.all_problems)
        for run in runs:
            if run not in runs_of(configuration, problem):
                raise unknown_name(f"verify.runs.{problem}", "run", run, runs_of(configuration, problem))
