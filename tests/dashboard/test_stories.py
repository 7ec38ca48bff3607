"""The lecture, the race and the first story, as a visitor meets them."""

from __future__ import annotations

import re

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from dashboard import session
from dashboard.charts import by_hand as charts
from rnn_core import by_hand
from rnn_core.by_hand import ASKED, SENTENCE, TARGETS, WORDS

# --- BPTT by hand -----------------------------------------------------------------------------------------------------


def page_html(app: AppTest) -> str:
    return "\n".join(element.proto.body for element in app.get("html"))


def said(app: AppTest) -> str:
    return "\n".join(element.value for element in app.markdown)


def click(app: AppTest, label: str) -> AppTest:
    (found,) = [candidate for candidate in app.button if candidate.label == label]
    return found.click().run()


def field(name: str, row: int, column: int) -> str:
    return session.key("by hand", f"{name} {row} {column}")


def test_the_lecture_goes_forward_and_back_and_stops_at_its_ends(open_page):
    app = open_page("by_hand")
    step = app.slider(key=session.key("by hand", "step"))
    assert step.value == 1
    assert [button.disabled for button in app.button] == [True, True, False, False]
    titles = []
    for _ in range(15):
        titles.append(app.subheader[0].value)
        app = click(app, "Next")
        assert not app.exception
    assert [button.disabled for button in app.button] == [False, False, True, True]
    assert titles.count("One word back") == 3
    assert app.subheader[0].value == "The finished sum"
    app = click(app, "Previous")
    assert app.slider(key=session.key("by hand", "step")).value == 15
    app = click(app, "First")
    assert app.subheader[0].value == "Read “&lt;s>”"


def test_every_step_shows_the_numbers_it_is_about(open_page):
    app = open_page("by_hand")
    weights = by_hand.example()
    unrolled = by_hand.unroll(SENTENCE, TARGETS, weights)
    chain = by_hand.chain(unrolled, TARGETS, weights, ASKED)
    for place, step in enumerate(by_hand.lecture(5, ASKED), 1):
        app.slider(key=session.key("by hand", "step")).set_value(place).run()
        shown = page_html(app)
        expected = {
            "forward": [unrolled.a[step.t], unrolled.s[step.t], unrolled.p[step.t]],
            "loss": [],
            "error": [unrolled.p[ASKED], chain.loss_scores],
            "delta": [chain.loss_prediction, chain.prediction_state, chain.loss_state[ASKED], chain.deltas[ASKED]],
            "term": [] if step.k is None else [chain.state_state[step.k], chain.state_weights[step.k]],
            "back": [] if not step.k else [chain.deltas[step.k], chain.deltas[step.k - 1]],
            "done": [chain.gradient],
        }[step.kind]
        if step.kind == "term":
            expected += [chain.terms[step.k], chain.sums[step.k]]
        for number in np.concatenate([np.zeros(0), *(values.ravel() for values in expected)]):
            assert f"<div>{charts.figures(number, 3)}</div>" in shown, (step, number)
        if step.kind == "loss":
            assert f"{unrolled.losses[ASKED]:.3f}" in said(app)
        for line in step.lines:
            marked = re.search(r"<span class='bh-line'>\s*" + re.escape(charts.html.escape(line)), shown)
            assert marked, line


def test_a_changed_weight_changes_every_number_and_the_sum_stays_right(open_page):
    app = open_page("by_hand")
    app = click(app, "Last")
    before = page_html(app)
    app.number_input(key=field("W", 0, 1)).set_value(1.3)
    app.number_input(key=field("U", 1, 2)).set_value(0.7)
    app.number_input(key=field("V", 4, 0)).set_value(-0.5)
    app.run()
    weights = by_hand.example()
    weights.W[0, 1], weights.U[1, 2], weights.V[4, 0] = 1.3, 0.7, -0.5
    expected = by_hand.check_one(SENTENCE, TARGETS, weights, ASKED)
    shown = page_html(app)
    for number in expected.by_hand.ravel():
        assert f"<div>{charts.figures(number, 4)}</div>" in shown
        assert f"<div>{charts.figures(number, 4)}</div>" not in before
    assert len(app.metric) == 2
    for metric in app.metric:
        assert float(metric.value) < 1e-12


def test_a_preset_fills_the_fields_of_w(open_page):
    app = open_page("by_hand")
    app.pills(key=session.key("by hand", "preset")).set_value("large").run()
    W = [[app.number_input(key=field("W", row, column)).value for column in range(2)] for row in range(2)]
    np.testing.assert_allclose(W, 2 * by_hand.example().W)
    app.pills(key=session.key("by hand", "preset")).set_value("given").run()
    assert app.number_input(key=field("W", 0, 1)).value == -0.4


@pytest.mark.parametrize("size", [9.0, -9.0, 0.0])
def test_the_lecture_bears_weights_of_any_size(open_page, size):
    app = open_page("by_hand")
    for row in range(2):
        for column in range(2):
            app.number_input(key=field("W", row, column)).set_value(size)
    for place in range(1, 17):
        app.slider(key=session.key("by hand", "step")).set_value(place).run()
        assert not app.exception
    assert all(float(metric.value) < 1e-12 for metric in app.metric)


def test_the_drawing_shows_a_delta_for_every_word_that_the_gradient_has_reached():
    weights = by_hand.example()
    unrolled = by_hand.unroll(SENTENCE, TARGETS, weights)
    chain = by_hand.chain(unrolled, TARGETS, weights, ASKED)
    reached = {"forward": 0, "loss": 0, "error": 0, "delta": 1}
    for step in by_hand.lecture(5, ASKED):
        drawn = charts.drawing(WORDS, unrolled, chain, step, ASKED)
        words = ASKED - step.k + 1 + (step.kind == "back") if step.kind not in reached else reached[step.kind]
        assert drawn.count("<i>δ</i>") == words, step
        assert drawn.count("←") == max(0, words - 1), step


def test_figures_have_a_real_minus_sign_and_no_negative_zero():
    assert charts.figures(-0.4) == "−0.40"
    assert charts.figures(-0.001) == "0.00"
    assert charts.figures(-1e-9, 3) == "0.000"
    assert charts.figures(-123456.0) == "−1.2e+05"
