"""What one sentence does to a gradient over j steps: the singular values of its Jacobian product J_t ... J_{t-j+1}."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rnn_core.arithmetic import arithmetic
from rnn_core.arrays import Array
from rnn_core.diagnostics.jacobian import Recurrence
from rnn_core.diagnostics.norms import safe_log, vector_norm
from rnn_core.nn.network import Trace


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
    last digits of the smallest values, more for speed. Raises ValueError for a lag that is none of these.
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
