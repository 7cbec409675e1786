"""The training of one seed, from initialisation or from its last checkpoint to the end of its budget."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import torch
from numpy.typing import NDArray

from secondorder.data.dataset import Dataset
from secondorder.optim.protocol import Optimizer
from secondorder.problems.problem import Problem
from secondorder.training.batches import BatchOrder, DeviceSplit
from secondorder.training.checkpoint import load_checkpoint, save_checkpoint
from secondorder.training.decay import decay_weights
from secondorder.training.device import peak_memory_bytes, reset_peak_memory, synchronise
from secondorder.training.evaluation import evaluate
from secondorder.training.objective import Objective
from secondorder.training.randomness import get_random_state, set_random_state, stream_seed
from secondorder.training.recorder import Moment, Recorder
from secondorder.training.schedules import Schedule
from secondorder.training.snapshots import Snapshots
from secondorder.training.specification import RunSpecification
from secondorder.training.work import Work

Report = Callable[[str], None]

# Fractions of a gradient-equivalent, such as thirds, do not add up exactly; this is far more than they lose.
_ROUNDING = 1e-6


@dataclass(frozen=True)
class Splits:
    """The three splits of a dataset on the training device."""

    training: DeviceSplit
    validation: DeviceSplit
    test: DeviceSplit

    @classmethod
    def of(cls, dataset: Dataset, device: torch.device) -> "Splits":
        """Put a dataset on a device."""
        return cls(
            training=DeviceSplit(dataset.train_images, dataset.train_labels, dataset, device),
            validation=DeviceSplit(dataset.validation_images, dataset.validation_labels, dataset, device),
            test=DeviceSplit(dataset.test_images, dataset.test_labels, dataset, device),
        )


@dataclass(frozen=True)
class SeedResult:
    """What the training of one seed leaves.

    Attributes:
        seed: The seed.
        status: ``finished``, or ``diverged`` when the objective stopped being finite.
        diverged_at_step: The step whose objective was not finite; None for a finished run.
        wall_seconds: Seconds that all of it took, evaluations and checkpoints included, over all resumptions.
        metrics: Rows that are the same bits each time.
        timing: Rows that are not: seconds and memory.
        snapshots: The network's weights at stated shares of the budget, as far as the seed got.
    """

    seed: int
    status: str
    diverged_at_step: int | None
    wall_seconds: float
    metrics: pa.Table
    timing: pa.Table
    snapshots: dict[str, NDArray[Any]]

    def summary(self) -> dict[str, Any]:
        """Return the part that goes into the manifest."""
        return {"seed": self.seed, "status": self.status, "diverged_at_step": self.diverged_at_step}


class SeedTraining:
    """One seed's training: all of its state, and the loop that advances it epoch by epoch.

    Args:
        specification: The run.
        seed: The seed.
        problem: The problem that the specification names, built.
        build_optimizer: Builds the optimizer over the network's parameters.
        splits: The data.
        device: Where to train.
    """

    def __init__(
        self,
        specification: RunSpecification,
        seed: int,
        problem: Problem,
        build_optimizer: Callable[[list[torch.nn.Parameter]], Optimizer],
        splits: Splits,
        device: torch.device,
    ) -> None:
        self.seed = seed
        self._problem = problem
        self._splits = splits
        self._device = device
        self._log_every = specification.log_every
        self._training_samples = specification.training_samples
        self._evaluate_test = specification.evaluate_test
        self._epoch_work = len(splits.training) // specification.unit_batch_size
        self._budget_epochs = specification.budget_epochs
        self._budget = specification.budget_epochs * self._epoch_work
        self._schedule = Schedule(**specification.schedule)
        torch.manual_seed(stream_seed(seed, "initialisation"))
        self._model = problem.network().to(device)
        self._optimizer = build_optimizer([p for p in self._model.parameters() if p.requires_grad])
        self._batches = BatchOrder(
            splits.training,
            specification.batch_size,
            seed,
            problem.augmentation,
            reconstruct=problem.reconstructs,
        )
        torch.manual_seed(stream_seed(seed, "training"))
        self._work = Work(specification.unit_batch_size)
        self._metrics = Recorder(seed)
        self._timing = Recorder(seed)
        self._snapshots = Snapshots(seed, specification.snapshots)
        self._evaluation = 0
        self._step = 0
        self._seconds = 0.0
        self._wall_seconds = 0.0
        self._status = "running"
        self._diverged_at_step: int | None = None

    def train(self, checkpoint: Path, identity: str, report: Report, advance: Callable[[float], None]) -> SeedResult:
        """Train to the end of the budget, with an evaluation and a checkpoint after each epoch's worth of work.

        Args:
            checkpoint: Where the checkpoint lies, or will.
            identity: Digest of everything that decides the bits; a checkpoint under another one is not used.
            report: Takes a line per evaluation.
            advance: Takes the share of the budget spent so far, for a progress bar.
        """
        started = time.perf_counter()
        state = load_checkpoint(checkpoint, identity, report)
        if state is not None:
            self._load_state_dict(state)
            report(f"seed {self.seed}: resumed at step {self._step} ({self._status})")
        else:
            self._evaluate({}, report)
        while self._status == "running":
            peak_memory = self._train_until_evaluation(advance)
            if self._status == "running":
                # Work that ends between two epochs' worth of it counts for the second.
                self._evaluation = math.ceil(self._budget_epochs) if self._spent() >= 1 else int(self._epochs_worked())
                self._evaluate({"peak_memory_bytes": peak_memory}, report)
            if self._status == "running" and self._spent() >= 1:
                self._finish(report)
            if self._status == "diverged":
                report(f"seed {self.seed}: diverged at step {self._diverged_at_step}")
            self._wall_seconds += time.perf_counter() - started
            started = time.perf_counter()
            save_checkpoint(checkpoint, identity, self._state_dict())
        return SeedResult(
            seed=self.seed,
            status=self._status,
            diverged_at_step=self._diverged_at_step,
            wall_seconds=self._wall_seconds,
            metrics=self._metrics.table(),
            timing=self._timing.table(),
            snapshots=self._snapshots.arrays(),
        )

    def _spent(self) -> float:
        return (self._work.gradient_equivalents + _ROUNDING) / self._budget

    def _epochs_worked(self) -> float:
        return (self._work.gradient_equivalents + _ROUNDING) // self._epoch_work

    def _moment(self) -> Moment:
        return Moment(self._evaluation, self._step, self._batches.epochs, **self._work.counts())

    def _train_until_evaluation(self, advance: Callable[[float], None]) -> int:
        """Train until another epoch's worth of work is done, and return the peak memory of doing it."""
        worked = self._epochs_worked()
        self._model.train()
        unread = _UnreadSteps()
        reset_peak_memory(self._device)
        synchronise(self._device)
        started = time.perf_counter()
        while self._status == "running" and self._spent() < 1:
            spent = self._spent()
            inputs, targets = self._batches.next_batch()
            objective = Objective(self._model, self._problem.loss, inputs, targets, self._work, self._problem.penalty)
            factor, before = self._schedule.factor(spent), self._work.gradient_equivalents
            result = self._optimizer.step(objective, factor)
            decay_weights(
                self._model,
                self._problem.decoupled_decay * factor,
                self._work.gradient_equivalents - before,
            )
            self._step += 1
            unread.add(self._moment(), {"batch_loss": result.loss, **result.diagnostics})
            if self._step % self._log_every == 0:
                self._read(unread, started)
                advance(spent)
            if self._epochs_worked() > worked:
                break
        self._read(unread, started)
        self._seconds += time.perf_counter() - started
        return peak_memory_bytes(self._device)

    def _read(self, unread: "_UnreadSteps", started: float) -> None:
        rows = unread.take()
        if not rows:
            return
        synchronise(self._device)
        seconds = self._seconds + time.perf_counter() - started
        for moment, metrics in rows:
            self._metrics.add("step", moment, metrics)
            if not math.isfinite(metrics["batch_loss"]):
                self._status, self._diverged_at_step = "diverged", moment.step
                return
        self._timing.add("step", rows[-1][0], {"seconds": seconds})

    def _evaluate(self, measured: dict[str, float], report: Report) -> None:
        metric = self._problem.metric
        training_loss, training_metric = evaluate(
            self._model, self._problem, self._splits.training, self._training_samples
        )
        validation_loss, validation_metric = evaluate(self._model, self._problem, self._splits.validation)
        moment = self._moment()
        self._metrics.add(
            "evaluation",
            moment,
            {
                "training_loss": training_loss,
                f"training_{metric.name}": training_metric,
                "validation_loss": validation_loss,
                f"validation_{metric.name}": validation_metric,
            },
        )
        self._timing.add("evaluation", moment, {"seconds": self._seconds, **measured})
        if not (math.isfinite(training_loss) and math.isfinite(validation_loss)):
            self._status, self._diverged_at_step = "diverged", self._step
        else:
            self._snapshots.take(self._model, self._work.gradient_equivalents / self._budget, _ROUNDING / self._budget)
        report(
            f"seed {self.seed}: epoch {moment.epoch:.4g}, step {self._step}: training loss {training_loss:.4f}, "
            f"validation {metric.label} {metric.text(validation_metric)}, {self._seconds:.1f} s"
        )

    def _finish(self, report: Report) -> None:
        self._status = "finished"
        if not self._evaluate_test:
            report(f"seed {self.seed}: finished")
            return
        metric = self._problem.metric
        test_loss, test_metric = evaluate(self._model, self._problem, self._splits.test)
        self._metrics.add("final", self._moment(), {"test_loss": test_loss, f"test_{metric.name}": test_metric})
        report(f"seed {self.seed}: finished: test {metric.label} {metric.text(test_metric)}")

    def _state_dict(self) -> dict[str, Any]:
        return {
            "model": self._model.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "batches": self._batches.state_dict(),
            "random": get_random_state(self._device),
            "work": self._work.state_dict(),
            "metrics": self._metrics.state_dict(),
            "timing": self._timing.state_dict(),
            "snapshots": self._snapshots.state_dict(),
            "evaluation": self._evaluation,
            "step": self._step,
            "seconds": self._seconds,
            "wall_seconds": self._wall_seconds,
            "status": self._status,
            "diverged_at_step": self._diverged_at_step,
        }

    def _load_state_dict(self, state: dict[str, Any]) -> None:
        self._model.load_state_dict(state["model"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._batches.load_state_dict(state["batches"])
        set_random_state(self._device, state["random"])
        self._work = Work(**state["work"])
        self._metrics.load_state_dict(state["metrics"])
        self._timing.load_state_dict(state["timing"])
        self._snapshots.load_state_dict(state["snapshots"])
        self._evaluation = state["evaluation"]
        self._step = state["step"]
        self._seconds = state["seconds"]
        self._wall_seconds = state["wall_seconds"]
        self._status = state["status"]
        self._diverged_at_step = state["diverged_at_step"]


class _UnreadSteps:
    """Step results that still lie on the device, so that steps do not wait for it."""

    def __init__(self) -> None:
        self._steps: list[tuple[Moment, dict[str, float | torch.Tensor]]] = []

    def add(self, moment: Moment, metrics: dict[str, float | torch.Tensor]) -> None:
        self._steps.append((moment, metrics))

    def take(self) -> list[tuple[Moment, dict[str, float]]]:
        """Read them all from the device in one transfer, and forget them."""
        tensors = [v for _, metrics in self._steps for v in metrics.values() if isinstance(v, torch.Tensor)]
        values = iter(torch.stack([t.detach().double() for t in tensors]).tolist() if tensors else [])
        rows = [
            (moment, {k: next(values) if isinstance(v, torch.Tensor) else float(v) for k, v in metrics.items()})
            for moment, metrics in self._steps
        ]
        self._steps = []
        return rows
