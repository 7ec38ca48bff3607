"""Home: the phenomenon itself, alive before anything is uploaded or trained."""

from __future__ import annotations

import streamlit as st

from dashboard.components import errors, home_levers, pictures
from dashboard.components.home_levers import BEFORE, CHOSEN, PAGE, SENTENCE
from dashboard.components.unrolled import picture_data, unrolled_network, unrolled_picture
from dashboard.services import home_network
from dashboard.services.home_network import Levers, SentenceGradients
from dashboard.state import session
from dashboard.text import home as wording
from rnn_core.config.choices import CELLS

PICTURE = session.key(PAGE, "unrolled network")


def page() -> None:
    st.title(wording.TITLE, anchor=False)
    home_levers.restore()
    st.markdown(wording.INTRO)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        home_levers.presets()
        with st.container(key="own sentence", width=430):
            sentence = st.text_input(
                "Sentence", max_chars=400, help=wording.HELP["sentence"], key=SENTENCE, persist_state="session"
            )
    levers = home_levers.choose()
    words = home_network.split(sentence or "") or home_network.split(home_network.SENTENCE)
    picture(levers, words)
    home_levers.write_link(levers, words)
    doors()


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
            before_name="" if before is None else f"before: {home_levers.describe(before)}",
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


def facts(levers: Levers, reading: SentenceGradients) -> str:
    """Where the weights come from."""
    radius = "" if reading.radius is None else f" ρ(W) = {reading.radius:.2g}."
    if levers.trained:
        return wording.TRAINED.format(**home_network.trained(levers.cell).facts) + radius
    if not home_network.has_recurrent_matrix(levers.cell):
        radius = wording.NO_W
    gates = wording.GATES.format(steps=home_network.MEMORY) if levers.cell in CELLS.having("chrono") else ""
    return wording.UNTRAINED.format(hidden=home_network.HIDDEN) + radius + gates


def doors() -> None:
    with st.container(key="doors"):
        for column, door in zip(st.columns(3, gap="medium"), wording.DOORS, strict=True):
            with column.container(border=True):
                st.page_link(door.page, label=f"**{door.title}**", icon=door.icon)
                st.caption(door.about)


errors.error_boundary(page)()
