"""Lengths of vectors that may be far too short or too long to be squared, and logarithms of numbers that may be 0."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rnn_core.arrays import Array


def vector_norm(vectors: Array) -> Array:
    """(..., n) -> (...,) Euclidean norm, right from 1e-300 to 1e300: where squares would not do, the largest entry is
    taken out first.

    inf or nan where an entry is, without a warning: an exploding gradient is something to show.
    """
    with np.errstate(all="ignore"):
        squares = np.einsum("...i,...i->...", vectors, vectors)
        if precise(squares):
            return np.sqrt(squares)
        largest = np.abs(vectors).max(axis=-1, initial=0.0)
        scale = np.where((largest > 0) & np.isfinite(largest), largest, 1.0)
        scaled = vectors / scale[..., None]
        return scale * np.sqrt(np.einsum("...i,...i->...", scaled, scaled))


def block_norm(stacks: Sequence[Array]) -> Array:
    """Stacks of blocks (K, ..., n), each with a K of its own -> (...,): the norm over all blocks together."""
    with np.errstate(all="ignore"):
        squares = np.add.reduce([np.add.reduce(np.vecdot(stack, stack)) for stack in stacks])
        if precise(squares):
            return np.sqrt(squares)
    by_block = np.concatenate([vector_norm(stack) for stack in stacks])
    return vector_norm(np.moveaxis(by_block, 0, -1))


def precise(squares: Array) -> bool:
    """Whether none of these squares has lost digits, or itself, at the ends of float64's range."""
    return bool(squares.min(initial=1) > 1e-280 and squares.max(initial=1) < 1e280)


def safe_log(values: Array) -> Array:
    """Natural logarithm with log 0 = -inf, without a warning."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log(values)
