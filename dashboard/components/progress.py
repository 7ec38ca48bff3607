"""The bar over a computation that a visitor waits for."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import streamlit as st
from streamlit.delta_generator import DeltaGenerator


@contextlib.contextmanager
def bar(stop: Callable[[], None] | None = None) -> Iterator[Callable[[float, str], None]]:
    """Gives a function that shows the share that is done, from 0 to 1, and what is being done; the bar stands there
    from its first call to the end of the block. stop: what a button beside it does, before the page is drawn again.

    Drawing the bar is where Streamlit ends the script of a visitor who has left, or has clicked on something: whoever
    computes calls often, lets pass what is raised, and so ends with it.
    """
    place = st.empty()
    drawn: DeltaGenerator | None = None

    def show(share: float, doing: str) -> None:
        nonlocal drawn
        if drawn is None:
            with place.container(horizontal=True, vertical_alignment="center"):
                drawn = st.empty()
                if stop is not None:
                    st.button("Stop", icon=":material/stop:", on_click=stop, key="stop what the bar is of")
        drawn.progress(share, f"{doing[0].upper()}{doing[1:]} …")

    try:
        yield show
    finally:
        place.empty()
