"""A batch: checked before anything is computed from it, and with its padding moved to the end."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from rnn_core.arrays import Array
from rnn_core.nn.checks import as_mask
from rnn_core.nn.inputs import Inputs
from rnn_core.nn.losses import Loss


class Batch(NamedTuple):
    """A batch whose real tokens stand first in every column.

    inputs, targets  (T, B, ...)
    mask             (T, B) bool: there is a token
    counted          (T, B) bool: it has a loss that counts
    loss_weights     (T, B) of the counted losses, else 0; None: all count alike
    lengths          (B,) tokens in each column
    order            (T, B) where the tokens came from; None: nothing moved
    """

    inputs: Array
    targets: Array
    mask: Array
    counted: Array
    loss_weights: Array | None
    lengths: Array
    order: Array | None

    @classmethod
    def of(
        cls,
        inputs_of: Inputs,
        loss: Loss,
        inputs: Array,
        targets: Array,
        mask: Array | None = None,
        loss_weights: Array | None = None,
    ) -> Batch:
        """inputs (T, B, ...), targets (T, B, ...), mask and loss_weights (T, B) -> Batch.

        Padding must change nothing wherever it stands, so real tokens move to the front: then no step needs to know of
        it.

        Raises ValueError where shapes do not fit, an input or a target that counts is none, a mask says neither yes
        nor no, or a weight is negative. What stands in the inputs and targets of padding is never read, nor the target
        of a loss that does not count.
        """
        inputs, targets = np.asarray(inputs), np.asarray(targets)
        inputs_of.check_shape(inputs)
        shape = inputs.shape[:2]
        if loss.target_shape == (1,) and targets.shape == shape:
            targets = targets[..., None]
        if targets.shape != (*shape, *loss.target_shape):
            one = "" if not loss.target_shape else f", with {loss.target_shape[0]} numbers for each target"
            raise ValueError(f"inputs and targets must be of one shape (T, B){one}, not {shape} and {targets.shape}")
        if mask is None:
            mask = np.ones(shape, bool)
        else:
            mask = as_mask(mask)
            if mask.shape != shape:
                raise ValueError(f"mask must have the shape of the inputs, {shape}, not {mask.shape}")
            inputs = inputs_of.without_padding(inputs, mask)
        inputs_of.check_values(inputs)
        counted = mask
        if loss_weights is not None:
            loss_weights = np.asarray(loss_weights, np.float64)
            if loss_weights.shape != shape:
                raise ValueError(f"loss_weights must have the shape of the inputs, {shape}, not {loss_weights.shape}")
            if not (np.isfinite(loss_weights) & (loss_weights >= 0)).all():
                raise ValueError("loss_weights must be finite numbers from 0 up")
            with np.errstate(over="ignore"):
                total = loss_weights.sum()
            if not np.isfinite(total):
                raise ValueError("loss_weights must add up to a finite number; divide them by their largest")
            loss_weights = np.where(mask, loss_weights, 0.0)
            counted = loss_weights > 0
        loss.check(targets if counted.all() else targets[counted])
        lengths = mask.sum(axis=0)
        if mask.all() or np.array_equal(mask, np.arange(len(mask))[:, None] < lengths):
            return cls(inputs, targets, mask, counted, loss_weights, lengths, None)
        order = np.argsort(~mask, axis=0, kind="stable")
        mask, counted = (np.take_along_axis(array, order, axis=0) for array in (mask, counted))
        inputs, targets = (_in_order(array, order) for array in (inputs, targets))
        if loss_weights is not None:
            loss_weights = _in_order(loss_weights, order)
        return cls(inputs, targets, mask, counted, loss_weights, lengths, order)

    @property
    def weights_of_mean(self) -> Array:
        """(T, B) what each loss is multiplied by in the mean: they add up to 1, or to 0 where no loss counts."""
        weights = self.counted.astype(np.float64) if self.loss_weights is None else self.loss_weights
        total = weights.sum()
        return weights / total if total > 0 else weights

    def restore(self, values: Array) -> Array:
        """Values (T, B) back in the order in which the caller gave the tokens."""
        if self.order is None:
            return values
        restored = np.zeros_like(values)
        np.put_along_axis(restored, self.order, values, axis=0)
        return restored


def _in_order(array: Array, order: Array) -> Array:
    """array (T, B, ...) with the rows of each column in this order (T, B)."""
    return np.take_along_axis(array, order.reshape(*order.shape, *(1,) * (array.ndim - 2)), axis=0)
