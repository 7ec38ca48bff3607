"""Sweep: one training for every combination of some settings, and for several seeds."""

from __future__ import annotations

import time

import streamlit as st

from dashboard import hosting
from dashboard.charts import sweep as charts
from dashboard.components import errors, formatting, pictures, sweep_setup, widgets
from dashboard.components.pictures import Chart
from dashboard.services import library, sweeps
from dashboard.state import session
from dashboard.text import sweep as wording
from rnn_core.data.tasks import make_task
from rnn_core.errors import UserError
from rnn_core.experiments.grid import find_setting
from rnn_core.experiments.points import ENDED, PointResult, bands
from rnn_core.experiments.sweep import Sweep

PAGE = "sweep"
POLL_SECONDS = 2.0


def page() -> None:
    st.title("Sweep", anchor=False)
    sweep_id = session.sweep_id()
    if sweep_id is not None:
        try:
            _, results = sweeps.opened(sweep_id)
        except UserError as error:
            session.close_sweep()
            errors.problem("This sweep cannot be opened", error)
        else:
            watch(sweep_id, sweeps.at_work(sweep_id, results))
            return
    sweep_setup.draw()


def watch(sweep_id: str, moving: bool) -> None:
    st.fragment(errors.error_boundary(state), run_every=POLL_SECONDS if moving else None)(sweep_id, moving)


def state(sweep_id: str, moving: bool) -> None:
    """How all points stand; drawn again and again while they move."""
    plan, results = sweeps.opened(sweep_id)
    if sweeps.at_work(sweep_id, results) != moving:
        st.rerun()
    controls(sweep_id, results, moving)
    progress(sweep_id, results, moving)
    if hosting.current_caps() is not None and moving:
        for result in results:
            if result.state in ("queued", "running"):
                library.open_run(sweeps.run_id(sweep_id, plan, result)).watch()
    measure = "validation loss (nats)" if plan.task is None else make_task(plan.task).metric_name
    best(sweep_id, plan, results, measure)
    tables(results, measure, titles(plan))


def to_do(results: list[PointResult]) -> bool:
    """Whether a training has not come to its end."""
    return any(result.state not in (*ENDED, "failed") for result in results)


def controls(sweep_id: str, results: list[PointResult], moving: bool) -> None:
    left = to_do(results)
    with st.container(horizontal=True, vertical_alignment="center"):
        if (
            sweeps.mine(sweep_id)
            and moving
            and st.button("Stop", icon=":material/stop:", key=session.key(PAGE, "stop"))
        ):
            with errors.action("That was not possible"):
                sweeps.stop(sweep_id)
        if (
            sweeps.mine(sweep_id)
            and left
            and not moving
            and st.button("Go on", type="primary", icon=":material/play_arrow:", key=session.key(PAGE, "go on"))
        ):
            with errors.action("That was not possible"):
                sweeps.start(sweep_id)
        if st.button("New sweep", icon=":material/add:", key=session.key(PAGE, "new")):
            session.close_sweep()
            st.rerun()


def progress(sweep_id: str, results: list[PointResult], moving: bool) -> None:
    share = sum(result.fraction for result in results) / len(results)
    ended = sum(result.state in ENDED for result in results)
    text = f"{ended:,} of {formatting.count(len(results), 'training')} done"
    if moving:
        since, first = session.first_seen(f"sweep {sweep_id}", share)
        gone = time.monotonic() - since
        if share > first and gone > 2 * POLL_SECONDS:
            text += f" · {formatting.duration((1 - share) * gone / (share - first))} left"
    st.progress(min(1.0, share), text=text)


def titles(plan: Sweep) -> dict[str, str]:
    """What the screen calls the settings that are swept over; by its own name one whose label another has too."""
    labels = {name: find_setting(name, plan.task is not None).label for name in plan.grid}
    return {name: label if [*labels.values()].count(label) == 1 else name for name, label in labels.items()}


def best(sweep_id: str, plan: Sweep, results: list[PointResult], measure: str) -> None:
    found, named = bands(results), titles(plan)
    if not found:
        st.text(wording.NOTHING_YET)
        return
    settings = ", ".join(
        f"{named[name]} {'none' if value is None else value}" for name, value in found[0].settings.items()
    )
    seeds, equals = formatting.count(found[0].seeds, "seed"), sum(band.mean == found[0].mean for band in found[1:])
    sentence = wording.BEST_SO_FAR if to_do(results) else wording.BEST
    text = sentence.format(settings=settings, measure=measure, mean=f"{found[0].mean:.4g}", seeds=seeds)
    st.text(f"{text} {wording.EQUALS.format(others=formatting.count(equals, 'other'))}" if equals else text)
    ended = sorted(results, key=lambda result: result.rank)
    known = [
        ({named[name]: value for name, value in result.point.settings.items()}, result.measured)
        for result in ended
        if result.measured is not None
    ]
    pictures.picture(
        "All trainings",
        Chart(
            charts.parallel(*named.values(), measure),
            charts.parallel_table(known, measure),
            "sweep chart",
            "A line for each training through the values of its settings to what it reached",
        ),
        about=wording.PARALLEL_HELP,
    )
    if st.button("Open the best training", icon=":material/emoji_events:", key=session.key(PAGE, "best")):
        session.open_run(sweeps.run_id(sweep_id, plan, ended[0]))
        st.switch_page("views/train.py")


def tables(results: list[PointResult], measure: str, named: dict[str, str]) -> None:
    found = bands(results)
    if found:
        columns: dict[str, list[object]] = {
            named[name]: ["none" if band.settings[name] is None else str(band.settings[name]) for band in found]
            for name in found[0].settings
        }
        columns |= {
            measure: [float(f"{band.mean:.4g}") for band in found],
            "lowest": [float(f"{band.low:.4g}") for band in found],
            "highest": [float(f"{band.high:.4g}") for band in found],
            "seeds": [band.seeds for band in found],
        }
        widgets.table(columns)
    wrong = [result for result in results if result.state in ("failed", "diverged", "dead")]
    if wrong:
        with st.expander(f"What went wrong ({len(wrong)})"):
            widgets.table(
                {
                    "training": [result.point.label for result in wrong],
                    "state": [result.state for result in wrong],
                    "why": [result.message for result in wrong],
                }
            )


page()
