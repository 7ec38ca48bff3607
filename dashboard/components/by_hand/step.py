"""One step of the lecture on the By hand page: the drawing, the words, every factor with its number, and the source."""

from __future__ import annotations

import html
import math

import numpy as np
import streamlit as st

from dashboard.components.by_hand import markup
from dashboard.components.by_hand.markup import factor, fraction, row
from dashboard.text import by_hand as wording
from rnn_core.reference.by_hand import ASKED, SENTENCE, TARGETS, WORDS, Chain, Unrolled, Weights
from rnn_core.reference.lecture import Step


def draw(step: Step, weights: Weights, unrolled: Unrolled, chain: Chain) -> None:
    """The step on the left, the lines of the tutorial's code that compute it on the right."""
    left, right = st.columns(2, gap="medium")
    with left:
        st.html(markup.drawing(WORDS, unrolled, chain, step, ASKED))
        st.header(wording.STEP_TITLES[step.kind].format(word=_named(step)), anchor=False)
        st.markdown(_story(step, unrolled, chain))
        match step.kind:
            case "forward":
                _forward(step, weights, unrolled)
            case "error":
                _error(step, unrolled, chain)
            case "delta":
                _delta(step, unrolled, chain)
            case "term":
                _term(step, chain)
            case "back":
                _back(step, weights, unrolled, chain)
        if step.k is not None and step.kind not in ("error", "delta"):
            _the_sum(step, chain)
    with right:
        st.html(markup.source(step))
        place = f"t = {step.t}" + (f", bptt_step = {step.k}" if step.kind in ("term", "back") else "")
        st.caption(f"`rnn_core/reference/tutorial.py`, `{step.function}`, here with {place}")


def _named(step: Step) -> str:
    """The word at which the step happens, safe in Markdown."""
    return _escaped(WORDS[SENTENCE[step.t if step.k is None else step.k]])


def _story(step: Step, unrolled: Unrolled, chain: Chain) -> str:
    """What happens in this step, with its numbers."""
    t, k = step.t, step.k
    lengths, sizes = np.linalg.norm(chain.deltas, axis=1), np.linalg.norm(chain.terms, axis=(1, 2))
    probability = float(unrolled.p[t, TARGETS[t]])
    values: dict[str, object] = {
        "word": _named(step),
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


def _forward(step: Step, weights: Weights, unrolled: Unrolled) -> None:
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


def _error(step: Step, unrolled: Unrolled, chain: Chain) -> None:
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


def _delta(step: Step, unrolled: Unrolled, chain: Chain) -> None:
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


def _term(step: Step, chain: Chain) -> None:
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


def _back(step: Step, weights: Weights, unrolled: Unrolled, chain: Chain) -> None:
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


def _the_sum(step: Step, chain: Chain) -> None:
    """The terms so far and what they come to."""
    assert step.k is not None
    parts: list[str] = []
    for k in range(step.t, step.k - 1, -1):
        parts += ["+"] if parts else []
        parts.append(factor(f"<i>k</i> = {k}", chain.terms[k]))
    whole = fraction(f"E_{step.t}", "W") if step.k == 0 else "so far"
    st.markdown(f"**The sum** over $k$, {'finished' if step.k == 0 else 'as far as the gradient has come'}:")
    st.html(row(*parts, "=", factor(whole, chain.sums[step.k], result=True)))


def _escaped(word: str) -> str:
    """Of our own words one, <s>, would be read as HTML in a label."""
    return word.replace("<", "&lt;")
