"""Results are taken in when they are those that were asked for, and refused by the name of the field otherwise."""

import json
from dataclasses import replace

import pandas as pd
import pytest
from run_folders import CODE, DATA, SPECIFICATION, expected_run, write_run

from secondorder.errors import ResultError
from secondorder.problems.metrics import ACCURACY
from secondorder.provenance.code import training_code
from secondorder.statistics.aggregation import aggregate, read_aggregated, write_aggregated
from secondorder.statistics.collection import collect_runs, expected_runs
from secondorder.statistics.names import AGGREGATED
from secondorder.training.layout import MANIFEST, METRICS, TIMING

DESCRIBED = {"mnist_mlp": ACCURACY}


@pytest.fixture
def folder(tmp_path):
    return write_run(tmp_path / "run")


def test_matching_folder_is_taken(folder):
    runs = collect_runs([expected_run(folder)])
    assert set(runs.metrics["seed"]) == {0, 4}
    assert runs.metrics[runs.metrics["metric"] == "test_accuracy"]["value"].tolist() == [0.5, 0.9]
    for frame in (runs.metrics, runs.timing, runs.seeds):
        assert set(frame["problem"]) == {"mnist_mlp"}
        assert set(frame["run"]) == {"sgd"}


def test_seeds_carry_what_the_manifest_says(tmp_path):
    diverged = [
        {"seed": 0, "status": "diverged", "diverged_at_step": 7},
        {"seed": 4, "status": "finished", "diverged_at_step": None},
    ]
    data = {"name": "mnist_5k", "sha256": DATA, "verified": False}
    folder = write_run(tmp_path, seeds=diverged, data=data, device={"type": "cuda", "name": "NVIDIA X"})
    seeds = collect_runs([expected_run(folder)]).seeds
    assert seeds["status"].tolist() == ["diverged", "finished"]
    assert seeds["diverged_at_step"].iloc[0] == 7
    assert seeds["data_verified"].tolist() == [False, False]
    assert seeds["device"].tolist() == ["NVIDIA X", "NVIDIA X"]


def test_runs_are_read_in_order_and_numbered_through(tmp_path):
    second = replace(SPECIFICATION, run="adam", seeds=(1,))
    folders = write_run(tmp_path / "a"), write_run(tmp_path / "b", second)
    runs = collect_runs([expected_run(folders[0]), expected_run(folders[1], second)])
    assert list(zip(runs.seeds["run"], runs.seeds["seed"], strict=True)) == [("sgd", 0), ("sgd", 4), ("adam", 1)]
    assert runs.metrics.index.is_unique


@pytest.mark.parametrize("name", ["threads", "device", "log_every"])
def test_how_a_run_was_executed_does_not_matter(tmp_path, name):
    other = replace(SPECIFICATION, **{name: {"threads": 8, "device": "cuda", "log_every": 50}[name]})
    collect_runs([expected_run(write_run(tmp_path, other))])


def settings(**values):
    return {**SPECIFICATION.optimizer_settings, **values}


OTHER_SPECIFICATIONS = {
    "learning rate": (
        {"optimizer_settings": settings(learning_rate=0.2)},
        "specification.optimizer_settings.learning_rate is 0.2, expected 0.1",
    ),
    "setting that is gone": (
        {"optimizer_settings": settings(damping=1.0)},
        "specification.optimizer_settings.damping is 1.0, expected None",
    ),
    "setting that is new": (
        {"optimizer_settings": {"learning_rate": 0.1}},
        "specification.optimizer_settings.momentum is None, expected 0.0",
    ),
    "optimizer": ({"optimizer": "adam"}, "specification.optimizer is 'adam', expected 'sgd'"),
    "problem setting": (
        {"problem_settings": {"activation": "tanh"}},
        "specification.problem_settings.activation is 'tanh', expected 'relu'",
    ),
    "dataset": ({"dataset": "mnist"}, "specification.dataset is 'mnist', expected 'mnist_5k'"),
    "batch size": ({"batch_size": 64}, "specification.batch_size is 64, expected 32"),
    "budget": ({"budget_epochs": 3.0}, "specification.budget_epochs is 3.0, expected 2.0"),
    "schedule": (
        {"schedule": {**SPECIFICATION.schedule, "kind": "cosine"}},
        "specification.schedule.kind is 'cosine', expected 'constant'",
    ),
    "milestones": (
        {"schedule": {**SPECIFICATION.schedule, "milestones": [0.5]}},
        "specification.schedule.milestones is [0.5], expected [0.5, 0.75]",
    ),
    "other run": ({"run": "adam"}, "specification.run is 'adam', expected 'sgd'"),
    "other seeds": ({"seeds": (0, 1)}, "specification.seeds is [0, 1], expected [0, 4]"),
    "fewer seeds": ({"seeds": (0,)}, "specification.seeds is [0], expected [0, 4]"),
    "order of seeds": ({"seeds": (4, 0)}, "specification.seeds is [4, 0], expected [0, 4]"),
}


@pytest.mark.parametrize(("changes", "words"), OTHER_SPECIFICATIONS.values(), ids=OTHER_SPECIFICATIONS.keys())
def test_run_of_another_specification_is_refused(tmp_path, changes, words):
    folder = write_run(tmp_path, replace(SPECIFICATION, **changes))
    with pytest.raises(ResultError) as caught:
        collect_runs([expected_run(folder)])
    path = folder / MANIFEST
    assert str(caught.value) == f"{path}: does not belong here: {words}; delete its folder and run again"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        pytest.param({"data_sha256": "e" * 64}, f"data.sha256 is {DATA!r}, expected {'e' * 64!r}", id="data"),
        pytest.param(
            {"code_files": {**CODE, "optim/sgd.py": "f" * 64}},
            f"code.files.optim/sgd.py is {'a' * 64!r}, expected {'f' * 64!r}",
            id="edited code",
        ),
        pytest.param(
            {"code_files": {"optim/sgd.py": "a" * 64}},
            f"code.files.training/seed.py is {'b' * 64!r}, expected None",
            id="code that is no longer used",
        ),
        pytest.param(
            {"code_files": {**CODE, "new.py": "f" * 64}},
            f"code.files.new.py is None, expected {'f' * 64!r}",
            id="code that is new",
        ),
    ],
)
def test_run_with_other_data_or_code_is_refused(folder, changes, words):
    with pytest.raises(ResultError) as caught:
        collect_runs([expected_run(folder, **changes)])
    assert f"does not belong here: {words}; delete its folder" in str(caught.value)


@pytest.mark.parametrize("name", [METRICS, TIMING])
def test_edited_file_is_refused(folder, name):
    table = pd.read_parquet(folder / name)
    table.assign(value=table["value"] + 1e-9).to_parquet(folder / name)
    with pytest.raises(ResultError, match=rf"{name}: was changed after it was written .*delete its folder"):
        collect_runs([expected_run(folder)])


@pytest.mark.parametrize("name", [METRICS, TIMING])
def test_missing_file_is_refused(folder, name):
    (folder / name).unlink()
    with pytest.raises(ResultError, match=rf"{name}: is missing; delete its folder and run again"):
        collect_runs([expected_run(folder)])


@pytest.mark.parametrize("files", [{}, {METRICS: "0" * 64}], ids=["no digests", "another digest"])
def test_file_that_the_manifest_does_not_vouch_for_is_refused(tmp_path, files):
    folder = write_run(tmp_path, files=files)
    with pytest.raises(ResultError, match=rf"{METRICS}: was changed after it was written"):
        collect_runs([expected_run(folder)])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param(None, "cannot be read as a manifest", id="missing"),
        pytest.param("{", "cannot be read as a manifest", id="cut off"),
        pytest.param("[]", "is no manifest of format 1", id="a list"),
        pytest.param("{}", "is no manifest of format 1", id="empty"),
        pytest.param('{"format_version": 2}', "is no manifest of format 1", id="another format"),
        pytest.param('{"format_version": 1}', "does not belong here: specification.problem is None", id="nothing else"),
    ],
)
def test_manifest_that_is_none_is_refused(folder, text, words):
    path = folder / MANIFEST
    path.unlink()
    if text is not None:
        path.write_text(text, encoding="utf-8")
    with pytest.raises(ResultError) as caught:
        collect_runs([expected_run(folder)])
    assert str(caught.value).startswith(f"{path}: {words}")
    assert str(caught.value).endswith("delete its folder and run again")


def test_one_bad_run_among_good_ones_is_named(tmp_path, folder):
    bad = write_run(tmp_path / "bad", replace(SPECIFICATION, batch_size=1))
    with pytest.raises(ResultError, match=r"bad/manifest\.json: does not belong here: specification\.batch_size is 1"):
        collect_runs([expected_run(folder), expected_run(bad)])


def test_expectation_is_of_todays_code_and_the_prepared_data(tmp_path, folder):
    manifests = []
    for name, digest in (("mnist", "e" * 64), ("mnist_5k", DATA)):
        manifests.append(tmp_path / f"{name}.json")
        manifests[-1].write_text(json.dumps({"name": name, "sha256": digest}), encoding="utf-8")
    (expected,) = expected_runs([SPECIFICATION], [folder], manifests)
    assert expected.data_sha256 == DATA
    assert expected.code_files == training_code("mnist_mlp", "sgd")
    assert expected.experiment == SPECIFICATION.experiment()
    assert (expected.folder, tuple(expected.seeds)) == (folder, (0, 4))


def test_number_of_folders_must_be_that_of_the_runs(folder):
    with pytest.raises(ValueError, match="shorter"):
        expected_runs([SPECIFICATION], [], [])


def test_aggregated_tables_have_the_known_names_and_survive_their_files(tmp_path, folder):
    tables = aggregate(collect_runs([expected_run(folder)]), DESCRIBED, {"mnist_mlp": 0.9}, {}, 0.95, 99)
    assert sorted(tables) == sorted(AGGREGATED)
    write_aggregated(tables, tmp_path / "aggregated")
    read = read_aggregated({name: str(tmp_path / "aggregated" / f"{name}.parquet") for name in tables})
    for name, table in tables.items():
        pd.testing.assert_frame_equal(read[name], table, check_dtype=False)


def test_aggregate_gives_each_summary_what_it_needs(folder):
    runs = collect_runs([expected_run(folder)])
    tables = aggregate(runs, DESCRIBED, {"mnist_mlp": 2.0}, {"mnist_mlp": 9.0}, 0.95, 99)
    assert tables["final_metric"]["mean"].tolist() == pytest.approx([70])
    assert tables["curves"]["mean"].tolist() == [2.25] * 3, "the mean of 0.25 and 4.25"
    assert tables["time_to_target"]["reached"].tolist() == [1]
    assert tables["updates_to_loss"]["target"].tolist() == [9.0]
    assert tables["seeds"]["seed"].tolist() == [0, 4]


def test_table_without_rows_has_no_say_in_the_types_of_columns(tmp_path):
    for name, rows in (("empty", []), ("filled", [{"problem": "p", "updates": 3.5}])):
        write_aggregated({name: pd.DataFrame(rows, columns=["problem", "updates"])}, tmp_path)
    files = [str(tmp_path / f"{name}.parquet") for name in ("empty", "filled")]
    read = read_aggregated({"both": files, "neither": files[:1]})
    assert read["both"]["updates"].dtype == float
    assert list(read["neither"].columns) == ["problem", "updates"]
