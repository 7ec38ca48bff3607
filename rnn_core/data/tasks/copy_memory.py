"""Copy memory: repeat a sequence of symbols after a long delay."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from rnn_core.arrays import Array
from rnn_core.data.tasks.base import Task, TaskBatch, set_by


@dataclass(frozen=True)
class CopyMemory(Task):
    """Inputs: `length` symbols of `alphabet`, `delay` - 1 blanks, a delimiter, `length` blanks. Targets: the symbols at
    the last `length` steps, blanks before; every step counts (Arjovsky, Shah & Bengio 2016; after Hochreiter &
    Schmidhuber 1997). Ids: symbols 0 .. K-1, blank K, delimiter K+1. T = delay + 2 length.
    """

    delay: int = set_by("delay")
    length: int = set_by("copied")
    alphabet: int = set_by("alphabet")

    name: ClassVar[str] = "copy_memory"
    label: ClassVar[str] = "Copy memory"
    about: ClassVar[str] = "Some symbols, a long delay, and then the same symbols are asked again."
    source: ClassVar[str] = "Arjovsky, Shah & Bengio 2016"

    @property
    def symbols(self) -> int:
        return self.alphabet + 2

    @property
    def outputs(self) -> int:
        return self.alphabet + 1

    @property
    def baseline(self) -> float:
        """Blanks where they are due, and a guess for each symbol: wrong in length (1 - 1/K) of T steps."""
        return self.length * (1 - 1 / self.alphabet) / (self.delay + 2 * self.length)

    def input_name(self, value: Array) -> str:
        return {self.alphabet: "_", self.alphabet + 1: "?"}.get(int(value), str(int(value)))

    def target_name(self, value: Array) -> str:
        return self.input_name(value)

    def draw(self, batch_size: int, rng: np.random.Generator) -> TaskBatch:
        blank, delimiter = self.alphabet, self.alphabet + 1
        T = self.delay + 2 * self.length
        symbols: Array = rng.integers(0, self.alphabet, (self.length, batch_size), dtype=np.int32)
        inputs = np.full((T, batch_size), blank, np.int32)
        inputs[: self.length] = symbols
        inputs[self.length + self.delay - 1] = delimiter
        targets = np.full((T, batch_size), blank, np.int32)
        targets[-self.length :] = symbols
        return TaskBatch(inputs, targets, np.ones(inputs.shape, bool), np.ones(inputs.shape))
