"""The first page and its picture, without a browser: numbers, levers and links."""

from __future__ import annotations

import dataclasses
import itertools
import subprocess
import sys

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from dashboard.components.unrolled import picture
from dashboard.services import home_network
from dashboard.services.home_network import Levers
from dashboard.state import session
from rnn_core.config import TextSettings
from rnn_core.config.choices import CELLS
from rnn_core.data import prepare_sentences
from rnn_core.data.relative_clauses import relative_clauses
from rnn_core.training.evaluation import evaluate
from tests.dashboard.conftest import APP
from tests.waiting import HANG_SECONDS

WORDS = home_network.split(home_network.SENTENCE)


def left(levers: Levers) -> float:
    """Of the gradient of "went": what arrives at "man"."""
    norms = home_network.read(levers, WORDS).norms
    return float(norms[home_network.ASKED, home_network.CONTROLLER] / norms[home_network.ASKED, home_network.ASKED])


# --- what it claims ---------------------------------------------------------------------------------------------------


def test_it_vanishes_lives_at_the_edge_explodes_and_is_cured_by_the_cell():
    assert left(home_network.PRESETS["vanishing"]) < 0.01
    assert 0.3 < left(home_network.PRESETS["edge"]) <= 1
    assert left(home_network.PRESETS["explosion"]) > 10
    for size in (0.5, 4.0):
        assert 0.1 < left(Levers("lstm", size)) < 2
        assert 0.1 < left(Levers("gru", size)) < 2


@pytest.mark.parametrize("size", home_network.SIZES)
@pytest.mark.parametrize("start", home_network.starts())
def test_the_size_of_w_is_its_spectral_radius_and_no_gradient_exceeds_the_bound(size, start):
    reading = home_network.read(Levers("tanh", size, start), WORDS)
    assert reading.radius == pytest.approx(size)
    assert reading.bound is not None
    own = np.diagonal(reading.norms)[:, None]
    lags = np.subtract.outer(np.arange(len(own)), np.arange(len(own)))
    below = np.tril(np.ones_like(reading.norms, bool))
    assert (reading.norms <= own * reading.bound ** np.maximum(lags, 0) * (1 + 1e-9))[below].all()


def test_truncation_changes_what_is_used_and_not_what_would_arrive():
    assert home_network.read(Levers(reach="4"), WORDS) is home_network.read(Levers(), WORDS)


# --- trained beforehand -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cell", CELLS)
def test_every_cell_has_trained_weights_and_they_are_as_good_as_their_file_says(cell):
    """Where this fails for a new or changed cell: python -m dashboard.services.train_home_network"""
    known = home_network.trained(cell)
    corpus = prepare_sentences(relative_clauses(known.facts["sentences"]), "", TextSettings(sentences="lines"))
    assert corpus.vocabulary.words == known.vocabulary.words
    assert set(WORDS) <= set(corpus.vocabulary.words)
    assert evaluate(known.model, corpus.valid).loss_nats == pytest.approx(known.facts["valid_loss_nats"], rel=1e-3)


def test_a_trained_network_reads_words_that_it_does_not_know_as_unknown():
    reading = home_network.read(Levers(trained=True), ("The", "man", "ate", "<unk>"))
    assert reading.unknown == (False, False, False, True, True, False)


def test_who_went_where_follows_from_the_subject_and_from_nothing_else_before_the_verb():
    sentences = relative_clauses(500, seed=3)
    verbs = {(sentence[1], sentence[-2]) for sentence in sentences}
    assert len(verbs) == len({subject for subject, _ in verbs}) == len({verb for _, verb in verbs})
    assert {len(sentence) for sentence in sentences} == {11, 12}


# --- links ------------------------------------------------------------------------------------------------------------


def test_levers_come_back_from_their_link():
    for cell, size, start, reach, trained in itertools.product(
        CELLS, (0.1, 4.0), home_network.starts(), ("full", "4"), (False, True)
    ):
        levers = Levers(cell, size, start, reach, trained)
        assert Levers.from_link(levers.to_link()) == levers


@pytest.mark.parametrize(
    "link",
    ["", "tanh", "tanh,9,orthogonal,full,untrained", "x,1,orthogonal,full,untrained", "tanh,1,uniform,full,untrained"]
    + ["tanh,1,orthogonal,0,untrained", "tanh,1,orthogonal,full,", "tanh,nan,orthogonal,full,trained", ",,,,", "../x"],
)
def test_a_link_to_levers_that_there_are_not_says_nothing(link, open_page):
    assert Levers.from_link(link) is None
    app = open_page("home", see=link, word="99999999999", was=link)
    assert shown(app) == Levers()


def shown(app: AppTest) -> Levers:
    return Levers(
        app.segmented_control(key=session.key("home", "cell")).value,
        app.select_slider(key=session.key("home", "size")).value,
        app.selectbox(key=session.key("home", "start")).value,
        app.selectbox(key=session.key("home", "reach")).value,
        app.toggle(key=session.key("home", "trained")).value,
    )


def test_the_page_writes_its_state_into_the_link_and_reads_it_from_there(open_page):
    app = open_page("home")
    assert not app.query_params
    app.button(key=session.key("home", "preset explosion")).click().run()
    app.selectbox(key=session.key("home", "reach")).set_value("4").run()
    app.text_input(key=session.key("home", "sentence")).set_value("who is it ?").run()
    assert shown(app) == Levers(size=4.0, reach="4")
    link = dict(app.query_params)
    again = open_page("home", **link)
    assert shown(again) == Levers(size=4.0, reach="4")
    assert again.text_input(key=session.key("home", "sentence")).value == "who is it ?"
    assert dict(again.query_params) == link


def test_a_preset_is_one_touch_and_what_was_there_before_stays_in_view(open_page):
    app = open_page("home")
    for name, levers in home_network.PRESETS.items():
        app.button(key=session.key("home", f"preset {name}")).click().run()
        assert shown(app) == levers
    assert app.query_params["was"] == home_network.PRESETS["edge"].to_link()
    app.button(key=session.key("home", "preset cure")).click().run()
    assert shown(app) == dataclasses.replace(home_network.PRESETS["explosion"], cell="lstm")


@pytest.mark.parametrize(
    "sentence", ["", "?", "word", "<s> </s> <unk>", "x " * 200, "![a](http://127.0.0.1/a.png) *b*"]
)
def test_any_sentence_is_shown(sentence, open_page):
    app = open_page("home")
    for trained in (False, True):
        app.toggle(key=session.key("home", "trained")).set_value(trained)
        app.text_input(key=session.key("home", "sentence")).set_value(sentence[:400]).run()
        assert not app.exception
        assert not app.error


# --- the picture ------------------------------------------------------------------------------------------------------


def test_the_picture_refuses_norms_that_do_not_fit_the_words():
    with pytest.raises(ValueError, match="3 words need norms of shape"):
        picture.picture_data(["a", "b", "c"], np.eye(3))


def test_what_is_not_finite_travels_as_nothing_and_the_upper_triangle_not_at_all():
    norms = np.array([[1.0, np.nan], [np.inf, 0.123456]])
    assert picture._rows(norms) == [[1.0], [None, 0.1235]]


@pytest.mark.process
def test_the_first_picture_waits_for_no_library_of_tables_or_charts():
    """They take half a second to import, which the first visitor would wait for."""
    script = (
        "import sys; from streamlit.testing.v1 import AppTest\n"
        f"app = AppTest.from_file({str(APP)!r}, default_timeout={HANG_SECONDS}).run()\n"
        "assert not app.exception\n"
        "print([name for name in ('pandas', 'altair', 'nltk', 'scipy') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=APP.parents[1]
    )
    assert done.stdout.strip() == "[]", done.stdout
