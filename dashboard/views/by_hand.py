"""BPTT by hand: one loss's gradient on its way back through five words, with every number on the table."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import streamlit as st

from dashboard.components import widgets
from dashboard.components.by_hand import STYLE
from dashboard.components.by_hand import step as lecture_step
from dashboard.components.by_hand.markup import factor, row
from dashboard.components.setting_fields import number_field
from dashboard.state import link, session
from dashboard.text import by_hand as wording
from rnn_core.arrays import Array
from rnn_core.data import START
from rnn_core.reference import by_hand
from rnn_core.reference.by_hand import ASKED, SENTENCE, TARGETS, WORDS, Weights
from rnn_core.reference.lecture import lecture

PAGE = "by hand"
STEP = session.key(PAGE, "step")
LECTURE = lecture(len(SENTENCE), ASKED)
LARGEST = 9.0


def page() -> None:
    st.html(STYLE)
    st.title(wording.TITLE, anchor=False)
    st.markdown(wording.INTRO)
    place = choose_step()
    # The fields of the weights stand below the picture, which needs their values before it is drawn.
    stage = st.container()
    weights = choose_weights()
    if not all(np.isfinite(matrix).all() for matrix in (weights.U, weights.V, weights.W)):
        return
    unrolled = by_hand.unroll(SENTENCE, TARGETS, weights)
    chain = by_hand.chain(unrolled, TARGETS, weights, ASKED)
    step = LECTURE[place]
    with stage:
        lecture_step.draw(step, weights, unrolled, chain)
    check(weights)
    with st.expander("The equation"):
        st.latex(wording.CHAIN)
        st.markdown(wording.CHAIN_NOTES)


# --- where the lecture stands -----------------------------------------------------------------------------------------


def choose_step() -> int:
    """First, previous, next, last, or any step at once -> its index in the lecture."""
    last = len(LECTURE)
    options = link.field(STEP, "step", link.whole(1, last), 1)
    at = session.value(STEP, 1)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        go("first", "First", "first_page", 1, at == 1)
        go("previous", "Previous", "chevron_left", at - 1, at == 1, shortcut="Left")
        go("next", "Next", "chevron_right", at + 1, at == last, shortcut="Right", primary=True)
        go("last", "Last", "last_page", last, at == last)
        chosen = st.slider(
            "Step",
            1,
            last,
            format=f"%d of {last}",
            label_visibility="collapsed",
            width=320,
            **options,
        )
    return int(chosen) - 1


def go(
    name: str, label: str, icon: str, to: int, disabled: bool, shortcut: str | None = None, primary: bool = False
) -> None:
    st.button(
        label,
        icon=f":material/{icon}:",
        disabled=disabled,
        shortcut=shortcut,
        type="primary" if primary else "secondary",
        on_click=session.put,
        args=(STEP, to),
        key=session.key(PAGE, name),
    )


# --- the weights ------------------------------------------------------------------------------------------------------


def presets() -> dict[str, Array]:
    given, angle = by_hand.example().W, math.radians(40)
    rotation = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    return {"given": given, "small": given / 4, "rotation": rotation, "large": 2 * given}


def entry(name: str, row: int, column: int) -> str:
    """The key of the field for one weight."""
    return session.key(PAGE, f"{name} {row} {column}")


def put_preset() -> None:
    chosen = session.value(session.key(PAGE, "preset"), None)
    if chosen is not None:
        for place, value in np.ndenumerate(presets()[chosen]):
            session.put(entry("W", *place), round(float(value), 3))


def choose_weights() -> Weights:
    """Every weight of the network, each in a field of its own."""
    given = by_hand.example()
    st.header("Change a weight", anchor=False)
    st.pills(
        "W",
        list(wording.W_PRESETS),
        format_func=lambda name: wording.W_PRESETS[name],
        help=wording.W_HELP,
        on_change=put_preset,
        key=session.key(PAGE, "preset"),
    )
    left, right = st.columns([3, 1], gap="medium")
    with left:
        W = fields("W", given.W)
        U = fields("U", given.U, columns=WORDS)
    with right:
        V = fields("V", given.V, rows=WORDS)
    return Weights(U, V, W)


def fields(name: str, given: Array, rows: Sequence[str] = (), columns: Sequence[str] = ()) -> Array:
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
                        f"{name}[{i}, {j}] {spoken(word)}".rstrip(),
                        -LARGEST,
                        LARGEST,
                        0.1,
                        format="%.3g",
                        **link.field(entry(name, i, j), f"{name}{i}{j}", link.parse_number, float(value), link.short),
                    )
                values[i, j] = math.nan if number is None else number
    return values


def spoken(word: str) -> str:
    """For a label, which is read aloud as it stands and takes <s> for HTML."""
    return "start" if word == START else word


# --- is it right? -----------------------------------------------------------------------------------------------------


def check(weights: Weights) -> None:
    st.header(wording.CHECK_TITLE, anchor=False)
    st.markdown(wording.CHECK_TEXT)
    cases = {
        f"of E{ASKED} alone": by_hand.check_one(SENTENCE, TARGETS, weights, ASKED),
        "of all five losses": by_hand.check_all(SENTENCE, TARGETS, weights),
    }
    for name, found in cases.items():
        with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
            st.html(
                row(
                    factor(f"∂/∂<i>W</i> {name}, by hand", found.by_hand, 4),
                    "=",
                    factor("tutorial.bptt", found.oracle, 4),
                    "=",
                    factor("LanguageModel", found.trained, 4),
                ),
                width="content",
            )
            widgets.number("Largest difference", found.difference, "{:.1e}")


page()
