"""The pictures of a gradient flow for notebooks: what `rnn_core` computes in, an Altair chart out, without Streamlit.

    from dashboard import charts
    charts.triangle(flow, words)

Each is the chart of the Gradients page, with its table inside. `words` are the T words that are read (default: their
places); `flow` is a `GradientFlow` of one sequence, of our own networks or by `torch_gradient_flow` of yours.
"""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt
import pandas as pd

from dashboard.charts import arrives, lags, lost, spectra
from dashboard.charts.common import numbered
from dashboard.charts.specification import Specification, highest_decade
from rnn_core import diagnostics
from rnn_core.diagnostics import GradientFlow


def triangle(flow: GradientFlow, words: Sequence[str] | None = None, *, relative: bool = False) -> alt.LayerChart:
    """||delta_{t,k}|| for every loss t (row) and every earlier step k (column), as colour; `relative`: to its own."""
    names, norms = _names(flow, words), diagnostics.triangle(flow, relative)
    table = arrives.triangle_table(names, _targets(names), norms, chosen=-1)
    ceiling = highest_decade(table["norm"], 0.0 if relative else 1.0)
    return standing_alone(arrives.triangle(len(norms), ceiling, relative), table)


def gradient_by_lag(flow: GradientFlow, *, truncate: int | None = None, unit: str = "step") -> alt.LayerChart:
    """||G_j||: what losses j steps later add to the gradient of the recurrent weights; beyond `truncate` as cut off."""
    found = diagnostics.gradient_by_lag(flow, truncate)
    return standing_alone(lags.gradient_by_lag(unit, not bool(found.used.all())), lags.gradient_by_lag_table(found))


def truncation(flow: GradientFlow, *, unit: str = "step") -> alt.VConcatChart:
    """Cosine and relative error of a gradient that looks back at most K steps, over K."""
    found = diagnostics.gradient_by_lag(flow)
    table = lags.truncation_table(found, None)
    return alt.vconcat(*(standing_alone(lags.truncation(which, unit), table) for which in (lags.COSINE, lags.ERROR)))


def where_lost(flow: GradientFlow, words: Sequence[str] | None = None, *, t: int | None = None) -> alt.LayerChart:
    """What W and phi' (or the carry and the path through W) do to the gradient of the loss at position t, default the
    last, on its way back.
    """
    names = _names(flow, words)
    t = len(names) - 1 if t is None else t
    found = diagnostics.where_lost(flow, t)
    specification = lost.where_lost(tuple(numbered(names)[:t]), found.quantity == "state", tuple(found.parts))
    return standing_alone(specification, lost.where_lost_table(names, found))


def two_paths(flow: GradientFlow, words: Sequence[str] | None = None, *, t: int | None = None) -> alt.LayerChart:
    """The gradient of one loss along the carry and through W, of a gated cell. Raises ValueError for others."""
    names = _names(flow, words)
    found = diagnostics.two_paths(flow)
    state = flow.trace.layers[0].cell.carry
    table = lost.paths_table(names, found, len(names) - 1 if t is None else t)
    return standing_alone(lost.paths(tuple(numbered(names)), str(state)), table)


def jacobian_product(flow: GradientFlow, *, unit: str = "step") -> alt.LayerChart:
    """Singular values of the product of the Jacobians over the last j steps: the most and the least."""
    return standing_alone(spectra.product(unit), spectra.product_table(diagnostics.product_singular_values(flow.trace)))


def lyapunov_dial(flow: GradientFlow) -> alt.LayerChart:
    """The largest Lyapunov exponent over this text, between vanishing and exploding."""
    exponent = float(diagnostics.lyapunov_exponents(flow.trace, 1).exponents[0])
    return standing_alone(spectra.dial(), spectra.dial_table(exponent, exponent))


def _names(flow: GradientFlow, words: Sequence[str] | None) -> list[str]:
    steps = len(flow.delta_norms)
    if words is not None and len(words) != steps:
        raise ValueError(f"the flow has {steps} steps, so it needs {steps} words, not {len(words)}")
    return [f"step {place}" for place in range(1, steps + 1)] if words is None else list(words)


def _targets(names: list[str]) -> list[str]:
    """The loss of a step is at the word that comes next."""
    return [*names[1:], "the end"]


def standing_alone(specification: Specification, table: pd.DataFrame) -> alt.LayerChart:
    """A page's chart with its table inside."""
    # The schema's address and the configuration belong to a whole chart; parts of one must not have them.
    bare = {name: value for name, value in specification.items() if name not in ("$schema", "config")}
    chart: alt.LayerChart = alt.LayerChart.from_dict(bare | {"data": {"values": table.to_dict("records")}})
    return chart
