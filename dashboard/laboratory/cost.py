"""What it costs: what each lag adds to the gradient of W, what truncation leaves out, which words mattered, clips."""

from __future__ import annotations

import streamlit as st

from dashboard.charts import influence, lags
from dashboard.charts.common import numbered
from dashboard.charts.specification import tidy_reach
from dashboard.laboratory import captions, figures
from dashboard.laboratory.clipping import clipping
from dashboard.laboratory.figures import chart, figure
from dashboard.laboratory.view_state import ViewState
from dashboard.services.history import History
from dashboard.state import link
from dashboard.text import laboratory as wording


def draw(view: ViewState, history: History) -> None:
    """The last of the five."""
    gradient_by_lag(view)
    if figures.more("cost"):
        truncation(view)
        which_words_mattered(view)
        clipping(view, history)


def gradient_by_lag(view: ViewState) -> None:
    analysis, found = view.analysis, view.analysis.gradient_by_lag
    figure(
        "gradient by lag",
        captions.gradient_by_lag(found, view.analysis.truncate, view.unit),
        chart(
            "gradient by lag",
            lags.gradient_by_lag(view.unit, not bool(found.used.all())),
            lags.gradient_by_lag_table(found),
            "What each distance adds to the gradient, beside the whole",
        ),
        step=analysis.loaded.step,
    )


def truncation(view: ViewState) -> None:
    analysis, found = view.analysis, view.analysis.gradient_by_lag
    truncate = view.analysis.truncate
    table = lags.truncation_table(found, truncate)
    figure(
        "truncation",
        captions.truncation(found, truncate),
        *(
            chart(
                f"truncation {which}",
                lags.truncation(which, view.unit),
                table,
                f"{which.capitalize()} of the truncated gradient over the truncation K",
            )
            for which in (lags.COSINE, lags.ERROR)
        ),
        step=analysis.loaded.step,
        layout="beside",
    )


def which_words_mattered(view: ViewState) -> None:
    analysis = view.analysis
    if not analysis.reads_words:
        st.text(wording.NOTHING_TO_REPLACE)
        return
    found = analysis.influence(view.chosen)
    place = st.container()
    replaced = "others"
    if view.run.config.task is None:  # A task has no unknown symbol.
        replaced = st.segmented_control(
            "Replaced by",
            list(wording.REPLACEMENTS),
            required=True,
            format_func=wording.REPLACEMENTS.__getitem__,
            help=wording.HELP["replaced"],
            **link.choice("replaced", wording.REPLACEMENTS, "others"),
        )
    by = influence.UNKNOWN if replaced == "unknown" else influence.OTHERS
    table = influence.influence_table(analysis.sources, found, by)
    words = tuple(numbered(analysis.sources)[: len(found.gradient)])
    with place:
        figure(
            "which words",
            captions.which_words(analysis.sources, analysis.targets, view.chosen, found),
            chart(
                "word gradients",
                influence.shades(words, tidy_reach(float(found.gradient.max()), 0.0)),
                table,
                "Earlier words, shaded by the gradient of the chosen word's log probability",
            ),
            chart(
                "word replacements",
                influence.changes(words),
                table,
                "Change of the chosen word's log probability when each earlier word is replaced",
            ),
            step=analysis.loaded.step,
        )
