"""What each lag pays into the gradient that training uses, and what a truncation at K steps leaves out.

G_j is the part of dE/dW in which the loss lies j steps after the use of W: dE/dW = sum_j G_j, exactly. The sum need not
vanish while every G_j with a large j does: then the network learns, but not from anything long ago.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from rnn_core.diagnostics.flow import GradientFlow
from rnn_core.diagnostics.norms import vector_norm
from rnn_core.numerics import Array


@dataclass(frozen=True, eq=False)
class LagLedger:
    """norms (lags,): ||G_j|| over the named parameters together, of the mean loss in nats per token.

    total_norm  ||dE/dtheta||, computed by full BPTT, not from the G_j
    residual    ||sum_j G_j - dE/dtheta|| / ||dE/dtheta||: rounding, if the books are right
    used        (lags,) bool: which bars a training truncated at K steps per loss uses (j <= K)
    names       the parameters
    """

    norms: Array
    total_norm: float
    residual: float
    used: Array
    names: tuple[str, ...]


def lag_ledger(flow: GradientFlow, truncate: int | None = None, names: Sequence[str] | None = None) -> LagLedger:
    """||G_j|| per lag beside the whole. `names` default to the recurrent matrices W, W2, ... of all layers."""
    names = tuple(flow.recurrent if names is None else names)
    lags = len(flow.rounds)
    norms = np.zeros((lags, len(names)))
    left_over, totals = np.zeros(len(names)), np.zeros(len(names))
    with np.errstate(over="ignore", invalid="ignore"):
        for index, name in enumerate(names):
            whole = flow.gradients[name]
            total = np.zeros_like(whole)
            for lag in range(lags):
                part = flow.lag_gradients.at(name, lag)
                norms[lag, index] = vector_norm(part.ravel())
                total += part
            left_over[index] = vector_norm((total - whole).ravel())
            totals[index] = vector_norm(whole.ravel())
        total_norm = float(vector_norm(totals))
        residual = float(vector_norm(left_over)) / total_norm if total_norm > 0 else 0.0
    used = np.arange(lags) <= (lags if truncate is None else truncate)
    return LagLedger(vector_norm(norms), total_norm, residual, used, names)


@dataclass(frozen=True, eq=False)
class TruncationMeter:
    """For K = 0, 1, ... (lags,): the gradient cut at K, C_K = sum_{j<=K} G_j, against the full one, G.

    cosine          <C_K, G> / (||C_K|| ||G||): 1 at the largest K
    relative_error  ||C_K - G|| / ||G||: 0 at the largest K
    names           the parameters
    """

    cosine: Array
    relative_error: Array
    names: tuple[str, ...]


def truncation_meter(flow: GradientFlow, names: Sequence[str] | None = None) -> TruncationMeter:
    """C_K is, to rounding, what `loss_and_gradients(truncate=K)` returns. `names` default to the recurrent matrices W of
    all layers; every parameter inside the recurrence (U, W, b, b_n) may be named.
    """
    names = tuple(flow.recurrent if names is None else names)
    lags = len(flow.rounds)
    inner, lengths, missing = np.zeros(lags), np.zeros((lags, len(names))), np.zeros((lags, len(names)))
    squared_total = 0.0
    for index, name in enumerate(names):
        # The full gradient as the sum of its own parts, so that the last error is 0, not rounding.
        parts = [flow.lag_gradients.at(name, lag).ravel() for lag in range(lags)]
        whole = _sum(parts)
        squared_total += float(whole @ whole)
        rest = np.zeros_like(whole)
        for lag in range(lags - 1, -1, -1):
            # Added up from the far end: the small parts are not lost in the large ones.
            missing[lag, index] = vector_norm(rest)
            cut = whole - rest
            inner[lag] += float(cut @ whole)
            lengths[lag, index] = vector_norm(cut)
            rest += parts[lag]
    total = np.sqrt(squared_total)
    with np.errstate(divide="ignore", invalid="ignore"):
        cosine = inner / (vector_norm(lengths) * total)
        error = vector_norm(missing) / total
    return TruncationMeter(cosine, error, names)


def _sum(parts: Iterable[Array]) -> Array:
    total: Array | None = None
    for part in parts:
        total = part.copy() if total is None else np.add(total, part, out=total)
    assert total is not None
    return total
