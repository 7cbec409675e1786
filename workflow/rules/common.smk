import sys
from collections import namedtuple
from dataclasses import replace
from functools import partial
from pathlib import Path

# The package is this checkout's, here and in every job, installed or not.
ROOT = Path(workflow.basedir)
sys.path.insert(0, (ROOT / "src").as_posix())

from snakemake.exceptions import WorkflowError

from secondorder import optim, plotting, problems, tables
from secondorder.archive.kept import read_kept
from secondorder.archive.layout import JOBS as KEPT_JOBS, KEPT_FOLDER, RUNS as KEPT_RUNS
from secondorder.claims.loading import load_claims
from secondorder.claims.names import OF_CLAIMS
from secondorder.claims.runs import runs_behind
from secondorder.configuration import landscapes, resolution, searching, verification
from secondorder.configuration.contexts import context_of
from secondorder.configuration.loading import check_machine, load_configuration, merge, read_yaml, typed_overrides
from secondorder.data.layout import name_drop_in_folder, prepared_files
from secondorder.errors import SecondOrderError
from secondorder.files import take_lock
from secondorder.job import import_from_checkout
from secondorder.landscapes.names import OF_LANDSCAPES
from secondorder.provenance.code import code_digest, data_files_digest, module_digest, training_code
from secondorder.statistics.names import AGGREGATED, OF_OPTIMIZER
from secondorder.targets.sentences import first_paragraph, one_line
from secondorder.training.device import resolve_device
from secondorder.training.layout import MANIFEST, METRICS, SNAPSHOTS, TIMING, VOUCHED_FOR
from secondorder.tuning.trials import trial_name
from secondorder.validation.names import CURVATURE, OF_METHOD, OF_PROBLEM, PROBED

import_from_checkout(ROOT / "src")
TEMPLATES = ROOT / "src" / "secondorder" / "report" / "templates"


def checked_configuration():
    """Return the checked configuration and claims, or stop with one line before any job starts."""
    try:
        in_files = {}
        for path in workflow.configfiles:
            in_files = merge(in_files, read_yaml(Path(path)))
        configuration = load_configuration(typed_overrides(config, in_files), ROOT / "config")
        check_machine(configuration)
        claims = load_claims(ROOT / "claims")
    except SecondOrderError as error:
        print(f"configuration: {error}", file=sys.stderr)
        sys.exit(1)
    return configuration, claims


CONFIGURATION, CLAIMS = checked_configuration()
# The folder is looked at by the job and no parameter of it: where verified data lies does not change what it is.
if CONFIGURATION.data.folder:
    name_drop_in_folder(CONFIGURATION.data.folder)
TIER = CONFIGURATION.tier
RESULTS = f"results/{TIER}"
# Kept metrics, which are read in place of results and checked whenever this file is read; None where results are made.
KEPT = read_kept(ROOT / KEPT_FOLDER / CONFIGURATION.archive.tier) if CONFIGURATION.archive else None
# What figures, tables and report read lies here.
METRICS = f"{KEPT_FOLDER}/{KEPT.tier}" if KEPT else RESULTS
DATASETS = resolution.datasets_of(CONFIGURATION)
# The code that decides what prepared data holds. How files are got is no part of it: they are known by their checksums.
DATA_CODE = module_digest(
    *(
        f"secondorder.data.{part}"
        for part in ("cifar_reader", "dataset", "datasets", "image_files", "mnist_reader", "splits", "storage")
    )
)
DATA_REGISTRY = data_files_digest([ROOT / "src" / "secondorder" / "data" / "registry.csv"])
RUNS = [(problem, run) for problem in CONFIGURATION.all_problems for run in resolution.runs_of(CONFIGURATION, problem)]


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


def run_files(problem, run):
    """Return the files of a run's results."""
    return [f"{run_folder(problem, run)}/{name}" for name in (*VOUCHED_FOR, MANIFEST)]


def specification(problem, run):
    """Return everything a training job is told, as plain values."""
    return resolution.run_specification(CONFIGURATION, problem, run).to_mapping()


def aggregated_folder(problem):
    """Return the folder of a problem's aggregated tables."""
    return f"{METRICS}/aggregated/{problem}"


def aggregated(names, problem):
    """Return the paths of a problem's aggregated tables by name."""
    return {name: f"{aggregated_folder(problem)}/{name}.parquet" for name in names}


def table_path(name, problem):
    """Return the path of a table that figures and tables read."""
    if name in OF_METHOD:
        return f"{METRICS}/curvature/{name}.parquet"
    if name in OF_PROBLEM:
        return f"{METRICS}/curvature/{problem}/{name}.parquet"
    if name in OF_LANDSCAPES:
        return f"{METRICS}/landscapes/{name}.parquet"
    if name in PROBED:
        return f"{METRICS}/{name}/{problem}.parquet"
    if name in OF_CLAIMS:
        return f"{RESULTS}/claims/{name}.parquet"
    return aggregated([name], problem)[name]


def table_paths(names, listed=None):
    """Return the paths of tables by name: of the listed problems, or of all problems that there is one of."""
    problems_of = {name: listed or resolution.problems_with(CONFIGURATION, name) for name in names}
    # A table of the method or of analytic functions is the same for all problems.
    return {name: list(dict.fromkeys(table_path(name, each) for each in problems_of[name])) for name in names}


def shown_problems(section, problem=None):
    """Return the problems whose runs a figure or a table shows."""
    if problem is None:
        return resolution.problems_of(CONFIGURATION, section)
    return resolution.conditions_of(CONFIGURATION, problem) if section.of_conditions else [problem]


def section_paths(section, problem=None):
    """Return the paths of the tables that a figure or a table reads, by name."""
    whole = problem is None and not section.of_conditions
    return table_paths(section.reads, None if whole else shown_problems(section, problem))


def exist(section, problem=None):
    """Return whether there are the tables that a figure or a table reads, of a problem or of any."""
    available = [resolution.problems_with(CONFIGURATION, name) for name in section.reads]
    if set(section.reads) & set(OF_CLAIMS):
        available.append(list(CLAIMS))
    if section.of_conditions:
        available.append([each for each in CONFIGURATION.problems if resolution.conditions_of(CONFIGURATION, each)])
    return all(problem in listed if problem else listed for listed in available)


def figure_name(kind, problem=None, study=None):
    """Return the name of a figure: its module's, followed by the problem and the study where it is drawn for each."""
    return "_".join(filter(None, (kind, problem, study)))


def presentation_context(problem=None, study=None):
    """Return what figures and tables are told besides their numbers, as plain values."""
    context = context_of(CONFIGURATION, problem, study)
    return replace(context, kept=KEPT.note if KEPT else "").to_mapping()


# Every study on every problem that makes it.
STUDIES = [
    (problem, study) for problem in CONFIGURATION.problems for study in resolution.studies_of(CONFIGURATION, problem)
]


def subjects(section):
    """Return the problems and studies that a figure is drawn for; None where it is drawn for none in particular."""
    if section.per_study:
        return STUDIES
    if not section.per_problem:
        return [(None, None)]
    return [(problem, None) for problem in CONFIGURATION.problems]


# Every figure by name, with its module and the problem and the study that it is drawn for.
FIGURES = {
    figure_name(kind, problem, study): (kind, problem, study)
    for kind, section in CONFIGURATION.figures.items()
    for problem, study in subjects(section)
    if exist(section, problem)
}
TABLES = [
    name for name, section in CONFIGURATION.tables.items() if exist(section) and (STUDIES or not section.of_studies)
]
# What the tables of the report read, together, and the problems that each one is of.
TABLES_READ = {}
for name in TABLES:
    for read, paths in section_paths(CONFIGURATION.tables[name]).items():
        TABLES_READ[read] = list(dict.fromkeys([*TABLES_READ.get(read, []), *paths]))
TABLE_PROBLEMS = {name: shown_problems(CONFIGURATION.tables[name]) for name in TABLES}


def figure_files(name):
    """Return the files of one figure."""
    return [f"figures/{TIER}/{name}.{suffix}" for suffix in ("pdf", "png")]


def table_files(name):
    """Return the files of one table."""
    return [f"paper_tables/{TIER}/{name}.{suffix}" for suffix in ("csv", "md", "tex")]


# What each claim reads: the tables that the tier makes, and why it does not make the others.
CLAIMED = dict.fromkeys(part.table for claim in CLAIMS.values() for part in claim.evidence)
SHOWN = {name for kind, *_ in FIGURES.values() for name in CONFIGURATION.figures[kind].reads} | set(TABLES_READ)
CLAIMED_ABSENT = {name: reason for name in CLAIMED if (reason := resolution.absence(CONFIGURATION, name, SHOWN))}


def claimed_paths():
    """Return the paths of the tables that claims read, by name: aggregated ones of conditions too."""
    made = [name for name in CLAIMED if name not in CLAIMED_ABSENT]
    whole = [name for name in made if name in AGGREGATED and name not in OF_OPTIMIZER]
    return {
        **table_paths([name for name in made if name not in whole]),
        **table_paths(whole, list(CONFIGURATION.all_problems)),
    }


def claim_files(name):
    """Return the verdicts, and what shows the evidence of a claim, as far as the tier makes it."""
    claim = CLAIMS[name]
    shown = [path for figure, (kind, *_) in FIGURES.items() if kind in claim.figures for path in figure_files(figure)]
    shown += [path for table in (*claim.tables, "claims") if table in TABLES for path in table_files(table)]
    return [*shown, *(table_path(table, None) for table in OF_CLAIMS)]


def shown_claims():
    """Return the claims whose verdicts the report opens on: all of them, where the tier tabulates any."""
    return list(CLAIMS.values()) if "claims" in TABLES else []


def figure_sentence(name):
    """Return in one line what a figure shows, after the problem and the study that it is drawn for."""
    kind, *subject = FIGURES[name]
    shown = first_paragraph(ROOT / "src/secondorder/plotting" / f"{kind}.py")
    return ": ".join(filter(None, [", ".join(filter(None, subject)), shown]))


def table_sentence(name):
    """Return in one line what a table shows."""
    return first_paragraph(ROOT / "src/secondorder/tables" / f"{name}.py")


# What each figure, table and claim is, by its target.
TARGET_SENTENCES = {
    **{f"figure_{name}": figure_sentence(name) for name in FIGURES},
    **{f"table_{name}": table_sentence(name) for name in TABLES},
    **{f"claim_{name}": one_line(claim.sentence) for name, claim in CLAIMS.items()},
}


SEARCHED = [
    (problem, run) for problem in CONFIGURATION.all_problems for run in searching.searched_runs(CONFIGURATION, problem)
]


def split(items, size):
    """Return consecutive parts of a list, each of at most so many items."""
    return [items[start : start + size] for start in range(0, len(items), size)]


# What one job trains: runs, each with its problem, on one dataset.
TrainingBatch = namedtuple("TrainingBatch", "name dataset runs")
# What one job summarises or renders: problems, figures or tables, by their names.
Batch = namedtuple("Batch", "name members")


def training_batches(runs):
    """Return the jobs that train these runs, given with their problems."""
    batches = []
    for dataset in DATASETS:
        listed = [pair for pair in runs if resolution.dataset_of(CONFIGURATION, pair[0]) == dataset]
        for number, part in enumerate(split(listed, CONFIGURATION.per_process.runs), start=1):
            batches.append(TrainingBatch(f"{dataset}_{number}", dataset, part))
    return batches


def batches_of(members, size):
    """Return the jobs that share out some names."""
    return [Batch(number, part) for number, part in enumerate(split(members, size), start=1)]


def dealt_batches(members, size):
    """Return the jobs that share out some names in turn, because neighbours are of one kind and take alike long."""
    count = len(split(members, size))
    return [Batch(number, members[number - 1 :: count]) for number in range(1, count + 1)]


TRAINING_BATCHES = training_batches(RUNS)
TUNING_BATCHES = training_batches(SEARCHED)
SUMMARY_BATCHES = batches_of(list(CONFIGURATION.all_problems), CONFIGURATION.per_process.summaries)
FIGURE_BATCHES = dealt_batches(list(FIGURES), CONFIGURATION.per_process.renderings)
TABLE_BATCHES = dealt_batches(TABLES, CONFIGURATION.per_process.renderings)
FIGURE_FILES = [path for name in FIGURES for path in figure_files(name)]
TABLE_FILES = [path for name in TABLES for path in table_files(name)]
RUN_MANIFESTS = (
    [f"{METRICS}/{KEPT_RUNS}"] if KEPT else [f"{run_folder(problem, run)}/{MANIFEST}" for problem, run in RUNS]
)
RUN_FILES = [path for problem, run in RUNS for path in run_files(problem, run)]
CURVATURE_FILES = [path for paths in table_paths(CURVATURE).values() for path in paths]
LANDSCAPE_FILES = [path for paths in table_paths(OF_LANDSCAPES).values() for path in paths]
CAPABILITY_FILES = [path for paths in table_paths(PROBED).values() for path in paths]
REPORT_FILE = f"{RESULTS}/report.html"
# Without a suffix. The files are sources, committed, and read as a layer of the tier's configuration.
TUNED = f"config/tuned/{TIER}"
TUNING_FILES = [f"{RESULTS}/tuning/trials.parquet", f"{TUNED}.yaml", f"{TUNED}.csv"] if SEARCHED else []


TIER_MANIFEST = f"{RESULTS}/{MANIFEST}"
VERIFIED = verification.verified_runs(CONFIGURATION)
VERIFICATION = f"{RESULTS}/verification"


# Inputs and parameters of rules, by their wildcards or their batch. What takes long to find takes both, and is found only
# where there is a job.


def batch_files(batch):
    """Return the result files of the runs of a training job."""
    return [path for problem, run in batch.runs for path in run_files(problem, run)]


def batch_text(batch):
    """Return the runs of a training job by their problems, for people."""
    problems_of = dict.fromkeys(problem for problem, _ in batch.runs)
    return "; ".join(f"{', '.join(run for of, run in batch.runs if of == each)} on {each}" for each in problems_of)


def batch_runs(batch):
    """Return what a training job is told of each of its runs, and where their results and checkpoints lie."""
    return [
        {
            "specification": specification(problem, run),
            "output": run_folder(problem, run),
            "checkpoints": f"{RESULTS}/checkpoints/{problem}/{run}",
        }
        for problem, run in batch.runs
    ]


def batch_code(batch, wildcards):
    """Return the digests of the code that decides the results of a training job, of each of its runs."""
    return [training_digests(problem, run) for problem, run in batch.runs]


def training_digests(problem, run):
    """Return the digests of the code that decides a run's result: an edit of one optimizer retrains its runs alone."""
    told = specification(problem, run)
    return training_code(told["problem_module"], *optim.used(told["optimizer"], told["optimizer_settings"]))


def run_arrays(wildcards):
    """Return the images of the dataset that a run's problem needs."""
    return prepared(resolution.dataset_of(CONFIGURATION, wildcards.problem))[0]


def data_manifest(problem):
    """Return the manifest of the dataset that a problem needs."""
    return prepared(resolution.dataset_of(CONFIGURATION, problem))[1]


def run_data_manifest(wildcards):
    """Return the manifest of the dataset that a run's problem needs."""
    return data_manifest(wildcards.problem)


def tuning_folder(problem, run):
    """Return the folder of the trials of a run."""
    return f"{RESULTS}/tuning/{problem}/{run}"


def trial_files(problem, run):
    """Return the files of all trials of a run."""
    return [
        f"{tuning_folder(problem, run)}/{trial_name(trial)}/{name}"
        for trial in range(CONFIGURATION.tuning.trials)
        for name in (*VOUCHED_FOR, MANIFEST)
    ]


def batch_trial_files(batch):
    """Return the files of all trials of the runs of a tuning job."""
    return [path for problem, run in batch.runs for path in trial_files(problem, run)]


def batch_searches(batch, wildcards):
    """Return what a tuning job is told of each of its runs, and where their trials and checkpoints lie."""
    return [
        {
            "search": searching.search_of(CONFIGURATION, problem, run).to_mapping(),
            "folder": tuning_folder(problem, run),
            "checkpoints": f"{RESULTS}/checkpoints/tuning/{problem}/{run}",
        }
        for problem, run in batch.runs
    ]


def all_searches(wildcards):
    """Return all trials of all searched runs, as plain values."""
    return [searching.search_of(CONFIGURATION, problem, run).to_mapping() for problem, run in SEARCHED]


def contestants(wildcards):
    """Return the runs that go over the analytic functions with their trials, as plain values."""
    return landscapes.contestants_of(CONFIGURATION)


def landscapes_code(wildcards):
    """Return the digest of the code that decides the paths on analytic functions."""
    compared = [(each["optimizer"], each["trials"][0]) for each in landscapes.contestants_of(CONFIGURATION)]
    return code_digest("secondorder.landscapes.comparison", "secondorder.training.device", *optimizer_modules(compared))


def probed_specifications(wildcards):
    """Return what the training of every run on a problem would be told, of those it leaves out too."""
    listed = resolution.probed_specifications(CONFIGURATION, wildcards.problem)
    return [specification.to_mapping() for specification in listed]


def probe_code(wildcards):
    """Return the digest of the code that decides which run can train a problem."""
    listed = resolution.probed_specifications(CONFIGURATION, wildcards.problem)
    probed = [(each.optimizer, each.optimizer_settings) for each in listed]
    problem_file = f"{problems.__name__}.{resolution.module_of(CONFIGURATION, wildcards.problem)}"
    return code_digest(*curvature_roots("capabilities"), problem_file, *optimizer_modules(probed))


def optimizer_modules(runs):
    """Return the modules of the optimizers of runs, given with their settings, and of those that they run."""
    return sorted({f"{optim.__name__}.{module}" for name, settings in runs for module in optim.used(name, settings)})


def cores_per_run(wildcards):
    """Return the cores a run claims: all of them where its seconds are a result."""
    return workflow.cores if CONFIGURATION.exclusive else CONFIGURATION.threads


def cores_for_timing(wildcards):
    """Return the cores that a measurement of seconds claims, which itself uses one."""
    return workflow.cores if CONFIGURATION.exclusive else 1


def gpus_per_run(wildcards):
    """Return the GPUs a run claims; the profile says how many there are, so that jobs do not crowd one."""
    return int(resolve_device(CONFIGURATION.device).type == "cuda")


def problem_runs(wildcards):
    """Return the runs that are trained on a problem."""
    return resolution.runs_of(CONFIGURATION, wildcards.problem)


def problem_run_files(wildcards):
    """Return the result files of all runs on the problem of a job."""
    return all_run_files(wildcards.problem)


def all_run_files(problem):
    """Return the result files of all runs on a problem."""
    return [path for run in resolution.runs_of(CONFIGURATION, problem) for path in run_files(problem, run)]


def problem_specifications(wildcards):
    """Return what all training jobs on the problem of a job are told."""
    return all_specifications(wildcards.problem)


def all_specifications(problem):
    """Return what all training jobs on a problem are told."""
    return [specification(problem, run) for run in resolution.runs_of(CONFIGURATION, problem)]


def summary_inputs(batch):
    """Return the result files of all runs on the problems of a job, and the manifests of their data."""
    runs = [path for problem in batch.members for path in all_run_files(problem)]
    return [*runs, *dict.fromkeys(data_manifest(problem) for problem in batch.members)]


def summary_outputs(batch):
    """Return the aggregated tables of the problems of a job."""
    return [path for problem in batch.members for path in aggregated(AGGREGATED, problem).values()]


def summary_parts(batch):
    """Return what a job is told of each of its problems: runs, where they lie, data, metric, targets, where to write."""
    return [
        {
            "problem": problem,
            "specifications": all_specifications(problem),
            "runs": [run_folder(problem, run) for run in resolution.runs_of(CONFIGURATION, problem)],
            "data": data_manifest(problem),
            "metric": resolution.metric_of(CONFIGURATION, problem).to_mapping(),
            "target": CONFIGURATION.all_problems[problem].target_metric,
            "target_loss": CONFIGURATION.all_problems[problem].target_loss,
            "output": aggregated_folder(problem),
        }
        for problem in batch.members
    ]


def followed_runs(wildcards):
    """Return the runs on a problem whose curvature is followed along training."""
    return resolution.followed_runs(CONFIGURATION, wildcards.problem)


def followed_run_files(wildcards):
    """Return the result files of the runs whose curvature is followed."""
    return [path for run in followed_runs(wildcards) for path in run_files(wildcards.problem, run)]


def followed_specifications(wildcards):
    """Return what the training jobs of the runs whose curvature is followed are told."""
    return [specification(wildcards.problem, run) for run in followed_runs(wildcards)]


def curvature_roots(entry):
    """Return the modules that a curvature job's script enters."""
    return (
        f"secondorder.validation.{entry}",
        "secondorder.validation.storage",
        "secondorder.data.storage",
        "secondorder.training.device",
    )


def curvature_code(entry):
    """Return the function that gives the digest of a curvature job's code, with the problem's own, by the wildcards."""

    def of_problem(wildcards):
        problem_file = resolution.module_of(CONFIGURATION, wildcards.problem)
        return code_digest(*curvature_roots(entry), f"{problems.__name__}.{problem_file}")

    return of_problem


def figure_module_digest(kind):
    """Return the digest of the code that draws and captions figures of one module."""
    return code_digest(f"{plotting.__name__}.{kind}", f"{plotting.__name__}.saving")


def figure_reads(name):
    """Return the paths of the tables that a figure reads, by name."""
    kind, problem, _ = FIGURES[name]
    return section_paths(CONFIGURATION.figures[kind], problem)


def figure_batch_tables(batch):
    """Return the tables that the figures of a job read."""
    return listed_once(figure_reads(name) for name in batch.members)


def figure_batch(batch):
    """Return what a job is told of each of its figures: module, tables, context and where to draw it."""
    return [
        {
            "kind": FIGURES[name][0],
            "tables": figure_reads(name),
            "context": presentation_context(*FIGURES[name][1:]),
            "targets": figure_files(name),
        }
        for name in batch.members
    ]


def figure_batch_code(batch):
    """Return the digests of the code that draws the figures of a job."""
    return [figure_module_digest(FIGURES[name][0]) for name in batch.members]


def table_reads(name):
    """Return the paths of the aggregated tables that a table reads, by name."""
    return section_paths(CONFIGURATION.tables[name])


def table_batch_tables(batch):
    """Return the aggregated tables that the tables of a job read."""
    return listed_once(table_reads(name) for name in batch.members)


def table_batch(batch):
    """Return what a job is told of each of its tables: module, problems it shows, tables it reads, where to write it."""
    return [
        {
            "name": name,
            "problems": TABLE_PROBLEMS[name],
            "tables": table_reads(name),
            "targets": table_files(name),
        }
        for name in batch.members
    ]


def table_batch_code(batch):
    """Return the digests of the code that writes the tables of a job."""
    return [code_digest(f"{tables.__name__}.{name}") for name in batch.members]


def listed_once(reads):
    """Return the paths of several mappings from names to paths, each path once."""
    return list(dict.fromkeys(path for paths in reads for listed in paths.values() for path in listed))


def rendered_tables():
    """Return the paths of all tables that figures and tables read."""
    return listed_once([*(figure_reads(name) for name in FIGURES), *(table_reads(name) for name in TABLES)])


def verified_files():
    """Return the result files of the runs that are computed again."""
    return [path for problem, run in VERIFIED for path in run_files(problem, run)]


def verified_datasets():
    """Return the datasets of the runs that are computed again."""
    return list(dict.fromkeys(resolution.dataset_of(CONFIGURATION, problem) for problem, _ in VERIFIED))


def verifications(wildcards):
    """Return what is told of each run that is computed again, and where it and its original lie."""
    return [
        {
            "specification": specification(problem, run),
            "original": run_folder(problem, run),
            "output": f"{VERIFICATION}/runs/{problem}/{run}",
        }
        for problem, run in VERIFIED
    ]


def verification_code(wildcards):
    """Return the digests of the code that computes runs again and compares them."""
    compared = code_digest("secondorder.provenance.verification", "secondorder.provenance.verification_record")
    return [compared, *(training_digests(problem, run) for problem, run in VERIFIED)]


def kept_tables():
    """Return the paths of everything that figures, tables, report and verdicts are made of, besides manifests."""
    read = listed_once([*map(figure_reads, FIGURES), *map(table_reads, TABLES), claimed_paths()])
    # Verdicts are judged again.
    return [path for path in read if path not in {table_path(name, None) for name in OF_CLAIMS}]


KEPT_TABLES = kept_tables()
KEPT_NAMES = [path.removeprefix(f"{METRICS}/") for path in KEPT_TABLES]


def nothing_is_measured(wildcards):
    """Refuse a target that the tier archive does not have."""
    raise WorkflowError(
        f"the tier {TIER} shows kept metrics and makes none; name another tier, such as tier={KEPT.tier}"
    )


# A lock is held for as long as its file is open, so somebody has to keep it.
HELD_LOCKS = []


def lock_results():
    """Hold the results until this process ends, or stop with one line when another run holds them."""
    try:
        HELD_LOCKS.append(take_lock(Path("results/lock")))
    except SecondOrderError as error:
        print(f"\nError: {error}\n", file=sys.stderr)
        sys.exit(1)


def say_where_everything_is():
    """Print where the results lie."""
    print(
        f"\n  report   {REPORT_FILE}\n  figures  figures/{TIER}/\n  tables   paper_tables/{TIER}/\n  metrics  {METRICS}/\n",
        file=sys.stderr,
    )


def say_where_the_errors_are():
    """Print where to look after a failure, and that nothing is lost."""
    print(
        "\n  A job failed; its message is above and in logs/. What is finished stays: the same command goes on.\n",
        file=sys.stderr,
    )
