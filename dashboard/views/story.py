"""The word that never received a gradient: four experiments, each trained on the spot."""

from __future__ import annotations

import streamlit as st

from dashboard.components import errors, polling, story_controls, story_pictures
from dashboard.services import story
from dashboard.services.story import StoryExperiment
from dashboard.state import link, session
from dashboard.text import story as wording

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


def page() -> None:
    st.title(wording.TITLE, anchor=False)
    st.markdown(wording.INTRO.format(short=story.SECONDS[0], long=story.SECONDS[1]))
    problem = session.pop_problem()
    if problem is not None:
        errors.problem("This could not be trained", problem)
    run, experiment = story_controls.opened()
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
        story_controls.draw(chapter, experiment)
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


page()
