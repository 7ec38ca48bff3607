"""What each lag pays into the gradient that training uses, and what a truncation at K steps leaves out.

G_j is the part of dE/dW in which the loss lies j steps after the use of W: dE/dW = sum_j G_j, exactly. The sum need not
vanish while every G_j with a large j does: then the network learns, but not from anything long ago.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rnn_core.arithmetic import arithmetic
from rnn_core.arrays import Array
from rnn_core.diagnostics import html
from rnn_core.diagnostics.flow import GradientFlow
from rnn_core.diagnostics.norms import vector_norm


@dataclass(frozen=True, eq=False)
class GradientByLag:
    """||G_j|| of the named parameters together, of the mean loss (in nats per token). Arrays are over the lag (T,).

    norms           ||G_j||, j = 0, 1, ...
    total_norm      ||dE/dtheta||, from full BPTT and not from the G_j
    residual        ||sum_j G_j - dE/dtheta|| / ||dE/dtheta||: rounding
    used            bool: which G_j a training truncated at K steps per loss uses, j <= K
    cosine          <C_K, G> / (||C_K|| ||G||) for K = 0, 1, ...: the gradient cut at K, C_K = sum_{j<=K} G_j, against
                    the full one; 1 at the last K
    relative_error  ||C_K - G|| / ||G||; 0 at the last K
    names           the parameters
    """

    norms: Array
    total_norm: float
    residual: float
    used: Array
    cosine: Array
    relative_error: Array
    names: tuple[str, ...]

    def smallest_truncation(self, relative_error: float = 0.1, cosine: float = -1.0) -> int:
        """Which K to choose for truncated BPTT: the smallest whose gradient C_K is within this relative error of the
        full one, and at least so much in its direction.

        (After Aicher, Foti & Fox 2019, who bound that bias; here it is known.)
        """
        good = (self.relative_error <= relative_error) & (self.cosine >= cosine)
        good[-1] = True  # the full gradient itself, also where it is 0 and has neither error nor direction
        return int(np.argmax(good))

    def _repr_html_(self) -> str:
        shown = html.few(len(self.norms))
        sentence = (
            f"Gradient of {', '.join(self.names)} by lag, norm {html.number(self.total_norm)}: looking back "
            f"{self.smallest_truncation()} steps is enough for all but 10 %."
        )
        columns = {
            "lag j, or K": shown,
            "‖G_j‖": self.norms[shown],
            "error of the gradient cut at K": self.relative_error[shown],
            "its cosine": self.cosine[shown],
        }
        return html.table(sentence, columns)


@arithmetic()
def gradient_by_lag(
    flow: GradientFlow, truncate: int | None = None, names: Sequence[str] | None = None
) -> GradientByLag:
    """||G_j|| per lag beside the whole, and what each truncation would keep of it.

    C_K is, to rounding, what `loss_and_gradients(truncate=K)` returns. `truncate` only marks the bars that such a
    training uses. `names` default to the recurrent matrices of all layers (`flow.recurrent`); every parameter inside
    the recurrence (U, W, b, b_n) may be named.

    >>> from rnn_core import LanguageModel, ModelConfig, gradient_flow
    >>> model = LanguageModel(ModelConfig(vocabulary_size=6, hidden_size=4))
    >>> found = gradient_by_lag(gradient_flow(model, np.array([1, 3, 4, 5]), np.array([3, 4, 5, 2])))
    >>> found.smallest_truncation(relative_error=0.0)  # lag 3 leads to the first step, whose state before is zero
    2
    >>> found.smallest_truncation(relative_error=1.0)
    0
    """
    names = tuple(flow.recurrent if names is None else names)
    lags = len(flow.lag_steps)
    norms, kept, missing = (np.zeros((lags, len(names))) for _ in range(3))
    inner, totals, residuals = np.zeros(lags), np.zeros(len(names)), np.zeros(len(names))
    for index, name in enumerate(names):
        whole = flow.gradients[name].ravel()
        rest = np.zeros_like(whole)
        for lag in range(lags - 1, -1, -1):
            # Added up from the far end: small parts are not lost in large ones.
            cut = whole - rest
            inner[lag] += float(cut @ whole)
            kept[lag, index], missing[lag, index] = vector_norm(cut), vector_norm(rest)
            part = flow.lag_gradients.at(name, lag).ravel()
            norms[lag, index] = vector_norm(part)
            rest += part
        totals[index], residuals[index] = vector_norm(whole), vector_norm(rest - whole)
    total_norm = float(vector_norm(totals))
    with np.errstate(divide="ignore"):
        cosine = inner / total_norm / vector_norm(kept)
        relative_error = vector_norm(missing) / total_norm
        residual = float(vector_norm(residuals) / np.float64(total_norm))
    used = np.arange(lags) <= (lags if truncate is None else truncate)
    return GradientByLag(vector_norm(norms), total_norm, residual, used, cosine, relative_error, names)
