"""What every task tells: its shapes, its stream of batches, its metric, and what is achieved without learning."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from rnn_core.arrays import Array
from rnn_core.config.fields import settings_of
from rnn_core.config.task import TaskSettings
from rnn_core.errors import SettingsError
from rnn_core.randomness import stream


@dataclass(frozen=True, eq=False)
class TaskBatch:
    """B sequences of at most T steps, time-major.

    inputs        (T, B) int32 ids, or (T, B, D) float64 vectors
    targets       (T, B) int32 classes, or (T, B, O) float64 numbers; 0 where nothing is asked
    mask          (T, B) bool: False behind the end of a shorter sequence
    loss_weights  (T, B) float64: 1 at the steps whose output counts, else 0
    groups        (B,) int: what the errors of the batch can be split by (attractors, say); None: nothing
    """

    inputs: Array
    targets: Array
    mask: Array
    loss_weights: Array
    groups: Array | None = None


def set_by(name: str) -> Any:
    """A task's field that is set by the setting called `name`: its default and its bounds are those declared there."""
    return dataclasses.field(default=settings_of(TaskSettings)[name].default, metadata={"setting": name})


def setting_names(kind: type[Task] | Task) -> dict[str, str]:
    """The fields of a task, and the settings that they are set by."""
    fields: tuple[dataclasses.Field[Any], ...] = dataclasses.fields(kind)  # type: ignore[arg-type]
    return {field.name: field.metadata["setting"] for field in fields if "setting" in field.metadata}


class Task(ABC):
    """A problem whose solution needs a memory. Subclasses are frozen dataclasses, whose fields are made by `set_by`.

    name, label     for the command line and for people
    about           what is to be learnt, in a sentence for people
    source          the paper, with section
    loss            "cross_entropy" over `outputs` classes, or "squared_error" of `outputs` numbers
    """

    name: ClassVar[str]
    label: ClassVar[str]
    about: ClassVar[str]
    source: ClassVar[str]
    loss: ClassVar[Literal["cross_entropy", "squared_error"]] = "cross_entropy"

    def __post_init__(self) -> None:
        """Raises SettingsError for what the declared settings refuse; a task adds what they cannot say."""
        declared = settings_of(TaskSettings)
        for field, name in setting_names(self).items():
            reason = declared[name].problem(getattr(self, field))
            require(reason is None, str(reason))

    @property
    @abstractmethod
    def symbols(self) -> int | None:
        """N, the number of different ids that go in; None where vectors do."""

    @property
    def input_size(self) -> int | None:
        """D, the length of an input vector; None where ids go in."""
        return None

    @property
    @abstractmethod
    def outputs(self) -> int:
        """Classes to choose from, or numbers to give."""

    @property
    @abstractmethod
    def baseline(self) -> float:
        """The metric of the best answer that does not look at the input; see `metric_name`."""

    @property
    def metric_name(self) -> str:
        """What `metric` counts: the share of wrong answers, or the mean squared error."""
        return "error rate" if self.loss == "cross_entropy" else "mean squared error"

    @abstractmethod
    def draw(self, batch_size: int, rng: np.random.Generator) -> TaskBatch:
        """`batch_size` fresh sequences."""

    def batch(self, batch_size: int, seed: int, step: int) -> TaskBatch:
        """Batch number `step` of the stream that belongs to this seed: always the same. Raises SettingsError."""
        if batch_size < 1:
            raise SettingsError("A batch needs at least 1 sequence; raise the batch size.")
        return self.draw(batch_size, stream(seed, f"task {self.name}", step))

    def batches(self, batch_size: int, seed: int) -> Iterator[TaskBatch]:
        """The stream from its start; it never ends."""
        step = 0
        while True:
            yield self.batch(batch_size, seed, step)
            step += 1

    def input_names(self, batch: TaskBatch, column: int) -> list[str]:
        """What one sequence reads at each of its steps, as people write it."""
        real = batch.inputs[batch.mask[:, column], column]
        return [self.input_name(value) for value in real]

    def target_names(self, batch: TaskBatch, column: int) -> list[str]:
        """What is asked of it at each of its steps; "" where nothing is."""
        asked = batch.loss_weights[batch.mask[:, column], column] > 0
        targets = batch.targets[batch.mask[:, column], column]
        return [self.target_name(value) if counts else "" for value, counts in zip(targets, asked, strict=True)]

    def input_name(self, value: Array) -> str:
        """One id or vector that goes in."""
        return str(int(value))

    def target_name(self, value: Array) -> str:
        """One class or number that should come out."""
        return str(int(value))

    def metric(self, outputs: Array, batch: TaskBatch) -> float:
        """Outputs (T, B, O), logits or numbers -> the metric over the steps that count, as `baseline` has it."""
        return float(np.average(self.errors(outputs, batch), weights=batch.loss_weights))

    def errors(self, outputs: Array, batch: TaskBatch) -> Array:
        """Outputs (T, B, O) -> (T, B): 1 where the likeliest class is wrong, or the squared error of each step."""
        if self.loss == "cross_entropy":
            return (outputs.argmax(axis=-1) != batch.targets).astype(np.float64)
        return ((outputs - batch.targets) ** 2).sum(axis=-1)


def require(holds: bool, otherwise: str) -> None:
    """Raises SettingsError with this sentence where a setting makes no sense."""
    if not holds:
        raise SettingsError(otherwise)


def asked_at_end(steps: int, batch_size: int) -> Array:
    """Loss weights (T, B) of a task whose answer is read after the last step."""
    weights = np.zeros((steps, batch_size))
    weights[-1] = 1
    return weights
