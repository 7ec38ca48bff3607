"""Evaluate: is it any good? Held-out text beside what counting achieves, word by word, and whether it copies."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import streamlit as st

from dashboard.charts import judgement as charts
from dashboard.charts.specification import Specification
from dashboard.components import demo, errors, formatting, held_out, progress, widgets
from dashboard.components.coloured_text import coloured_text
from dashboard.components.opened_run import opened_run
from dashboard.components.pictures import Chart, picture
from dashboard.services import library
from dashboard.services.evaluation import TextEvaluation, evaluation
from dashboard.state import link, session
from dashboard.text import evaluate as wording
from rnn_core.data import END, detokenize
from rnn_core.errors import UserError
from rnn_core.training import LEAST_COPIED

PAGE = "evaluate"
SHOWN_COPIES = 12


def page() -> None:
    st.title("Evaluate", anchor=False)
    run = opened_run()
    if run is None:
        demo.offer(PAGE)
        return
    loaded = held_out.weights_that_read(run)
    if loaded is None:
        return
    row = st.container(horizontal=True, vertical_alignment="bottom", gap="small")
    with row:
        text = held_out.choose_text(run, PAGE)
    if text is None:
        return
    try:
        with st.spinner(wording.EVALUATING):
            found = evaluation(run, loaded, text)
            loss_nats = found.loss_nats
    except UserError as error:
        errors.problem("This text cannot be evaluated", error)
        return
    if not math.isfinite(loss_nats):
        st.error(wording.DIVERGED, icon=":material/trending_up:")
        return
    unit = formatting.unit(loaded.vocabulary.unit)
    held_out.left_out(found.text, unit)
    held_out.assumed(run)
    with row:
        by_trigram = choose_colour(bool(found.train))
    words(found, unit, by_trigram)
    beside_counting(found)
    draw("Where in the sentence", "position", charts.by_position(unit), charts.position_table(found.by_position))
    if more("context"):
        context(found, unit)
    if library.mine(run) and found.train and more("copies"):
        copies(found, unit)


ALT = {
    "perplexities": "Perplexity of the network beside those of counting",
    "position": "Perplexity at each place in the sentence",
    "reach": "What the network uses of its context, and how far back its gradient reaches",
    "copies": "How much of what the network writes stands verbatim in its training text",
}


def draw(title: str, name: str, specification: Specification, table: pd.DataFrame, caption: str = "") -> None:
    picture(title, Chart(specification, table, session.key(PAGE, name), ALT[name]), caption=caption)


def more(name: str) -> bool:
    """Whether the visitor wants this: it is computed only then. The link keeps it."""
    return widgets.linked_toggle(wording.MORE[name], name, session.key(PAGE, f"more: {name}"))


def choose_colour(counted: bool) -> bool:
    """Whether the colour tells who predicted better, and not how surprised the network was."""
    if not counted:
        return False
    options = link.choice("colour", wording.COLOURS, "surprise")
    chosen = st.segmented_control(
        "Colour",
        list(wording.COLOURS),
        required=True,
        format_func=wording.COLOURS.__getitem__,
        help=wording.COLOUR_HELP,
        **options,
    )
    return bool(chosen == "trigram")


def words(found: TextEvaluation, unit: str, by_trigram: bool) -> None:
    """Every word of a stretch, coloured by its surprise, or by who predicted it better."""
    kind = found.loaded.vocabulary.unit
    ids = np.concatenate([surprise.words for surprise in found.surprises])
    own = np.concatenate([surprise.network_nats for surprise in found.surprises])
    gain = np.concatenate([surprise.gain_nats for surprise in found.surprises])
    if by_trigram:
        better = float((gain > 0).mean())
        st.markdown(
            f"**The network predicts {better:.0%} of the {unit}s better than the trigram does**, and gains "
            f"{gain.mean():+.3f} nats a {unit} over it."
        )
    else:
        st.markdown(
            f"**Perplexity {math.exp(found.loss_nats):,.1f}**: the network hesitates as among so many equally likely "
            f"{unit}s. {len(own):,} predictions, {found.unknown_rate:.1%} of the {unit}s unknown to it."
        )
    place = st.container()
    part = held_out.choose_stretch(PAGE, len(own), kind)
    notes = [f"{nats:.2f} nats, p = {math.exp(-nats):.3g}" for nats in own[part].tolist()]
    if by_trigram:
        notes = [
            f"{note}; trigram {nats:.2f} nats" for note, nats in zip(notes, (own + gain)[part].tolist(), strict=True)
        ]
    far = np.log(len(found.loaded.vocabulary))
    with place:
        coloured_text(
            found.loaded.vocabulary.decode(ids[part].tolist()),
            gain[part] / (far / 2) if by_trigram else own[part] / far,
            notes,
            characters=kind == "char",
            above="the network knew better" if by_trigram else "surprising",
            below="the trigram knew better" if by_trigram else "",
            key=session.key(PAGE, "text"),
        )


def beside_counting(found: TextEvaluation) -> None:
    table = charts.perplexity_table(math.exp(found.loss_nats), found.counted)
    if not found.counted:
        return
    trigram = found.counted["kneser_ney_trigram"]
    own = math.exp(found.loss_nats)
    better = own < trigram
    caption = (
        f"The network's perplexity is **{own:,.1f}**; counting triples of the training text comes to {trigram:,.1f}: "
        + ("it has learnt more than that." if better else "counting still does better.")
    )
    draw("Beside counting", "perplexities", charts.perplexities(len(table)), table, caption)


def context(found: TextEvaluation, unit: str) -> None:
    """What it uses and what it could learn from, in one picture; the sentence says which is larger here."""
    with progress.bar(stop=lambda: session.put(session.key(PAGE, "more: context"), False)) as show:
        reach = found.reach(
            lambda done, total: show(done / total, wording.MEASURING_CONTEXT.format(done=done, total=total))
        )
    most = int(reach.context.lengths[-1])
    uses = f"beyond {most} {unit}s" if reach.context_half is None else f"beyond {reach.context_half:.1f} {unit}s"
    gets = (
        f"more than {len(reach.gradient.median) - 1} {unit}s"
        if reach.gradient_half is None
        else f"{reach.gradient_half:.1f} {unit}s"
    )
    used = reach.context.used()
    enough = f"more than {most}" if used is None else f"the nearest {used}"
    caption = (
        f"**{wording.LARGER[reach.larger].format(unit=unit)}** Half of what it draws from further back than the "
        f"nearest {unit} lies {uses}; half of its gradient is gone after {gets}. For a perplexity within 1 % of "
        f"its own it needs {enough} {unit}s."
    )
    draw("How far back", "reach", charts.reach(unit), charts.reach_table(reach), caption)


def copies(found: TextEvaluation, unit: str) -> None:
    """How much of what it writes stands verbatim in its training text."""
    with st.spinner(wording.WRITING):
        written = found.copies
    kind = found.loaded.vocabulary.unit
    lengths = LEAST_COPIED[kind]
    longest = written.of_network.longest[written.longest].length
    own, people = (copies.share(lengths[0]) for copies in (written.of_network, written.of_people))
    caption = (
        f"The longest span that it copied has **{longest} {unit}s**. {own:.0%} of what it writes lies in spans of "
        f"{lengths[0]} or more that stand in its training text; of the text above, {people:.0%}."
    )
    table = charts.copies_table(written.of_network, written.of_people, lengths, unit)
    draw("Does it copy?", "copies", charts.copies(len(lengths)), table, caption)
    order = np.argsort([-copy.length for copy in written.of_network.longest], kind="stable")[:SHOWN_COPIES].tolist()
    widgets.table(
        {
            f"copied {unit}s": [written.of_network.longest[number].length for number in order],
            "the longest copy in it": [detokenize(written.span(number), kind) for number in order],
            "sentence": [
                detokenize([word for word in written.sentences[number] if word != END], kind) for number in order
            ],
        }
    )


page()
