"""The levers of the first page: what its network is made of, and what it was before the last of them moved."""

from __future__ import annotations

from typing import Any

import streamlit as st

from dashboard.services import home_network
from dashboard.services.home_network import Levers
from dashboard.state import link, session
from dashboard.text import home as wording
from rnn_core.config.choices import CELLS, INITIALISATIONS

PAGE = "home"
LEVERS = ("cell", "size", "start", "reach", "trained")
SENTENCE = session.key(PAGE, "sentence")
CHOSEN, SHOWN, BEFORE = (session.key(PAGE, name) for name in ("chosen word", "shown levers", "levers before"))
SEE, WAS, WORD, TEXT = "see", "was", "word", "sentence"
"""The link's parameters: levers, the levers before them, the step whose loss is followed, the sentence."""


def restore() -> None:
    """At the start of a visit: everything as the link says, or as it is for everybody."""
    if session.value(SHOWN, None) is not None:
        return
    levers = Levers.from_link(link.read(SEE)) or Levers()
    _put(levers)
    session.put(SHOWN, levers)
    session.put(BEFORE, Levers.from_link(link.read(WAS)))
    session.put(SENTENCE, link.read(TEXT) or home_network.SENTENCE)
    word = link.read(WORD)
    session.put(CHOSEN, int(word) if word.isdecimal() and len(word) < 4 else None)


def _put(levers: Levers) -> None:
    for name in LEVERS:
        session.put(session.key(PAGE, name), getattr(levers, name))


def _see(levers: Levers) -> None:
    """After a click on a preset: these levers, beside what was there before."""
    _put(levers)
    _remember()


def _remember() -> None:
    """After a lever was moved: what the page showed until now becomes the pale picture behind the new one."""
    session.put(BEFORE, session.value(SHOWN, None))


def presets() -> None:
    """A button for each preset; the one at which all levers stand is marked."""
    now = Levers(**{name: session.value(session.key(PAGE, name), getattr(Levers(), name)) for name in LEVERS})
    buttons = {**home_network.PRESETS, "cure": Levers("lstm", now.size, now.start)}
    for name, levers in buttons.items():
        st.button(
            wording.PRESETS[name],
            help=wording.PRESET_HELP[name],
            type="primary" if levers == now else "secondary",
            on_click=_see,
            args=(levers,),
            key=session.key(PAGE, f"preset {name}"),
        )


def choose() -> Levers:
    """One row: what the network is made of."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="levers"):
        cell = st.segmented_control(
            "Cell",
            list(CELLS),
            required=True,
            format_func=lambda name: CELLS[name].label.removesuffix(" RNN"),
            **_options("cell"),
        )
        trained = session.value(session.key(PAGE, "trained"), False) and home_network.has_trained(cell)
        fixed = trained or not home_network.has_recurrent_matrix(cell)
        size = st.select_slider(
            "Size of W",
            home_network.SIZES,
            format_func=lambda size: f"{size:g}",
            disabled=fixed,
            width=125,
            **_options("size"),
        )
        start = st.selectbox(
            "First W",
            home_network.starts(),
            format_func=lambda name: wording.STARTS.get(name, INITIALISATIONS[name].label),
            disabled=fixed,
            width=140,
            **_options("start"),
        )
        reach = st.selectbox(
            "Truncation",
            home_network.REACHES,
            format_func=lambda reach: "none" if reach == home_network.FULL else f"K = {reach}",
            width=110,
            **_options("reach"),
        )
        st.toggle("trained", disabled=not home_network.has_trained(cell), **_options("trained"))
    return Levers(cell, size, start, reach, trained)


def _options(name: str) -> dict[str, Any]:
    return {**session.kept(PAGE, name, wording.HELP), "on_change": _remember}


def describe(levers: Levers) -> str:
    """A network in a few words, all of them ours."""
    cell = CELLS[levers.cell].label.removesuffix(" RNN")
    what = f"{cell}, trained" if levers.trained else f"{cell}, W {levers.size:g} {wording.STARTS[levers.start]}"
    return what if levers.truncate is None else f"{what}, K = {levers.truncate}"


def write_link(levers: Levers, words: tuple[str, ...]) -> None:
    """Write all of it into the address: whoever opens that sees the same."""
    before: Levers | None = session.value(BEFORE, None)
    session.put(SHOWN, levers)
    chosen = session.value(CHOSEN, home_network.ASKED)
    is_example = words == home_network.split(home_network.SENTENCE)
    link.write(SEE, None if levers == Levers() else levers.to_link())
    link.write(WAS, None if before is None or before == levers else before.to_link())
    link.write(TEXT, None if is_example else " ".join(words))
    link.write(WORD, None if is_example and chosen == home_network.ASKED else str(chosen))
