"""Adding: the sum of two numbers that were marked among many."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from rnn_core.arrays import Array
from rnn_core.data.tasks.base import Task, TaskBatch, asked_at_end, require, set_by


@dataclass(frozen=True)
class Adding(Task):
    """Inputs (value, marker): two of T values are marked with 1, and after the last step their sum is asked.

    markers  "halves": values uniform in [0, 1], one marker in each half of the sequence, target X1 + X2 (Le, Jaitly &
             Hinton 2015, section 4.1); answering 1 gives a mean squared error of 1/6.
             "early": values uniform in [-1, 1], the first marker among the first ten steps, the second elsewhere in the
             first half, target 1/2 + (X1 + X2)/4 (Hochreiter & Schmidhuber 1997, experiment 4, without its random
             lengths); answering 1/2 gives 1/24.
    """

    steps: int = set_by("task_steps")
    markers: Literal["halves", "early"] = set_by("markers")

    name: ClassVar[str] = "adding"
    label: ClassVar[str] = "Adding"
    about: ClassVar[str] = "Two of many numbers are marked; their sum is asked at the end."
    source: ClassVar[str] = "Hochreiter & Schmidhuber 1997, experiment 4; Le, Jaitly & Hinton 2015, section 4.1"
    loss: ClassVar[Literal["squared_error"]] = "squared_error"

    def __post_init__(self) -> None:
        super().__post_init__()
        least = 2 if self.markers == "halves" else 4
        require(self.steps >= least, f"The adding task needs at least {least} steps; make the sequences longer.")

    @property
    def symbols(self) -> None:
        return None

    @property
    def input_size(self) -> int:
        return 2

    @property
    def outputs(self) -> int:
        return 1

    @property
    def baseline(self) -> float:
        return 1 / 6 if self.markers == "halves" else 1 / 24

    def input_name(self, value: Array) -> str:
        return f"{value[0]:.2f}" + ("*" if value[1] else "")

    def target_name(self, value: Array) -> str:
        return f"{value[0]:.2f}"

    def draw(self, batch_size: int, rng: np.random.Generator) -> TaskBatch:
        T, half, columns = self.steps, self.steps // 2, np.arange(batch_size)
        if self.markers == "halves":
            values = rng.random((T, batch_size))
            first, second = rng.integers(0, half, batch_size), rng.integers(half, T, batch_size)
        else:
            values = rng.uniform(-1, 1, (T, batch_size))
            first = rng.integers(0, min(10, half), batch_size)
            second = rng.integers(0, half - 1, batch_size)
            second += second >= first  # any other step of the first half, each equally likely
        total = values[first, columns] + values[second, columns]
        inputs = np.stack([values, np.zeros_like(values)], axis=-1)
        inputs[first, columns, 1] = inputs[second, columns, 1] = 1
        targets = np.zeros((T, batch_size, 1))
        targets[-1, :, 0] = total if self.markers == "halves" else 0.5 + total / 4
        return TaskBatch(inputs, targets, np.ones((T, batch_size), bool), asked_at_end(T, batch_size))
