"""BPTT by hand: one loss's gradient on its way back through five words, with every number on the table."""

from __future__ import annotations

import numpy as np
import streamlit as st

from dashboard.components import widgets
from dashboard.components.by_hand import STYLE, weights
from dashboard.components.by_hand import step as lecture_step
from dashboard.components.by_hand.markup import factor, row
from dashboard.state import link, session
from dashboard.text import by_hand as wording
from rnn_core.reference import by_hand
from rnn_core.reference.by_hand import ASKED, SENTENCE, TARGETS, Weights
from rnn_core.reference.lecture import lecture

PAGE = "by hand"
STEP = session.key(PAGE, "step")
LECTURE = lecture(len(SENTENCE), ASKED)


def page() -> None:
    st.html(STYLE)
    st.title(wording.TITLE, anchor=False)
    st.markdown(wording.INTRO)
    place = choose_step()
    # The fields of the weights stand below the picture, which needs their values before it is drawn.
    stage = st.container()
    network = weights.choose()
    if not all(np.isfinite(matrix).all() for matrix in (network.U, network.V, network.W)):
        return
    unrolled = by_hand.unroll(SENTENCE, TARGETS, network)
    chain = by_hand.chain(unrolled, TARGETS, network, ASKED)
    step = LECTURE[place]
    with stage:
        lecture_step.draw(step, network, unrolled, chain)
    check(network)
    with st.expander("The equation"):
        st.latex(wording.CHAIN)
        st.markdown(wording.CHAIN_NOTES)


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


def check(network: Weights) -> None:
    st.header(wording.CHECK_TITLE, anchor=False)
    st.markdown(wording.CHECK_TEXT)
    cases = {
        f"of E{ASKED} alone": by_hand.check_one(SENTENCE, TARGETS, network, ASKED),
        "of all five losses": by_hand.check_all(SENTENCE, TARGETS, network),
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
