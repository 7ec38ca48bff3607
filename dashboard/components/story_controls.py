"""What a visitor may change in a chapter of the story, and the experiment that is open."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import streamlit as st

from dashboard.components import story_pictures
from dashboard.services import library, racing, story, trainings
from dashboard.services.story import StoryExperiment
from dashboard.state import session
from dashboard.text import story as wording
from rnn_core.errors import UserError
from rnn_core.runs import Run

PAGE = "story"
FULL = "full"


def opened() -> tuple[Run | None, StoryExperiment | None]:
    """The open run, if it is one of the story's, and which experiment it is."""
    run_id = session.run_id()
    if run_id is None:
        return None, None
    try:
        run = library.open_run(run_id)
    except UserError:
        return None, None  # deleted, or a damaged one: the story can begin all the same
    return run, story.recognise(run.config)


def draw(chapter: str, experiment: StoryExperiment | None) -> None:
    """The one thing to try in this part. Whoever changes it starts a new training."""
    here = experiment if experiment is not None and experiment.chapter == chapter else None
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        match chapter:
            case "tutorial":
                st.button(
                    "Train it",
                    type="primary" if here is None else "secondary",
                    icon=":material/play_arrow:",
                    on_click=_begin,
                    args=(StoryExperiment(),),
                    key=session.key(PAGE, "train"),
                )
            case "reach":
                names = [FULL if reach is None else str(reach) for reach in story.TRUNCATIONS]
                at = "4" if here is None else FULL if here.truncate is None else str(here.truncate)
                _slider("Truncation", "truncate", names, at, lambda name: StoryExperiment(truncate=_reach_of(name)))
            case "distance":
                at = "10" if here is None else str(here.gap)
                _slider("Gap", "gap", list(map(str, story.GAPS)), at, lambda name: StoryExperiment(int(name), None))
            case "cure":
                key = session.key(PAGE, "network")
                st.segmented_control(
                    "Network",
                    list(story.NETWORKS),
                    default="tanh uniform" if here is None else here.network,
                    required=True,
                    format_func=lambda name: wording.NETWORKS[name],
                    help=wording.HELP["network"],
                    on_change=lambda: _begin(StoryExperiment(20, None, session.value(key, "tanh uniform"))),
                    wrap=True,
                    key=key,
                )
        if experiment is not None:
            st.button(
                "Another seed",
                icon=":material/casino:",
                help=wording.HELP["seed"],
                on_click=_begin,
                args=(dataclasses.replace(experiment, seed=experiment.seed + 1),),
                key=session.key(PAGE, "seed"),
            )


def _slider(
    label: str, name: str, options: list[str], at: str, experiment_of: Callable[[str], StoryExperiment]
) -> None:
    key = session.key(PAGE, name)
    st.select_slider(
        label,
        options,
        at if at in options else options[0],
        help=wording.HELP[name],
        on_change=lambda: _begin(experiment_of(session.value(key, at))),
        width=360,
        key=key,
    )


def _reach_of(name: str) -> int | None:
    return None if name == FULL else int(name)


def _begin(experiment: StoryExperiment) -> None:
    """Train this experiment now, and look at it; the one before it stops."""
    before, known = opened()
    try:
        if before is not None and known is not None and before.status().alive and library.mine(before):
            library.request(before, "stop")
        name = f"Story: {story_pictures.describe(experiment)}"
        race_id = trainings.begin_race(
            {name: experiment.model()}, experiment.corpus(), story.TEXT, experiment.training()
        )
    except UserError as error:
        session.push_problem(error)
        return
    session.open_run(racing.lane_id(race_id, 1))
