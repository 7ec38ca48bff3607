"""The picture of each published experiment's result."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from dashboard.charts import experiments as charts
from dashboard.charts import learnt
from dashboard.charts.specification import Specification
from dashboard.components import pictures
from dashboard.components.pictures import Chart
from dashboard.state import link, session
from dashboard.text import experiments as wording
from rnn_core.diagnostics import FEATURES
from rnn_core.diagnostics.effective_context import TOLERANCE
from rnn_core.diagnostics.units import LEAST_CORRELATION
from rnn_core.experiments import (
    agreement,
    cliff,
    curse_of_memory,
    effective_context,
    forget_bias,
    interpretable_units,
    learning_curve,
)
from rnn_core.experiments.catalogue import EXPERIMENTS
from rnn_core.experiments.results import Result

PAGE = "experiments"
CELLS = 60
"""Points of the error surface along each of its two axes."""


def draw(result: Result) -> None:
    """The picture that its experiment has; of one without, the rows say all."""
    drawing = _DRAWINGS.get(result.experiment.name)
    if drawing is not None:
        drawing(result)


def _picture(name: str, specification: Specification, table: pd.DataFrame) -> None:
    title = wording.PICTURES[name]
    alt_text = f"{EXPERIMENTS[name].title}: {title}"
    pictures.picture(title, Chart(specification, table, session.key(PAGE, name), alt_text))


def _series(table: pd.DataFrame) -> tuple[str, ...]:
    return tuple(table["series"].unique())


def _courses(result: Result) -> None:
    found = {
        setting: [(trial.curves["updates"], trial.curves["errors"]) for trial in result.trials_of(setting)]
        for setting in result.experiment.settings
    }
    assert result.experiment.picture is not None
    _, metric = result.experiment.picture.titles
    _picture(result.experiment.name, charts.course_chart(tuple(found), metric), charts.course_table(found))


def _tutorial_curve(result: Result) -> None:
    ours, *others = [
        trial.curves["losses"] for setting in result.experiment.settings for trial in result.trials_of(setting)
    ]
    table = charts.learning_curve_table(ours, learning_curve.PUBLISHED, others)
    _picture(result.experiment.name, charts.learning_curve_chart(), table)


def _attractors(result: Result) -> None:
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
    table = charts.attractor_table(pd.concat(parts).dropna())
    _picture(result.experiment.name, charts.attractor_chart(_series(table)), table)


def _start_of(name: str, bounds: tuple[float, float], default: float) -> dict[str, Any]:
    return link.field(session.key(PAGE, name), name, link.number_within(*bounds), default, link.short)


# A descent takes a tenth of a second, and the page is drawn again for every click on it. Shared: not to be changed.
_descend = lru_cache(maxsize=64)(cliff.descend)


def _the_cliff(result: Result) -> None:
    left, right = st.columns(2)
    with left:
        w = st.slider("Start, w", *cliff.W_RANGE, step=0.05, **_start_of("w", cliff.W_RANGE, 5.4))
    with right:
        b = st.slider("Start, b", *cliff.B_RANGE, step=0.05, **_start_of("b", cliff.B_RANGE, -2.2))
    ws, bs = np.linspace(*cliff.W_RANGE, CELLS), np.linspace(*cliff.B_RANGE, CELLS)
    walks = {name: _descend(w, b, settings["clip"]) for name, settings in result.experiment.settings.items()}
    error, _ = cliff.surface(ws, bs)
    table = charts.cliff_table(ws, bs, error, {name: (walk.w, walk.b) for name, walk in walks.items()})
    _picture("cliff", charts.cliff_chart(charts.window(ws), charts.window(bs), tuple(walks)), table)
    free, clipped = walks[cliff.FREE], walks[cliff.CLIPPED]
    st.markdown(
        f"Without clipping the longest step is **{free.longest_step:.3g}**, and the descent ends at an error of "
        f"**{free.errors[-1]:.3g}**; clipped, **{clipped.longest_step:.3g}** and **{clipped.errors[-1]:.3g}**."
    )


def _half_lives(result: Result) -> None:
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
    table = charts.points_on_lines_table(points, biases, {"closed form": closed_form})
    _picture("forget-bias", charts.half_life_chart(_series(table)), table)


def _film(result: Result) -> None:
    norms = {
        setting: np.mean([trial.curves["norms"] for trial in trials], axis=0)
        for setting in result.experiment.settings
        if (trials := result.trials_of(setting))
    }
    _picture("gradient-film", charts.film_chart(tuple(norms)), charts.film_table(norms))


def _curse(result: Result) -> None:
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
    table = charts.points_on_lines_table(points, times, forms)
    _picture("curse-of-memory", charts.sensitivity_chart(_series(table)), table)


def _followers(result: Result) -> None:
    points = [
        (FEATURES[feature].label, setting, seed, trial.measured[interpretable_units.row_name(feature, setting)])
        for feature in interpretable_units.FOLLOWED
        for setting in result.experiment.settings
        for seed, trial in enumerate(result.trials_of(setting))
    ]
    table = pd.DataFrame(points, columns=["feature", "series", "seed", "x"])
    _picture(result.experiment.name, learnt.followers_chart(_series(table), LEAST_CORRELATION), table)


def _context(result: Result) -> None:
    courses = [ended.trial.curves for ended in result.finished]
    dropped, shuffled = (
        np.mean([np.expm1(np.array(course[name]) - course["full"]) for course in courses], axis=0)
        for name in ("dropped", "shuffled")
    )
    lengths = effective_context.LENGTHS
    table = learnt.context_table(lengths, dropped, shuffled)
    _picture(result.experiment.name, learnt.context_chart(tuple(lengths), TOLERANCE), table)


_DRAWINGS: dict[str, Callable[[Result], None]] = {
    "temporal-order": _courses,
    "agreement": _attractors,
    "adding": _courses,
    "copy": _courses,
    "learning-curve": _tutorial_curve,
    "cliff": _the_cliff,
    "forget-bias": _half_lives,
    "gradient-film": _film,
    "curse-of-memory": _curse,
    "interpretable-units": _followers,
    "effective-context": _context,
}
