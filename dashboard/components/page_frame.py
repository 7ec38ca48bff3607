"""What stands around every page: its style, the presentation mode, and the next step of the story at its end."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from dashboard.state import session
from dashboard.text import general as wording

_FOLDER = Path(__file__).parents[1]


def begin() -> None:
    """Before a page: the style, and the way into a presentation or out of it."""
    st.html(_FOLDER / "style.css")
    if session.presenting():
        st.html(_FOLDER / "present.css")
        with st.container(key="leave presentation"):
            st.button(wording.LEAVE_PRESENTATION, icon=":material/close:", on_click=session.present, args=(False,))
    else:
        st.sidebar.button(
            wording.PRESENT,
            icon=":material/slideshow:",
            type="tertiary",
            help=wording.PRESENT_HELP,
            on_click=session.present,
            args=(True,),
        )


def end(page: str) -> None:
    """After the page with this address: where the story goes on."""
    if page in wording.NEXT_STEPS:
        to, label = wording.NEXT_STEPS[page]
        with st.container(key="next step"):
            st.page_link(f"views/{to}.py", label=label, icon=":material/arrow_forward:")


def remember_visitor() -> None:
    """On a hosted server: let the browser keep the secret that makes this visitor the owner of their runs."""
    if session.cookie() is None:
        # Both are ours, and plain: the name a constant, the secret hexadecimal digits.
        attributes = "path=/; max-age=31536000; SameSite=Strict"
        st.html(
            f"<script>document.cookie = '{session.COOKIE}={session.secret()}; {attributes}'"
            " + (location.protocol === 'https:' ? '; Secure' : '');</script>",
            unsafe_allow_javascript=True,
        )


def notice() -> None:
    """Show the notice of the page before, once."""
    text = session.pop_notice()
    if text is not None:
        st.success(text, icon=":material/check:")
