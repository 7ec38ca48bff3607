"""Two forms of a gradient: dense, and a few rows.

The gradient of an input matrix has as many non-zero rows as there are different words in the batch, a few hundred of
many thousand. Training keeps it as it comes; whoever wants plain arrays calls `to_dense`. Both forms answer the same
questions: how long are you, what are you in full, and take yourself off this parameter.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rnn_core.numerics import Array
from rnn_core.threads import in_row_blocks, product

# The gradients of a word that occurs more often than this are added up by a product with zeros and ones, those of a
# rarer one occurrence by occurrence. The product takes the most frequent words only: with many it would be large.
OFTEN, MOST_BY_PRODUCT = 4, 128


@dataclass(eq=False)
class RowGradient:
    """Zero but in some rows: rows (R,) ascending and different, values (R, M), of a parameter with shape `shape`."""

    rows: Array
    values: Array
    shape: tuple[int, ...]

    @classmethod
    def from_positions(cls, ids: Array, blocks: Array, shape: tuple[int, ...]) -> RowGradient:
        """ids (P,), blocks (K, P, M / K) of the columns: what belongs to equal ids adds up."""
        rows, place, counts = np.unique(ids, return_inverse=True, return_counts=True)
        values = np.empty((len(rows), len(blocks), blocks.shape[-1]), blocks.dtype)
        often = OFTEN
        if len(counts) > MOST_BY_PRODUCT:
            often = max(OFTEN, np.partition(counts, -MOST_BY_PRODUCT - 1)[-MOST_BY_PRODUCT - 1])
        frequent = counts > often
        if frequent.any():
            chosen = np.flatnonzero(frequent[place])
            indicator = np.zeros((np.count_nonzero(frequent), len(chosen)), blocks.dtype)
            indicator[np.cumsum(frequent)[place[chosen]] - 1, np.arange(len(chosen))] = 1
            theirs = blocks if len(chosen) == len(ids) else np.take(blocks, chosen, axis=1)
            values[frequent] = product(indicator, theirs).swapaxes(0, 1)
        # Where each word's positions begin among all positions sorted by word.
        order, starts = np.argsort(place, kind="stable"), np.cumsum(counts) - counts
        for occurrence in range(counts[~frequent].max(initial=0)):
            (having,) = np.nonzero(~frequent & (counts > occurrence))
            theirs = np.take(blocks, order[starts[having] + occurrence], axis=1).swapaxes(0, 1)
            if occurrence:
                values[having] += theirs
            else:
                values[having] = theirs
        return cls(rows, values.reshape(len(rows), -1), shape)

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
    return gradient if isinstance(gradient, np.ndarray) else gradient.to_dense()


def add(one: Gradient, other: Gradient) -> Gradient:
    """one + other, in the form that both have; a dense `one` is overwritten."""
    if isinstance(one, RowGradient):
        assert isinstance(other, RowGradient)
        return one.plus(other)
    assert isinstance(other, np.ndarray)

    def add_block(rows: slice) -> None:
        one[rows] += other[rows]

    in_row_blocks(one, add_block)
    return one


def subtract(parameter: Array, gradient: Gradient, scale: float) -> None:
    """parameter -= scale * gradient, in place and in the cheapest way that the gradient's form allows."""
    if isinstance(gradient, np.ndarray):
        factor = gradient.dtype.type(scale)

        def subtract_block(rows: slice) -> None:
            parameter[rows] -= gradient[rows] * factor

        in_row_blocks(parameter, subtract_block)
    else:
        gradient.subtract_from(parameter, scale)
