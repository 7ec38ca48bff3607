"""The weights of the network that is followed by hand: a field for each, which the link keeps."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import streamlit as st

from dashboard.components.setting_fields import number_field
from dashboard.state import link, session
from dashboard.text import by_hand as wording
from rnn_core.arrays import Array
from rnn_core.data import START
from rnn_core.reference import by_hand
from rnn_core.reference.by_hand import WORDS, Weights

PAGE = "by hand"
LARGEST = 9.0


def choose() -> Weights:
    """Every weight of the network, each in a field of its own."""
    given = by_hand.example()
    st.header("Change a weight", anchor=False)
    st.pills(
        "W",
        list(wording.W_PRESETS),
        format_func=lambda name: wording.W_PRESETS[name],
        help=wording.W_HELP,
        on_change=_put_preset,
        key=session.key(PAGE, "preset"),
    )
    left, right = st.columns([3, 1], gap="medium")
    with left:
        W = _fields("W", given.W)
        U = _fields("U", given.U, columns=WORDS)
    with right:
        V = _fields("V", given.V, rows=WORDS)
    return Weights(U, V, W)


def _presets() -> dict[str, Array]:
    given, angle = by_hand.example().W, math.radians(40)
    rotation = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    return {"given": given, "small": given / 4, "rotation": rotation, "large": 2 * given}


def _entry(name: str, row: int, column: int) -> str:
    """The key of the field for one weight."""
    return session.key(PAGE, f"{name} {row} {column}")


def _put_preset() -> None:
    chosen = session.value(session.key(PAGE, "preset"), None)
    if chosen is not None:
        for place, value in np.ndenumerate(_presets()[chosen]):
            session.put(_entry("W", *place), round(float(value), 3))


def _fields(name: str, given: Array, rows: Sequence[str] = (), columns: Sequence[str] = ()) -> Array:
    """The matrix as it is written, a number for each entry, with the words that its rows or columns belong to; nan
    where a field's is out of bounds.
    """
    values = np.empty(given.shape)
    for i, entries in enumerate(given):
        with st.container(horizontal=True, gap="small"):
            for j, value in enumerate(entries):
                word = rows[i] if rows else columns[j] if columns else ""
                with st.container(width=96):
                    number = number_field(
                        f"{name}[{i}, {j}] {_spoken(word)}".rstrip(),
                        -LARGEST,
                        LARGEST,
                        0.1,
                        format="%.3g",
                        **link.field(_entry(name, i, j), f"{name}{i}{j}", link.parse_number, float(value), link.short),
                    )
                values[i, j] = math.nan if number is None else number
    return values


def _spoken(word: str) -> str:
    """For a label, which is read aloud as it stands and takes <s> for HTML."""
    return "start" if word == START else word
