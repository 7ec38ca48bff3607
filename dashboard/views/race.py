"""Race: up to four networks learn the same batches side by side."""

from __future__ import annotations

import streamlit as st

from dashboard import hosting
from dashboard.components import errors, polling, race_controls, race_pictures, race_setup, race_standings
from dashboard.components.opened_run import older_state
from dashboard.components.race_pictures import Race
from dashboard.services import library, racing
from dashboard.state import session
from dashboard.text import hosting as hosting_wording
from dashboard.text import race as wording
from rnn_core.errors import UserError
from rnn_core.runs import Run
from rnn_core.runs.race import MOST

POLL_SECONDS = 1.0


def page() -> None:
    st.title(wording.TITLE, anchor=False)
    race_id = session.race_id()
    lanes = [] if race_id is None else open_lanes(race_id)
    if race_id is not None and not lanes:
        session.close_race()
        st.info(wording.GONE, icon=":material/folder_off:")
    if lanes:
        watch(lanes)
    else:
        race_setup.draw()


def open_lanes(race_id: str) -> list[Run]:
    """The runs of a race that are there and can be read."""
    lanes = []
    for place in range(1, MOST + 1):
        try:
            lanes.append(library.open_run(racing.lane_id(race_id, place)))
        except UserError:
            continue  # deleted, or never there: the others go on without it
    return lanes


def watch(lanes: list[Run]) -> None:
    live = any_at_work(lanes)
    st.fragment(errors.error_boundary(picture), run_every=POLL_SECONDS if live else None)(lanes, live)
    if library.mine(lanes[0]) and hosting.current_caps() is not None:
        st.caption(hosting_wording.SHARE)


def any_at_work(lanes: list[Run]) -> bool:
    """Whether anything of the race moves. Asks every lane, not only up to the first that does: `at_work` also records
    the visit that keeps a run's place in the queue.
    """
    return any(list(map(polling.at_work, lanes)))


def picture(lanes: list[Run], live: bool) -> None:
    """One look at the race. Drawn again every second while anybody trains."""
    try:
        if live != any_at_work(lanes):
            st.rerun()
        statuses = [run.status() for run in lanes]
        histories = [session.lane_history(run) for run in lanes]
        for history in histories:
            history.update()
    except UserError as error:
        errors.problem("This race cannot be read", error)
        return
    for run in lanes:
        older_state(run)
    titles = [title(run, place) for place, run in enumerate(lanes, 1)]
    race = Race(dict(zip(titles, histories, strict=True)), statuses, lanes[0].config)
    race_controls.draw(lanes, statuses)
    race_controls.progress(race)
    race_pictures.course(race)
    race_standings.draw(race)
    st.page_link("views/runs.py", label=wording.OPEN, icon=":material/folder_open:")
    race_controls.explanations(race)
    left, right = st.columns(2, gap="large")
    with left:
        race_pictures.losses(race)
    with right:
        race_pictures.horizons(race)
    if race.task is None:
        race_pictures.agreements(race)
    race_pictures.behind(race)


def title(run: Run, place: int) -> str:
    """What a run is called in the pictures: by its settings, since its name is the visitor's to change."""
    known = racing.network_of(run.config)
    return f"lane {place}" if known is None else wording.NETWORKS[known]


page()
