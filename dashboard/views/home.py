"""Home: the phenomenon itself, alive before anything is uploaded or trained."""

from __future__ import annotations

from typing import Any

import streamlit as st

from dashboard.components import errors, pictures
from dashboard.components.unrolled import picture_data, unrolled_network, unrolled_picture
from dashboard.services import home_network
from dashboard.services.home_network import Levers, SentenceGradients
from dashboard.state import link, session
from dashboard.text import home as wording
from rnn_core.config.choices import CELLS, INITIALISATIONS

PAGE = "home"
LEVERS = ("cell", "size", "start", "reach", "trained")
SENTENCE, PICTURE = session.key(PAGE, "sentence"), session.key(PAGE, "unrolled network")
CHOSEN, SHOWN, BEFORE = (session.key(PAGE, name) for name in ("chosen word", "shown levers", "levers before"))
SEE, WAS, WORD, TEXT = "see", "was", "word", "sentence"
"""The link's parameters: levers, the levers before them, the step whose loss is followed, the sentence."""


def page() -> None:
    st.title(wording.TITLE, anchor=False)
    restore()
    st.markdown(wording.INTRO)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        presets()
        with st.container(key="own sentence", width=430):
            sentence = st.text_input(
                "Sentence", max_chars=400, help=wording.HELP["sentence"], key=SENTENCE, persist_state="session"
            )
    levers = choose()
    words = home_network.split(sentence or "") or home_network.split(home_network.SENTENCE)
    picture(levers, words)
    write_link(levers, words)
    doors()


# --- the levers -------------------------------------------------------------------------------------------------------


def restore() -> None:
    """At the start of a visit: everything as the link says, or as it is for everybody."""
    if session.value(SHOWN, None) is not None:
        return
    levers = Levers.from_link(link.read(SEE)) or Levers()
    set_levers(levers)
    session.put(SHOWN, levers)
    session.put(BEFORE, Levers.from_link(link.read(WAS)))
    session.put(SENTENCE, link.read(TEXT) or home_network.SENTENCE)
    word = link.read(WORD)
    session.put(CHOSEN, int(word) if word.isdecimal() and len(word) < 4 else None)


def set_levers(levers: Levers) -> None:
    for name in LEVERS:
        session.put(session.key(PAGE, name), getattr(levers, name))


def see(levers: Levers) -> None:
    """After a click on a preset: these levers, beside what was there before."""
    set_levers(levers)
    remember()


def remember() -> None:
    """After a lever was turned: what the page showed until now becomes the pale picture behind the new one."""
    session.put(BEFORE, session.value(SHOWN, None))


def presets() -> None:
    now = Levers(**{name: session.value(session.key(PAGE, name), getattr(Levers(), name)) for name in LEVERS})
    buttons = {**home_network.PRESETS, "cure": Levers("lstm", now.size, now.start)}
    for name, levers in buttons.items():
        st.button(
            wording.PRESETS[name],
            help=wording.PRESET_HELP[name],
            type="primary" if levers == now else "secondary",
            on_click=see,
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
            **options("cell"),
        )
        trained = session.value(session.key(PAGE, "trained"), False) and home_network.has_trained(cell)
        fixed = trained or not home_network.has_recurrent_matrix(cell)
        size = st.select_slider(
            "Size of W",
            home_network.SIZES,
            format_func=lambda size: f"{size:g}",
            disabled=fixed,
            width=125,
            **options("size"),
        )
        start = st.selectbox(
            "First W",
            home_network.starts(),
            format_func=lambda name: wording.STARTS.get(name, INITIALISATIONS[name].label),
            disabled=fixed,
            width=140,
            **options("start"),
        )
        reach = st.selectbox(
            "Truncation",
            home_network.REACHES,
            format_func=lambda reach: "none" if reach == home_network.FULL else f"K = {reach}",
            width=110,
            **options("reach"),
        )
        st.toggle("trained", disabled=not home_network.has_trained(cell), **options("trained"))
    return Levers(cell, size, start, reach, trained)


def options(name: str) -> dict[str, Any]:
    return {**session.kept(PAGE, name, wording.HELP), "on_change": remember}


# --- the picture ------------------------------------------------------------------------------------------------------


def picture(levers: Levers, words: tuple[str, ...]) -> None:
    """The sentence under these levers, and pale behind it what it was under those before."""
    reading = home_network.read(levers, words)
    before: Levers | None = session.value(BEFORE, None)
    if before == levers:
        before = None
    is_example = words == home_network.split(home_network.SENTENCE)
    chosen = session.value(CHOSEN, None)
    if chosen is None or chosen >= len(reading.norms):
        chosen = home_network.ASKED if is_example else len(words) - 1
    session.put(CHOSEN, chosen)
    unrolled_network(
        picture_data(
            reading.words,
            reading.norms,
            chosen=chosen,
            controller=home_network.CONTROLLER if is_example else None,
            bound=reading.bound,
            truncate=levers.truncate,
            before=None if before is None else home_network.read(before, words).norms,
            before_name="" if before is None else f"before: {describe(before)}",
            unknown=reading.unknown,
            probabilities=reading.probabilities if levers.trained else None,
            size="large" if session.presenting() else "default",
        ),
        key=PICTURE,
        on_choose=choose_word,
    )
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(facts(levers, reading), width="stretch")
        if not session.presenting():
            pictures.save([unrolled_picture(reading.words, reading.norms, key=PICTURE)])


def choose_word() -> None:
    """After a click on a word, or an arrow key: its loss is followed, here and in the link."""
    picked = session.value(PICTURE, {}).get("chosen")
    if picked is not None:
        session.put(CHOSEN, int(picked))


def describe(levers: Levers) -> str:
    """A network in a few words, all of them ours."""
    cell = CELLS[levers.cell].label.removesuffix(" RNN")
    what = f"{cell}, trained" if levers.trained else f"{cell}, W {levers.size:g} {wording.STARTS[levers.start]}"
    return what if levers.truncate is None else f"{what}, K = {levers.truncate}"


def facts(levers: Levers, reading: SentenceGradients) -> str:
    """Where the weights come from."""
    radius = "" if reading.radius is None else f" ρ(W) = {reading.radius:.2g}."
    if levers.trained:
        return wording.TRAINED.format(**home_network.trained(levers.cell).facts) + radius
    if not home_network.has_recurrent_matrix(levers.cell):
        radius = wording.NO_W
    gates = wording.GATES.format(steps=home_network.MEMORY) if levers.cell in CELLS.having("chrono") else ""
    return wording.UNTRAINED.format(hidden=home_network.HIDDEN) + radius + gates


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


# --- where to go from here --------------------------------------------------------------------------------------------


def doors() -> None:
    with st.container(key="doors"):
        for column, door in zip(st.columns(3, gap="medium"), wording.DOORS, strict=True):
            with column.container(border=True):
                st.page_link(door.page, label=f"**{door.title}**", icon=door.icon)
                st.caption(door.about)


errors.error_boundary(page)()
