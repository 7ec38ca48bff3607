"""Experiments: what the literature found, computed again, ours beside the published."""

from __future__ import annotations

import streamlit as st

from dashboard import hosting
from dashboard.components import errors, experiment_pictures, formatting, widgets
from dashboard.services import experimenting
from dashboard.state import link, session
from dashboard.text import experiments as wording
from rnn_core.experiments.base import Experiment
from rnn_core.experiments.catalogue import EXPERIMENTS
from rnn_core.experiments.report import result_html
from rnn_core.experiments.results import Result

PAGE = "experiments"
POLL_SECONDS = 1.0


def page() -> None:
    st.title("Experiments", anchor=False)
    st.markdown(wording.INTRO)
    experiment = choose()
    busy = experimenting.at_work(experiment)
    st.fragment(errors.error_boundary(draw), run_every=POLL_SECONDS if busy else None)(experiment, busy)


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
        experiment_pictures.draw(result)
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
        f"{formatting.duration(60 * result.minutes)} of computing{where}",
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
        with errors.action("It could not be started"):
            experimenting.start(experiment)


page()
