"""Temporal order: which two symbols came, and in which order, long ago."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from rnn_core.arrays import Array
from rnn_core.data.tasks.base import Task, TaskBatch, asked_at_end, require, set_by

DISTRACTORS = 4
A, B = DISTRACTORS, DISTRACTORS + 1


@dataclass(frozen=True)
class TemporalOrder(Task):
    """Two of T symbols are A or B, the others distractors of four kinds; the order is asked at the end: AA, AB, BA, BB.

    The first stands at a step drawn from [T/10, 2T/10], the second from [4T/10, 5T/10] (Pascanu, Mikolov & Bengio 2013,
    section 4.1; after Hochreiter & Schmidhuber 1997, experiment 6a). Classes are 2 first + second, with A = 0, B = 1.
    """

    steps: int = set_by("task_steps")

    name: ClassVar[str] = "temporal_order"
    label: ClassVar[str] = "Temporal order"
    about: ClassVar[str] = "Two symbols among many: which came first? Asked at the end."
    source: ClassVar[str] = "Pascanu, Mikolov & Bengio 2013, section 4.1"

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.steps >= 10, "Temporal order needs at least 10 steps; make the sequences longer.")

    @property
    def symbols(self) -> int:
        return DISTRACTORS + 2

    @property
    def outputs(self) -> int:
        return 4

    @property
    def baseline(self) -> float:
        return 3 / 4

    def input_name(self, value: Array) -> str:
        return "cdefAB"[int(value)]

    def target_name(self, value: Array) -> str:
        return ("AA", "AB", "BA", "BB")[int(value)]

    def draw(self, batch_size: int, rng: np.random.Generator) -> TaskBatch:
        T, columns = self.steps, np.arange(batch_size)
        inputs = rng.integers(0, DISTRACTORS, (T, batch_size), dtype=np.int32)
        first = rng.integers(T // 10, 2 * T // 10, batch_size, endpoint=True)
        second = rng.integers(4 * T // 10, 5 * T // 10, batch_size, endpoint=True)
        symbols = rng.integers(A, B, (2, batch_size), endpoint=True, dtype=np.int32)
        inputs[first, columns], inputs[second, columns] = symbols
        targets = np.zeros_like(inputs)
        targets[-1] = 2 * (symbols[0] - A) + symbols[1] - A
        return TaskBatch(inputs, targets, np.ones(inputs.shape, bool), asked_at_end(T, batch_size))
