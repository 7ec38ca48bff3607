"""Latching: hold one bit, given at the start, against noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from rnn_core.arrays import Array
from rnn_core.data.tasks.base import Task, TaskBatch, asked_at_end, require, set_by


@dataclass(frozen=True)
class Latching(Task):
    """The first `signal_steps` inputs are +1 or -1, all equal, the others Gaussian noise; the sign is asked at the end.

    After Bengio, Simard & Frasconi 1994, whose signal was itself learnt. Class 1 is +1.
    """

    steps: int = set_by("task_steps")
    signal_steps: int = set_by("signal_steps")
    noise: float = set_by("noise")

    name: ClassVar[str] = "latching"
    label: ClassVar[str] = "Latching"
    about: ClassVar[str] = "One bit at the start, then noise; the bit is asked at the end."
    source: ClassVar[str] = "Bengio, Simard & Frasconi 1994"

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.signal_steps <= self.steps, "The signal of the latching task is at most as long as its sequences.")

    @property
    def symbols(self) -> None:
        return None

    @property
    def input_size(self) -> int:
        return 1

    @property
    def outputs(self) -> int:
        return 2

    @property
    def baseline(self) -> float:
        return 1 / 2

    def input_name(self, value: Array) -> str:
        return f"{value[0]:+.1f}"

    def target_name(self, value: Array) -> str:
        return "+1" if value else "-1"

    def draw(self, batch_size: int, rng: np.random.Generator) -> TaskBatch:
        classes = rng.integers(0, 2, batch_size, dtype=np.int32)
        inputs = self.noise * rng.standard_normal((self.steps, batch_size, 1))
        inputs[: self.signal_steps] = (2 * classes - 1)[:, None]
        targets = np.zeros((self.steps, batch_size), np.int32)
        targets[-1] = classes
        return TaskBatch(inputs, targets, np.ones(targets.shape, bool), asked_at_end(self.steps, batch_size))
