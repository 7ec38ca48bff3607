"""Two forms of a gradient: dense, and row-sparse (as PyTorch's `Embedding(sparse=True)` has).

The gradient of an input matrix has as many non-zero rows as there are different words in the batch, a few hundred of
many thousand. Training keeps it in that form; `to_dense` makes a plain array of it. Norms, sums and updates take both.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from rnn_core.arrays import Array
from rnn_core.threads import for_row_blocks

# The gradients of a word that occurs more often than this are added up word by word; of the rarer ones, which are many,
# a second occurrence of all is added at once, then a third.
OFTEN = 4


@dataclass(eq=False)
class Occurrences:
    """Where each word of a batch stands. ids of any shape: its P elements, row by row, are the positions."""

    ids: Array

    @cached_property
    def order(self) -> Array:
        """(P,) positions sorted by word; those of the same word one after the other, as they come."""
        return np.argsort(self.ids, axis=None, kind="stable")

    @cached_property
    def starts(self) -> Array:
        """(R,) where in `order` each of the R different words begins."""
        in_order = self.ids.reshape(-1)[self.order]
        return np.flatnonzero(np.concatenate([[True], in_order[1:] != in_order[:-1]])[: len(in_order)])

    @cached_property
    def words(self) -> Array:
        """(R,) ids, ascending and different."""
        return self.ids.reshape(-1)[self.order[self.starts]]

    @cached_property
    def counts(self) -> Array:
        """(R,) how often each of `words` occurs."""
        return np.append(self.starts[1:], self.ids.size) - self.starts

    @cached_property
    def place(self) -> Array:
        """(P,) for every position, where its word stands in `words`."""
        place = np.empty(self.ids.size, np.intp)
        place[self.order] = np.repeat(np.arange(len(self.words)), self.counts)
        return place

    def summed(self, blocks: Array) -> Array:
        """blocks (K, P, M) -> (R, K * M): what belongs to the positions of a word, added up."""
        counts = self.counts
        values = np.ascontiguousarray(np.take(blocks, self.order[self.starts], axis=1).swapaxes(0, 1))
        often = counts > OFTEN
        for word in np.flatnonzero(often):
            positions = self.order[self.starts[word] : self.starts[word] + counts[word]]
            np.add.reduce(np.take(blocks, positions, axis=1), axis=1, out=values[word])
        left = np.where(often, 1, counts)
        for occurrence in range(1, left.max(initial=1)):
            (having,) = np.nonzero(left > occurrence)
            theirs = np.take(blocks, self.order[self.starts[having] + occurrence], axis=1)
            values[having] += theirs.swapaxes(0, 1)
        return values.reshape(len(counts), -1)


@dataclass(eq=False)
class RowGradient:
    """A row-sparse gradient: rows (R,), ascending and different, have `values` (R, M), all others are zero. `shape` is
    that of the parameter.
    """

    rows: Array
    values: Array
    shape: tuple[int, ...]

    @classmethod
    def from_positions(cls, words: Occurrences, blocks: Array, shape: tuple[int, ...]) -> RowGradient:
        """words of P positions, blocks (K, P, M / K) of the columns: what belongs to the same word adds up."""
        return cls(words.words, words.summed(blocks), shape)

    def squared_norm(self) -> float:
        return float(np.vdot(self.values, self.values).real)

    def to_dense(self) -> Array:
        dense = np.zeros(self.shape, self.values.dtype)
        dense[self.rows] = self.values
        return dense

    def subtract_from(self, parameter: Array, scale: float) -> None:
        parameter[self.rows] -= self.values * self.values.dtype.type(scale)

    def add_to(self, dense: Array) -> None:
        dense[self.rows] += self.values

    def plus(self, other: RowGradient) -> RowGradient:
        rows = np.union1d(self.rows, other.rows)
        values = np.zeros((len(rows), self.values.shape[1]), self.values.dtype)
        for part in (self, other):
            values[np.searchsorted(rows, part.rows)] += part.values
        return RowGradient(rows, values, self.shape)


Gradient = Array | RowGradient
Gradients = dict[str, Gradient]


def squared_norm(gradient: Gradient) -> float:
    """Sum of squares; non-finite values come out as inf or nan, never as a warning."""
    if isinstance(gradient, np.ndarray):
        with np.errstate(over="ignore", invalid="ignore"):
            return float(np.vdot(gradient, gradient).real)
    with np.errstate(over="ignore", invalid="ignore"):
        return gradient.squared_norm()


def to_dense(gradient: Gradient) -> Array:
    """The gradient as a plain array in the shape of its parameter."""
    return gradient if isinstance(gradient, np.ndarray) else gradient.to_dense()


def add(one: Gradient, other: Gradient) -> Gradient:
    """one + other; a dense `one` is overwritten. Where `one` is of a few rows, so is `other`."""
    if isinstance(one, RowGradient):
        assert isinstance(other, RowGradient)
        return one.plus(other)
    if isinstance(other, RowGradient):
        other.add_to(one)
        return one

    def add_block(rows: slice) -> None:
        one[rows] += other[rows]

    for_row_blocks(one, add_block)
    return one


def subtract(parameter: Array, gradient: Gradient, scale: float) -> None:
    """parameter -= scale * gradient, in place and in the cheapest way that the gradient's form allows."""
    if isinstance(gradient, np.ndarray):
        factor = gradient.dtype.type(scale)

        def subtract_block(rows: slice) -> None:
            parameter[rows] -= gradient[rows] * factor

        for_row_blocks(parameter, subtract_block)
    else:
        gradient.subtract_from(parameter, scale)
