"""The bar over a computation that a visitor waits for."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import streamlit as st


@contextlib.contextmanager
def bar(stop: Callable[[], None] | None = None) -> Iterator[Callable[[float, str], object]]:
    """Gives a function that shows the share that is done, from 0 to 1, and what is being done; the bar is there as long
    as the block takes. stop: what a button beside it calls, before the page is drawn again.

    Drawing the bar is where Streamlit ends the script of a visitor who has left, or has clicked on something: whoever
    computes calls often, lets what is raised pass, and so ends with it.
    """
    place = st.empty()
    with place.container(horizontal=True, vertical_alignment="center"):
        drawn = st.empty()
        if stop is not None:
            st.button("Stop", icon=":material/stop:", on_click=stop, key="stop what the bar is of")
    try:
        yield lambda share, doing: drawn.progress(share, f"{doing[0].upper()}{doing[1:]} …")
    finally:
        place.empty()
