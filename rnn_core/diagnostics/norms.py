"""How the diagnostics compute: lengths that may be far too short or too long to be squared, and quiet overflow."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from rnn_core.arrays import Array
from rnn_core.parallel.threads import one_blas_thread


@contextmanager
def arithmetic() -> Iterator[None]:
    """On the calling thread alone: the matrices are small, and a training may be using the other cores.

    No warning where something overflows: an explosion is a result here, not an accident.
    """
    with one_blas_thread(), np.errstate(over="ignore", under="ignore", invalid="ignore"):
        yield


def vector_norm(vectors: Array) -> Array:
    """(..., n) -> (...,) Euclidean norm, right from 1e-300 to 1e300: where squares would not do, the largest entry is
    taken out first.

    inf or nan where an entry is, without a warning: an exploding gradient is something to show.
    """
    with np.errstate(all="ignore"):
        squares = np.einsum("...i,...i->...", vectors, vectors)
        if np.all((squares > 1e-280) & (squares < 1e280)):
            return np.sqrt(squares)
        largest = np.abs(vectors).max(axis=-1, initial=0.0)
        scale = np.where((largest > 0) & np.isfinite(largest), largest, 1.0)
        scaled = vectors / scale[..., None]
        return scale * np.sqrt(np.einsum("...i,...i->...", scaled, scaled))


def safe_log(values: Array) -> Array:
    """Natural logarithm with log 0 = -inf, without a warning."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log(values)
