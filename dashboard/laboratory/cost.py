"""What it costs: lag ledger, truncation meter, clip forensics, who mattered."""

from __future__ import annotations

import numpy as np
import streamlit as st

from dashboard.charts import gradient_norms, influence, lags
from dashboard.charts.common import numbered
from dashboard.charts.specification import tidy_reach
from dashboard.charts.training import threshold
from dashboard.components import pictures, widgets
from dashboard.laboratory import captions, figures, refresh
from dashboard.laboratory.view_state import ViewState
from dashboard.services import measurements
from dashboard.services.history import History
from dashboard.state import session
from dashboard.text import laboratory as wording

SPIKE = figures.key("spike")
SPIKES = 6


def group(view: ViewState, history: History) -> None:
    left, right = st.columns([6, 5], gap="large")
    with left:
        ledger(view)
    with right:
        meter(view)
    clipping(view, history)
    who_mattered(view)


# --- ledger and meter -------------------------------------------------------------------------------------------------


def ledger(view: ViewState) -> None:
    analysis, found = view.analysis, view.analysis.ledger
    truncate = analysis.run.config.training.truncate
    figures.heading("ledger", captions.ledger(found, truncate, view.unit))
    table = lags.gradient_by_lag_table(found)
    figures.chart(
        "ledger",
        lags.gradient_by_lag(view.unit, not bool(found.used.all())),
        table,
        step=analysis.loaded.step,
        alt_text="How much each distance pays into the gradient, beside the whole",
    )
    figures.behind("ledger")


def meter(view: ViewState) -> None:
    analysis, found = view.analysis, view.analysis.ledger
    truncate = analysis.run.config.training.truncate
    figures.heading("meter", captions.meter(found, truncate))
    table = lags.truncation_table(found, truncate)
    for which in (lags.COSINE, lags.ERROR):
        figures.chart(
            f"meter {which}",
            lags.truncation(which, view.unit),
            table,
            step=analysis.loaded.step,
            alt_text=f"{which.capitalize()} of the truncated gradient over the truncation K",
        )
    figures.behind("meter")


# --- clip forensics ---------------------------------------------------------------------------------------------------


def clipping(view: ViewState, history: History) -> None:
    run = view.analysis.run
    before, after = history.norm_before, history.norm_after
    limit = threshold(run.config.training)
    figures.heading("clipping", captions.clipping(before.values, after.values, limit))
    if not len(before.steps):
        return
    spikes = highest(history)
    chosen = choose_spike(spikes)
    table = gradient_norms.clipping_table(before, after, limit, chosen)
    figures.chart(
        "clipping",
        gradient_norms.clipping(),
        table,
        step=view.analysis.loaded.step,
        numbers=table.drop(columns="chosen"),
        alt_text="Norm of the gradient over the training, before and after clipping",
        on_select=choose_clicked_spike,
    )
    if chosen is not None:
        examine(view, chosen, float(before.values[np.searchsorted(before.steps, chosen)]))
    figures.behind("clipping")


def highest(history: History) -> list[int]:
    """The steps with the largest finite gradients, the largest first."""
    values = np.where(np.isfinite(history.norm_before.values), history.norm_before.values, -np.inf)
    order = np.argsort(-values, kind="stable")[:SPIKES]
    return [int(history.norm_before.steps[place]) for place in order]


def choose_spike(spikes: list[int]) -> int | None:
    """The step that was clicked in the chart or chosen here."""
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
        found = measurements.clip_forensics(folder, step, weights_of)
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
        figures.chart(
            "spike lags",
            gradient_norms.lags(view.unit),
            gradient_norms.lag_table(lags),
            step=step,
            alt_text="How much each distance pays into the gradient of the worst sentence",
        )


# --- who mattered -----------------------------------------------------------------------------------------------------


def who_mattered(view: ViewState) -> None:
    analysis, found = view.analysis, view.analysis.who_mattered(view.asked)
    figures.heading("who", captions.who_mattered(analysis.sources, analysis.targets, view.asked, found))
    replaced = st.segmented_control(
        "Replaced by",
        list(wording.REPLACEMENTS),
        default="others",
        required=True,
        format_func=wording.REPLACEMENTS.__getitem__,
        help=wording.HELP["replaced"],
        key=figures.key("replaced"),
        persist_state="session",
    )
    by = influence.UNKNOWN if replaced == "unknown" else influence.OTHERS
    table = influence.influence_table(analysis.sources, found, by)
    words = tuple(numbered(analysis.sources)[: len(found.gradient)])
    figures.chart(
        "who shades",
        influence.shades(words, tidy_reach(float(found.gradient.max()), 0.0)),
        table,
        step=analysis.loaded.step,
        alt_text="Earlier words, shaded by the gradient of the asked word's log probability",
    )
    figures.chart(
        "who changes",
        influence.changes(words),
        table,
        step=analysis.loaded.step,
        alt_text="Change of the asked word's log probability when each earlier word is replaced",
    )
    figures.behind("who")
