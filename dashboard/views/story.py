"""The word that never received a gradient: four experiments, each trained on the spot."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import streamlit as st

from dashboard.components import errors, polling, story_pictures
from dashboard.services import library, racing, story, trainings
from dashboard.services.story import StoryExperiment
from dashboard.state import link, session
from dashboard.text import story as wording
from rnn_core.errors import UserError
from rnn_core.runs import Run

PAGE = "story"
CHAPTER = session.key(PAGE, "chapter")
OPENED = session.key(PAGE, "opened chapter")
READ = "story chapter"
FIRST = {
    "tutorial": StoryExperiment(),
    "reach": StoryExperiment(),
    "distance": StoryExperiment(truncate=None),
    "cure": StoryExperiment(gap=20, truncate=None),
}
"""What each chapter shows before anything was trained: what its control stands at."""
POLL_SECONDS = 0.8
FULL = "full"


def page() -> None:
    st.title(wording.TITLE, anchor=False)
    st.markdown(wording.INTRO.format(short=story.SECONDS[0], long=story.SECONDS[1]))
    problem = session.pop_problem()
    if problem is not None:
        errors.problem("This could not be trained", problem)
    run, experiment = opened()
    with st.container(key=READ):
        chapter = choose_chapter(experiment)
        st.markdown(wording.TEXTS[chapter])
        if chapter == "distance":
            accuracies, learned = story.HARD
            st.markdown(
                wording.SEED.format(
                    seed=story.SEED, least=accuracies[story.SEED], learned=learned, seeds=len(accuracies)
                )
            )
        control(chapter, experiment)
    if session.value(OPENED, None) == chapter:
        bring_into_view(chapter)
    if run is None or experiment is None:
        story_pictures.before_training(FIRST[chapter])
    else:
        live = polling.at_work(run)
        draw = st.fragment(errors.error_boundary(story_pictures.draw), run_every=POLL_SECONDS if live else None)
        draw(run, experiment, live)
    onwards(chapter)
    with st.expander("Equations and settings", icon=":material/function:"):
        st.latex(wording.EQUATIONS)
        st.markdown(wording.NOTES)


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


# --- where the story stands -------------------------------------------------------------------------------------------


def choose_chapter(experiment: StoryExperiment | None) -> str:
    """Which part is read: as the link says, else that of the open run."""
    default = "tutorial" if experiment is None else experiment.chapter
    chosen: str = st.segmented_control(
        "Part",
        list(story.CHAPTERS),
        required=True,
        format_func=lambda name: wording.CHAPTERS[name],
        label_visibility="collapsed",
        **link.field(CHAPTER, "part", {name: name for name in story.CHAPTERS}.__getitem__, default),
    )
    return chosen


def onwards(chapter: str) -> None:
    place = story.CHAPTERS.index(chapter) + 1
    if place < len(story.CHAPTERS):
        following = story.CHAPTERS[place]
        st.button(
            wording.CHAPTERS[following],
            icon=":material/arrow_forward:",
            on_click=open_chapter,
            args=(following,),
            key=session.key(PAGE, "onwards"),
        )
        return
    with st.container(horizontal=True):
        st.page_link("views/gradients.py", label="Look into this network", icon=":material/gradient:")
        st.page_link("views/race.py", label="Let networks race", icon=":material/flag:")
        st.page_link("views/by_hand.py", label="Follow the gradient by hand", icon=":material/edit:")


def open_chapter(chapter: str) -> None:
    """From the button at the page's end: what is to be read next stands at its top."""
    session.put(CHAPTER, chapter)
    session.put(OPENED, chapter)


def bring_into_view(chapter: str) -> None:
    """Scroll to the words of the chapter, once: the browser runs a script when it first stands on the page, and the
    chapter's name (ours) makes each chapter's another.
    """
    place = "st-key-" + READ.replace(" ", "-")
    st.html(
        f"<script>/* {chapter} */ document.querySelector('.{place}').scrollIntoView()</script>",
        unsafe_allow_javascript=True,
    )


# --- what the visitor may change --------------------------------------------------------------------------------------


def control(chapter: str, experiment: StoryExperiment | None) -> None:
    """The one thing to try in this part. Whoever changes it starts a new training."""
    here = experiment if experiment is not None and experiment.chapter == chapter else None
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        match chapter:
            case "tutorial":
                st.button(
                    "Train it",
                    type="primary" if here is None else "secondary",
                    icon=":material/play_arrow:",
                    on_click=begin,
                    args=(StoryExperiment(),),
                    key=session.key(PAGE, "train"),
                )
            case "reach":
                names = [FULL if reach is None else str(reach) for reach in story.TRUNCATIONS]
                at = "4" if here is None else FULL if here.truncate is None else str(here.truncate)
                slider("Truncation", "truncate", names, at, lambda name: StoryExperiment(truncate=reach_of(name)))
            case "distance":
                at = "10" if here is None else str(here.gap)
                slider("Gap", "gap", list(map(str, story.GAPS)), at, lambda name: StoryExperiment(int(name), None))
            case "cure":
                key = session.key(PAGE, "network")
                st.segmented_control(
                    "Network",
                    list(story.NETWORKS),
                    default="tanh uniform" if here is None else here.network,
                    required=True,
                    format_func=lambda name: wording.NETWORKS[name],
                    help=wording.HELP["network"],
                    on_change=lambda: begin(StoryExperiment(20, None, session.value(key, "tanh uniform"))),
                    wrap=True,
                    key=key,
                )
        if experiment is not None:
            st.button(
                "Another seed",
                icon=":material/casino:",
                help=wording.HELP["seed"],
                on_click=begin,
                args=(dataclasses.replace(experiment, seed=experiment.seed + 1),),
                key=session.key(PAGE, "seed"),
            )


def slider(label: str, name: str, options: list[str], at: str, experiment_of: Callable[[str], StoryExperiment]) -> None:
    key = session.key(PAGE, name)
    st.select_slider(
        label,
        options,
        at if at in options else options[0],
        help=wording.HELP[name],
        on_change=lambda: begin(experiment_of(session.value(key, at))),
        width=360,
        key=key,
    )


def reach_of(name: str) -> int | None:
    return None if name == FULL else int(name)


def begin(experiment: StoryExperiment) -> None:
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


page()
