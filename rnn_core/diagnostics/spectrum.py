"""Spectra: of W itself, of what one sentence makes of it, and of the map left to itself.

The spectral radius says where a linear recurrence ends up, the norm what it can do in one step; the network that reads
a text is neither. What a sentence does to a gradient over j steps are the singular values of its Jacobian product
J_t ... J_{t-j+1}; what a long text does per step, its Lyapunov exponents (Engelken, Wolf & Abbott 2020; Vogt,
Puelma Touzel, Shlizerman & Lajoie 2020): below 0 gradients vanish, above 0 they explode.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rnn_core.arrays import Array
from rnn_core.diagnostics.flow import in_columns, in_double
from rnn_core.diagnostics.jacobian import Recurrence
from rnn_core.diagnostics.norms import arithmetic, safe_log, vector_norm
from rnn_core.nn.network import Network, State, Trace

ROUNDING = 1000
"""A direction counts as gone when at most this many times size * eps of the longest one is left of it. Rounding alone
left up to 300 of them in 12,000 random ReLU networks, whose directions are seldom well apart."""


@dataclass(frozen=True, eq=False)
class BlockSpectrum:
    """eigenvalues (H,) complex, largest |.| first; radius = |largest|; norm = ||.||_2, for one (H, H) block of W."""

    layer: int  # from 0 at the bottom
    gate: str  # "" for the plain cells
    eigenvalues: Array
    radius: float
    norm: float


@arithmetic()
def recurrent_spectrum(model: Network, layer: int | None = None) -> list[BlockSpectrum]:
    """Of every gate's block of W, of one layer or (None) of all. Only for the plain cells is this the spectrum of a
    linearised step. A cell without W (minGRU) has no blocks.
    """
    H = model.config.hidden_size
    result = []
    for depth in range(model.config.layers) if layer is None else [layer]:
        W = model.recurrent_matrix(depth).astype(np.float64)
        for index, gate in enumerate(model.cell.recurrent_gates):
            block = W[index * H : (index + 1) * H]
            eigenvalues = np.linalg.eigvals(block).astype(np.complex128)
            eigenvalues = eigenvalues[np.argsort(-np.abs(eigenvalues), kind="stable")]
            norm = float(np.linalg.norm(block, 2))
            result.append(BlockSpectrum(depth, gate, eigenvalues, float(np.abs(eigenvalues[0])), norm))
    return result


# -- The product of one sentence's Jacobians ---------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class ProductSpectrum:
    """log_values (len(lags), S): ln of the singular values of d state_end / d state_{end - lag}, largest first."""

    lags: Array
    log_values: Array

    @property
    def log10(self) -> Array:
        return self.log_values / np.log(10)


def lag_selection(longest: int) -> list[int]:
    """1, 2, 4, 8, ... and the longest: enough lags to draw a curve through, each at least 1.5 times the one before."""
    return [*(2**power for power in range(longest.bit_length()) if 3 * 2**power <= 2 * longest), longest]


@arithmetic()
def product_singular_values(
    trace: Trace,
    lags: Sequence[int] | None = None,
    end: int | None = None,
    layer: int | None = None,
    sequence: int = 0,
    together: int = 8,
) -> ProductSpectrum:
    """Singular values of J_end J_{end-1} ... J_{end-lag+1} for each lag in 1 .. end + 1 (default `lag_selection`).

    `end` is the position (0-based, default the last) from which the unit vectors walk back by `step_back`. The product
    is never formed: it is kept as T diag(exp(d)) Q with T well-conditioned, Q orthogonal and the scales d as logarithms
    (the graded QR of determinant quantum Monte Carlo, Loh et al. 1992; Stewart 1997), so that neither 1e-300 nor a
    spread of 1e-40 between the largest and the smallest is lost. `together` steps share one factorisation: 1 for the
    last digits of the smallest values, more for speed.
    """
    recurrence = Recurrence(trace, layer)
    end = len(trace.inputs) - 1 if end is None else end
    wanted = sorted(set(lag_selection(end + 1) if lags is None else lags))
    if wanted and not 1 <= wanted[0] <= wanted[-1] <= end + 1:
        raise ValueError(f"lags must be from 1 to {end + 1}, the steps up to this position")
    size = recurrence.size
    rows, product = np.eye(size), _GradedProduct(size)
    logs = []
    for lag in range(1, (wanted[-1] if wanted else 0) + 1):
        rows = recurrence.back(rows, (end - lag + 1, sequence))[0]
        if lag % together == 0 or lag in wanted:
            rows = product.absorb(rows)
        if lag in wanted:
            logs.append(product.log_singular_values())
    return ProductSpectrum(np.array(wanted, dtype=int), np.array(logs).reshape(len(wanted), size))


class _GradedProduct:
    """A product of many matrices as mix @ diag(exp(log_scale)) @ Q. The caller walks Q on and hands it back."""

    def __init__(self, size: int) -> None:
        self.mix = np.eye(size)
        self.log_scale = np.zeros(size)

    def absorb(self, rows: Array) -> Array:
        """rows = Q J (S, S), J the next factors -> the new orthogonal Q."""
        log_rows = safe_log(vector_norm(rows)) + self.log_scale
        # Largest first: then every row is corrected by longer ones only, and no short one drowns.
        order = np.argsort(-log_rows, kind="stable")
        scale = self.log_scale[order]
        q, r = np.linalg.qr(rows[order].T)
        # diag(exp(scale)) r^T = mix' diag(exp(scale')): column j of the left over its own length.
        exponents = np.subtract.outer(scale, np.where(np.isfinite(scale), scale, 0.0))
        columns = np.where(r.T != 0, np.exp(np.minimum(exponents, 700.0)) * r.T, 0.0)  # exp overflows above 709
        lengths = vector_norm(columns.T)
        self.mix = self.mix[:, order] @ (columns / np.where(lengths > 0, lengths, 1.0))
        self.log_scale = scale + safe_log(lengths)
        return np.ascontiguousarray(q.T)

    def log_singular_values(self) -> Array:
        """ln of the singular values of mix diag(exp(log_scale)), largest first."""
        order = np.argsort(-self.log_scale, kind="stable")
        scale = self.log_scale[order]
        if not np.isfinite(scale[0]):
            return np.full(len(scale), -np.inf)
        # A matrix graded from its first row down keeps its small singular values through the reduction of LAPACK
        # (Stewart 1997); what is 1e-280 times the largest leaves the range, and is its scale to many digits anyway.
        r = np.asarray(np.linalg.qr(self.mix[:, order], mode="r"))
        relative = scale - scale[0]
        graded = np.exp(relative)[:, None] * r.T
        values = np.linalg.svd(graded, compute_uv=False)
        by_scale = np.sort(relative + safe_log(np.abs(np.diagonal(r))))[::-1]
        # ln 1e-280 is -645.
        return scale[0] + np.where(by_scale > -640, safe_log(values), by_scale)


# -- Lyapunov exponents ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Lyapunov:
    """exponents (count,), in nats per step, largest first: finite-time estimates, means over the steps and sequences.

    growth (T', count): every step's own part, mean over the sequences, of the directions as the QR method orders them.
    """

    exponents: Array
    growth: Array

    @property
    def running(self) -> Array:
        """(T', count): the estimates after 1, 2, ... steps: how far they have settled."""
        return np.cumsum(self.growth, axis=0) / np.arange(1, len(self.growth) + 1)[:, None]


@arithmetic()
def lyapunov_exponents(trace: Trace, count: int | None = None, layer: int | None = None, skip: int = 0) -> Lyapunov:
    """The `count` leading exponents (default all S) along the states of a trace, by the QR method.

    Benettin et al. 1980; Engelken, Wolf & Abbott 2020, section II: an orthonormal frame Q_t of `count` directions,
    Q_{t+1} R_t = J_t Q_t, lambda_i = (1 / T) sum_t ln |R_t[i, i]|. `skip` steps let the frame turn to where the
    dynamics wants it before counting begins. Gradients see the same exponents on their way back. A direction that a
    step maps to nothing (dead ReLUs, a W of low rank), or to less than its own rounding, is gone for good: -inf.
    `layer` None: all layers jointly. The trace may be a sentence, a batch (exponents are means over its sequences) or a
    long stream.
    """
    recurrence = Recurrence(trace, layer)
    size, (steps, batch) = recurrence.size, trace.shape
    count = size if count is None else min(count, size)
    if not 0 <= skip < steps:
        raise ValueError(f"skip must leave at least one of the {steps} steps")
    frame = np.broadcast_to(_generic_frame(size, count), (batch, count, size))
    growth = np.empty((steps, batch, count))
    gone = np.zeros((batch, count), bool)
    for t in range(steps):
        moved = recurrence.forward(frame, (t, slice(None), None))
        # What a step leaves of a direction counts as nothing below the rounding of the step.
        nothing = ROUNDING * size * np.finfo(np.float64).eps * vector_norm(moved).max(axis=1)
        while True:
            q, r = np.linalg.qr(np.swapaxes(moved, -1, -2))
            lengths = np.abs(np.diagonal(r, axis1=-2, axis2=-1))
            lost = (lengths <= nothing[:, None]) & ~gone
            if not lost.any():
                break
            # QR puts some direction in place of the lost one, and the later ones are measured without their part along
            # it. So the first that is lost goes behind all others, with its history, and the rest is measured anew.
            (sequences,) = np.nonzero(lost.any(axis=1))
            first = lost[sequences].argmax(axis=1)
            gone[sequences, first] = True
            moved[sequences, first] = 0
            order = np.argsort(gone, axis=1, kind="stable")
            gone, moved = np.take_along_axis(gone, order, 1), np.take_along_axis(moved, order[..., None], 1)
            growth[:t] = np.take_along_axis(growth[:t], order[None], 2)
        growth[t] = np.where(gone, -np.inf, safe_log(lengths))
        frame = np.where(gone[..., None], 0.0, np.swapaxes(q, -1, -2))
    counted = growth[skip:].mean(axis=1)
    return Lyapunov(np.sort(counted.mean(axis=0))[::-1], counted)


def _generic_frame(size: int, count: int) -> Array:
    """`count` orthonormal rows with a part along every axis: the cosine transform's basis. Fixed, so that the same
    question has the same answer.
    """
    index = np.arange(size)
    rows = np.cos(np.pi / size * (index + 0.5) * index[:count, None]) * np.sqrt(2 / size)
    rows[0] /= np.sqrt(2)
    return rows


@arithmetic()
def text_trace(model: Network, ids: Array) -> Trace:
    """The network reading a long text (T,) or (T, B) of ids (or vectors, (T, D) or (T, B, D)) without a break, float64:
    for `lyapunov_exponents`.
    """
    return in_double(model).forward(in_columns(model, ids))


@arithmetic()
def autonomous_trace(model: Network, steps: int, state: State | None = None, word: int | Array | None = None) -> Trace:
    """The network left to itself for `steps` steps: s_t = phi(W s_{t-1} + b), or with one word (or vector) read again
    and again.

    `state` is where it starts, one (B, S) array a layer; default: a small push in every direction, since zero may be an
    unstable fixed point that a computer would never leave. float64. What `lyapunov_exponents` takes, with its first
    steps skipped.
    """
    model = in_double(model)
    if word is None:
        params = model.params | {"U": np.zeros_like(model.params["U"])}
        model = type(model)(model.config, params=params)
    if state is None:
        pushed = model.initial_state(1)
        for array in pushed:
            array += 0.01 * np.cos(np.arange(array.shape[-1]))
        state = pushed
    inputs = model.inputs.blank(steps, state[0].shape[0])
    if word is not None:
        inputs[...] = word
    return model.forward(inputs, state)
