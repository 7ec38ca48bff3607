"""One step of the recurrence, linearised: the Jacobian d state_t / d state_{t-1}, as a map in both directions.

The state is the joint state of the chosen layers, side by side ([h | c] for each LSTM layer: h alone misleads, because
what h forgets c may keep). Backwards the map is the cells' own `step_back`; forwards it is the same slopes read the
other way. Traces come from `model.forward` without dropout. Units: none (state per state).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from rnn_core.arithmetic import arithmetic
from rnn_core.arrays import Array
from rnn_core.diagnostics.norms import vector_norm
from rnn_core.nn.bptt import LayerTrace
from rnn_core.nn.cells import ALL, merge_gates, split_gates
from rnn_core.nn.network import Trace


class Recurrence:
    """The joint state of one layer or of all, and its linearised step at every position of a trace.

    `where` indexes the positions (T, B) of the trace and may add axes: `(t, b)`, `(slice(None), b, None)`, ... What it
    selects is broadcast against the leading axes of the vectors.
    """

    def __init__(self, trace: Trace, layer: int | None = None) -> None:
        """`layer` counts from 0 at the bottom; None: all layers jointly, [state of layer 0 | state of layer 1 | ...].

        The joint Jacobian is block-triangular, since no layer reads the one above it: its eigenvalues and its Lyapunov
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
        deltas: list[Array] = []
        for depth in range(len(self.layers) - 1, -1, -1):
            layer = self.layers[depth]
            parts[depth], delta = _vjp(layer, parts[depth], slopes[depth])
            deltas.insert(0, delta)
            if depth:
                parts[depth - 1][..., : layer.hidden_size] += layer.input_gradient(delta)
        return np.concatenate(parts, axis=-1), deltas

    def forward(self, d_before: Array, where: Any, d_input: Array | None = None) -> Array:
        """A small change of state_{t-1} (..., S) -> the change J_t d_before of state_t that follows from it.

        `d_input` (..., layers * G * H) changes the input projections of the layers too.
        """
        slopes = [_slopes_at(layer, where, d_before.ndim) for layer in self.layers]
        lead = np.broadcast_shapes(d_before.shape[:-1], slopes[0].shape[1:-1])
        parts = np.split(np.broadcast_to(d_before, (*lead, self.size)), self.edges, axis=-1)
        projections: list[Array] = [np.zeros((*lead, len(item.cell.gates) * item.hidden_size)) for item in self.layers]
        if d_input is not None:
            projections = np.split(np.broadcast_to(d_input, (*lead, d_input.shape[-1])), len(parts), axis=-1)
        after: list[Array] = []
        for depth, layer in enumerate(self.layers):
            if depth:
                assert layer.input_weights is not None
                projections[depth] = projections[depth] + after[-1][..., : layer.hidden_size] @ layer.input_weights
            after.append(_jvp(layer, parts[depth], projections[depth], slopes[depth]))
        return np.concatenate(after, axis=-1)


def _jvp(layer: LayerTrace, d_before: Array, d_input: Array, slopes: Array) -> Array:
    """The cell's forward mode on vectors: d_before (..., S), d_input (..., G * H) -> (..., S)."""
    before, projection = split_gates(d_before, layer.hidden_size), split_gates(d_input, layer.hidden_size)
    return merge_gates(layer.cell.jvp(before, projection, slopes, layer.weights))


def _vjp(layer: LayerTrace, d_state: Array, slopes: Array) -> tuple[Array, Array]:
    """Its reverse: d_state (..., S) -> the gradient of the state before (..., S), and of the pre-activations."""
    d_preactivation = np.empty((layer.cell.d_preactivation_blocks, *d_state.shape[:-1], layer.hidden_size))
    before = layer.cell.step_back(split_gates(d_state, layer.hidden_size), slopes, layer.weights, d_preactivation)
    return merge_gates(before), d_preactivation


def _slopes_at(layer: LayerTrace, where: Any, axes: int) -> Array:
    """The slopes (K, ..., H) at these positions; each block has at least as many axes as the vectors that meet it."""
    slopes = layer.slopes[(ALL, *where) if isinstance(where, tuple) else (ALL, where)]
    return slopes.reshape(len(slopes), *(1,) * (axes + 1 - slopes.ndim), *slopes.shape[1:])


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
    steps, batch = trace.shape
    return largest_singular_values(
        lambda v: recurrence.forward(v, slice(None)),
        lambda u: recurrence.back(u, slice(None))[0],
        (steps, batch, recurrence.size),
    )


@arithmetic()
def gradient_step_norms(trace: Trace) -> Array:
    """||N_k||_2 with dE/d state_k = dE/d state_{k+1} N_k, (T - 1, B), row k: what a step back can at most do to the
    gradient of the joint state, that which upper layers hand down at k included.

    For one layer N_k is J_{k+1}, and this is `step_norms`. With several, the joint J counts what an upper layer hands
    down as part of the step after, so that the product of its norms does not bound the gradient at k itself.
    """
    layers, size = trace.layers, Recurrence(trace).size
    edges = Recurrence(trace).edges
    earlier = [layer.slopes[:, :-1] for layer in layers]
    later = [layer.slopes[:, 1:] for layer in layers]

    def back(vectors: Array) -> Array:
        parts = np.split(vectors, edges, axis=-1)
        parts = [_vjp(layer, part, slopes)[0] for layer, part, slopes in zip(layers, parts, later, strict=True)]
        for depth in range(len(layers) - 1, 0, -1):
            _, delta = _vjp(layers[depth], parts[depth], earlier[depth])
            parts[depth - 1][..., : layers[depth].hidden_size] += layers[depth].input_gradient(delta)
        return np.concatenate(parts, axis=-1)

    def forward(vectors: Array) -> Array:
        parts = np.split(vectors, edges, axis=-1)
        for depth in range(1, len(layers)):
            below, U = parts[depth - 1][..., : layers[depth].hidden_size], layers[depth].input_weights
            assert U is not None
            parts[depth] = parts[depth] + _jvp(layers[depth], np.zeros_like(parts[depth]), below @ U, earlier[depth])
        silence = np.zeros((*vectors.shape[:-1], len(layers[0].cell.gates) * layers[0].hidden_size))
        moved = [_jvp(layer, part, silence, slopes) for layer, part, slopes in zip(layers, parts, later, strict=True)]
        return np.concatenate(moved, axis=-1)

    steps, batch = trace.shape
    return largest_singular_values(forward, back, (steps - 1, batch, size))


@arithmetic()
def delta_step_norms(trace: Trace) -> Array:
    """||M_k||_2 with delta_k = delta_{k+1} M_k, (T, B), all layers jointly; plain cells only.

    M_k = W diag(phi'(a_k)) for one layer: as `step_norms`, but for the gradient of the pre-activations, which is what
    the pictures measure. ||delta_{t,k}|| <= ||delta_{t,t}|| ||M_{t-1}|| ... ||M_k||. Raises ValueError for gated cells,
    whose deltas do not determine each other: there the joint state does.
    """
    if trace.layers[0].cell.gated:
        raise ValueError("the deltas of a gated cell do not follow from the next step's; use step_norms")
    recurrence = Recurrence(trace)
    matrices = [layer.weights.W for layer in recurrence.layers]

    def through_weights(vectors: Array, transposed: bool) -> Array:
        parts = np.split(vectors, len(matrices), axis=-1)
        products = [part @ (W.T if transposed else W) for part, W in zip(parts, matrices, strict=True)]
        return np.concatenate(products, axis=-1)

    def back(delta: Array) -> Array:
        deltas = recurrence.back(through_weights(delta, False), slice(None))[1]
        return np.concatenate([d_preactivation[0] for d_preactivation in deltas], axis=-1)

    def forward(change: Array) -> Array:
        return through_weights(recurrence.forward(np.zeros_like(change), slice(None), change), True)

    steps, batch = trace.shape
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
