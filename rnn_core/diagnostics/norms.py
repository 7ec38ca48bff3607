"""Lengths of vectors that may be far too short or too long to be squared."""

from __future__ import annotations

import numpy as np

from rnn_core.numerics import Array


def vector_norm(vectors: Array) -> Array:
    """(..., n) -> (...,) Euclidean norm, right from 1e-300 to 1e300: the largest entry is taken out before squaring.

    inf or nan where an entry is, without a warning: an exploding gradient is something to show.
    """
    largest = np.abs(vectors).max(axis=-1, initial=0.0)
    scale = np.where((largest > 0) & np.isfinite(largest), largest, 1.0)
    with np.errstate(all="ignore"):
        scaled = vectors / scale[..., None]
        return scale * np.sqrt(np.einsum("...i,...i->...", scaled, scaled))


def safe_log(values: Array) -> Array:
    """Natural logarithm with log 0 = -inf, without a warning."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log(values)
