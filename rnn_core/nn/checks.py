"""What ids and numbers must be before anything is computed from them."""

from __future__ import annotations

import numpy as np

from rnn_core.arrays import Array


def check_ids(ids: Array, count: int, what: str) -> None:
    """Raises ValueError unless all are whole numbers from 0 to count - 1. `what` they are, in the plural."""
    if ids.dtype.kind not in "iu":
        raise ValueError(f"{what} must be ids, whole numbers from 0 to {count - 1}, not numbers of type {ids.dtype}")
    if ids.size and not 0 <= ids.min() <= ids.max() < count:
        wrong = ids.min() if ids.min() < 0 else ids.max()
        raise ValueError(f"{what} must be ids from 0 to {count - 1}, and one is {wrong}")


def check_numbers(values: Array, what: str) -> None:
    """Raises ValueError unless all are finite real numbers. `what` they are, in the plural."""
    if values.dtype.kind not in "iuf" or not np.isfinite(values).all():
        raise ValueError(f"{what} must be finite real numbers")
