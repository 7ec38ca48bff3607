"""What a long text does to a gradient per step: Lyapunov exponents (Engelken, Wolf & Abbott 2020; Vogt, Puelma Touzel,
Shlizerman & Lajoie 2020). Below 0 gradients vanish, above 0 they explode.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rnn_core.arithmetic import arithmetic
from rnn_core.arrays import Array
from rnn_core.diagnostics.flow import in_columns, in_double
from rnn_core.diagnostics.jacobian import Recurrence
from rnn_core.diagnostics.norms import safe_log, vector_norm
from rnn_core.nn.network import Network, State, Trace

ROUNDING = 1000
"""A direction counts as gone when at most this many times size * eps of the longest one is left of it. Rounding alone
left up to 300 of them in 12,000 random ReLU networks, whose directions are seldom well apart."""


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
    long stream. Raises ValueError where `skip` leaves no step.
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
