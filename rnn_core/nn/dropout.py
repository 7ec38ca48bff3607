"""Dropout: which numbers are set to 0 in one training step. The others are scaled, so that the mean stays the same.

By default on what goes from layer to layer, drawn anew at every time step, never on the recurrent state (Zaremba,
Sutskever & Vinyals 2014). Variational: one mask for all steps of a sequence, and one on the state that every step reads
(Gal & Ghahramani 2016).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike

from rnn_core.arrays import Array
from rnn_core.config import ModelConfig


class DropoutMasks:
    """Draws the masks of one forward pass: 0 where a number is dropped, 1 / (1 - dropout) where it stays.

    Without `rng`, as everywhere but in training, and with a dropout of 0 every mask is None.
    """

    def __init__(
        self, config: ModelConfig, rng: np.random.Generator | None, steps: int, batch: int, dtype: DTypeLike
    ) -> None:
        self.config, self.rng, self.dtype = config, rng, dtype
        self.steps, self.batch = steps, batch

    def between_layers(self, width: int) -> Array | None:
        """(T, B, width), or (1, B, width) where the mask stays the same over time."""
        if self.rng is None or self.config.dropout == 0:
            return None
        stay = 1 - self.config.dropout
        shape = (1 if self.config.variational else self.steps, self.batch, width)
        return ((self.rng.random(shape) < stay) / stay).astype(self.dtype)

    def of_state(self) -> Array | None:
        """(B, H), for what every step reads of the state before it; None but for variational dropout."""
        mask = self.between_layers(self.config.hidden_size) if self.config.variational else None
        return None if mask is None else mask[0]


def masked(values: Array, mask: Array | None) -> Array:
    """values * mask, where there is a mask."""
    return values if mask is None else values * mask
