"""minGRU: a gated unit whose gate and candidate do not read the state (Feng et al. 2024, "Were RNNs All We Needed?").

    z = sigmoid(a_z),  h~ = a_h        (the paper's linear layers of x_t: a = x_t U + b)
    h_t = (1 - z) h_{t-1} + z h~       (an update gate z of 0 keeps the old state: the reverse of the GRU's convention)

There is no recurrent matrix, and the Jacobian of a step is diagonal, diag(1 - z): gradients can fade, but neither
explode nor turn.
"""

from __future__ import annotations

import numpy as np

from rnn_core.arrays import Array
from rnn_core.nn.activations import sigmoid, sigmoid_slope
from rnn_core.nn.cells.base import Cell, Signal, Weights, bias_gradient, chrono_bias, sigmoid_signal


class MinGRUCell(Cell):
    """z = sigmoid(a_z);  h_t = (1 - z) h_{t-1} + z a_h. Columns of U are ordered z, h~."""

    name = "mingru"
    label = "minGRU"
    gates = ("update", "candidate")
    cache_blocks = 2
    d_preactivation_blocks = 2
    slope_blocks = 3
    carry = "h"
    carry_gate = "update"
    carry_equation = r"h_t = (1-z_t)\odot h_{t-1} + z_t\odot\tilde h_t"
    settings = ("chrono",)
    no_torch = "PyTorch has no minGRU, so this network cannot be exported to it."

    @property
    def recurrent_gates(self) -> tuple[str, ...]:
        return ()

    def step(self, cache: Array, before: Array, weights: Weights, after: Array) -> None:
        """cache (2, ..., H) the input projection -> z, h~; before, after (1, ..., H)."""
        h_before, h = before[0], after[0]
        update, candidate = cache
        sigmoid(update, out=update)
        # (1 - z) h + z h~ = h + z (h~ - h)
        np.subtract(candidate, h_before, out=h)
        h *= update
        h += h_before

    def slopes(self, cache: Array, before: Array, after: Array, weights: Weights, out: Array) -> None:
        """Fills out (3, ..., H): dh/da_z, dh/dh~ = z, and the carry 1 - z."""
        update, candidate = cache
        h_by_update, h_by_candidate, carry = out
        sigmoid_slope(update, h_by_update, times=candidate - before[0])
        h_by_candidate[...] = update
        np.subtract(1, update, out=carry)

    def step_back(self, d_state: Array, slopes: Array, weights: Weights, d_preactivation: Array) -> Array:
        """d_state (1, ..., H) -> d_preactivation (2, ..., H) = z, h~; returns dE/dh_{t-1}."""
        np.multiply(d_state[0], slopes[:2], out=d_preactivation)
        return d_state * slopes[2]

    def jvp(self, d_before: Array, d_input: Array, slopes: Array, weights: Weights) -> Array:
        h_by_update, h_by_candidate, carry = slopes
        d_h = h_by_update * d_input[0] + h_by_candidate * d_input[1] + carry * d_before[0]
        return d_h[None]

    def weight_gradients(
        self, d_preactivation: Array, cache: Array, before: Array, weights: Weights
    ) -> dict[str, Array]:
        """b alone: there is no W."""
        return {"b": bias_gradient(d_preactivation)}

    def initial_bias(self, size: int, forget_bias: float, chrono: int | None, rng: np.random.Generator) -> Array:
        """Update gate: with chrono it starts nearly closed, since what keeps the memory here is 1 - z."""
        update, candidate = np.zeros((2, size))
        if chrono is not None:
            update -= chrono_bias(chrono, size, rng)
        return np.concatenate([update, candidate])

    def signals(self, cache: Array, before: Array, after: Array, weights: Weights) -> dict[str, Signal]:
        """The update gate; the candidate is linear and does not saturate."""
        return {"update": sigmoid_signal(cache[0])}

    def paths(self, d_state: Array, slopes: Array, weights: Weights) -> dict[str, Array]:
        return {"carry": d_state * self.carry_factor(slopes)}

    def carry_factor(self, slopes: Array) -> Array:
        return slopes[2]
