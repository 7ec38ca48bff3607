"""Choose the text on which a network is looked at: the held-out part of its own, or one's own."""

from __future__ import annotations

import streamlit as st

from dashboard.components import errors, progress
from dashboard.components.opened_run import no_weights, no_words
from dashboard.components.text_upload import text_upload, with_encoding
from dashboard.services import held_out, network
from dashboard.services.held_out import Text, ValidationText
from dashboard.services.network import Loaded
from dashboard.services.sources import Paste
from dashboard.state import link, session
from dashboard.text import held_out as wording
from rnn_core.errors import UserError
from rnn_core.runs import Run

SHOWN = {"char": 1200, "word": 240}
"""Tokens of the stretch of a text that is looked at."""


def weights_that_read(run: Run) -> Loaded | None:
    """The newest weights of a run that reads a text; None, after saying why there are none."""
    if no_words(run):
        return None
    loaded = network.newest(run)
    if loaded is None:
        no_weights(run)
    return loaded


def choose_text(run: Run, page: str) -> Text | None:
    """A row of the page; None, after saying what is missing. The link says whether it is the run's own text."""
    kinds = list(wording.TEXTS)
    if not held_out.texts_of(run):
        kinds.remove("own")
    linked = link.read("text")
    widget = session.key(page, "text kind")
    if linked in kinds:
        session.start_with(widget, linked)
    kind = st.segmented_control(
        "Text",
        kinds,
        default=None if widget in st.session_state else kinds[0],
        required=True,
        format_func=wording.TEXTS.__getitem__,
        **session.kept(page, "text kind", {"text kind": wording.TEXTS_HELP}),
    )
    link.write("text", kind if kind != kinds[0] else None)
    if kind == "own":
        return _read(run, ValidationText())
    if kind == "paste":
        content = st.text_area("Your text", height=140, **session.kept(page, "pasted"))
        if content:
            return _read(run, Paste(content))
    else:
        file = text_upload(page)
        if file is not None:
            readable = with_encoding(page, file)
            return None if readable is None else _read(run, readable)
    st.info(wording.NO_TEXT, icon=":material/upload_file:")
    return None


def choose_stretch(page: str, count: int, unit: str, default: int = 0) -> slice:
    """Which of the `count` tokens are looked at: as the slider or else the link says, else from `default` on. The link
    keeps it, unless it is the beginning.
    """
    shown = min(SHOWN[unit], count)
    at = 0
    if count > shown:
        widget = session.key(page, "at")
        link.prefill(widget, "at", link.whole(0, 10**8))
        session.put(widget, min(max(0, session.value(widget, default)), count - shown))
        at = st.slider("Where in the text", 0, count - shown, step=max(1, shown // 4), key=widget)
    link.write("at", str(at) if at or default else None)
    return slice(at, at + shown)


def _read(run: Run, text: Text) -> Text | None:
    """The text, once it is read; None, after the reason, where it cannot be."""
    try:
        with progress.bar() as show:
            held_out.read(run, text, show)
    except UserError as error:
        errors.problem("This text cannot be read", error)
        return None
    return text


def assumed(run: Run) -> None:
    """Says what was assumed when a network from elsewhere was opened. The sentence lies in the run, which may come from
    anybody: it is text.
    """
    for sentence in held_out.assumed_of(run):
        st.text(f"When this network was opened: {sentence}")


def left_out(text: held_out.HeldOut, unit: str) -> None:
    """Says so where the text is longer than what is read of it."""
    if text.left_out:
        st.caption(wording.LEFT_OUT.format(read=f"{len(text.tokens):,}", unit=unit))
