"""Compare: any trainings in one picture, and the settings in which they differ."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import streamlit as st

from dashboard.charts import compare as charts
from dashboard.components import demo, errors, formatting, pictures, widgets
from dashboard.services import comparing, differences, library, run_curves
from dashboard.services.comparing import Axis, Line, Quantity
from dashboard.state import link, session
from dashboard.text import compare as wording
from rnn_core.errors import UserError
from rnn_core.runs import Run, RunSummary

PAGE = "compare"
LOOK_SECONDS = 10.0
"""Between two looks at trainings that are at work."""

USUALLY = 6
"""So many of the newest runs are compared until somebody chooses."""


def page() -> None:
    st.title("Compare", anchor=False)
    try:
        mine = [summary for summary in library.summaries() if summary.config is not None]
    except OSError as error:
        errors.problem("The folder of runs cannot be read", f"{library.root()}: {error.strerror or error}")
        return
    chosen = session.compared_runs()
    if not mine and not chosen:
        demo.offer(PAGE)
        return
    row = st.container(horizontal=True, vertical_alignment="bottom", gap="small")
    with row:
        runs = choose_runs(mine, usual(mine) if chosen is None else chosen)
        shown = dict(wording.QUANTITIES)
        if all(run.config.task is None for run in runs):
            del shown["metric"]
        quantity = cast(Quantity, choose("Shown", "quantity", shown, "validation", wording.QUANTITY_HELP))
        axis = cast(Axis, choose("Over", "axis", wording.AXES, "steps", wording.AXIS_HELP))
        together = differences.same_text(runs)
        unit = "nats"
        if quantity in ("validation", "training") and all(map(differences.has_text, runs)):
            unit = choose("In", "unit", wording.UNITS, "nats" if together else "bits", wording.UNIT_HELP)
        seeds = choose("Seeds", "seeds", {"band": "as a band", "apart": "apart"}, "band", wording.SEEDS_HELP) == "band"
    if runs:
        training = {summary.id for summary in mine if summary.status is not None and summary.status.alive}
        again = LOOK_SECONDS if training & {run.id for run in runs} else None
        st.fragment(errors.error_boundary(draw), run_every=again)(runs, quantity, axis, unit, together, seeds)


def usual(mine: list[RunSummary]) -> list[str]:
    """The run that is open, and the newest that somebody set up."""
    newest = [summary.id for summary in mine if summary.config and not comparing.kind(summary.id, summary.config)]
    opened = [run_id] if (run_id := session.run_id()) is not None else []
    return list(dict.fromkeys([*opened, *newest]))[:USUALLY]


def choose(label: str, name: str, choices: dict[str, str], otherwise: str, help: str) -> str:
    """One of a few, which the link keeps."""
    options = link.choice(name, choices, otherwise)
    picked: str = st.selectbox(label, list(choices), format_func=choices.__getitem__, help=help, width=170, **options)
    return picked


def choose_runs(mine: list[RunSummary], chosen: list[str]) -> list[Run]:
    """The runs that are compared: those of the link, which may be somebody else's, in the order of the choice."""
    opened: dict[str, Run] = {}
    problems = []
    for run_id in chosen[: run_curves.MOST]:
        try:
            opened[run_id] = library.open_run(run_id)
        except UserError as error:
            problems.append(str(error))
    known = {summary.id: Run(summary.folder, summary.config) for summary in mine if summary.config} | opened
    names = dict(zip(known, differences.labels(list(known.values())), strict=True))
    widget = session.key(PAGE, "runs")
    session.put(widget, list(opened))
    with st.popover(f"{len(opened)} runs", icon=":material/checklist:"):
        st.multiselect(
            "Runs",
            list(known),
            format_func=names.__getitem__,
            key=widget,
            max_selections=run_curves.MOST,
            placeholder="Type to find a run",
            on_change=lambda: session.compare_runs(session.value(widget, [])),
        )
        tags(known)
    if problems:
        errors.problem(f"{formatting.count(len(problems), 'run')} of the link cannot be opened", problems[0])
    return list(opened.values())


def tags(known: dict[str, Run]) -> None:
    """A way to all runs of one tag."""
    by_tag: dict[str, list[str]] = {}
    for run_id, run in known.items():
        for tag in run.config.tags:
            by_tag.setdefault(tag, []).append(run_id)
    if not by_tag:
        return
    widget = session.key(PAGE, "tag")
    st.selectbox(
        "All with a tag",
        sorted(by_tag),
        index=None,
        key=widget,
        placeholder="Choose a tag",
        on_change=lambda: session.compare_runs(by_tag.get(session.value(widget, None) or "", [])),
    )


def draw(runs: list[Run], quantity: Quantity, axis: Axis, unit: str, together: bool, seeds: bool) -> None:
    """The picture, the sentence that it comes to, and what differs."""
    bits = unit == "bits"
    runs, problems = comparing.readable(runs)
    if problems:
        errors.problem(f"{formatting.count(len(problems), 'run')} cannot be compared", problems[0])
    lines = comparing.lines(runs, quantity, axis, bits=bits, seeds=seeds)
    if lines:
        unit_of_lag, unit_of_mean = formatting.units_of(runs[0].config) if together else ("token", "token")
        units = {"metric": "", "gradient": "", "half-life": f"{unit_of_lag}s"}
        unit_of_loss = wording.UNITS["bits"] if bits else f"nats per {unit_of_mean}" if unit_of_mean else ""
        # The loss that another program recorded has an unknown unit, and those of different tasks differ: then no unit.
        known = all(map(differences.has_text, runs)) or (together and runs[0].config.task is not None)
        measured = units.get(quantity, unit_of_loss if known else "")
        if quantity in ("validation", "training", "metric") and not together:
            several = len({run.config.corpus.name for run in runs}) > 1
            if several or not bits:
                st.caption(wording.OTHER_TEXTS if bits else wording.MIXED)
        with st.container(key="verdict of the comparison"):
            st.text(wording.verdict(quantity, measured, [outcome(line, axis) for line in lines]))
        picture(lines, quantity, axis, measured)
    else:
        st.info(wording.NOTHING_YET, icon=":material/hourglass_top:")
    what_differs(runs, lines)


def outcome(line: Line, axis: Axis) -> wording.Outcome:
    """What the sentence says of a line."""
    low, high = (line.y if end is None else end for end in (line.low, line.high))
    return wording.Outcome(
        line.label,
        line.last,
        float(low[-1]),
        float(high[-1]),
        len(line.runs),
        bool(line.least is not None and line.least[-1]),
        int(line.x[-1]) if axis == "steps" else 0,
    )


def picture(lines: list[Line], quantity: Quantity, axis: Axis, measured: str) -> None:
    log = quantity == "gradient"
    name = wording.QUANTITIES[quantity]
    curves = [charts.Curve(line.label, line.x, line.y, line.low, line.high) for line in lines]
    pictures.picture(
        name,
        pictures.Chart(
            charts.compare_chart(
                curves,
                wording.AXES[axis],
                f"{name.lower()} ({measured})" if measured else name.lower(),
                log=log,
            ),
            charts.compare_table(curves, log=log),
            "comparison",
            f"{name} of {len(lines)} trainings over {wording.AXES[axis]}",
        ),
    )


def what_differs(runs: list[Run], lines: list[Line]) -> None:
    """A row for each run: its name, where it stands, and the settings in which the runs differ."""
    st.header("What differs", anchor=False)
    found = differences.differing(runs)
    if not found and len(runs) > 1:
        st.caption(wording.ONE_IS_ENOUGH)
    place = {run.id: number for number, line in enumerate(lines) for run in line.runs}
    order = np.argsort([place.get(run.id, len(runs)) for run in runs], kind="stable")
    columns: dict[str, list[Any]] = {"name": differences.labels(runs), **found}
    widgets.table(
        {label: [values[row] for row in order] for label, values in columns.items()},
        column_config={"name": st.column_config.TextColumn(width="medium", pinned=True)},
    )


page()
