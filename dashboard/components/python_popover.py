"""A small button that shows what a page does as lines of Python."""

from __future__ import annotations

import streamlit as st

from dashboard.text import general as wording


def draw(code: str, page: str) -> None:
    """`code` is shown as it is, with a button that copies it."""
    with st.popover(wording.PYTHON, icon=":material/code:", type="tertiary", key=f"{page}: the same in Python"):
        st.code(code, language="python", width=620)
