import os
import sys
from pathlib import Path

from secondorder import optim, plotting, problems, tables
from secondorder.configuration import resolution
from secondorder.configuration.loading import load_configuration, merge, read_yaml, typed_overrides
from secondorder.data.layout import prepared_files
from secondorder.errors import SecondOrderError
from secondorder.files import hold_lock
from secondorder.presentation import context_of
from secondorder.provenance.code import code_digest, data_files_digest, module_digest, training_code
from secondorder.training.layout import MANIFEST, METRICS, TIMING

ROOT = Path(workflow.basedir)
TEMPLATES = ROOT / "workflow" / "report"


def checked_configuration():
    """Return the checked configuration, or stop with one line before any job starts."""
    try:
        in_files = {}
        for path in workflow.configfiles:
            in_files = merge(in_files, read_yaml(Path(path)))
        return load_configuration(typed_overrides(config, in_files), ROOT / "config")
    except SecondOrderError as error:
        print(f"configuration: {error}", file=sys.stderr)
        sys.exit(1)


CONFIGURATION = checked_configuration()
TIER = CONFIGURATION.tier
RESULTS = f"results/{TIER}"
DATASETS = resolution.datasets_of(CONFIGURATION)
RUNS = [(problem, run) for problem in CONFIGURATION.problems for run in resolution.runs_of(CONFIGURATION, problem)]


wildcard_constraints:
    dataset="[a-z0-9_]+",
    problem="[a-z0-9_]+",
    run="[a-z0-9_]+",
    name="[a-z0-9_]+",


def prepared(dataset):
    """Return the files of a prepared dataset."""
    return [path.as_posix() for path in prepared_files(Path("results/data"), dataset)]


def run_folder(problem, run):
    """Return the folder of a run's results."""
    return f"{RESULTS}/runs/{problem}/{run}"


def specification(problem, run):
    """Return everything a training job is told, as plain values."""
    return resolution.run_specification(CONFIGURATION, problem, run).to_mapping()


def aggregated(names):
    """Return the paths of aggregated tables by name."""
    return {name: f"{RESULTS}/aggregated/{name}.parquet" for name in names}


def figure_name(kind, problem=None):
    """Return the name of a figure: its module's, followed by the problem where it is drawn for each."""
    return f"{kind}_{problem}" if problem else kind


def presentation_context(problem=None):
    """Return what figures and tables are told besides their numbers, as plain values."""
    return context_of(CONFIGURATION, problem).to_mapping()


# Every figure by name, with its module and, where it is drawn for each problem, the problem.
FIGURES = {
    figure_name(kind, problem): (kind, problem)
    for kind, section in CONFIGURATION.figures.items()
    for problem in (CONFIGURATION.problems if section.per_problem else [None])
}
TABLES = list(CONFIGURATION.tables)


def figure_files(name):
    """Return the files of one figure."""
    return [f"figures/{TIER}/{name}.{suffix}" for suffix in ("pdf", "png")]


def table_files(name):
    """Return the files of one table."""
    return [f"paper_tables/{TIER}/{name}.{suffix}" for suffix in ("csv", "md", "tex")]


FIGURE_FILES = [path for name in FIGURES for path in figure_files(name)]
TABLE_FILES = [path for name in TABLES for path in table_files(name)]
RUN_FILES = [f"{run_folder(problem, run)}/{name}" for problem, run in RUNS for name in (METRICS, TIMING, MANIFEST)]
HELD_LOCKS = []
REPORT_FILE = f"{RESULTS}/report.html"


def lock_results():
    """Hold the tier's results until this process ends, or stop with one line when another run holds them."""
    try:
        HELD_LOCKS.append(hold_lock(Path(RESULTS) / "lock"))
    except SecondOrderError as error:
        print(f"\nError: {error}\n", file=sys.stderr)
        sys.exit(1)


def say_where_everything_is():
    """Print where the results lie."""
    print(
        f"\n  report   {REPORT_FILE}\n  figures  figures/{TIER}/\n  tables   paper_tables/{TIER}/\n  metrics  {RESULTS}/runs/\n",
        file=sys.stderr,
    )


def say_where_the_errors_are():
    """Print where to look after a failure, and that nothing is lost."""
    print(
        f"\n  A job failed; its message is above and in logs/{TIER}/. What is finished stays: the same command goes on.\n",
        file=sys.stderr,
    )
