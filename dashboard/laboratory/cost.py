"""What it costs: lag ledger, truncation meter, clip forensics, who mattered."""

from __future__ import annotations

import numpy as np
import streamlit as st

from dashboard.charts import laboratory_cost as charts
from dashboard.charts.common import numbered
from dashboard.charts.laboratory import tidy_reach
from dashboard.charts.training import threshold
from dashboard.components import pictures, widgets
from dashboard.laboratory import frames, pace, readings
from dashboard.laboratory.looking import Looking
from dashboard.services import measurements
from dashboard.services.history import History
from dashboard.state import session
from dashboard.text import laboratory as wording

SPIKE = frames.key("spike")
SPIKES = 6


def group(looking: Looking, history: History) -> None:
    left, right = st.columns([6, 5], gap="large")
    with left:
        ledger(looking)
    with right:
        meter(looking)
    clipping(looking, history)
    who_mattered(looking)


# --- ledger and meter -------------------------------------------------------------------------------------------------


def ledger(looking: Looking) -> None:
    subject, found = looking.subject, looking.subject.ledger
    truncate = subject.run.config.training.truncate
    frames.heading("ledger", readings.ledger(found, truncate, looking.unit))
    table = charts.ledger_table(found)
    frames.chart(
        "ledger",
        charts.ledger(looking.unit, not bool(found.used.all())),
        table,
        step=subject.loaded.step,
        alt_text="How much each distance pays into the gradient of W, beside the whole",
    )
    frames.behind("ledger")


def meter(looking: Looking) -> None:
    subject, found = looking.subject, looking.subject.ledger
    truncate = subject.run.config.training.truncate
    frames.heading("meter", readings.meter(found, truncate))
    table = charts.meter_table(found, truncate)
    for which in (charts.COSINE, charts.ERROR):
        frames.chart(
            f"meter {which}",
            charts.meter(which, looking.unit),
            table,
            step=subject.loaded.step,
            alt_text=f"{which.capitalize()} of the truncated gradient over the truncation K",
        )
    frames.behind("meter")


# --- clip forensics ---------------------------------------------------------------------------------------------------


def clipping(looking: Looking, history: History) -> None:
    run = looking.subject.run
    before, after = history.norm_before, history.norm_after
    limit = threshold(run.config.training)
    frames.heading("clipping", readings.clipping(before.values, after.values, limit))
    if not len(before.steps):
        return
    spikes = highest(history)
    chosen = choose_spike(spikes)
    table = charts.clipping_table(before, after, limit, chosen)
    frames.chart(
        "clipping",
        charts.clipping(),
        table,
        step=looking.subject.loaded.step,
        numbers=table.drop(columns="chosen"),
        alt_text="Norm of the gradient over the training, before and after clipping",
        on_select=choose_clicked_spike,
    )
    if chosen is not None:
        examine(looking, chosen, float(before.values[np.searchsorted(before.steps, chosen)]))
    frames.behind("clipping")


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
    clicked = frames.clicked("clipping", "spike", "step")
    if clicked is not None and clicked >= 1:
        session.put(SPIKE, int(clicked))


def examine(looking: Looking, step: int, recorded: float) -> None:
    """Whose gradient made that step's, and over which lag it came."""
    run, folder = looking.run, str(looking.run.folder)
    weights_of = pace.before(looking.moments, step - 1)
    with st.spinner("Taking the batch apart …", show_time=False):
        found = measurements.clip_forensics(folder, step, weights_of)
        lags = measurements.lags_of_sentence(folder, step, weights_of, found.worst)
        sentences = measurements.sentences_of_step(run, step)
    st.text(readings.spike(found, recorded, step, weights_of, lags, looking.unit))
    if run.config.training.batching == "stream":
        st.caption(wording.STREAM_NOTE)
    if sentences is None:
        st.caption(wording.NOT_YOUR_SENTENCES)
    else:
        st.code(sentences[found.worst] or " ", language=None, wrap_lines=True)
    culprits = charts.culprits_table(found, sentences)
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
        key = frames.key("sentences of the batch")
        pictures.table_button(
            "Sentences of the batch (CSV)", culprits, key=key, name=pictures.file_name(key, f"step {step}")
        )
    with right:
        frames.chart(
            "spike lags",
            charts.lags(looking.unit),
            charts.lag_table(lags),
            step=step,
            alt_text="How much each distance pays into the gradient of the worst sentence",
        )


# --- who mattered -----------------------------------------------------------------------------------------------------


def who_mattered(looking: Looking) -> None:
    subject, found = looking.subject, looking.subject.who_mattered(looking.asked)
    frames.heading("who", readings.who_mattered(subject.sources, subject.targets, looking.asked, found))
    replaced = st.segmented_control(
        "Replaced by",
        list(wording.REPLACEMENTS),
        default="others",
        required=True,
        format_func=wording.REPLACEMENTS.__getitem__,
        help=wording.HELP["replaced"],
        key=frames.key("replaced"),
        persist_state="session",
    )
    by = charts.UNKNOWN if replaced == "unknown" else charts.OTHERS
    table = charts.who_table(subject.sources, found, by)
    words = tuple(numbered(subject.sources)[: len(found.gradient)])
    frames.chart(
        "who shades",
        charts.shades(words, tidy_reach(float(found.gradient.max()), 0.0)),
        table,
        step=subject.loaded.step,
        alt_text="Earlier words, shaded by the gradient of the asked word's log probability",
    )
    frames.chart(
        "who changes",
        charts.changes(words),
        table,
        step=subject.loaded.step,
        alt_text="Change of the asked word's log probability when each earlier word is replaced",
    )
    frames.behind("who")
