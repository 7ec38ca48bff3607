"""What a recurrent cell is: a step, the slopes of that step, and its reverse. What every cell must tell about itself.

A cell knows nothing of time. It maps the input projection of one moment (what arrives from below: x_t U + b) and the
state before to the state after, and maps the gradient of the state after back to the gradients of the input projection
and of the state before. All methods take any leading axes: training walks over (B, H) slices, truncated and per-loss
BPTT over (T - j, B, H) blocks.

Conventions
- Row vectors: a = input_projection + h W^T, with W (G*H, H), G gates. `H` hidden units.
- A state is everything that is carried to the next step: h for most cells, h and c for LSTM.
- States, `cache`, `slopes` and `d_preactivation` are stacks of blocks (K, ..., H): they unpack by name, and the numbers
  of a block lie together in memory, as fast element-wise arithmetic wants it.
- `cache` arrives with the input projection in its first G blocks and leaves holding what the reverse needs (the gates'
  values).
- `slopes` are the partial derivatives of one step that do not depend on the gradient. They are computed for a whole
  sequence in one call, which is faster than step by step, and worth looking at (saturation = slopes near zero).
- `d_preactivation` is the gradient with respect to every pre-activation of the step. For most cells it is
  delta = dE/da; the GRU of cuDNN has one block more.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from rnn_core.arrays import Array
from rnn_core.nn.activations import ACTIVATIONS
from rnn_core.nn.allocation import aligned_copy
from rnn_core.threads import matmul

ALL = slice(None)


def split_gates(array: Array, size: int) -> Array:
    """(..., K*H), H = `size` -> (K, ..., H), a view."""
    blocks = array.reshape(*array.shape[:-1], array.shape[-1] // size, size)
    # np.moveaxis would say it shorter, in three times the time, which small networks feel.
    *leading, gate, unit = range(blocks.ndim)
    return blocks.transpose(gate, *leading, unit)


def merge_gates(blocks: Array) -> Array:
    """(K, ..., H) -> (..., K*H): the reverse of `split_gates`."""
    gate, *leading, unit = range(blocks.ndim)
    merged = blocks.transpose(*leading, gate, unit)
    return merged.reshape(*blocks.shape[1:-1], len(blocks) * blocks.shape[-1])


class Weights(NamedTuple):
    """What the recurrence itself needs: W (G*H, H), which has no rows where no gate reads the state; b_n (H,), the bias
    of the cell's `biased_gate`; mask (B, H) of variational dropout on h_{t-1}.

    W_T (G, H, H) is every gate's W^T laid out anew: a product with it is twice as fast as with a transposed view, and
    there is one per step. Both lie where BLAS reads them fastest (`allocation.aligned_copy`).
    """

    W: Array
    W_T: Array
    b_n: Array | None = None
    mask: Array | None = None

    @classmethod
    def of(cls, W: Array, b_n: Array | None = None, mask: Array | None = None) -> Weights:
        """W (G*H, H), b_n (H,) and mask (..., H) as the walks read them: copies, aligned for the products."""
        return cls(aligned_copy(W), aligned_copy(split_gates(W.T, W.shape[1])), b_n, mask)

    @property
    def by_gate(self) -> Array:
        """(G, H, H): the rows of W that belong to each gate, a view."""
        return self.W.reshape(self.W_T.shape)

    def masked(self, h: Array) -> Array:
        """h (..., H) as the recurrent product reads it: with dropped units where variational dropout is on."""
        return h if self.mask is None else h * self.mask

    def project(self, h: Array, gates: slice = ALL) -> Array:
        """h (..., H) -> h W^T, one block (..., H) for each of these gates."""
        W_T = self.W_T[gates]
        return np.matmul(_flat(h), W_T).reshape(len(W_T), *h.shape)

    def project_back(self, delta: Array, gates: slice = ALL) -> Array:
        """delta, one block (..., H) for each of these gates -> (..., H), the sum of their delta W."""
        W = self.by_gate[gates]
        by_gate = np.matmul(delta.reshape(len(W), -1, delta.shape[-1]), W)
        return np.add.reduce(by_gate).reshape(delta.shape[1:])


def _flat(array: Array) -> Array:
    return array.reshape(-1, array.shape[-1])


def matrix_gradient(delta: Array, h: Array) -> Array:
    """delta (G, ..., H), h (..., H) -> sum over the leading axes of delta^T h, (G*H, H)."""
    by_gate = delta.reshape(len(delta), -1, delta.shape[-1]).swapaxes(1, 2)
    return _flat(matmul(by_gate, _flat(h)))


def bias_gradient(delta: Array) -> Array:
    """delta (G, ..., H) -> its sum over the leading axes, (G*H,)."""
    by_gate = delta.reshape(len(delta), -1, delta.shape[-1])
    return np.matmul(np.ones(by_gate.shape[1], delta.dtype), by_gate).reshape(-1)  # a third of the time of `sum`


class Signal(NamedTuple):
    """Something that goes through an activation. phi: tanh | relu | sigmoid; pre a and value phi(a), both (..., H)."""

    phi: str
    pre: Array
    value: Array

    @property
    def slope(self) -> Array:
        """phi'(a)."""
        return ACTIVATIONS[self.phi].slope_from_value(self.value)


def tanh_signal(value: Array) -> Signal:
    """From tanh's value, which the cell keeps, back to its pre-activation; one of exactly 1 came from beyond 18."""
    with np.errstate(divide="ignore"):
        return Signal("tanh", np.arctanh(value), value)


def sigmoid_signal(value: Array) -> Signal:
    """The same for the sigmoid: sigmoid(a) = (1 + tanh(a / 2)) / 2."""
    return Signal("sigmoid", 2 * tanh_signal(2 * value - 1).pre, value)


@dataclass(frozen=True)
class TorchLayout:
    """The class in torch.nn that computes the same, and the order of the gates in the rows of its matrices."""

    module: str
    gates: tuple[str, ...]


def chrono_bias(longest: int, size: int, rng: np.random.Generator) -> Array:
    """log(Uniform(1, T_max - 1)), (H,): sigmoid of it keeps a memory for 1 to T_max = `longest` steps.

    Tallec & Ollivier 2018, section 3.
    """
    return np.log(rng.uniform(1, longest - 1, size))


class Cell(ABC):
    """What a recurrent cell tells about itself. A new one is a subclass in a file of its own, a line in `CELL_FORMS`.

    name            as in ModelConfig.cell
    label           for people
    gates           names of its pre-activations in the order of the columns of U and b; "": a plain cell's only one
    recurrent_gates those that read the state before, in the order of the rows of W; by default all
    biased_gate     the gate whose recurrent product has a bias of its own, b_n; None for most
    states          names of what it carries: ("h",), or h and c
    cache_blocks, d_preactivation_blocks, slope_blocks   how many blocks (..., H) these stacks have
    carry           the state in which a gradient can stay without passing through W (c of LSTM, h of GRU), and
    carry_gate      the gate that decides how much of it stays; both None for plain cells
    carry_equation  the step of the carry in LaTeX, which says whether that gate keeps the old state or replaces it
    steepest_slope  max phi' of a plain cell, for the bound on its Jacobian; None for gated cells, which have none
    settings        names of settings that have an effect with this cell, and not with all
    reset           where its reset gate acts, "after" or "before" the matrix product; None: it has none
    torch           its layout in PyTorch, or None, and
    no_torch        then the reason in a sentence
    """

    name: str
    label: str
    gates: tuple[str, ...]
    biased_gate: str | None = None
    states: tuple[str, ...] = ("h",)
    cache_blocks: int
    d_preactivation_blocks: int
    slope_blocks: int
    carry: str | None = None
    carry_gate: str | None = None
    carry_equation: str = ""
    steepest_slope: float | None = None
    settings: tuple[str, ...] = ()
    reset: str | None = None
    torch: TorchLayout | None = None
    no_torch: str = ""

    @property
    def recurrent_gates(self) -> tuple[str, ...]:
        return self.gates

    @property
    def gated(self) -> bool:
        """Whether gradients have a way past W. If not, the step is s_t = phi(a_t), and its Jacobian diag(phi') W."""
        return self.carry is not None

    @property
    def state_blocks(self) -> int:
        return len(self.states)

    # -- The step and its reverse ----------------------------------------------------------------------------------

    @abstractmethod
    def step(self, cache: Array, before: Array, weights: Weights, after: Array) -> None:
        """cache (K, ..., H) with the input projection, before (states, ..., H) -> fills `cache` and `after`."""

    @abstractmethod
    def slopes(self, cache: Array, before: Array, after: Array, weights: Weights, out: Array) -> None:
        """Fills out (slope_blocks, ..., H) with the partial derivatives of a step that has been taken."""

    @abstractmethod
    def step_back(self, d_state: Array, slopes: Array, weights: Weights, d_preactivation: Array) -> Array:
        """d_state (states, ..., H) = dE/d state_t -> fills `d_preactivation`; returns dE/d state_{t-1}."""

    @abstractmethod
    def jvp(self, d_before: Array, d_input: Array, slopes: Array, weights: Weights) -> Array:
        """Forward mode: small changes of the state before (states, ..., H) and of the input projection (G, ..., H) ->
        the change of the state after.
        """

    def input_part(self, d_preactivation: Array) -> Array:
        """dE/d input_projection (G, ..., H), in the order of `gates`."""
        return d_preactivation

    def weight_gradients(
        self, d_preactivation: Array, cache: Array, before: Array, weights: Weights
    ) -> dict[str, Array]:
        """Sum over all leading axes: dE/dW = sum delta_t h_{t-1}^T and dE/db = sum delta_t."""
        return {"W": matrix_gradient(d_preactivation, weights.masked(before[0])), "b": bias_gradient(d_preactivation)}

    # -- Parameters ------------------------------------------------------------------------------------------------

    def parameter_shapes(self, inputs: int, hidden: int, bias: bool) -> dict[str, tuple[int, ...]]:
        """U (inputs, G*H), W (rows, H), b (G*H,) and b_n (H,), as far as the cell has them."""
        shapes: dict[str, tuple[int, ...]] = {"U": (inputs, len(self.gates) * hidden)}
        if self.recurrent_gates:
            shapes["W"] = (len(self.recurrent_gates) * hidden, hidden)
        if bias:
            shapes["b"] = (len(self.gates) * hidden,)
            if self.biased_gate is not None:
                shapes["b_n"] = (hidden,)
        return shapes

    def initial_bias(self, size: int, forget_bias: float, chrono: int | None, rng: np.random.Generator) -> Array:
        """b (G*H,) of a fresh cell of H = `size` units; the other arguments as in ModelConfig."""
        return np.zeros(len(self.gates) * size)

    # -- What the diagnostics ask ----------------------------------------------------------------------------------

    @abstractmethod
    def signals(self, cache: Array, before: Array, after: Array, weights: Weights) -> dict[str, Signal]:
        """By name, everything (..., H) that goes through an activation and can saturate there."""

    def gate_values(self, cache: Array) -> dict[str, Array]:
        """By name, what the gates let through, (..., H): 0 to 1, and the candidate. Gated cells only."""
        return dict(zip(self.gates, cache, strict=False))

    @abstractmethod
    def paths(self, d_state: Array, slopes: Array, weights: Weights) -> dict[str, Array]:
        """{path: (states, ..., H)}: the ways that dE/d state_t takes back. They add up to dE/d state_{t-1}."""

    def carry_gradient(self, d_state: Array, slopes: Array) -> Array:
        """dE/d carry_t (..., H) in all: its own part of d_state, and what it does through the other states."""
        return d_state[0]

    def carry_factor(self, slopes: Array) -> Array:
        """d carry_t / d carry_{t-1} along the carry alone, (..., H). Raises ValueError for a cell without one."""
        raise ValueError("a plain cell has no carry path: all of its gradient goes through W")

    def _d_preactivation(self, d_state: Array, slopes: Array, weights: Weights) -> Array:
        """What `step_back` fills in, in a new array."""
        d_preactivation = np.empty((self.d_preactivation_blocks, *d_state.shape[1:]), d_state.dtype)
        self.step_back(d_state, slopes, weights, d_preactivation)
        return d_preactivation
