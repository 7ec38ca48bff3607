"""The demo vanishes, its cure is one click away, and every page without a run offers it."""

from __future__ import annotations

import dataclasses

import pytest

from dashboard.components.unrolled import picture
from dashboard.services import demo, run_sentence, sources
from dashboard.state import session
from dashboard.text import general as wording
from dashboard.text import training as training_wording
from rnn_core.runs import Run, create_run, new_run_id
from rnn_core.runs.worker import work


@pytest.fixture
def short_demo(runs_folder) -> Run:
    """The demo after its first fifty steps."""
    corpus = sources.prepare(demo.SOURCE, demo.TEXT)
    training = dataclasses.replace(demo.training(), steps=50)
    folder = runs_folder / new_run_id()
    create_run(folder, demo.NAME, corpus, demo.model(len(corpus.vocabulary)), training, demo.TEXT)
    work(folder)
    return Run.open(folder)


def left(run: Run, step: int) -> float:
    sentence = run_sentence.sentence_of(run, wording.EXAMPLE_SENTENCE)
    assert sentence is not None
    assert sentence.controller is not None
    norms = run_sentence.gradients(str(run.folder), step, sentence.tokens).norms
    return float(norms[sentence.asked, sentence.controller] / norms[sentence.asked, sentence.asked])


def test_less_than_a_hundredth_of_the_demos_gradient_arrives_at_the_word_that_matters(short_demo):
    assert left(short_demo, short_demo.moments()[-1]) < 0.01


def test_the_sentence_is_followed_from_the_agreeing_word_to_its_queen_or_king(short_demo):
    sentence = run_sentence.sentence_of(short_demo, wording.EXAMPLE_SENTENCE)
    assert sentence is not None
    words = run_sentence.gradients(str(short_demo.folder), short_demo.moments()[-1], sentence.tokens).words
    assert sentence.controller is not None
    assert (words[sentence.controller], words[sentence.asked + 1]) in {("queen", "her"), ("king", "his")}
    assert sentence.asked - sentence.controller == demo.SOURCE.gap


def test_the_train_page_shows_how_far_the_gradient_gets_and_the_state_before_beside_it(
    open_page, short_demo, monkeypatch
):
    drawn = []
    monkeypatch.setattr(picture, "_component", lambda **given: drawn.extend(given["data"]) or {})
    open_page("train", short_demo.id)
    data = drawn[-1]
    assert data["before_name"] == training_wording.BEFORE_STEP.format(step=short_demo.moments()[0])
    assert data["before"] != data["norms"]


@pytest.mark.process
def test_the_cure_is_one_click_and_is_trained_on_the_same_text_in_the_same_way_beside_the_other(
    open_page, short_demo, runs_folder, monkeypatch
):
    app = open_page("train", short_demo.id)
    app.button(key=session.key("train", "cure")).click().run()
    assert not app.exception
    cured = Run.open(runs_folder / app.query_params["run"])
    assert cured.config.model == demo.cure_of(short_demo.config.model)
    assert cured.config.training == short_demo.config.training
    assert cured.config.corpus == short_demo.config.corpus
    assert app.query_params["before"] == short_demo.id
    # A cured network is not offered the cure again.
    assert demo.cure_of(cured.config.model) is None


def test_another_run_beside_this_one_is_forgotten_with_the_next_that_is_opened(open_page, short_demo, trained_run):
    app = open_page("train", short_demo.id, before=trained_run.id)
    assert app.query_params["before"] == trained_run.id
    again = open_page("train", short_demo.id, before="../../etc")
    assert not again.exception
    assert "before" not in again.query_params


@pytest.mark.parametrize("page", ["train", "gradients", "generate", "compare", "runs"])
def test_a_page_without_a_run_says_what_it_would_show_and_offers_the_demo(page, open_page):
    app = open_page(page)
    assert wording.WOULD_SHOW[page] in [element.value for element in app.markdown]
    assert wording.FIRST_VISIT_BUTTON in [button.label for button in app.button]
