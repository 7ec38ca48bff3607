"""The gradient's norm over the training, and for one step of it: whose gradient it was, and over which lag it came."""

from __future__ import annotations

import numpy as np
import streamlit as st

from dashboard.charts import gradient_norms
from dashboard.charts.training import limit_at
from dashboard.components import pictures, widgets
from dashboard.laboratory import captions, figures, refresh
from dashboard.laboratory.figures import chart, figure
from dashboard.laboratory.view_state import ViewState
from dashboard.services import measurements
from dashboard.services.history import History
from dashboard.state import link, session
from dashboard.text import laboratory as wording

SPIKE = figures.key("spike")
SPIKES = 6


def clipping(view: ViewState, history: History) -> None:
    """Every step's gradient before and after clipping; a click, or a choice, takes one step's batch apart."""
    before, after = history.norm_before, history.norm_after
    limits = history.clip_limits
    caption = captions.clipping(before.values, after.values, limit_at(limits, before.steps))
    if not len(before.steps):
        st.text(caption)
        return
    place = st.container()
    chosen = choose_spike(highest(history), int(before.steps[-1]))
    table = gradient_norms.clipping_table(before, after, limits, chosen)
    with place:
        figure(
            "clipping",
            caption,
            chart(
                "clipping",
                gradient_norms.clipping(any(limit is not None for _, limit in limits)),
                table,
                "Norm of the gradient over the training, before and after clipping",
                numbers=table.drop(columns="chosen"),
                on_select=choose_clicked_spike,
            ),
            step=view.analysis.loaded.step,
        )
    if chosen is not None:
        examine(view, chosen, float(before.values[np.searchsorted(before.steps, chosen)]))


def highest(history: History) -> list[int]:
    """The steps with the largest finite gradients, the largest first."""
    values = np.where(np.isfinite(history.norm_before.values), history.norm_before.values, -np.inf)
    order = np.argsort(-values, kind="stable")[:SPIKES]
    return [int(history.norm_before.steps[place]) for place in order]


def choose_spike(spikes: list[int], last: int) -> int | None:
    """The step that was clicked in the chart or chosen here, of the `last` that there were; the link keeps it."""
    link.prefill(SPIKE, "spike", link.whole(1, last))
    chosen = session.value(SPIKE, None)
    options = spikes if chosen is None or chosen in spikes else [chosen, *spikes]
    step: int | None = st.selectbox(
        "Step to examine",
        options,
        index=None,
        format_func=lambda step: f"step {step:,}",
        placeholder="one of the highest",
        help=wording.HELP["spike"],
        key=SPIKE,
        width=260,
    )
    link.write("spike", None if step is None else str(step))
    if step is None:
        st.caption(wording.NO_SPIKE)
    return step


def choose_clicked_spike() -> None:
    """After a click on the chart: examine that step."""
    clicked = figures.clicked("clipping", "spike", "step")
    if clicked is not None and clicked >= 1:
        session.put(SPIKE, int(clicked))


def examine(view: ViewState, step: int, recorded: float) -> None:
    """Whose gradient made that step's, and over which lag it came."""
    run, folder = view.run, str(view.run.folder)
    weights_of = refresh.before(view.moments, step - 1)
    with st.spinner("Taking the batch apart …", show_time=False):
        found = measurements.gradient_by_sentence(folder, step, weights_of)
        lags = measurements.lags_of_sentence(folder, step, weights_of, found.worst)
        sentences = measurements.sentences_of_step(run, step)
    st.text(captions.spike(found, recorded, step, weights_of, lags, view.unit))
    if run.config.training.batching == "stream":
        st.caption(wording.STREAM_NOTE)
    if sentences is None:
        st.caption(wording.NOT_YOUR_SENTENCES)
    else:
        st.code(sentences[found.worst] or " ", language=None, wrap_lines=True)
    culprits = gradient_norms.culprits_table(found, sentences)
    left, right = st.columns([6, 5], gap="large")
    with left:
        st.caption(wording.BY_SENTENCE)
        widgets.table(
            {name: list(culprits[name]) for name in culprits.columns},
            column_config={
                "sentence": st.column_config.TextColumn(width="medium"),
                "share": st.column_config.NumberColumn(format="percent"),
                "norm": st.column_config.NumberColumn(format="%.3g"),
            },
        )
        key = figures.key("sentences of the batch")
        pictures.table_button(
            "Sentences of the batch (CSV)", culprits, key=key, name=pictures.file_name(key, f"step {step}")
        )
    with right:
        pictures.draw(
            chart(
                "spike lags",
                gradient_norms.lags(view.unit),
                gradient_norms.lag_table(lags),
                "What each lag adds to the gradient of the worst sentence",
            )
        )
