"""What ids and numbers must be before anything is computed from them."""

from __future__ import annotations

import numbers

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


def as_mask(values: Array) -> Array:
    """A mask as bool. Raises ValueError unless all values are True, False, 1 or 0: a fraction is a weight, and belongs
    into `loss_weights`.
    """
    values = np.asarray(values)
    if values.dtype == bool:
        return values
    if values.dtype.kind not in "iuf" or not ((values == 0) | (values == 1)).all():
        raise ValueError("mask must be True or 1 where there is a token, and False or 0 where there is none")
    return values.astype(bool)


def check_truncate(truncate: object) -> None:
    """Raises ValueError unless this is a number of steps, or None for full BPTT."""
    if truncate is not None and not (isinstance(truncate, numbers.Integral) and int(truncate) >= 0):
        raise ValueError(f"truncate is a whole number of steps from 0 up, or None, not {truncate!r}")
