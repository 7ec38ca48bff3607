"""One network and one text in a few numbers: does the gradient vanish, how soon, and what makes it so?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from rnn_core.arithmetic import arithmetic
from rnn_core.diagnostics import html
from rnn_core.diagnostics.flow import GradientFlow, median_by_lag
from rnn_core.diagnostics.paths import where_lost

FAR = 10
"""Lag at which what is left is judged, or the longest of the text where that is shorter."""

VANISHES, EXPLODES = 0.1, 2.0
"""Shares of a gradient, relative to where it began: what is left far back is less than this, or more."""

Fate = Literal["vanishes", "fades", "lasts", "explodes"]


@dataclass(frozen=True)
class Verdict:
    """What a text's gradients do on their way back; all factors are geometric means per step back.

    fate        "vanishes": less than VANISHES is left at `lag`; "explodes": more than EXPLODES; "lasts": at least half;
                "fades": what lies between
    lag, left   where that was judged, and the median of what is left there
    half_life   lag at which the median has fallen to 1/2; None: not within the text
    factor      by which a step back multiplies the median gradient
    parts       factors of the loss at the last position, whose product is its own factor a step: simple cells {"W",
                "phi'"} (and "above" with several layers), gated ones {"carry", "hidden"}
    cause       the part that takes most from it (or, where it explodes, gives most); None: nothing is lost
    """

    fate: Fate
    lag: int
    left: float
    half_life: float | None
    factor: float
    parts: dict[str, float]
    cause: str | None

    def _repr_html_(self) -> str:
        sentence = (
            f"The gradient {self.fate}: {html.number(self.left)} is left {self.lag} steps back, a factor of "
            f"{html.number(self.factor)} a step{f'; most of it by {self.cause}' if self.cause else ''}."
        )
        return html.table(sentence, {"part": list(self.parts), "factor a step": list(self.parts.values())})


@arithmetic()
def verdict(flow: GradientFlow, t: int | None = None) -> Verdict:
    """Judge the flow of one sequence; `t` is the loss whose parts are named, default the last.

    Raises ValueError where the text has one position only, so that there is no way back, and where no loss sends any
    gradient, as those of a network whose predictions are certain.

    >>> from rnn_core import LanguageModel, ModelConfig, gradient_flow
    >>> config = ModelConfig(vocabulary_size=9, hidden_size=8, init="orthogonal", init_scale=0.3)
    >>> ids = np.arange(9)
    >>> verdict(gradient_flow(LanguageModel(config), ids[:-1], ids[1:])).fate
    'vanishes'
    """
    steps = len(flow.losses_nats)
    if steps < 2:
        raise ValueError("a text of one position has no way back; give at least two")
    t = steps - 1 if t is None else t
    median = median_by_lag(flow.relative_decay)
    known = np.flatnonzero(np.isfinite(median))
    if not known.size:
        raise ValueError(
            "no loss of this text sends a gradient back: the units are saturated, or every prediction is certain"
        )
    lag = int(known[known <= FAR].max())
    left = float(median[lag])
    if left < VANISHES:
        fate: Fate = "vanishes"
    elif left > EXPLODES:
        fate = "explodes"
    else:
        fate = "lasts" if left >= 0.5 else "fades"
    factor = left ** (1 / lag) if lag else 1.0
    parts = {name: float(np.exp(np.mean(change))) for name, change in where_lost(flow, t).parts.items()} if t else {}
    cause = None
    if parts and fate in ("vanishes", "fades"):
        cause = min(parts, key=lambda name: parts[name])
    elif parts and fate == "explodes":
        cause = max(parts, key=lambda name: parts[name])
    return Verdict(fate, lag, left, flow.half_life, factor, parts, cause)
