"""What was allowed: one loss on its way back, beside the bound of this sentence's steps and that of the weights."""

from __future__ import annotations

from dashboard.charts import arrives
from dashboard.laboratory import captions
from dashboard.laboratory.figures import chart, figure
from dashboard.laboratory.view_state import ViewState
from dashboard.services.history import History
from rnn_core import diagnostics


def draw(view: ViewState, history: History) -> None:
    """The second of the five."""
    analysis, flow = view.analysis, view.analysis.flow
    decay = analysis.row(view.chosen)
    table = arrives.row_table(
        analysis.targets,
        flow.delta_norms,
        view.chosen,
        decay,
        diagnostics.median_by_lag(flow.relative_decay),
        flow.half_life,
        view.relative,
    )
    figure(
        "row",
        captions.row(analysis.targets, view.chosen, decay, view.unit),
        chart(
            "row",
            arrives.row(view.relative, decay.fixed_bound is not None, view.unit),
            table,
            "The gradient of one word's loss over the distance in words, beside its bounds",
        ),
        step=analysis.loaded.step,
    )
