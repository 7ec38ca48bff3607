"""Gated recurrent units, in the two forms that differ in where the reset gate acts.

    r, z = sigmoid(a_r), sigmoid(a_z)
    h_t = (1 - z) n + z h_{t-1}      (an update gate z of 1 keeps the old state, in the paper and in PyTorch)

"after" the matrix product (PyTorch, cuDNN):    n = tanh(a_n + r (W_n h_{t-1} + b_n))
"before" it (Cho et al. 2014):                  n = tanh(a_n + W_n (r h_{t-1}))

Rows of W, and columns of the input projection, are ordered r, z, n.
"""

from __future__ import annotations

import numpy as np

from rnn_core.arrays import Array
from rnn_core.nn.activations import sigmoid, sigmoid_slope, tanh_slope
from rnn_core.nn.cells.base import (
    Cell,
    Signal,
    TorchLayout,
    Weights,
    bias_gradient,
    chrono_bias,
    matrix_gradient,
    sigmoid_signal,
    tanh_signal,
)

_GATES = slice(2)  # of W's blocks: reset and update
_CANDIDATE = slice(2, 3)


class _GatedRecurrentUnit(Cell):
    """What both forms have in common. Their slopes end with the carry's factor, the update gate."""

    name = "gru"
    label = "GRU"
    gates = ("reset", "update", "candidate")
    carry = "h"
    carry_gate = "update"
    carry_equation = r"h_t = z_t\odot h_{t-1} + (1-z_t)\odot n_t"
    settings = ("gru_reset", "chrono")

    def initial_bias(self, size: int, forget_bias: float, chrono: int | None, rng: np.random.Generator) -> Array:
        """Update gate: with chrono, as the LSTM's forget gate."""
        reset, update, candidate = np.zeros((3, size))
        if chrono is not None:
            update += chrono_bias(chrono, size, rng)
        return np.concatenate([reset, update, candidate])

    def signals(self, cache: Array, before: Array, after: Array, weights: Weights) -> dict[str, Signal]:
        reset, update, candidate = cache[:3]
        return {
            "reset": sigmoid_signal(reset),
            "update": sigmoid_signal(update),
            "candidate": tanh_signal(candidate),
        }

    def carry_factor(self, slopes: Array) -> Array:
        return slopes[4]


class GRUCell(_GatedRecurrentUnit):
    """The reset gate acts after the matrix product.

    q = W_n h_{t-1} + b_n;  n = tanh(a_n + r q)

    Because q is scaled by r before it meets the input projection, the gradient with respect to the recurrent product
    differs from that of the input projection: `d_preactivation` has the four blocks n, r, z, q, of which r, z, q belong
    to W h and r, z, n to the input projection.
    """

    biased_gate = "candidate"
    cache_blocks = 4
    d_preactivation_blocks = 4
    slope_blocks = 5
    reset = "after"
    torch = TorchLayout("GRU", _GatedRecurrentUnit.gates)

    def step(self, cache: Array, before: Array, weights: Weights, after: Array) -> None:
        """cache (4, ..., H): the input projection in three blocks -> r, z, n, q; before, after (1, ..., H)."""
        h_before, h = before[0], after[0]
        recurrence = weights.project(weights.masked(h_before))
        gates, recurrent, candidate = recurrence[:2], recurrence[2], cache[2]
        gates += cache[:2]
        sigmoid(gates, out=gates)
        reset, update = cache[:2] = gates
        if weights.b_n is not None:
            recurrent += weights.b_n
        cache[3] = recurrent
        candidate += reset * recurrent
        np.tanh(candidate, out=candidate)
        # (1 - z) n + z h = n + z (h - n)
        np.subtract(h_before, candidate, out=h)
        h *= update
        h += candidate

    def slopes(self, cache: Array, before: Array, after: Array, weights: Weights, out: Array) -> None:
        """Fills out (5, ..., H): dh/da_n, dh/da_r, dh/da_z, dh/dq, and along the carry dh/dh_before = z."""
        reset, update, candidate, recurrent = cache
        h_by_candidate, h_by_reset, h_by_update, h_by_recurrent, carry = out
        tanh_slope(candidate, h_by_candidate, times=1 - update)
        np.multiply(h_by_candidate, reset, out=h_by_recurrent)
        # dh/da_r = dh/da_n q r (1 - r)
        np.subtract(1, reset, out=h_by_reset)
        h_by_reset *= h_by_recurrent
        h_by_reset *= recurrent
        sigmoid_slope(update, h_by_update, times=before[0] - candidate)
        carry[...] = update

    def step_back(self, d_state: Array, slopes: Array, weights: Weights, d_preactivation: Array) -> Array:
        """d_state (1, ..., H) -> d_preactivation (4, ..., H) = n, r, z, q; returns dE/dh_{t-1}."""
        np.multiply(d_state[0], slopes[:4], out=d_preactivation)
        d_before = d_state * slopes[4]
        d_before += weights.masked(weights.project_back(d_preactivation[1:]))
        return d_before

    def jvp(self, d_before: Array, d_input: Array, slopes: Array, weights: Weights) -> Array:
        h_by_candidate, h_by_reset, h_by_update, h_by_recurrent, update = slopes
        d_reset, d_update, d_recurrent = weights.project(weights.masked(d_before[0]))
        d_h = h_by_reset * (d_reset + d_input[0]) + h_by_update * (d_update + d_input[1])
        d_h = d_h + h_by_recurrent * d_recurrent + update * d_before[0] + h_by_candidate * d_input[2]
        return d_h[None]

    def input_part(self, d_preactivation: Array) -> Array:
        return d_preactivation[[1, 2, 0]]

    def weight_gradients(
        self, d_preactivation: Array, cache: Array, before: Array, weights: Weights
    ) -> dict[str, Array]:
        """The recurrent products are those of r, z and q; b belongs to the input projection, b_n to q."""
        n, r, z, q = bias_gradient(d_preactivation).reshape(4, -1)
        gradients = {
            "W": matrix_gradient(d_preactivation[1:], weights.masked(before[0])),
            "b": np.concatenate([r, z, n]),
        }
        if weights.b_n is not None:
            gradients["b_n"] = q
        return gradients

    def paths(self, d_state: Array, slopes: Array, weights: Weights) -> dict[str, Array]:
        """ "carry": dE/dh times z; and through W, by gate."""
        _, *recurrent = self._d_preactivation(d_state, slopes, weights)
        ways = {"carry": d_state * self.carry_factor(slopes)}
        for gate, delta, W in zip(self.gates, recurrent, weights.by_gate, strict=True):
            ways[gate] = weights.masked(delta @ W)[None]
        return ways


class ResetBeforeGRUCell(_GatedRecurrentUnit):
    """The reset gate acts on the state, before the matrix product.

    n = tanh(a_n + W_n (r h_{t-1}))
    """

    cache_blocks = 3
    d_preactivation_blocks = 3
    slope_blocks = 5
    reset = "before"
    no_torch = (
        "PyTorch's GRU resets after the matrix product; a network with the original form cannot be exported to it."
    )

    def step(self, cache: Array, before: Array, weights: Weights, after: Array) -> None:
        """cache (3, ..., H) the input projection -> r, z, n; before, after (1, ..., H)."""
        h_before, h = before[0], after[0]
        masked = weights.masked(h_before)
        gates, candidate = weights.project(masked, _GATES), cache[2]
        gates += cache[:2]
        sigmoid(gates, out=gates)
        reset, update = cache[:2] = gates
        candidate += weights.project(reset * masked, _CANDIDATE)[0]
        np.tanh(candidate, out=candidate)
        # (1 - z) n + z h = n + z (h - n)
        np.subtract(h_before, candidate, out=h)
        h *= update
        h += candidate

    def slopes(self, cache: Array, before: Array, after: Array, weights: Weights, out: Array) -> None:
        """Fills out (5, ..., H): dh/da_n, dh/da_z; for the inner product r h its factors h r (1 - r) to a_r and r to h;
        and the carry z.
        """
        reset, update, candidate = cache
        h_by_candidate, h_by_update, inner_by_reset, inner_by_h, carry = out
        tanh_slope(candidate, h_by_candidate, times=1 - update)
        sigmoid_slope(update, h_by_update, times=before[0] - candidate)
        sigmoid_slope(reset, inner_by_reset, times=weights.masked(before[0]))
        inner_by_h[...] = reset
        carry[...] = update

    def step_back(self, d_state: Array, slopes: Array, weights: Weights, d_preactivation: Array) -> Array:
        """d_state (1, ..., H) -> d_preactivation (3, ..., H) = r, z, n; returns dE/dh_{t-1}."""
        h_by_candidate, h_by_update, inner_by_reset, reset, update = slopes
        np.multiply(d_state[0], h_by_candidate, out=d_preactivation[2])
        np.multiply(d_state[0], h_by_update, out=d_preactivation[1])
        d_inner = weights.project_back(d_preactivation[2:], _CANDIDATE)  # dE/d(r h)
        np.multiply(d_inner, inner_by_reset, out=d_preactivation[0])
        through_gates = weights.project_back(d_preactivation[:2], _GATES)
        return d_state * update + weights.masked(d_inner * reset + through_gates)

    def jvp(self, d_before: Array, d_input: Array, slopes: Array, weights: Weights) -> Array:
        h_by_candidate, h_by_update, inner_by_reset, reset, update = slopes
        d_masked = weights.masked(d_before[0])
        d_reset, d_update = weights.project(d_masked, _GATES)
        d_inner = reset * d_masked + inner_by_reset * (d_reset + d_input[0])
        d_candidate = weights.project(d_inner, _CANDIDATE)[0] + d_input[2]
        d_h = h_by_candidate * d_candidate + h_by_update * (d_update + d_input[1]) + update * d_before[0]
        return d_h[None]

    def weight_gradients(
        self, d_preactivation: Array, cache: Array, before: Array, weights: Weights
    ) -> dict[str, Array]:
        """The candidate's rows of W were multiplied by r h_{t-1}, the gates' by h_{t-1}."""
        reset, masked = cache[0], weights.masked(before[0])
        by_gates = matrix_gradient(d_preactivation[:2], masked)
        by_candidate = matrix_gradient(d_preactivation[2:], reset * masked)
        return {"W": np.concatenate([by_gates, by_candidate]), "b": bias_gradient(d_preactivation)}

    def paths(self, d_state: Array, slopes: Array, weights: Weights) -> dict[str, Array]:
        """ "carry": dE/dh times z; and through W, by gate, the candidate's through r h."""
        reset, update, candidate = self._d_preactivation(d_state, slopes, weights)
        W_reset, W_update, W_candidate = weights.by_gate
        inner_by_h = slopes[3]
        return {
            "carry": d_state * self.carry_factor(slopes),
            "reset": weights.masked(reset @ W_reset)[None],
            "update": weights.masked(update @ W_update)[None],
            "candidate": weights.masked((candidate @ W_candidate) * inner_by_h)[None],
        }
