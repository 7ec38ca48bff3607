"""Corpus: choose a text, and see what the network will see of it."""

from __future__ import annotations

import streamlit as st

from dashboard.components import chosen_text, corpus_pictures, corpus_setup, demo
from dashboard.components.setting_fields import SettingFields
from dashboard.state import session
from dashboard.text import corpus as wording
from dashboard.text import general as common_wording
from dashboard.text import story as story_wording
from rnn_core.config import TextSettings


def page() -> None:
    st.title("Corpus", anchor=False)
    if session.run_id() is None:
        first_visit()
    st.markdown(wording.INTRO)
    source = corpus_setup.choose_source()
    if source is None:
        return
    read = corpus_setup.read_source(source)
    if read is None:
        return
    chosen = session.choose_corpus(*read, source)
    chosen_text.write_reading(SettingFields(chosen_text.PAGE, TextSettings), chosen)
    corpus_pictures.draw(chosen.corpus, chosen.settings)


def first_visit() -> None:
    """One button from nothing to a network that trains."""
    with st.container(border=True):
        st.header(wording.FIRST_VISIT_TITLE, anchor=False)
        st.markdown(wording.FIRST_VISIT)
        if st.button(common_wording.FIRST_VISIT_BUTTON, type="primary", icon=":material/play_arrow:"):
            demo.start()
        st.page_link("views/story.py", label=story_wording.LINK, icon=":material/auto_stories:")


page()
