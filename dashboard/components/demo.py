"""One click from nothing to a network that trains, offered wherever there is no run to show."""

from __future__ import annotations

import streamlit as st

from dashboard.components import errors
from dashboard.services import demo, sources, trainings
from dashboard.state import session
from dashboard.text import general as wording


def start() -> None:
    """Train the demo from now on, and look at it."""
    with errors.action("The demo could not be started"):
        corpus = sources.prepare(demo.SOURCE, demo.TEXT)
        run = trainings.begin(demo.NAME, corpus, demo.TEXT, demo.model(len(corpus.vocabulary)), demo.training())
        session.open_run(run)
        session.choose_corpus(corpus, demo.TEXT, demo.SOURCE)
        st.switch_page("views/train.py")


def offer(page: str) -> None:
    """In place of what a page shows of a run: what that would be, the demo, and other ways to a run."""
    with st.container(border=True):
        st.markdown(wording.WOULD_SHOW[page])
        with st.container(horizontal=True, vertical_alignment="center"):
            if st.button(wording.FIRST_VISIT_BUTTON, type="primary", icon=":material/play_arrow:"):
                start()
            st.page_link("views/corpus.py", label="Your own text", icon=":material/upload_file:")
            if page != "runs":
                st.page_link("views/runs.py", label="Open an earlier one", icon=":material/folder_open:")
