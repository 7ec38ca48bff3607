"""The recurrent cells: each is a step, the slopes of that step, and its reverse, written one under the other.

A cell knows nothing of time. It maps the drive of one moment (what arrives from below: x_t U + b) and the state before
to the state after, and maps the gradient of the state after back to the gradient of the drive and of the state before.
All methods take any leading axes: training walks over (B, H) slices, truncated and itemised BPTT over (T - j, B, H)
blocks.

Conventions
- Row vectors: a = drive + h W^T, with W (G*H, H), G gates. `H` hidden units.
- A state is everything that is carried to the next step: h for the simple cells and GRU, h and c for LSTM.
- States, `kept`, `slopes` and `local` are stacks of blocks (K, ..., H): they unpack by name, and every block lies
  together in memory, as fast element-wise arithmetic wants it.
- `kept` arrives with the drive in its first G blocks and leaves holding what the reverse needs (the gates' values).
- `slopes` are the partial derivatives of one step that do not depend on the gradient. They are computed for a whole
  sequence in one call, which is faster than step by step, and worth looking at (saturation = slopes near zero).
- `local` is the gradient with respect to every pre-activation of the step. For most cells it is delta = dE/da; GRU has
  one block more (below).
- A step computes in a new array whose blocks lie together, and stores that at its end: NumPy's way with such an array
  is shorter than with a stack of blocks that lie apart.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from rnn_core.arrays import Array
from rnn_core.config.choices import CELLS, Choice
from rnn_core.nn.activations import ACTIVATIONS, sigmoid, sigmoid_slope, tanh_slope
from rnn_core.parallel.threads import matmul

ALL = slice(None)


def split_gates(array: Array, size: int) -> Array:
    """(..., K*H), H = `size` -> (K, ..., H), a view."""
    return np.moveaxis(array.reshape(*array.shape[:-1], array.shape[-1] // size, size), -2, 0)


def merge_gates(blocks: Array) -> Array:
    """(K, ..., H) -> (..., K*H): the reverse of `split_gates`."""
    return np.moveaxis(blocks, 0, -2).reshape(*blocks.shape[1:-1], len(blocks) * blocks.shape[-1])


class Weights(NamedTuple):
    """What the recurrence itself needs: W (G*H, H); b_n (H,) for GRU; mask (B, H) of variational dropout on h_{t-1}.

    W_T (G, H, H) is every gate's W^T laid out anew: a product with it is twice as fast as with a transposed view, and
    there is one per step.
    """

    W: Array
    W_T: Array
    b_n: Array | None = None
    mask: Array | None = None

    @classmethod
    def of(cls, W: Array, b_n: Array | None = None, mask: Array | None = None) -> Weights:
        return cls(W, np.ascontiguousarray(split_gates(W.T, W.shape[1])), b_n, mask)

    def of_sequences(self, columns: slice) -> Weights:
        """The same for some of the B sequences."""
        return self if self.mask is None else self._replace(mask=self.mask[columns])

    def seen(self, h: Array) -> Array:
        """h as the recurrent product sees it: with dropped units where variational dropout is on."""
        return h if self.mask is None else h * self.mask

    def through(self, h: Array, gates: slice = ALL) -> Array:
        """h (..., H) -> h W^T, one block (..., H) for each of these gates."""
        W_T = self.W_T[gates]
        return np.matmul(_flat(h), W_T).reshape(len(W_T), *h.shape)

    def back(self, delta: Array, gates: slice = ALL) -> Array:
        """delta, one block (..., H) for each of these gates -> (..., H), the sum of their delta W."""
        W = self.W.reshape(self.W_T.shape)[gates]
        by_gate = np.matmul(delta.reshape(len(W), -1, delta.shape[-1]), W)
        return np.add.reduce(by_gate).reshape(delta.shape[1:])


def _flat(array: Array) -> Array:
    return array.reshape(-1, array.shape[-1])


def _matrix_gradient(delta: Array, seen: Array) -> Array:
    """delta (G, ..., H), seen (..., H) -> sum over the leading axes of delta^T seen, (G*H, H)."""
    by_gate = delta.reshape(len(delta), -1, delta.shape[-1]).swapaxes(1, 2)
    return _flat(matmul(by_gate, _flat(seen)))


def _bias_gradient(delta: Array) -> Array:
    """delta (G, ..., H) -> its sum over the leading axes, (G*H,)."""
    by_gate = delta.reshape(len(delta), -1, delta.shape[-1])
    return np.matmul(np.ones(by_gate.shape[1], delta.dtype), by_gate).reshape(-1)  # a third of the time of `sum`


class SimpleCell:
    """s_t = phi(a_t), a_t = drive_t + W s_{t-1}: the plain (Elman 1990) recurrent network with phi tanh, ReLU or
    sigmoid.
    """

    gates = 1
    state_blocks = 1
    kept_blocks = 1
    local_blocks = 1
    slope_blocks = 1

    def __init__(self, activation: str) -> None:
        self.name = activation
        self.phi = ACTIVATIONS[activation].function
        self.slope_from_value = ACTIVATIONS[activation].slope_from_value
        self.steepest_slope = ACTIVATIONS[activation].steepest_slope

    def step(self, kept: Array, before: Array, weights: Weights, after: Array) -> None:
        """kept (1, ..., H) the drive, before (1, ..., H) -> fills after (1, ..., H)."""
        h = np.matmul(weights.seen(before[0]), weights.W_T[0], out=after[0])
        h += kept[0]
        self.phi(h, out=h)

    def slopes(self, kept: Array, before: Array, after: Array, weights: Weights, out: Array) -> None:
        """Fills out (1, ..., H) with phi'(a), from the state after: 1 - s^2, [s > 0] or s (1 - s)."""
        out[0] = self.slope_from_value(after[0])

    def step_back(self, d_state: Array, slopes: Array, weights: Weights, local: Array) -> Array:
        """d_state (1, ..., H) dE/ds_t -> fills local (1, ..., H) with delta = dE/da_t; returns dE/ds_{t-1}."""
        delta = np.multiply(d_state[0], slopes[0], out=local[0])
        return weights.seen(delta @ weights.W)[None]

    def drive_part(self, local: Array) -> Array:
        return local

    def weight_gradients(self, local: Array, kept: Array, before: Array, weights: Weights) -> dict[str, Array]:
        """Sum over all leading axes: dE/dW = sum delta_t s_{t-1}^T and dE/db = sum delta_t."""
        return {"W": _matrix_gradient(local, weights.seen(before[0])), "b": _bias_gradient(local)}


class LSTMCell:
    """Long short-term memory with a forget gate (Hochreiter & Schmidhuber 1997; Gers, Schmidhuber & Cummins 2000).

    o, i, f = sigmoid(a_o), sigmoid(a_i), sigmoid(a_f);  g = tanh(a_g)
    c_t = f c_{t-1} + i g;   h_t = o tanh(c_t)

    Rows of W, and columns of the drive, are ordered o, i, f, g: the three sigmoid gates lie together for the forward
    pass, the three gates that act through c for the reverse. (PyTorch orders i, f, g, o; `interchange` converts.) The
    forget bias lives in b: nothing is added inside the step.
    """

    name = "lstm"
    gates = 4
    state_blocks = 2
    kept_blocks = 4
    local_blocks = 4
    slope_blocks = 6

    def step(self, kept: Array, before: Array, weights: Weights, after: Array) -> None:
        """kept (4, ..., H) the drive -> the gates; before, after (2, ..., H) = h, c."""
        h_before, c_before = before
        h, c = after
        gates = weights.through(weights.seen(h_before))
        gates += kept
        # sigmoid(a) = (1 + tanh(a / 2)) / 2: with its argument halved, a gate goes through the candidate's tanh.
        sigmoids = gates[:3]
        sigmoids *= 0.5
        np.tanh(gates, out=gates)
        sigmoids += 1
        sigmoids *= 0.5
        kept[...] = gates
        output, write, forget, candidate = gates
        np.multiply(forget, c_before, out=c)
        c += write * candidate
        np.tanh(c, out=h)
        h *= output

    def slopes(self, kept: Array, before: Array, after: Array, weights: Weights, out: Array) -> None:
        """Fills out (6, ..., H): d h/d a_o; d c/d a_i, a_f, a_g; d h/d c; d c/d c_before (the forget gate itself)."""
        output, write, forget, candidate = kept
        c_before, tanh_c = before[1], np.tanh(after[1])
        sigmoid_slope(output, out[0], times=tanh_c)
        sigmoid_slope(write, out[1], times=candidate)
        sigmoid_slope(forget, out[2], times=c_before)
        tanh_slope(candidate, out[3], times=write)
        tanh_slope(tanh_c, out[4], times=output)
        out[5] = forget

    def step_back(self, d_state: Array, slopes: Array, weights: Weights, local: Array) -> Array:
        """d_state (2, ..., H) = dE/dh, dE/dc -> fills local (4, ..., H); returns the same pair one step earlier."""
        by_output, h_by_c, forget = slopes[0], slopes[4], slopes[5]
        d_h, d_c_itself = d_state
        d_c = d_h * h_by_c  # c also acts through h = o tanh(c)
        d_c += d_c_itself
        np.multiply(d_h, by_output, out=local[0])
        np.multiply(d_c, slopes[1:4], out=local[1:])
        d_before = np.empty_like(d_state)
        d_before[0] = weights.seen(weights.back(local))
        np.multiply(d_c, forget, out=d_before[1])
        return d_before

    def drive_part(self, local: Array) -> Array:
        return local

    def weight_gradients(self, local: Array, kept: Array, before: Array, weights: Weights) -> dict[str, Array]:
        return {"W": _matrix_gradient(local, weights.seen(before[0])), "b": _bias_gradient(local)}


class GRUCell:
    """Gated recurrent unit as PyTorch and cuDNN have it: the reset gate acts after the matrix product.

    r, z = sigmoid(a_r), sigmoid(a_z);  q = W_n h_{t-1} + b_n;  n = tanh(drive_n + r q)
    h_t = (1 - z) n + z h_{t-1}      (an update gate z of 1 keeps the old state)

    Rows of W and columns of the drive are ordered r, z, n. Because q is scaled by r before it meets the drive, the
    gradient with respect to the recurrent product differs from that of the drive: `local` has the four blocks n, r, z,
    q, of which r, z, q belong to W h and r, z, n to the drive.
    """

    name = "gru"
    gates = 3
    state_blocks = 1
    kept_blocks = 4
    local_blocks = 4
    slope_blocks = 5

    def step(self, kept: Array, before: Array, weights: Weights, after: Array) -> None:
        """kept (4, ..., H): the drive in its first three blocks -> r, z, n, q; before, after (1, ..., H)."""
        h_before, h = before[0], after[0]
        recurrence = weights.through(weights.seen(h_before))
        gates, recurrent, candidate = recurrence[:2], recurrence[2], kept[2]
        gates += kept[:2]
        sigmoid(gates, out=gates)
        reset, update = kept[:2] = gates
        if weights.b_n is not None:
            recurrent += weights.b_n
        kept[3] = recurrent
        candidate += reset * recurrent
        np.tanh(candidate, out=candidate)
        np.subtract(h_before, candidate, out=h)
        h *= update
        h += candidate

    def slopes(self, kept: Array, before: Array, after: Array, weights: Weights, out: Array) -> None:
        """Fills out (5, ..., H): d h/d a_n, a_r, a_z, q, and d h/d h_before by the carry path (the update gate)."""
        reset, update, candidate, recurrent = kept
        by_candidate, by_reset, by_update, by_recurrent, carry = out
        tanh_slope(candidate, by_candidate, times=1 - update)
        np.multiply(by_candidate, reset, out=by_recurrent)
        np.subtract(1, reset, out=by_reset)
        by_reset *= by_recurrent
        by_reset *= recurrent
        sigmoid_slope(update, by_update, times=before[0] - candidate)
        carry[...] = update

    def step_back(self, d_state: Array, slopes: Array, weights: Weights, local: Array) -> Array:
        """d_state (1, ..., H) -> fills local (4, ..., H) = n, r, z, q; returns dE/dh_{t-1}."""
        np.multiply(d_state[0], slopes[:4], out=local)
        d_before = d_state * slopes[4]
        d_before += weights.seen(weights.back(local[1:]))
        return d_before

    def drive_part(self, local: Array) -> Array:
        return local[[1, 2, 0]]

    def weight_gradients(self, local: Array, kept: Array, before: Array, weights: Weights) -> dict[str, Array]:
        n, r, z, q = _bias_gradient(local).reshape(4, -1)
        gradients = {"W": _matrix_gradient(local[1:], weights.seen(before[0])), "b": np.concatenate([r, z, n])}
        if weights.b_n is not None:
            gradients["b_n"] = q
        return gradients


class ResetBeforeGRUCell:
    """The original gated recurrent unit (Cho et al. 2014): the reset gate acts on the state, before the matrix product.

    r, z = sigmoid(a_r), sigmoid(a_z);  n = tanh(drive_n + W_n (r h_{t-1}))
    h_t = (1 - z) n + z h_{t-1}      (the paper's convention too: z of 1 keeps the old state)
    """

    name = "gru"
    gates = 3
    state_blocks = 1
    kept_blocks = 3
    local_blocks = 3
    slope_blocks = 5

    def step(self, kept: Array, before: Array, weights: Weights, after: Array) -> None:
        """kept (3, ..., H) the drive -> r, z, n; before, after (1, ..., H)."""
        h_before, h = before[0], after[0]
        seen = weights.seen(h_before)
        gates, candidate = weights.through(seen, slice(2)), kept[2]
        gates += kept[:2]
        sigmoid(gates, out=gates)
        reset, update = kept[:2] = gates
        candidate += weights.through(reset * seen, slice(2, 3))[0]
        np.tanh(candidate, out=candidate)
        np.subtract(h_before, candidate, out=h)
        h *= update
        h += candidate

    def slopes(self, kept: Array, before: Array, after: Array, weights: Weights, out: Array) -> None:
        """Fills out (5, ..., H): d h/d a_n, d h/d a_z, the carry z, and for the inner product r h: its factor
        h r (1 - r) to a_r, and r to h.
        """
        reset, update, candidate = kept
        tanh_slope(candidate, out[0], times=1 - update)
        sigmoid_slope(update, out[1], times=before[0] - candidate)
        out[2] = update
        sigmoid_slope(reset, out[3], times=weights.seen(before[0]))
        out[4] = reset

    def step_back(self, d_state: Array, slopes: Array, weights: Weights, local: Array) -> Array:
        """d_state (1, ..., H) -> fills local (3, ..., H) = r, z, n; returns dE/dh_{t-1}."""
        by_candidate, by_update, update, to_reset, reset = slopes
        np.multiply(d_state[0], by_candidate, out=local[2])
        np.multiply(d_state[0], by_update, out=local[1])
        d_inner = weights.back(local[2:], slice(2, 3))  # dE/d(r h)
        np.multiply(d_inner, to_reset, out=local[0])
        return d_state * update + weights.seen(d_inner * reset + weights.back(local[:2], slice(2)))

    def drive_part(self, local: Array) -> Array:
        return local

    def weight_gradients(self, local: Array, kept: Array, before: Array, weights: Weights) -> dict[str, Array]:
        seen = weights.seen(before[0])
        through_gates = _matrix_gradient(local[:2], seen)
        through_candidate = _matrix_gradient(local[2:], kept[0] * seen)
        return {"W": np.concatenate([through_gates, through_candidate]), "b": _bias_gradient(local)}


Cell = SimpleCell | LSTMCell | GRUCell | ResetBeforeGRUCell

CELLS.offer("tanh", Choice("tanh RNN", {"omega": ""}))
CELLS.offer("relu", Choice("ReLU RNN", {"omega": ""}))
CELLS.offer("sigmoid", Choice("sigmoid RNN", {"omega": ""}))
CELLS.offer("lstm", Choice("LSTM", {"forget_bias": "", "chrono": ""}))
CELLS.offer("gru", Choice("GRU", {"gru_reset": "", "chrono": ""}))


def make_cell(name: str, gru_reset: str = "after") -> Cell:
    """The cell called `name` (a key of CELLS); `gru_reset` is "after" (PyTorch) or "before" (the 2014 paper)."""
    if name in ACTIVATIONS:
        return SimpleCell(name)
    if name == "lstm":
        return LSTMCell()
    if name == "gru":
        return GRUCell() if gru_reset == "after" else ResetBeforeGRUCell()
    raise ValueError(f"unknown cell {name!r}")
