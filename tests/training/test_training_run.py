"""A run leaves metrics, timing and a manifest, within its budget and the same bits each time."""

import dataclasses
import hashlib
import json
import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from training_support import EPOCH_WORK, Listener, Run, specification

import secondorder
from secondorder import optim
from secondorder.curvature.flat_vectors import split_like
from secondorder.data.storage import dataset_digest
from secondorder.errors import ConfigurationError, DataError
from secondorder.optim.objective_products import objective_products
from secondorder.optim.protocol import StepResult
from secondorder.problems import load as load_problem
from secondorder.training import device

ALL = pytest.mark.parametrize("optimizer", optim.available())
PACKAGE = Path(secondorder.__file__).parent
COLUMNS = {
    "seed": "int32",
    "scope": "string",
    "evaluation": "int32",
    "step": "int32",
    "epoch": "double",
    "gradients": "int64",
    "losses": "int64",
    "products": "int64",
    "gradient_equivalents": "double",
    "metric": "string",
    "value": "double",
}
EVALUATED = {"training_loss", "training_accuracy", "validation_loss", "validation_accuracy"}


class CurvatureDescent:
    """Gradient descent with the exact step length along the gradient: a gradient, a product and two losses a step."""

    def __init__(self, parameters, settings):
        self._parameters = list(parameters)

    def step(self, objective, schedule_factor):
        products = objective_products(objective, "double_backward")
        gradient = products.gradient
        curvature = gradient @ products(gradient)
        length = torch.where(curvature > 0, gradient @ gradient / curvature, 0.01).clamp(max=1.0)
        with torch.no_grad():
            for parameter, piece in zip(self._parameters, split_like(gradient, self._parameters), strict=True):
                parameter -= schedule_factor * length * piece
        after = objective.loss() + 0 * objective.loss()
        return StepResult(products.loss, {"length": length, "reduction": products.loss - after, "one": 1.0})

    def state_dict(self):
        return {}

    def load_state_dict(self, state):
        pass


@pytest.fixture
def curvature_descent(monkeypatch):
    monkeypatch.setattr(optim.load("sgd"), "build", CurvatureDescent)


# Files


@ALL
def test_a_run_leaves_four_files_two_of_them_of_the_schema(run, dataset, optimizer):
    run.train(dataset, specification(optimizer=optimizer, budget_epochs=1))
    files = {path.name for path in run.file("").iterdir()}
    assert files == {"metrics.parquet", "timing.parquet", "snapshots.npz", "manifest.json"}
    for name in ("metrics.parquet", "timing.parquet"):
        assert {field.name: str(field.type) for field in pq.read_schema(run.file(name))} == COLUMNS


# With the matrix of all pixels one step of SOAP, its first, which moves nothing, is the whole budget.
LEARNING = {"soap": {"optimizer_settings": {"largest_side": 128}}}


@ALL
def test_a_run_learns(run, dataset, optimizer):
    run.train(dataset, specification(optimizer=optimizer, budget_epochs=8, **LEARNING.get(optimizer, {})))
    losses = run.values("training_loss")
    assert losses[-1] < losses[0]
    assert run.values("training_accuracy")[-1] > run.values("training_accuracy")[0]


def test_a_learnable_task_is_learnt(run, dataset):
    run.train(dataset, specification(optimizer="adam", budget_epochs=15))
    assert run.values("validation_accuracy")[-1] > 0.9
    assert run.values("test_accuracy") == [pytest.approx(run.values("validation_accuracy")[-1], abs=0.1)]


# Rows


def epochs_worth(work):
    return (work + 1e-6) // EPOCH_WORK


@ALL
def test_there_is_one_evaluation_before_the_first_step_and_one_per_epochs_worth_of_work(run, dataset, optimizer):
    run.train(dataset, specification(optimizer=optimizer, budget_epochs=12, unit_batch_size=30))
    moments = sorted(
        {(row["evaluation"], row["step"], row["gradient_equivalents"]) for row in run.rows(scope="evaluation")}
    )
    assert moments[0] == (0, 0, 0.0)
    assert [evaluation for evaluation, *_ in moments[:-1]] == [epochs_worth(work) for *_, work in moments[:-1]]
    assert moments[-1][0] == 12, "every seed ends at the same evaluation"
    step_work = [row["gradient_equivalents"] for row in run.rows(metric="batch_loss")]
    before = dict(zip(range(1, len(step_work) + 1), [0.0, *step_work], strict=False))
    for (_, _, last), (_, step, work) in pairwise(moments):
        # The evaluation follows the first step that completes another epoch's worth.
        assert epochs_worth(work) > epochs_worth(last)
        assert epochs_worth(before[step]) == epochs_worth(last)
    assert {row["metric"] for row in run.rows(scope="evaluation")} == EVALUATED
    assert len(run.rows(scope="evaluation")) == len(EVALUATED) * len(moments)


@pytest.mark.parametrize(
    ("batch_size", "unit"), [(30, 30), (4, 40), (3, 30), (1, 40), (7, 21)], ids=lambda value: str(value)
)
def test_evaluations_keep_pace_although_fractions_do_not_add_up_exactly(run, dataset, batch_size, unit):
    run.train(dataset, specification(batch_size=batch_size, unit_batch_size=unit, budget_epochs=6))
    steps = sorted({row["step"] for row in run.rows(scope="evaluation")})
    samples = 120 // unit * unit
    assert steps == [math.ceil(epoch * samples / batch_size) for epoch in range(7)]


def test_thirds_of_a_gradient_keep_pace_too(run, dataset, monkeypatch):
    class LossOnly(CurvatureDescent):
        def step(self, objective, schedule_factor):
            return StepResult(objective.loss())

    monkeypatch.setattr(optim.load("sgd"), "build", LossOnly)
    run.train(dataset, specification(budget_epochs=5))
    assert sorted({row["step"] for row in run.rows(scope="evaluation")}) == [0, 12, 24, 36, 48, 60]


@pytest.mark.parametrize(
    "changes",
    [
        *({"optimizer": name} for name in optim.available()),
        {"batch_size": 50},
        {"batch_size": 7, "budget_epochs": 1.3},
        {"budget_epochs": 0.25},
        {"batch_size": 120, "budget_epochs": 0.1},
    ],
    ids=str,
)
def test_the_budget_is_spent_and_passed_by_less_than_a_step(run, dataset, changes):
    chosen = specification(**changes)
    run.train(dataset, chosen)
    budget = chosen.budget_epochs * EPOCH_WORK
    spent = [row["gradient_equivalents"] for row in run.rows(metric="batch_loss")]
    assert spent[-1] >= budget - 1e-6
    assert [0.0, *spent][-2] < budget - 1e-6


@pytest.mark.parametrize("batch_size", [30, 60, 15])
def test_batches_of_another_size_get_the_same_work_in_other_steps(run, dataset, batch_size):
    run.train(dataset, specification(batch_size=batch_size, budget_epochs=4))
    (last,) = run.rows(metric="test_loss")
    assert last["gradient_equivalents"] == 4 * EPOCH_WORK
    assert last["step"] == 4 * 120 / batch_size
    assert last["epoch"] == 4


def test_the_final_row_is_at_the_last_step_and_of_the_last_evaluation(run, dataset):
    run.train(dataset, specification(budget_epochs=2.5))
    finals = run.rows(scope="final")
    assert [row["metric"] for row in finals] == ["test_loss", "test_accuracy"]
    assert {row["step"] for row in finals} == {10} == {max(row["step"] for row in run.rows())}
    assert (
        {row["evaluation"] for row in finals} == {max(row["evaluation"] for row in run.rows(scope="evaluation"))} == {3}
    )


def test_there_is_a_batch_loss_and_a_second_for_each_step(run, dataset):
    run.train(dataset, specification(seeds=(0, 4)))
    for seed in (0, 4):
        assert [row["step"] for row in run.rows(metric="batch_loss", seed=seed)] == list(range(1, 13))
        seconds = run.rows("timing.parquet", metric="seconds", scope="step", seed=seed)
        assert [row["step"] for row in seconds] == list(range(1, 13))
        assert all(a["value"] <= b["value"] for a, b in pairwise(seconds))


def test_the_first_losses_are_those_of_the_network_before_training(run, dataset):
    run.train(dataset, specification(batch_size=120, unit_batch_size=120))
    first_batch = run.rows(metric="batch_loss", step=1)[0]["value"]
    assert first_batch == pytest.approx(run.values("training_loss", evaluation=0)[0], rel=1e-5)
    assert first_batch == pytest.approx(math.log(10), rel=0.1)


def test_diagnostics_and_products_of_a_second_order_method_are_recorded(run, dataset, curvature_descent):
    run.train(dataset, specification(budget_epochs=7))
    step_metrics = {row["metric"] for row in run.rows(scope="step")}
    assert step_metrics == {"batch_loss", "length", "reduction", "one"}
    (row,) = run.rows(metric="length", step=5)
    assert (row["gradients"], row["products"], row["losses"]) == (5, 5, 10)
    assert row["gradient_equivalents"] == pytest.approx(5 * (1 + 2 + 2 / 3))
    assert sum(run.values("reduction")) > 0


@pytest.mark.parametrize(
    ("schedule", "moved"),
    [
        ({"kind": "constant"}, [True] * 4),
        ({"kind": "step", "milestones": [0.5], "gamma": 0.0}, [True, True, False, False]),
        ({"kind": "cosine"}, [True] * 4),
    ],
    ids=lambda value: value["kind"] if isinstance(value, dict) else "",
)
def test_the_schedule_follows_the_spent_share_of_the_budget(run, dataset, schedule, moved):
    run.train(dataset, specification(schedule=schedule, budget_epochs=4))
    losses = run.values("training_loss")
    assert [after != before for before, after in pairwise(losses)] == moved


def test_factors_start_at_one_and_are_those_of_the_share_before_each_step(run, dataset, monkeypatch):
    factors = []

    class Watching(CurvatureDescent):
        def step(self, objective, schedule_factor):
            factors.append(schedule_factor)
            return StepResult(objective.loss_and_gradient())

    monkeypatch.setattr(optim.load("sgd"), "build", Watching)
    run.train(dataset, specification(schedule={"kind": "cosine"}, budget_epochs=2))
    assert factors == pytest.approx([(1 + math.cos(math.pi * step / 8)) / 2 for step in range(8)], abs=1e-5)


# The same bits


@ALL
def test_two_runs_give_the_same_metrics_file(run, other_run, dataset, optimizer):
    for one in (run, other_run):
        torch.manual_seed(id(one) % 1000)
        one.train(dataset, specification(optimizer=optimizer, seeds=(0, 1)))
    assert run.metrics_bytes() == other_run.metrics_bytes()


def test_another_seed_gives_other_numbers(run, dataset):
    run.train(dataset, specification(seeds=(0, 1)))
    assert run.values("batch_loss", seed=0) != run.values("batch_loss", seed=1)
    assert run.values("training_loss", seed=0, evaluation=0) != run.values("training_loss", seed=1, evaluation=0)


@pytest.mark.parametrize("changes", [{}, {"batch_size": 7}, {"optimizer_settings": {"learning_rate": 1e20}}], ids=str)
def test_how_often_the_device_is_read_does_not_change_the_metrics(run, other_run, dataset, changes):
    run.train(dataset, specification(log_every=1, seeds=(0, 1), **changes))
    other_run.train(dataset, specification(log_every=7, seeds=(0, 1), **changes))
    assert run.metrics_bytes() == other_run.metrics_bytes()
    read = [len(one.rows("timing.parquet", scope="step")) for one in (run, other_run)]
    assert read[0] > read[1]
    fates = [json.loads(one.file("manifest.json").read_text())["seeds"] for one in (run, other_run)]
    assert fates[0] == fates[1]


def test_all_optimizers_start_from_the_same_network_and_see_the_same_batches(run, other_run, dataset):
    run.train(dataset, specification(optimizer="adam"))
    other_run.train(dataset, specification(optimizer="rmsprop"))
    assert run.values("training_loss", evaluation=0) == other_run.values("training_loss", evaluation=0)
    assert run.values("batch_loss", step=1) == other_run.values("batch_loss", step=1)
    assert run.values("batch_loss", step=2) != other_run.values("batch_loss", step=2)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="PyTorch sees no CUDA device")
@ALL
def test_two_runs_on_a_gpu_give_the_same_metrics_file(run, other_run, dataset, optimizer):
    for one in (run, other_run):
        one.train(dataset, specification(optimizer=optimizer, problem_module="mnist_lenet5", device="cuda"))
    assert run.metrics_bytes() == other_run.metrics_bytes()


# Divergence


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "rmsprop"])
def test_divergence_is_recorded_with_its_step_and_without_a_final_row(run, dataset, optimizer):
    run.train(dataset, specification(optimizer=optimizer, optimizer_settings={"learning_rate": 1e20}))
    (summary,) = json.loads(run.file("manifest.json").read_text())["seeds"]
    rows = run.rows(metric="batch_loss")
    assert summary == {"seed": 0, "status": "diverged", "diverged_at_step": rows[-1]["step"]}
    assert [math.isfinite(row["value"]) for row in rows] == [True] * (len(rows) - 1) + [False]
    assert run.rows(scope="final") == []


@pytest.mark.parametrize("budget_epochs", [1, 3], ids=["at the end of the budget", "before it"])
def test_divergence_seen_only_by_an_evaluation_is_recorded_too(run, dataset, budget_epochs):
    whole = {"batch_size": 120, "unit_batch_size": 120, "budget_epochs": budget_epochs}
    run.train(dataset, specification(**whole, optimizer_settings={"learning_rate": 1e30}))
    (summary,) = json.loads(run.file("manifest.json").read_text())["seeds"]
    assert summary == {"seed": 0, "status": "diverged", "diverged_at_step": 1}
    assert math.isfinite(run.values("batch_loss")[-1])
    assert not math.isfinite(run.values("training_loss")[-1])
    assert run.rows(scope="final") == []


def test_other_seeds_go_on_after_one_diverged(run, dataset, monkeypatch):
    module = optim.load("sgd")
    real, built = module.build, []

    def build(parameters, settings):
        built.append(None)
        return real(parameters, dataclasses.replace(settings, learning_rate=1e20 if len(built) == 2 else 0.05))

    monkeypatch.setattr(module, "build", build)
    run.train(dataset, specification(seeds=(0, 1, 2)))
    summaries = json.loads(run.file("manifest.json").read_text())["seeds"]
    assert [summary["status"] for summary in summaries] == ["finished", "diverged", "finished"]
    assert [row["seed"] for row in run.rows(metric="test_loss")] == [0, 2]


def test_an_optimizer_that_returns_no_number_has_diverged(run, dataset, monkeypatch):
    class Broken(CurvatureDescent):
        def step(self, objective, schedule_factor):
            objective.loss_and_gradient()
            return StepResult(torch.tensor(math.inf))

    monkeypatch.setattr(optim.load("sgd"), "build", Broken)
    run.train(dataset, specification())
    (summary,) = json.loads(run.file("manifest.json").read_text())["seeds"]
    assert (summary["status"], summary["diverged_at_step"]) == ("diverged", 1)


def test_lbfgs_survives_a_learning_rate_out_of_all_sense(run, dataset):
    run.train(dataset, specification(optimizer="lbfgs", optimizer_settings={"learning_rate": 1e20}))
    (summary,) = json.loads(run.file("manifest.json").read_text())["seeds"]
    assert (summary["status"] == "diverged") == (run.rows(scope="final") == [])


# The manifest


@pytest.fixture(scope="module")
def manifest_run(tmp_path_factory, dataset):
    run = Run(tmp_path_factory.mktemp("manifest"))
    run.train(dataset, specification(seeds=(0, 3), budget_epochs=1, log_every=2))
    return run, json.loads(run.file("manifest.json").read_text(encoding="utf-8"))


def test_the_manifest_holds_the_specification(manifest_run):
    _, manifest = manifest_run
    expected = specification(seeds=(0, 3), budget_epochs=1, log_every=2).to_mapping()
    assert manifest["specification"] == json.loads(json.dumps(expected))


def test_the_manifest_holds_the_fate_of_each_seed(manifest_run):
    _, manifest = manifest_run
    assert manifest["seeds"] == [{"seed": s, "status": "finished", "diverged_at_step": None} for s in (0, 3)]


def test_the_manifest_holds_the_digests_of_the_code_that_ran(manifest_run):
    _, manifest = manifest_run
    files = manifest["code"]["files"]
    wanted = {"training/seed.py", "training/objective.py", "problems/mnist_mlp.py", "optim/sgd.py", "data/dataset.py"}
    assert wanted <= set(files)
    unwanted = {"optim/adam.py", "problems/mnist_lenet5.py", "command_line.py", "configuration/models.py"}
    assert not unwanted & set(files)
    for name, digest in files.items():
        assert digest == hashlib.sha256((PACKAGE / name).read_bytes().replace(b"\r\n", b"\n")).hexdigest()


def test_the_manifest_holds_the_digest_of_the_data(manifest_run, dataset):
    _, manifest = manifest_run
    assert manifest["data"] == {"name": "synthetic", "sha256": dataset_digest(dataset), "verified": True}


def test_the_manifest_holds_the_digests_of_the_other_files(manifest_run):
    run, manifest = manifest_run
    names = ("metrics.parquet", "timing.parquet", "snapshots.npz")
    assert manifest["files"] == {name: hashlib.sha256(run.file(name).read_bytes()).hexdigest() for name in names}


def test_the_manifest_says_how_and_with_what_it_was_made(manifest_run):
    _, manifest = manifest_run
    assert manifest["format_version"] == 1
    assert manifest["device"] == {"type": "cpu", "name": "cpu"}
    assert manifest["environment"]["torch"] == torch.__version__
    assert manifest["environment"]["numpy"] == np.__version__
    assert manifest["determinism"]["deterministic_algorithms"] is True
    assert manifest["determinism"]["threads"] == 1
    assert manifest["wall_seconds"] >= 0


def test_nothing_in_the_files_names_a_place_on_this_machine(manifest_run):
    run, manifest = manifest_run
    text = json.dumps(manifest)
    assert str(run.folder) not in text
    assert str(PACKAGE) not in text


def test_data_that_fails_its_checksum_is_marked(run, dataset):
    files = tuple(dataclasses.replace(file, verified=False) for file in dataset.provenance.files)
    unverified = dataclasses.replace(dataset, provenance=dataclasses.replace(dataset.provenance, files=files))
    run.train(unverified, specification(budget_epochs=0.25))
    assert json.loads(run.file("manifest.json").read_text())["data"]["verified"] is False


# Errors and progress


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"batch_size": 121}, DataError, "tiny/tested has batches of 121 and synthetic 120 training images"),
        ({"unit_batch_size": 500}, DataError, "batches of 500"),
        ({"dataset": "mnist"}, DataError, "needs the dataset 'mnist' and was given 'synthetic'"),
        ({"optimizer": "sdg"}, ConfigurationError, "no optimizer 'sdg'"),
        ({"problem_module": "mnist"}, ConfigurationError, "no problem 'mnist'"),
        ({"optimizer_settings": {"lr": 0.1}}, ConfigurationError, "'lr' is not a setting"),
        ({"problem_settings": {"depth": 3}}, ConfigurationError, "'depth' is not a setting"),
        ({"optimizer_settings": {"nesterov": True}}, ConfigurationError, "momentum is 0"),
        pytest.param(
            {"device": "cuda"},
            ConfigurationError,
            "sees no CUDA device",
            marks=pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device"),
        ),
    ],
    ids=str,
)
def test_what_cannot_be_trained_is_refused_before_anything_is_written(run, dataset, changes, error, message):
    with pytest.raises(error, match=message):
        run.train(dataset, specification(**changes))
    assert not run.folder.exists()


def test_the_largest_batch_is_the_whole_training_split(run, dataset):
    run.train(dataset, specification(batch_size=120, unit_batch_size=120, budget_epochs=2))
    assert len(run.rows(metric="batch_loss")) == 2


def test_progress_tells_every_evaluation_and_rises_to_the_whole(run, dataset):
    listener = run.train(dataset, specification(seeds=(0, 1), budget_epochs=2), Listener())
    assert [line.split(":")[0] for line in listener.lines] == ["seed 0"] * 4 + ["seed 1"] * 4
    assert "finished: test accuracy" in listener.lines[3]
    assert listener.shares == sorted(listener.shares)
    assert 0 <= listener.shares[0] < 0.2
    assert 0.9 < listener.shares[-1] <= 1


def test_auto_takes_a_cuda_device_where_there_is_one():
    expected = "cuda" if torch.cuda.is_available() else "cpu"
    assert device.resolve_device("auto").type == expected
    assert device.resolve_device("cpu").type == "cpu"


def test_all_problems_can_be_trained(run, other_run, dataset):
    for one, module in ((run, "mnist_mlp"), (other_run, "mnist_lenet5")):
        assert load_problem(module)
        one.train(dataset, specification(problem_module=module, problem_settings={"activation": "tanh"}))
        assert one.values("training_loss")[-1] < one.values("training_loss")[0]
