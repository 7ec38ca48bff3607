"""BPTT by hand: one loss's gradient on its way back through five words, with every number on the table."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence

import numpy as np
import streamlit as st

from dashboard.charts import by_hand as charts
from dashboard.charts.by_hand import factor, fraction, row
from dashboard.components import widgets
from dashboard.components.setting_fields import number_field
from dashboard.state import link, session
from dashboard.text import stories as wording
from rnn_core.arrays import Array
from rnn_core.data import START
from rnn_core.reference import by_hand
from rnn_core.reference.by_hand import ASKED, SENTENCE, TARGETS, WORDS, Chain, Step, Unrolled, Weights

PAGE = "by hand"
STEP = session.key(PAGE, "step")
LECTURE = by_hand.lecture(len(SENTENCE), ASKED)
LARGEST = 9.0


def page() -> None:
    st.title(wording.BY_HAND_TITLE, anchor=False)
    st.markdown(wording.BY_HAND_INTRO)
    place = choose_step()
    # The weights stand below what they change, and are known before it is drawn.
    stage = st.container()
    weights = choose_weights()
    if not all(np.isfinite(matrix).all() for matrix in (weights.U, weights.V, weights.W)):
        return
    unrolled = by_hand.unroll(SENTENCE, TARGETS, weights)
    chain = by_hand.chain(unrolled, TARGETS, weights, ASKED)
    step = LECTURE[place]
    with stage:
        show(step, weights, unrolled, chain)
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
    given, turn = by_hand.example().W, math.radians(40)
    rotation = np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
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


def escaped(word: str) -> str:
    """Of our own words one, <s>, would be read as HTML in a label."""
    return word.replace("<", "&lt;")


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
                        **link.field(entry(name, i, j), f"{name}{i}{j}", link.number, float(value), link.short),
                    )
                values[i, j] = math.nan if number is None else number
    return values


def spoken(word: str) -> str:
    """For a label, which is read aloud as it stands and takes <s> for HTML."""
    return "start" if word == START else word


# --- one step of the lecture ------------------------------------------------------------------------------------------


def show(step: Step, weights: Weights, unrolled: Unrolled, chain: Chain) -> None:
    left, right = st.columns(2, gap="medium")
    with left:
        st.html(charts.drawing(WORDS, unrolled, chain, step, ASKED))
        st.header(wording.STEP_TITLES[step.kind].format(word=named(step)), anchor=False)
        st.markdown(story(step, unrolled, chain))
        match step.kind:
            case "forward":
                forward(step, weights, unrolled)
            case "error":
                error(step, unrolled, chain)
            case "delta":
                delta(step, unrolled, chain)
            case "term":
                term(step, chain)
            case "back":
                back(step, weights, unrolled, chain)
        if step.k is not None and step.kind not in ("error", "delta"):
            the_sum(step, chain)
    with right:
        st.html(charts.source(step))
        place = f"t = {step.t}" + (f", bptt_step = {step.k}" if step.kind in ("term", "back") else "")
        st.caption(f"`rnn_core/reference/tutorial.py`, `{step.function}`, here with {place}")


def named(step: Step) -> str:
    """The word at which the step happens, safe in Markdown."""
    return escaped(WORDS[SENTENCE[step.t if step.k is None else step.k]])


def story(step: Step, unrolled: Unrolled, chain: Chain) -> str:
    """What happens in this step, with its numbers."""
    t, k = step.t, step.k
    lengths, sizes = np.linalg.norm(chain.deltas, axis=1), np.linalg.norm(chain.terms, axis=(1, 2))
    probability = float(unrolled.p[t, TARGETS[t]])
    values: dict[str, object] = {
        "word": named(step),
        "target": WORDS[TARGETS[t]],
        "asked": WORDS[SENTENCE[ASKED]],
        "probability": f"{probability:.3f}",
        "lack": f"{1 - probability:.3f}",
        "loss": f"{unrolled.losses[t]:.3f}",
        "t": t,
        "k": k,
        "own": f"{sizes[ASKED]:.3f}",
        "left": f"{lengths[0] / lengths[ASKED]:.1%}" if lengths[ASKED] else "nothing",
    }
    kind: str = step.kind
    if k is not None:
        values |= {"norm": f"{lengths[k]:.3f}", "size": f"{sizes[k]:.3f}"}
        if kind == "term" and k == 0:
            kind = "term at the first word"
        if kind == "back":
            ratio = lengths[k - 1] / lengths[k] if lengths[k] else math.nan
            values |= {"before": k - 1, "norm_before": f"{lengths[k - 1]:.3f}", "ratio": f"{ratio:.2f}"}
    return wording.STEP_TEXTS[kind].format(**values)


def forward(step: Step, weights: Weights, unrolled: Unrolled) -> None:
    t = step.t
    word = html.escape(WORDS[SENTENCE[t]])
    parts = [factor(f"<i>U</i>, its column “{word}”", weights.U, used=SENTENCE[t])]
    before = unrolled.s[t - 1]
    parts += ["+", factor("<i>W</i>", weights.W), factor(f"<i>s</i><sub>{t - 1}</sub>", before), "="]
    parts += [factor(f"<i>a</i><sub>{t}</sub>", unrolled.a[t]), "tanh →"]
    parts += [factor(f"<i>s</i><sub>{t}</sub>", unrolled.s[t], result=True)]
    st.html(row(*parts, forward=True))
    st.html(
        row(
            factor("<i>V</i>", weights.V),
            factor(f"<i>s</i><sub>{t}</sub>", unrolled.s[t]),
            "=",
            factor(f"<i>V s</i><sub>{t}</sub>", unrolled.o[t]),
            "softmax →",
            factor(f"<i>ŷ</i><sub>{t}</sub>", unrolled.p[t], result=True),
            forward=True,
        )
    )


def error(step: Step, unrolled: Unrolled, chain: Chain) -> None:
    t = step.t
    right = np.arange(len(WORDS)) == TARGETS[t]
    st.html(
        row(
            factor(f"<i>ŷ</i><sub>{t}</sub>", unrolled.p[t]),
            "−",
            factor(f"“{WORDS[TARGETS[t]]}”", right, 0),
            "=",
            factor(f"{fraction(f'E_{t}', f'ŷ_{t}')} · {fraction(f'ŷ_{t}', f'o_{t}')}", chain.loss_scores, result=True),
        )
    )


def delta(step: Step, unrolled: Unrolled, chain: Chain) -> None:
    t = step.t
    st.html(
        row(
            factor(fraction(f"E_{t}", f"ŷ_{t}"), chain.loss_prediction[None]),
            "·",
            factor(fraction(f"ŷ_{t}", f"s_{t}"), chain.prediction_state),
            "=",
            factor(fraction(f"E_{t}", f"s_{t}"), chain.loss_state[t][None]),
        )
    )
    st.html(
        row(
            factor(fraction(f"E_{t}", f"s_{t}"), chain.loss_state[t][None]),
            "∘",
            factor(f"1 − <i>s</i><sub>{t}</sub>²", 1 - unrolled.s[t][None] ** 2),
            "=",
            factor(f"<i>δ</i><sub>{t}</sub>", chain.deltas[t][None], result=True),
        )
    )


def term(step: Step, chain: Chain) -> None:
    t, k = step.t, step.k
    assert k is not None
    st.html(
        row(
            factor(fraction(f"E_{t}", f"ŷ_{t}"), chain.loss_prediction[None]),
            "·",
            factor(fraction(f"ŷ_{t}", f"s_{t}"), chain.prediction_state),
            "·",
            factor(fraction(f"s_{t}", f"s_{k}"), chain.state_state[k]),
            "·",
            factor(fraction(f"s_{k}", "W", immediate=True), chain.state_weights[k]),
            "=",
            factor(f"term <i>k</i> = {k}", chain.terms[k], result=True),
        )
    )
    st.caption(wording.PRODUCT_NOTE)


def back(step: Step, weights: Weights, unrolled: Unrolled, chain: Chain) -> None:
    k = step.k
    assert k is not None
    st.html(
        row(
            factor(f"<i>δ</i><sub>{k}</sub>", chain.deltas[k][None]),
            "·",
            factor("<i>W</i>", weights.W),
            "∘",
            factor(f"1 − <i>s</i><sub>{k - 1}</sub>²", 1 - unrolled.s[k - 1][None] ** 2),
            "=",
            factor(f"<i>δ</i><sub>{k - 1}</sub>", chain.deltas[k - 1][None], result=True),
        )
    )


def the_sum(step: Step, chain: Chain) -> None:
    """The terms so far and what they come to."""
    assert step.k is not None
    parts: list[str] = []
    for k in range(step.t, step.k - 1, -1):
        parts += ["+"] if parts else []
        parts.append(factor(f"<i>k</i> = {k}", chain.terms[k]))
    whole = fraction(f"E_{step.t}", "W") if step.k == 0 else "so far"
    st.markdown(f"**The sum** over $k$, {'finished' if step.k == 0 else 'as far as the gradient has come'}:")
    st.html(row(*parts, "=", factor(whole, chain.sums[step.k], result=True)))


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
