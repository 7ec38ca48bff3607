"""Prefix parity: has the number of ones so far been odd? One bit of memory, which no step may lose."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from rnn_core.arrays import Array
from rnn_core.data.tasks.base import Task, TaskBatch, set_by


@dataclass(frozen=True)
class PrefixParity(Task):
    """T random bits; at every step the parity of the bits read so far is asked, this one included."""

    steps: int = set_by("task_steps")

    name: ClassVar[str] = "prefix_parity"
    label: ClassVar[str] = "Prefix parity"
    about: ClassVar[str] = "Has the number of ones so far been odd? Asked at every step, and no step may be lost."
    source: ClassVar[str] = "Bengio, Simard & Frasconi 1994 (parity); here asked at every prefix"

    @property
    def symbols(self) -> int:
        return 2

    @property
    def outputs(self) -> int:
        return 2

    @property
    def baseline(self) -> float:
        return 1 / 2

    def target_name(self, value: Array) -> str:
        return "odd" if value else "even"

    def draw(self, batch_size: int, rng: np.random.Generator) -> TaskBatch:
        inputs = rng.integers(0, 2, (self.steps, batch_size), dtype=np.int32)
        targets = np.cumsum(inputs, axis=0, dtype=np.int32) % 2
        return TaskBatch(inputs, targets, np.ones(inputs.shape, bool), np.ones(inputs.shape))
