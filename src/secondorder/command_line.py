"""The command line: data, training and manifests without Snakemake, and pages made from models and kept metrics.

``train`` with a specification file needs nothing but PyTorch, NumPy, PyArrow and tqdm, so that a machine with a GPU and
little else can train: ``resolve`` writes that file anywhere.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from secondorder.data.layout import DROP_IN_VARIABLE, drop_in_folder, prepared_files
from secondorder.errors import ConfigurationError, DataError, InputError, ResultError, SecondOrderError
from secondorder.job import say

if TYPE_CHECKING:
    from secondorder.configuration.models import Configuration
    from secondorder.data.dataset import Dataset


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit status, 1 after an error that its one line on stderr explains."""
    parsed = _parser().parse_args(arguments)
    try:
        parsed.command(parsed)
    except SecondOrderError as error:
        sys.stderr.write(f"secondorder: {error}\n")
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="secondorder", description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    prepare = commands.add_parser("prepare", help="get, verify and split a dataset")
    prepare.add_argument("dataset", help="mnist_5k, mnist or cifar10")
    prepare.add_argument("--folder", type=Path, help=f"drop-in folder with its files (or set {DROP_IN_VARIABLE})")
    prepare.add_argument("--allow-unverified", action="store_true", help="take dropped-in files whose checksums differ")
    prepare.add_argument("--output", type=Path, default=Path("results/data"), help="where prepared data goes")
    prepare.set_defaults(command=_prepare)

    resolve = commands.add_parser("resolve", help="write the specification of one run as JSON")
    _add_run_choice(resolve)
    resolve.add_argument("--trials", action="store_true", help="the trials that tune it, instead of the run itself")
    resolve.set_defaults(command=_resolve)

    train = commands.add_parser("train", help="train all seeds of one run")
    train.add_argument(
        "--specification", type=Path, help="file from `secondorder resolve`, instead of the choice below"
    )
    train.add_argument("--trials", type=Path, help="file from `secondorder resolve --trials`: train these instead")
    _add_run_choice(train)
    train.add_argument("--data", type=Path, default=Path("results/data"), help="where prepared data lies")
    train.add_argument(
        "--output", type=Path, required=True, help="folder for metrics, timing, manifest and checkpoints"
    )
    train.set_defaults(command=_train)

    compare = commands.add_parser("compare", help="name the first field in which two manifests differ")
    compare.add_argument(
        "manifests", type=Path, nargs=2, metavar="MANIFEST", help="manifest.json of a run or of a tier"
    )
    compare.set_defaults(command=_compare)

    targets = commands.add_parser("targets", help="list every target of a tier with what it is and what it costs")
    targets.add_argument("--root", type=Path, default=Path(), help="the project's folder")
    targets.add_argument("--tier", help="tier whose targets are listed (default: smoke)")
    targets.add_argument("--configfile", type=Path, help="configuration file laid over the tier's")
    targets.set_defaults(command=_targets)

    document = commands.add_parser(
        "document", help="write docs/configuration.md, the JSON schemas, and what pages quote of kept metrics"
    )
    document.add_argument("--root", type=Path, default=Path(), help="the project's folder")
    document.set_defaults(command=_document)
    return parser


def _add_run_choice(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--problem", help="problem in the configuration")
    parser.add_argument("--run", help="run in the configuration")
    parser.add_argument("--tier", help="tier to take them from (default: smoke)")
    parser.add_argument("--configfile", type=Path, help="configuration file laid over the tier's")
    parser.add_argument("--config-folder", type=Path, default=Path("config"), help="where the tiers' files lie")


def _configuration(parsed: argparse.Namespace) -> "Configuration":
    from secondorder.configuration.loading import load_configuration, read_yaml

    overrides: dict[str, Any] = read_yaml(parsed.configfile) if parsed.configfile else {}
    if parsed.tier:
        overrides["tier"] = parsed.tier
    return load_configuration(overrides, parsed.config_folder)


def _prepare(parsed: argparse.Namespace) -> None:
    from secondorder.data.datasets import prepare_dataset
    from secondorder.data.storage import save_dataset

    dataset = prepare_dataset(
        parsed.dataset,
        parsed.output / "downloads",
        parsed.folder or drop_in_folder(),
        parsed.allow_unverified,
        report=say,
    )
    save_dataset(dataset, *prepared_files(parsed.output, parsed.dataset))


def _resolve(parsed: argparse.Namespace) -> None:
    resolved = _search(parsed) if parsed.trials else _specification(parsed)
    sys.stdout.write(json.dumps(resolved, indent=2) + "\n")


def _search(parsed: argparse.Namespace) -> dict[str, Any]:
    from secondorder.configuration.searching import search_of

    _require_run_choice(parsed)
    return search_of(_configuration(parsed), parsed.problem, parsed.run).to_mapping()


def _specification(parsed: argparse.Namespace) -> dict[str, Any]:
    from secondorder.configuration.resolution import run_specification

    _require_run_choice(parsed)
    return run_specification(_configuration(parsed), parsed.problem, parsed.run).to_mapping()


def _require_run_choice(parsed: argparse.Namespace) -> None:
    if not (parsed.problem and parsed.run):
        raise ConfigurationError("name a problem and a run: --problem mnist_mlp --run adam")


def _train(parsed: argparse.Namespace) -> None:
    from secondorder.training.progress import Progress
    from secondorder.training.run import train_run
    from secondorder.training.specification import RunSpecification
    from secondorder.tuning.search import Search
    from secondorder.tuning.trials import train_trials

    checkpoints = parsed.output / "checkpoints"
    if parsed.trials and parsed.specification:
        raise ConfigurationError("--specification and --trials are given; a call trains one run or one run's trials")
    if parsed.trials:
        search = Search.from_file(parsed.trials)
        dataset = _prepared(parsed.data, search.specification.dataset)
        with Progress(f"{search.specification.problem}/{search.specification.run}") as progress:
            train_trials(search, dataset, parsed.output, checkpoints, progress)
        return
    if parsed.specification:
        specification = RunSpecification.from_file(parsed.specification)
    else:
        specification = RunSpecification.from_mapping(_specification(parsed))
    dataset = _prepared(parsed.data, specification.dataset)
    with Progress(f"{specification.problem}/{specification.run}") as progress:
        train_run(specification, dataset, parsed.output, checkpoints, progress)


def _prepared(folder: Path, name: str) -> "Dataset":
    from secondorder.data.storage import load_dataset

    files = prepared_files(folder, name)
    if missing := [str(path) for path in files if not path.is_file()]:
        raise DataError(f"{missing[0]} is missing; run `secondorder prepare {name} --output {folder}`")
    return load_dataset(*files)


def _compare(parsed: argparse.Namespace) -> None:
    from secondorder.provenance.comparison import compare_manifests
    from secondorder.provenance.manifest import read_manifest

    first, second = parsed.manifests
    for path in (first, second):
        if not path.is_file():
            raise InputError(f"{path}: there is no such file; name the manifest.json of a run or of a tier")
    if difference := compare_manifests(read_manifest(first), read_manifest(second)):
        raise ResultError(f"{first} and {second} differ first in {difference}")
    say(f"{first} and {second} agree in all that a second execution repeats")


def _targets(parsed: argparse.Namespace) -> None:
    from secondorder.targets.workflow import list_targets

    parsed.config_folder = parsed.root / "config"
    options = ["--configfile", str(parsed.configfile.resolve())] if parsed.configfile else []
    options += ["--config", f"tier={parsed.tier}"] if parsed.tier else []
    say(f"targets and their costs: {list_targets(parsed.root, _configuration(parsed).tier, options)}")


def _document(parsed: argparse.Namespace) -> None:
    from secondorder.archive.quoted import quoting_pages
    from secondorder.claims import documentation as of_claims
    from secondorder.configuration.documentation import DOCUMENT, SCHEMA_FILE, document, schema
    from secondorder.files import write_text

    write_text(parsed.root / DOCUMENT, document())
    write_text(parsed.root / SCHEMA_FILE, schema())
    write_text(parsed.root / of_claims.SCHEMA_FILE, of_claims.schema())
    for page, text in quoting_pages(parsed.root).items():
        write_text(parsed.root / page, text)
