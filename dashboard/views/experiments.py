"""Experiments: what the literature found, computed again, ours beside the published."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import altair as alt
import numpy as np
import pandas as pd
import streamlit as st

from dashboard import hosting
from dashboard.charts import experiments as charts
from dashboard.charts import learnt
from dashboard.components import widgets
from dashboard.services import experimenting
from dashboard.state import link, session
from dashboard.text import experiments as wording
from rnn_core.diagnostics import FEATURES
from rnn_core.diagnostics.effective_context import TOLERANCE
from rnn_core.diagnostics.units import LEAST_CORRELATION
from rnn_core.errors import UserError
from rnn_core.experiments import (
    agreement,
    cliff,
    curse_of_memory,
    effective_context,
    forget_bias,
    interpretable_units,
    learning_curve,
)
from rnn_core.experiments.base import Experiment
from rnn_core.experiments.catalogue import EXPERIMENTS
from rnn_core.experiments.report import result_html
from rnn_core.experiments.results import Result

PAGE = "experiments"
POLL_SECONDS = 1.0
CELLS = 60
"""Of the error surface, along each side."""


def page() -> None:
    st.title("Experiments", anchor=False)
    st.markdown(wording.INTRO)
    experiment = choose()
    busy = experimenting.at_work(experiment)
    st.fragment(widgets.error_boundary(draw), run_every=POLL_SECONDS if busy else None)(experiment, busy)


def choose() -> Experiment:
    """Which one the page is about; the link keeps it."""
    titles = {name: experiment.title for name, experiment in EXPERIMENTS.items()}
    options = link.choice("experiment", titles, next(iter(titles)))
    name: str = st.pills(
        "Experiment",
        list(titles),
        format_func=titles.__getitem__,
        label_visibility="collapsed",
        required=True,
        **options,
    )
    return EXPERIMENTS[name]


def draw(experiment: Experiment, busy: bool) -> None:
    if busy != experimenting.at_work(experiment):
        st.rerun()
    result, ours = experimenting.shown(experiment)
    st.markdown(f"**{experiment.claim}**")
    verdict(experiment, result)
    if result is not None and result.finished:
        DRAWINGS[experiment.name](result)
        numbers(result, ours)
    elif not busy:
        st.info(wording.NOT_YET, icon=":material/science:")
    controls(experiment, busy)
    st.code((result or Result(experiment, experiment.seeds)).command, language="sh")
    if experiment.reads:
        st.caption(wording.READS.format(what=experiment.reads))


def verdict(experiment: Experiment, result: Result | None) -> None:
    """Whether the claim came out, by which rule, and whose claim it is."""
    with st.container(horizontal=True, vertical_alignment="center"):
        if result is not None and result.whole:
            colour, icon = _LOOKS[result.reproduced]
            st.badge(wording.VERDICTS[result.reproduced], color=colour, icon=f":material/{icon}:")
        rule = f" · by the rule: {experiment.rule}" if experiment.rule else ""
        st.caption(f"{experiment.source}{rule}")


_LOOKS: dict[bool | None, tuple[widgets.Color, str]] = {
    True: ("green", "check"),
    False: ("red", "close"),
    None: ("gray", "remove"),
}


def numbers(result: Result, ours: bool) -> None:
    """Every row, and where it is from."""
    rows = result.rows
    st.caption(f"{result.experiment.measures[0].upper()}{result.experiment.measures[1:]}")
    widgets.table(
        {
            "setting": [row.setting for row in rows],
            "here": [wording.BEYOND if row.measured is None else f"{row.measured:.4g}" for row in rows],
            "published": ["–" if row.published is None else f"{row.published:.5g}" for row in rows],
            "seeds": [row.seeds for row in rows],
        },
        key=session.key(PAGE, f"rows of {result.experiment.name}"),
        column_config={"here": st.column_config.TextColumn(help=wording.ROW_HELP)},
    )
    where = f" on {result.machine}" if result.machine else ""
    parts = [
        wording.FROM_HERE if ours else wording.FROM_PACKAGE,
        result.date,
        f"{widgets.duration(60 * result.minutes)} of computing{where}",
        ", ".join(f"{name} {version}" for name, version in result.versions.items()),
    ]
    st.caption(" · ".join(parts))
    if result.text:
        st.text(f"text: {result.text}")
    widgets.report_button(
        lambda: result_html(result),
        f"see-bptt-{result.experiment.name}",
        key=session.key(PAGE, f"report of {result.experiment.name}"),
        help=wording.REPORT_HELP,
    )


def controls(experiment: Experiment, busy: bool) -> None:
    """Begin, watch, stop."""
    ours = experimenting.live(experiment)
    if busy:
        total = experiment.seeds * len(experiment.settings)
        done = 0 if ours is None else len(ours.finished)
        st.progress(min(1.0, done / total), text=wording.WORKING.format(done=done, total=total))
        if hosting.current_caps() is None and st.button(wording.STOP, icon=":material/stop:"):
            experimenting.stop(experiment)
            st.rerun()
        return
    if reason := experimenting.refusal(experiment):
        st.caption(reason)
        return
    label = wording.START if ours is None else wording.AGAIN if ours.whole else wording.GO_ON
    if st.button(label, type="primary", icon=":material/play_arrow:"):
        try:
            experimenting.start(experiment)
        except UserError as error:
            widgets.problem("It could not be started", error)
            return
        st.rerun()


# --- the pictures -----------------------------------------------------------------------------------------------------


def picture(name: str, drawing: alt.LayerChart) -> None:
    title = wording.PICTURES[name]
    widgets.chart(drawing, title=title, alt_text=f"{EXPERIMENTS[name].title}: {title}", key=session.key(PAGE, name))


def courses(result: Result) -> None:
    found = {
        setting: [(trial.curves["updates"], trial.curves["errors"]) for trial in result.trials_of(setting)]
        for setting in result.experiment.settings
    }
    metric = "mean squared error" if result.experiment.name == "adding" else "share of wrong answers"
    picture(result.experiment.name, charts.course_chart(found, metric))


def tutorial_curve(result: Result) -> None:
    ours, *others = [
        trial.curves["losses"] for setting in result.experiment.settings for trial in result.trials_of(setting)
    ]
    picture(result.experiment.name, charts.learning_curve_chart(ours, learning_curve.PUBLISHED, others))


def attractors(result: Result) -> None:
    parts = [
        pd.DataFrame(
            {
                "series": name,
                "seed": seed,
                "x": agreement.ATTRACTORS,
                "y": [trial.measured.get(agreement.row_name(name, count)) for count in agreement.ATTRACTORS],
            }
        )
        for name in agreement.CELLS
        for seed, trial in enumerate(result.trials_of(name))
    ]
    picture(result.experiment.name, charts.attractor_chart(pd.concat(parts).dropna()))


def start_of(name: str, bounds: tuple[float, float], usual: float) -> dict[str, Any]:
    return link.field(session.key(PAGE, name), name, link.number_within(*bounds), usual, link.short)


def the_cliff(result: Result) -> None:
    left, right = st.columns(2)
    with left:
        w = st.slider("Start, w", *cliff.W_RANGE, step=0.05, **start_of("w", cliff.W_RANGE, 5.4))
    with right:
        b = st.slider("Start, b", *cliff.B_RANGE, step=0.05, **start_of("b", cliff.B_RANGE, -2.2))
    ws, bs = np.linspace(*cliff.W_RANGE, CELLS), np.linspace(*cliff.B_RANGE, CELLS)
    walks = {name: cliff.descend(w, b, settings["clip"]) for name, settings in result.experiment.settings.items()}
    error, _ = cliff.surface(ws, bs)
    picture("cliff", charts.cliff_chart(ws, bs, error, {name: (walk.w, walk.b) for name, walk in walks.items()}))
    free, clipped = walks[cliff.FREE], walks[cliff.CLIPPED]
    st.markdown(
        f"Without clipping the longest step is **{free.longest_step:.3g}**, and the descent ends at an error of "
        f"**{free.errors[-1]:.3g}**; clipped, **{clipped.longest_step:.3g}** and **{clipped.errors[-1]:.3g}**."
    )


def half_lives(result: Result) -> None:
    of_row = {settings["row"]: settings for settings in result.experiment.settings.values()}
    points = pd.DataFrame(
        {
            "x": [of_row[row.setting]["bias"] for row in result.rows],
            "y": [row.measured for row in result.rows],
            "series": [row.setting.split(", ")[1] for row in result.rows],
        }
    ).dropna()
    biases = np.linspace(0, max(forget_bias.BIASES), 60)
    closed_form = np.array([forget_bias.closed_form(bias) for bias in biases])
    picture("forget-bias", charts.half_life_chart(points, biases, closed_form))


def film(result: Result) -> None:
    norms = {
        setting: np.mean([trial.curves["norms"] for trial in trials], axis=0)
        for setting in result.experiment.settings
        if (trials := result.trials_of(setting))
    }
    picture("gradient-film", charts.film_chart(norms))


def curse(result: Result) -> None:
    points = pd.DataFrame(
        {
            "x": [1 / (1 - float(row.setting.split("= ")[1])) for row in result.rows],
            "y": [row.measured for row in result.rows],
            "series": [row.setting.split(", ")[0] for row in result.rows],
        }
    )
    times = np.geomspace(1, 100, 60)
    forms = {
        "h²": np.array([curse_of_memory.state_power(1 - 1 / time) for time in times]),
        "(dh/dλ)²": np.array([curse_of_memory.sensitivity(1 - 1 / time) for time in times]),
    }
    picture("curse-of-memory", charts.sensitivity_chart(points, times, forms))


def followers(result: Result) -> None:
    points = [
        (FEATURES[feature].label, setting, seed, trial.measured[interpretable_units.row_name(feature, setting)])
        for feature in interpretable_units.FOLLOWED
        for setting in result.experiment.settings
        for seed, trial in enumerate(result.trials_of(setting))
    ]
    table = pd.DataFrame(points, columns=["feature", "series", "seed", "x"])
    picture(result.experiment.name, learnt.followers_chart(table, LEAST_CORRELATION))


def context(result: Result) -> None:
    courses = [ended.trial.curves for ended in result.finished]
    dropped, shuffled = (
        np.mean([np.expm1(np.array(course[name]) - course["full"]) for course in courses], axis=0)
        for name in ("dropped", "shuffled")
    )
    picture(result.experiment.name, learnt.context_chart(effective_context.LENGTHS, dropped, shuffled, TOLERANCE))


DRAWINGS: dict[str, Callable[[Result], None]] = {
    "temporal-order": courses,
    "agreement": attractors,
    "adding": courses,
    "copy": courses,
    "learning-curve": tutorial_curve,
    "cliff": the_cliff,
    "forget-bias": half_lives,
    "gradient-film": film,
    "curse-of-memory": curse,
    "interpretable-units": followers,
    "effective-context": context,
}


page()
