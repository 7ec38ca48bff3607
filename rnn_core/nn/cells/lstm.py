"""Long short-term memory with a forget gate (Hochreiter & Schmidhuber 1997; Gers, Schmidhuber & Cummins 2000)."""

from __future__ import annotations

import numpy as np

from rnn_core.arrays import Array
from rnn_core.nn.activations import gate_activations, sigmoid_slope, tanh_slope
from rnn_core.nn.cells.base import Cell, Signal, TorchLayout, Weights, chrono_bias, sigmoid_signal, tanh_signal


class LSTMCell(Cell):
    """o, i, f = sigmoid(a_o), sigmoid(a_i), sigmoid(a_f);  g = tanh(a_g)
    c_t = f c_{t-1} + i g;   h_t = o tanh(c_t)

    Rows of W, and columns of the input projection, are ordered o, i, f, g: the three sigmoid gates lie together for the
    forward pass, the three gates that act through c for the reverse. (PyTorch orders i, f, g, o.) The forget bias is
    part of b: nothing is added inside the step.
    """

    name = "lstm"
    label = "LSTM"
    gates = ("output", "input", "forget", "candidate")
    states = ("h", "c")
    cache_blocks = 4
    d_preactivation_blocks = 4
    slope_blocks = 6
    carry = "c"
    carry_gate = "forget"
    carry_equation = r"c_t = f_t\odot c_{t-1} + i_t\odot g_t"
    settings = ("forget_bias", "chrono")
    torch = TorchLayout("LSTM", ("input", "forget", "candidate", "output"))

    def step(self, cache: Array, before: Array, weights: Weights, after: Array) -> None:
        """cache (4, ..., H) the input projection -> the gates; before, after (2, ..., H) = h, c."""
        h_before, c_before = before
        h, c = after
        gates = weights.project(weights.masked(h_before))
        gates += cache
        gate_activations(gates, sigmoids=3)
        # Computed in an array of its own, whose blocks lie together, and stored at the end: NumPy is faster that way.
        cache[...] = gates
        output, input_, forget, candidate = gates
        np.multiply(forget, c_before, out=c)
        c += input_ * candidate
        np.tanh(c, out=h)
        h *= output

    def slopes(self, cache: Array, before: Array, after: Array, weights: Weights, out: Array) -> None:
        """Fills out (6, ..., H): dh/da_o; dc/da_i, dc/da_f, dc/da_g; dh/dc; dc/dc_before (the forget gate itself)."""
        output, input_, forget, candidate = cache
        c_before, tanh_c = before[1], np.tanh(after[1])
        h_by_output, c_by_input, c_by_forget, c_by_candidate, h_by_c, c_by_c_before = out
        sigmoid_slope(output, h_by_output, times=tanh_c)
        sigmoid_slope(input_, c_by_input, times=candidate)
        sigmoid_slope(forget, c_by_forget, times=c_before)
        tanh_slope(candidate, c_by_candidate, times=input_)
        tanh_slope(tanh_c, h_by_c, times=output)
        c_by_c_before[...] = forget

    def step_back(self, d_state: Array, slopes: Array, weights: Weights, d_preactivation: Array) -> Array:
        """d_state (2, ..., H) = dE/dh, dE/dc -> d_preactivation (4, ..., H); returns the same pair one step earlier."""
        h_by_output, h_by_c, forget = slopes[0], slopes[4], slopes[5]
        d_h, d_c_alone = d_state
        d_c = d_h * h_by_c  # c also acts through h = o tanh(c)
        d_c += d_c_alone
        np.multiply(d_h, h_by_output, out=d_preactivation[0])
        np.multiply(d_c, slopes[1:4], out=d_preactivation[1:])  # input, forget and candidate at once
        d_before = np.empty_like(d_state)
        d_before[0] = weights.masked(weights.project_back(d_preactivation))
        np.multiply(d_c, forget, out=d_before[1])
        return d_before

    def jvp(self, d_before: Array, d_input: Array, slopes: Array, weights: Weights) -> Array:
        h_by_output, c_by_input, c_by_forget, c_by_candidate, h_by_c, forget = slopes
        d_h_before, d_c_before = d_before
        d_output, d_input_gate, d_forget, d_candidate = weights.project(weights.masked(d_h_before)) + d_input
        d_c = forget * d_c_before + c_by_input * d_input_gate + c_by_forget * d_forget + c_by_candidate * d_candidate
        return np.stack([h_by_output * d_output + h_by_c * d_c, d_c])

    def initial_bias(self, size: int, forget_bias: float, chrono: int | None, rng: np.random.Generator) -> Array:
        """Forget gate: `forget_bias` (Jozefowicz et al. 2015), or with chrono b_f, and b_i = -b_f."""
        output, input_, forget, candidate = np.zeros((4, size))
        if chrono is None:
            forget += forget_bias
        else:
            forget += chrono_bias(chrono, size, rng)
            input_ -= forget
        return np.concatenate([output, input_, forget, candidate])

    def signals(self, cache: Array, before: Array, after: Array, weights: Weights) -> dict[str, Signal]:
        """The gates, the candidate g, and "cell", the tanh(c) that the output gate lets out."""
        output, input_, forget, candidate = cache
        c = after[1]
        return {
            "output": sigmoid_signal(output),
            "input": sigmoid_signal(input_),
            "forget": sigmoid_signal(forget),
            "candidate": tanh_signal(candidate),
            "cell": Signal("tanh", c, np.tanh(c)),
        }

    def paths(self, d_state: Array, slopes: Array, weights: Weights) -> dict[str, Array]:
        """ "carry": dE/dc times f, to c; and through W to h, by gate."""
        deltas = self._d_preactivation(d_state, slopes, weights)
        d_c_before = self.carry_gradient(d_state, slopes) * self.carry_factor(slopes)
        nothing = np.zeros_like(d_c_before)
        ways = {"carry": np.stack([nothing, d_c_before])}
        for gate, delta, W in zip(self.gates, deltas, weights.by_gate, strict=True):
            ways[gate] = np.stack([weights.masked(delta @ W), nothing])
        return ways

    def carry_gradient(self, d_state: Array, slopes: Array) -> Array:
        d_h, d_c = d_state
        h_by_c = slopes[4]
        return d_c + d_h * h_by_c

    def carry_factor(self, slopes: Array) -> Array:
        """The forget gate: the constant error carousel of Hochreiter & Schmidhuber (1997), with a gate in it."""
        return slopes[5]
