"""The plain recurrent network (Elman 1990), with tanh, ReLU or sigmoid."""

from __future__ import annotations

import numpy as np

from rnn_core.arrays import Array
from rnn_core.nn.activations import ACTIVATIONS
from rnn_core.nn.cells.base import Cell, Signal, TorchLayout, Weights


class SimpleCell(Cell):
    """s_t = phi(a_t), a_t = input_projection_t + W s_{t-1}."""

    gates = ("",)
    settings = ("omega",)
    cache_blocks = 1
    d_preactivation_blocks = 1
    slope_blocks = 1

    def __init__(self, activation: str, label: str) -> None:
        self.name = activation
        self.label = label
        self.phi = ACTIVATIONS[activation].function
        self.slope_from_value = ACTIVATIONS[activation].slope_from_value
        self.steepest_slope = ACTIVATIONS[activation].steepest_slope
        if activation in ("tanh", "relu"):
            self.torch = TorchLayout("RNN", self.gates)
        else:
            self.no_torch = "PyTorch's RNN has tanh and ReLU only; a sigmoid network cannot be exported to it."

    def step(self, cache: Array, before: Array, weights: Weights, after: Array) -> None:
        """cache (1, ..., H) the input projection, before (1, ..., H) -> fills after (1, ..., H)."""
        h = np.matmul(weights.masked(before[0]), weights.W_T[0], out=after[0])
        h += cache[0]
        self.phi(h, out=h)

    def slopes(self, cache: Array, before: Array, after: Array, weights: Weights, out: Array) -> None:
        """Fills out (1, ..., H) with phi'(a), from the state after: 1 - s^2, [s > 0] or s (1 - s)."""
        out[0] = self.slope_from_value(after[0])

    def step_back(self, d_state: Array, slopes: Array, weights: Weights, d_preactivation: Array) -> Array:
        """d_state (1, ..., H) dE/ds_t -> d_preactivation (1, ..., H), delta = dE/da_t; returns dE/ds_{t-1}."""
        delta = np.multiply(d_state[0], slopes[0], out=d_preactivation[0])
        d_before = delta.reshape(-1, delta.shape[-1]) @ weights.W  # one product, also of a stack of (B, H) blocks
        return weights.masked(d_before.reshape(delta.shape))[None]

    def jvp(self, d_before: Array, d_input: Array, slopes: Array, weights: Weights) -> Array:
        return slopes * (weights.project(weights.masked(d_before[0])) + d_input)

    def signals(self, cache: Array, before: Array, after: Array, weights: Weights) -> dict[str, Signal]:
        pre = cache[0] + weights.project(weights.masked(before[0]))[0]
        return {"state": Signal(self.name, pre, after[0])}

    def paths(self, d_state: Array, slopes: Array, weights: Weights) -> dict[str, Array]:
        delta = d_state[0] * slopes[0]
        return {"hidden": weights.masked(delta @ weights.W)[None]}
