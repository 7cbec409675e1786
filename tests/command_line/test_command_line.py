"""The command line prepares data, resolves, trains, compares and documents, and explains errors in one line."""

import json
import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from secondorder.archive.quoted import NOTHING_KEPT
from secondorder.command_line import main
from secondorder.data.layout import DROP_IN_VARIABLE
from secondorder.errors import DataError
from secondorder.job import job, say
from secondorder.provenance.manifest import write_manifest
from secondorder.training.specification import RunSpecification
from secondorder.tuning.search import Search

REPOSITORY = Path(__file__).resolve().parents[2]
CONFIG = str(REPOSITORY / "config")
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(REPOSITORY / "src")}
SPECIFICATION = {
    "problem": "mnist_mlp",
    "problem_module": "mnist_mlp",
    "dataset": "mnist_5k",
    "run": "sgd",
    "optimizer": "sgd",
    "batch_size": 500,
    "unit_batch_size": 500,
    "budget_epochs": 1,
    "seeds": [0],
    "device": "cpu",
}
# What a machine with a GPU and little else does not have.
ABSENT = ("pydantic", "yaml", "snakemake", "matplotlib", "pandas", "scipy", "seaborn", "jinja2", "mlxtend", "tabulate")


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """No command may depend on the folder it is run from, nor on this machine's own data."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(DROP_IN_VARIABLE, raising=False)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("prepared")
    assert main(["prepare", "mnist_5k", "--output", str(folder)]) == 0
    return folder


@pytest.fixture
def specification_file(tmp_path):
    path = tmp_path / "specification.json"
    path.write_text(json.dumps(SPECIFICATION), encoding="utf-8")
    return path


def resolve(*arguments):
    return main(["resolve", "--config-folder", CONFIG, *arguments])


def error_line(capsys):
    """The one line that an error consists of."""
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith("secondorder: ")
    assert output.err.count("\n") == 1
    assert output.err.endswith("\n")
    return output.err


# resolve


def test_resolve_prints_a_specification_as_json(capsys):
    assert resolve("--problem", "mnist_mlp", "--run", "adam") == 0
    output = capsys.readouterr()
    specification = RunSpecification.from_mapping(json.loads(output.out))
    assert (specification.problem, specification.run, specification.optimizer) == ("mnist_mlp", "adam", "adam")
    assert specification.dataset == "mnist_5k"
    assert specification.optimizer_settings["beta1"] == 0.9
    assert output.err == ""


def test_resolve_takes_the_tier_asked_for(capsys):
    assert resolve("--problem", "cifar10_3c3d", "--run", "sgd", "--tier", "paper") == 0
    specification = json.loads(capsys.readouterr().out)
    assert (specification["dataset"], specification["unit_batch_size"], len(specification["seeds"])) == (
        "cifar10",
        128,
        10,
    )


def test_resolve_lays_a_configuration_file_over_the_tier(capsys, tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("runs: {adam: {settings: {learning_rate: 0.25}}}\n", encoding="utf-8")
    assert resolve("--problem", "mnist_mlp", "--run", "adam", "--configfile", str(path)) == 0
    assert json.loads(capsys.readouterr().out)["optimizer_settings"]["learning_rate"] == 0.25


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(["--problem", "mnist_mlp", "--run", "adma"], "adam", id="run"),
        pytest.param(["--problem", "mnist_mpl", "--run", "adam"], "mnist_mlp", id="problem"),
        pytest.param(["--problem", "cifar10_3c3d", "--run", "adam"], "cifar10_3c3d", id="problem of another tier"),
        pytest.param(["--problem", "mnist_mlp"], "--run adam", id="no run"),
        pytest.param(["--run", "adam"], "--problem mnist_mlp", id="no problem"),
        pytest.param(["--problem", "mnist_mlp", "--run", "adam", "--tier", "huge"], "huge", id="tier"),
        pytest.param(
            ["--problem", "mnist_mlp", "--run", "adam", "--configfile", "nowhere.yaml"], "nowhere.yaml", id="no file"
        ),
    ],
)
@pytest.mark.parametrize("command", ["resolve", "train"])
def test_what_cannot_be_resolved_is_an_error_of_one_line(command, arguments, message, capsys, tmp_path):
    output = ["--output", str(tmp_path / "output")] if command == "train" else []
    assert main([command, "--config-folder", CONFIG, *arguments, *output]) == 1
    assert message in error_line(capsys)


# train


def test_train_follows_a_specification_file(prepared, specification_file, tmp_path):
    output = tmp_path / "output"
    arguments = ["--specification", str(specification_file), "--data", str(prepared), "--output", str(output)]
    assert main(["train", *arguments]) == 0
    files = sorted(path.relative_to(output).as_posix() for path in output.rglob("*") if path.is_file())
    assert files == ["checkpoints/seed_0.pt", "manifest.json", "metrics.parquet", "snapshots.npz", "timing.parquet"]
    assert json.loads((output / "manifest.json").read_text())["specification"]["batch_size"] == 500
    assert {"step", "evaluation", "final"} == set(pq.read_table(output / "metrics.parquet")["scope"].to_pylist())


def test_train_takes_a_run_of_the_configuration(prepared, tmp_path):
    mine = tmp_path / "mine.yaml"
    mine.write_text("problems: {mnist_mlp: {batch_size: 500, budget_epochs: 1}}\nseeds: 1\ndevice: cpu\n")
    output = tmp_path / "output"
    choice = ["--problem", "mnist_mlp", "--run", "adam", "--config-folder", CONFIG, "--configfile", str(mine)]
    assert main(["train", *choice, "--data", str(prepared), "--output", str(output)]) == 0
    manifest = json.loads((output / "manifest.json").read_text())
    assert manifest["specification"]["optimizer"] == "adam"
    assert [seed["status"] for seed in manifest["seeds"]] == ["finished"]


def test_train_again_reuses_what_is_finished(prepared, specification_file, tmp_path, capsys):
    arguments = ["train", "--specification", str(specification_file), "--data", str(prepared)]
    arguments += ["--output", str(tmp_path / "output")]
    assert main(arguments) == 0
    first = (tmp_path / "output" / "metrics.parquet").read_bytes()
    capsys.readouterr()
    assert main(arguments) == 0
    assert "resumed at step 7 (finished)" in capsys.readouterr().err
    assert (tmp_path / "output" / "metrics.parquet").read_bytes() == first


def train_with(specification_file, data, tmp_path):
    return main(
        ["train", "--specification", str(specification_file), "--data", str(data), "--output", str(tmp_path / "output")]
    )


@pytest.mark.parametrize("suffix", [".npz", ".json"])
def test_missing_data_is_an_error_that_tells_how_to_get_it(suffix, prepared, specification_file, tmp_path, capsys):
    data = tmp_path / "data"
    data.mkdir()
    for path in prepared.glob("mnist_5k.*"):
        if path.suffix != suffix:
            (data / path.name).write_bytes(path.read_bytes())
    capsys.readouterr()
    assert train_with(specification_file, data, tmp_path) == 1
    line = error_line(capsys)
    assert f"mnist_5k{suffix} is missing" in line
    assert f"`secondorder prepare mnist_5k --output {data}`" in line
    assert not (tmp_path / "output").exists()


def test_the_advice_on_missing_data_works(specification_file, tmp_path, capsys):
    data = tmp_path / "data"
    assert train_with(specification_file, data, tmp_path) == 1
    advice = error_line(capsys).split("`")[1].split()
    assert advice[0] == "secondorder"
    assert main(advice[1:]) == 0
    assert train_with(specification_file, data, tmp_path) == 0


def test_damaged_data_is_an_error(prepared, specification_file, tmp_path, capsys):
    data = tmp_path / "data"
    data.mkdir()
    (data / "mnist_5k.json").write_bytes((prepared / "mnist_5k.json").read_bytes())
    (data / "mnist_5k.npz").write_bytes(b"damaged")
    capsys.readouterr()
    assert train_with(specification_file, data, tmp_path) == 1
    assert "mnist_5k.npz" in error_line(capsys)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(None, "cannot be read as a run specification", id="missing"),
        pytest.param("{", "cannot be read as a run specification", id="no JSON"),
        pytest.param("[]", "not a run specification", id="a list"),
        pytest.param("{}", "not a run specification", id="empty"),
        pytest.param(json.dumps({**SPECIFICATION, "epochs": 3}), "epochs", id="unknown field"),
        pytest.param(json.dumps({**SPECIFICATION, "seeds": []}), "no seeds", id="no seeds"),
        pytest.param(json.dumps({**SPECIFICATION, "optimizer": "sdg"}), "no optimizer 'sdg'", id="optimizer"),
        pytest.param(json.dumps({**SPECIFICATION, "batch_size": 9999}), "smaller batch_size", id="large batch"),
        pytest.param(json.dumps({**SPECIFICATION, "optimizer_settings": {"lr": 1}}), "'lr' is not a", id="setting"),
    ],
)
def test_a_specification_that_cannot_be_followed_is_an_error(content, message, prepared, tmp_path, capsys):
    path = tmp_path / "given.json"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    capsys.readouterr()
    assert train_with(path, prepared, tmp_path) == 1
    assert message in error_line(capsys)


WITHOUT_THE_REST = textwrap.dedent(
    f"""
    import sys
    from importlib.machinery import PathFinder

    class Installed:
        def find_spec(self, name, path=None, target=None):
            return None if name.split(".")[0] in {ABSENT!r} else PathFinder.find_spec(name, path, target)

    sys.meta_path[sys.meta_path.index(PathFinder)] = Installed()
    from secondorder.command_line import main
    if main(sys.argv[1:]):
        sys.exit("training failed")
    assert not {{name.split(".")[0] for name in sys.modules}} & set({ABSENT!r})
    try:
        main(["resolve", "--problem", "mnist_mlp", "--run", "adam"])
    except ModuleNotFoundError as error:
        sys.exit(0 if error.name in {ABSENT!r} else f"resolve lacks {{error.name}}")
    sys.exit("the packages were not absent")
    """
)


def test_training_needs_neither_the_configuration_nor_the_figures(prepared, specification_file, tmp_path):
    output = tmp_path / "output"
    arguments = ["--specification", str(specification_file), "--data", str(prepared), "--output", str(output)]
    result = subprocess.run(
        [sys.executable, "-c", WITHOUT_THE_REST, "train", *arguments], env=ENVIRONMENT, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    assert (output / "manifest.json").is_file()


# trials


def few_trials(tmp_path, capsys):
    """Resolve the trials of a small search to a file."""
    configuration = tmp_path / "few.yaml"
    configuration.write_text(
        "{based_on: smoke, tuning: {trials: 2}, problems: {mnist_mlp: {batch_size: 500, budget_epochs: 1}}}",
        encoding="utf-8",
    )
    capsys.readouterr()
    assert resolve("--configfile", str(configuration), "--problem", "mnist_mlp", "--run", "sgd", "--trials") == 0
    path = tmp_path / "trials.json"
    path.write_text(capsys.readouterr().out, encoding="utf-8")
    return path


def test_resolved_trials_are_trained_without_the_configuration(prepared, tmp_path, capsys):
    trials = few_trials(tmp_path, capsys)
    search = Search.from_file(trials)
    assert (len(search.trials), search.specification.evaluate_test) == (2, False)
    output = tmp_path / "output"
    arguments = ["--trials", str(trials), "--data", str(prepared), "--output", str(output)]
    result = subprocess.run(
        [sys.executable, "-c", WITHOUT_THE_REST, "train", *arguments], env=ENVIRONMENT, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    manifests = [output / f"trial_{trial}" / "manifest.json" for trial in range(2)]
    trained = [json.loads(path.read_text(encoding="utf-8"))["specification"] for path in manifests]
    assert trained == [specification.to_mapping() for specification in search.specifications()]


@pytest.mark.parametrize(
    ("content", "message"),
    [("{}", "not a search"), ("", "cannot be read as a search"), (json.dumps(SPECIFICATION), "not a search")],
    ids=["empty mapping", "no JSON", "a specification"],
)
def test_file_without_trials_is_an_error_of_one_line(content, message, capsys, tmp_path):
    path = tmp_path / "trials.json"
    path.write_text(content, encoding="utf-8")
    assert main(["train", "--trials", str(path), "--output", str(tmp_path / "output")]) == 1
    assert message in error_line(capsys)


# prepare


def test_prepare_writes_the_arrays_and_their_manifest(prepared):
    assert {path.name for path in prepared.iterdir() if path.is_file()} == {"mnist_5k.npz", "mnist_5k.json"}
    assert json.loads((prepared / "mnist_5k.json").read_text())["counts"] == {
        "train": 3500,
        "validation": 500,
        "test": 1000,
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(["mnist_6k"], "mnist_5k", id="unknown dataset"),
        pytest.param(["mnist", "--folder", "nowhere"], "nowhere", id="no folder"),
    ],
)
def test_what_cannot_be_prepared_is_an_error_of_one_line(arguments, message, capsys, tmp_path):
    assert main(["prepare", *arguments, "--output", str(tmp_path / "data")]) == 1
    assert message in error_line(capsys)
    assert not list(tmp_path.rglob("*.npz"))


def test_prepare_takes_the_folder_that_the_environment_names(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv(DROP_IN_VARIABLE, "named_by_environment")
    assert main(["prepare", "mnist", "--output", str(tmp_path / "data")]) == 1
    assert "named_by_environment" in error_line(capsys)


# document


def test_document_writes_the_reference_and_the_schema(tmp_path):
    assert main(["document", "--root", str(tmp_path)]) == 0
    reference = (tmp_path / "docs" / "configuration.md").read_text(encoding="utf-8")
    assert reference.startswith("# Configuration")
    assert "learning_rate" in reference
    assert json.loads((tmp_path / "workflow" / "schemas" / "configuration.schema.json").read_text())["properties"]


def test_document_writes_the_blocks_of_pages(tmp_path):
    page = "<!-- from reference/metrics: times -->\n{}\n<!-- end -->\n"
    (tmp_path / "README.md").write_text(page.format("old"), encoding="utf-8")
    assert main(["document", "--root", str(tmp_path)]) == 0
    assert (tmp_path / "README.md").read_text(encoding="utf-8") == page.format(NOTHING_KEPT)


# The program


def test_an_error_of_the_program_is_one_line_and_status_1(tmp_path):
    result = subprocess.run(
        [sys.executable, "-m", "secondorder", "train", "--specification", "nowhere.json", "--output", "output"],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert result.returncode == 1
    assert result.stdout == ""
    assert result.stderr.startswith("secondorder: nowhere.json: cannot be read as a run specification")
    assert result.stderr.count("\n") == 1


# targets


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(["--root", "nowhere"], "no folder nowhere/config of tiers", id="folder"),
        pytest.param(["--root", str(REPOSITORY), "--tier", "huge"], "'huge'", id="tier"),
    ],
)
def test_targets_of_no_project_or_tier_are_an_error_of_one_line(arguments, message, capsys):
    assert main(["targets", *arguments]) == 1
    assert message in error_line(capsys)


def test_what_snakemake_refuses_is_an_error_of_one_line(tmp_path, capsys):
    shutil.copytree(CONFIG, tmp_path / "config")
    assert main(["targets"]) == 1
    assert "No Snakefile found" in error_line(capsys)


# compare


def manifest_file(path, **changes):
    content = {"specification": {"optimizer_settings": {"learning_rate": 0.1}}, "wall_seconds": 2.0}
    write_manifest(path, {**content, **changes})
    return str(path)


def test_manifests_that_agree_are_said_to(tmp_path, capsys):
    first, second = manifest_file(tmp_path / "a.json"), manifest_file(tmp_path / "b.json", wall_seconds=3.0)
    assert main(["compare", first, second]) == 0
    assert capsys.readouterr().err == f"{first} and {second} agree in all that a second execution repeats\n"


def test_first_field_that_differs_is_named(tmp_path, capsys):
    other = {"optimizer_settings": {"learning_rate": 0.2}}
    first, second = manifest_file(tmp_path / "a.json"), manifest_file(tmp_path / "b.json", specification=other)
    assert main(["compare", first, second]) == 1
    field = "specification.optimizer_settings.learning_rate: 0.1 and 0.2"
    assert error_line(capsys) == f"secondorder: {first} and {second} differ first in {field}\n"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        pytest.param({"runs": {}, "tables": {}}, "one manifest is of a run and the other of a whole tier", id="kinds"),
        pytest.param({"format_version": 0}, "is no manifest of format 1", id="another format"),
        pytest.param(None, "there is no such file; name the manifest.json", id="no file"),
    ],
)
def test_what_cannot_be_compared_is_an_error_of_one_line(changes, message, tmp_path, capsys):
    if changes is not None:
        manifest_file(tmp_path / "b.json", **changes)
    assert main(["compare", manifest_file(tmp_path / "a.json"), str(tmp_path / "b.json")]) == 1
    assert message in error_line(capsys)


@pytest.mark.parametrize(
    "arguments", [[], ["explode"], ["train"], ["prepare"]], ids=["none", "unknown", "output", "name"]
)
def test_wrong_usage_ends_with_status_2(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage: secondorder" in capsys.readouterr().err


# Jobs of the workflow


def test_a_job_writes_to_its_log(tmp_path, capsys):
    with job(str(tmp_path / "log")):
        print("printed")  # noqa: T201
        say("said")
    print("after")  # noqa: T201
    assert (tmp_path / "log").read_text() == "printed\nsaid\n"
    assert capsys.readouterr() == ("after\n", "")


@pytest.mark.parametrize(
    ("error", "console", "logged"),
    [
        pytest.param(DataError("a file is missing"), "\nError: a file is missing\n", "a file is missing\n", id="known"),
        pytest.param(
            ZeroDivisionError("by 0"), "\nError: ZeroDivisionError: by 0 (all of it in", "Traceback", id="bug"
        ),
    ],
)
def test_a_failing_job_ends_with_one_line_on_the_console(error, console, logged, tmp_path, capsys):
    with pytest.raises(SystemExit) as caught, job(str(tmp_path / "log")):
        raise error
    assert caught.value.code == 1
    assert capsys.readouterr().err.startswith(console)
    assert (tmp_path / "log").read_text().startswith(logged)
