"""One step of the recurrence, linearised: the Jacobian d state_t / d state_{t-1}, as a map in both directions.

The state is the joint state of the chosen layers, side by side ([h | c] for each LSTM layer: h alone misleads, because
what h forgets c may keep). Backwards the map is the cells' own `step_back`; forwards it is the same slopes read the
other way. Traces come from `model.forward` without dropout. Units: none (state per state).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from rnn_core.arrays import Array
from rnn_core.diagnostics.norms import arithmetic, vector_norm
from rnn_core.nn.bptt import LayerTrace
from rnn_core.nn.cells import ALL, Cell, GRUCell, LSTMCell, SimpleCell, Weights, merge_gates, split_gates
from rnn_core.nn.language_model import Trace

# The (H, H) blocks of W from the first row down, and the blocks of `kept` that hold their values (see cells).
GATE_NAMES: dict[str, tuple[str, ...]] = {
    "lstm": ("output", "input", "forget", "candidate"),
    "gru": ("reset", "update", "candidate"),
}


class Recurrence:
    """The joint state of one layer or of all, and its linearised step at every position of a trace.

    `where` indexes the positions (T, B) of the trace and may add axes: `(t, b)`, `(slice(None), b, None)`, ... What it
    selects is broadcast against the leading axes of the vectors.
    """

    def __init__(self, trace: Trace, layer: int | None = None) -> None:
        """`layer` counts from 0 at the bottom; None: all layers jointly, [state of layer 0 | state of layer 1 | ...].

        The joint Jacobian is block-triangular, since no layer hears from above: its eigenvalues and its Lyapunov
        exponents are those of the single layers together. Its singular values are not.
        """
        self.layers: list[LayerTrace] = trace.layers if layer is None else [trace.layers[layer]]
        self.widths = [item.cell.state_blocks * item.hidden_size for item in self.layers]
        self.edges = np.cumsum(self.widths)[:-1]

    @property
    def size(self) -> int:
        """S, the width of the joint state."""
        return sum(self.widths)

    def back(self, d_state: Array, where: Any) -> tuple[Array, list[Array]]:
        """Row vectors dE/d state_t (..., S) -> dE/d state_{t-1} = d_state J_t, and the deltas of every layer at t."""
        slopes = [_slopes_at(layer, where, d_state.ndim) for layer in self.layers]
        lead = np.broadcast_shapes(d_state.shape[:-1], slopes[0].shape[1:-1])
        parts = np.split(np.array(np.broadcast_to(d_state, (*lead, self.size))), self.edges, axis=-1)
        locals_: list[Array] = []
        for depth in range(len(self.layers) - 1, -1, -1):
            layer = self.layers[depth]
            local = np.empty((layer.cell.local_blocks, *lead, layer.hidden_size), d_state.dtype)
            blocks = split_gates(parts[depth], layer.hidden_size)
            parts[depth] = merge_gates(layer.cell.step_back(blocks, slopes[depth], layer.weights, local))
            locals_.insert(0, local)
            if depth:
                parts[depth - 1][..., : layer.hidden_size] += layer.gradient_below(local)
        return np.concatenate(parts, axis=-1), locals_

    def forward(self, d_before: Array, where: Any, d_drive: Array | None = None) -> Array:
        """A small change of state_{t-1} (..., S) -> the change J_t d_before of state_t that follows from it.

        `d_drive` (..., layers * G * H) changes the drives of the layers too.
        """
        parts = np.split(d_before, self.edges, axis=-1)
        drives = [None] * len(parts) if d_drive is None else np.split(d_drive, len(parts), axis=-1)
        after: list[Array] = []
        for depth, layer in enumerate(self.layers):
            slopes = _slopes_at(layer, where, d_before.ndim)
            drive = drives[depth]
            if depth:
                assert layer.from_below is not None
                heard = after[-1][..., : layer.hidden_size] @ layer.from_below
                drive = heard if drive is None else drive + heard
            after.append(_tangent(layer.cell, layer.weights, slopes, parts[depth], drive))
        return np.concatenate(after, axis=-1)


def _slopes_at(layer: LayerTrace, where: Any, axes: int) -> Array:
    """The slopes (K, ..., H) at these positions; each block has at least as many axes as the vectors that meet it."""
    slopes = layer.slopes[(ALL, *where) if isinstance(where, tuple) else (ALL, where)]
    return slopes.reshape(len(slopes), *(1,) * (axes + 1 - slopes.ndim), *slopes.shape[1:])


def _tangent(cell: Cell, weights: Weights, slopes: Array, d_before: Array, d_drive: Array | None) -> Array:
    """Forward mode of one cell's step, from the slopes that its `step_back` uses."""
    size = slopes.shape[-1]
    driven = np.zeros((cell.gates, 1)) if d_drive is None else split_gates(d_drive, size)
    if isinstance(cell, SimpleCell):
        return slopes[0] * (weights.through(d_before)[0] + driven[0])
    if isinstance(cell, LSTMCell):
        by_output, by_write, by_forget, by_candidate, h_by_c, forget = slopes
        pre = weights.through(d_before[..., :size])
        output, write, forgot, candidate = (part + change for part, change in zip(pre, driven, strict=True))
        d_c = forget * d_before[..., size:] + by_write * write + by_forget * forgot + by_candidate * candidate
        return np.concatenate([by_output * output + h_by_c * d_c, d_c], axis=-1)
    if isinstance(cell, GRUCell):
        by_candidate, by_reset, by_update, by_product, update = slopes
        through_reset, through_update, product = weights.through(d_before)
        after = by_reset * (through_reset + driven[0]) + by_update * (through_update + driven[1])
        return after + by_product * product + update * d_before + by_candidate * driven[2]
    by_candidate, by_update, update, to_reset, reset = slopes
    through_reset, through_update = weights.through(d_before, slice(2))
    inner = reset * d_before + to_reset * (through_reset + driven[0])
    candidate = weights.through(inner, slice(2, 3))[0] + driven[2]
    return by_candidate * candidate + by_update * (through_update + driven[1]) + update * d_before


@arithmetic()
def state_jacobian(trace: Trace, t: int, layer: int | None = None, sequence: int = 0) -> Array:
    """d state_t / d state_{t-1} at position t (0-based), (S, S): row i is what moves component i of the state after.

    J_t = diag(phi'(a_t)) W for the simple cells (Pascanu, Mikolov & Bengio 2013, eq. 5). Every cell: `step_back`
    applied to the unit vectors. `layer` None: all layers jointly.
    """
    recurrence = Recurrence(trace, layer)
    return recurrence.back(np.eye(recurrence.size), (t, sequence))[0]


@arithmetic()
def state_jacobians(trace: Trace, layer: int | None = None, sequence: int = 0) -> Array:
    """The Jacobians of all positions, (T, S, S)."""
    recurrence = Recurrence(trace, layer)
    return recurrence.back(np.eye(recurrence.size), (slice(None), sequence, None))[0]


@arithmetic()
def step_norms(trace: Trace, layer: int | None = None) -> Array:
    """||J_t||_2 of every step's state Jacobian, (T, B): what one step can at most do to a state's gradient.

    Their product over a stretch bounds ||d state_t / d state_k||: the data-dependent bound. To 1e-9, by Lanczos
    bidiagonalisation (Golub & Kahan 1965) of all positions at once; no matrix is formed.
    """
    recurrence = Recurrence(trace, layer)
    steps, batch = trace.inputs.shape
    return largest_singular_values(
        lambda v: recurrence.forward(v, slice(None)),
        lambda u: recurrence.back(u, slice(None))[0],
        (steps, batch, recurrence.size),
    )


@arithmetic()
def delta_step_norms(trace: Trace) -> Array:
    """||M_k||_2 with delta_k = delta_{k+1} M_k, (T, B), all layers jointly; simple cells only.

    M_k = W diag(phi'(a_k)) for one layer: as `step_norms`, but for the gradient of the pre-activations, which is what
    the pictures measure. ||delta_{t,k}|| <= ||delta_{t,t}|| ||M_{t-1}|| ... ||M_k||. Raises ValueError for gated cells,
    whose deltas do not determine each other: there the joint state does.
    """
    if not isinstance(trace.layers[0].cell, SimpleCell):
        raise ValueError("the deltas of a gated cell do not follow from the next step's; use step_norms")
    recurrence = Recurrence(trace)
    matrices = [layer.weights.W for layer in recurrence.layers]

    def through_weights(vectors: Array, transposed: bool) -> Array:
        parts = np.split(vectors, len(matrices), axis=-1)
        products = [part @ (W.T if transposed else W) for part, W in zip(parts, matrices, strict=True)]
        return np.concatenate(products, axis=-1)

    def back(delta: Array) -> Array:
        locals_ = recurrence.back(through_weights(delta, False), slice(None))[1]
        return np.concatenate([local[0] for local in locals_], axis=-1)

    def forward(change: Array) -> Array:
        return through_weights(recurrence.forward(np.zeros_like(change), slice(None), change), True)

    steps, batch = trace.inputs.shape
    return largest_singular_values(forward, back, (steps, batch, recurrence.size))


def largest_singular_values(
    forward: Callable[[Array], Array],
    back: Callable[[Array], Array],
    shape: tuple[int, ...],
    tolerance: float = 1e-6,
) -> Array:
    """||A||_2 of many maps at once: forward v -> A v, back u -> A^T u on arrays of `shape` (..., S) -> (...).

    Golub & Kahan 1965, without re-orthogonalisation: repeated copies of a converged value do not disturb the largest.
    Stops when no value has grown by more than `tolerance` relative over eight iterations (by then what is still missing
    is far smaller, since convergence speeds up), at the latest after 2 S.
    """
    # A start that has a part in every direction; which one does not matter to the result.
    v = np.random.default_rng(0).standard_normal(shape)
    v /= vector_norm(v)[..., None]
    u = np.zeros(shape)
    beta = np.zeros(shape[:-1])
    diagonal: list[Array] = []
    above: list[Array] = []
    known = np.zeros(shape[:-1])
    for iteration in range(1, 2 * shape[-1] + 1):
        u = forward(v) - beta[..., None] * u
        alpha, u = _unit(u)
        w = back(u) - alpha[..., None] * v
        beta, v = _unit(w)
        diagonal.append(alpha)
        above.append(beta)
        if iteration == 2 * shape[-1] or (iteration >= 24 and iteration % 8 == 0):
            found = _bidiagonal_norm(diagonal, above[:-1])
            if not np.any(found - known > tolerance * found):
                return found
            known = found
    return known


def _unit(vectors: Array) -> tuple[Array, Array]:
    norms = vector_norm(vectors)
    return norms, vectors / np.where(norms > 0, norms, 1.0)[..., None]


def _bidiagonal_norm(diagonal: list[Array], above: list[Array]) -> Array:
    """||B||_2 of upper bidiagonal B, as the root of the largest eigenvalue of the tridiagonal B B^T."""
    size = len(diagonal)
    alpha, beta = np.stack(diagonal, axis=-1), np.stack([*above, np.zeros_like(diagonal[0])], axis=-1)
    largest = np.maximum(alpha, beta).max(axis=-1)
    # A state that has run off to infinity has no Jacobian; LAPACK would raise for it.
    scale = np.where((largest > 0) & np.isfinite(largest), largest, 1.0)[..., None]
    alpha, beta = (np.where(np.isfinite(largest)[..., None], part / scale, 0.0) for part in (alpha, beta))
    matrix = np.zeros((*largest.shape, size, size))
    places = np.arange(size)
    matrix[..., places, places] = alpha**2 + beta**2
    matrix[..., places[1:], places[:-1]] = alpha[..., 1:] * beta[..., :-1]  # eigvalsh reads the lower triangle
    norms = scale[..., 0] * np.sqrt(np.maximum(np.linalg.eigvalsh(matrix)[..., -1], 0.0))
    return np.where(np.isfinite(largest), norms, np.nan)
