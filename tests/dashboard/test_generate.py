"""The Generate page: text with probabilities, side by side, and a link that restores it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from dashboard.components import written as component
from dashboard.state import session
from rnn_core import runs
from rnn_core.config import ModelConfig, SamplingSettings, TextSettings, TrainingSettings
from rnn_core.data import prepare_sentences, written_pieces
from rnn_core.runs.worker import work
from rnn_core.training import generate
from tests.dashboard.test_user_text import elements


def sentences(app) -> list[list[str]]:
    """What stands on the page, by text, by sentence."""
    drawn = [element.proto for element in elements(app._tree) if element.type == "bidi_component"]
    data = [json.loads(proto.json)[0] for proto in drawn if proto.component_name == "written"]
    return [["".join(token["text"] for token in sentence) for sentence in text["sentences"]] for text in data]


def again(app) -> Any:
    return next(button for button in app.button if button.label == "Write again").click().run()


def test_sentences_begin_with_the_prompt_and_are_as_many_as_asked_for(open_page, trained_run):
    app = open_page("generate", trained_run.id)
    app.text_input[0].set_value("the queen")
    app.slider(key=session.key("generate", "count")).set_value(3)
    (text,) = sentences(app.run())
    assert len(text) == 3
    assert all(sentence.startswith("the queen") for sentence in text)
    assert not app.get("vega_lite_chart")
    app.toggle(key=session.key("generate", "charts")).set_value(True).run()
    assert len(app.get("arrow_vega_lite_chart") or app.get("vega_lite_chart")) == 3


def test_writing_again_draws_others_and_the_same_draw_comes_back_after_a_rerun(open_page, trained_run):
    app = open_page("generate", trained_run.id)
    first = sentences(app)
    assert sentences(app.run()) == first
    second = sentences(again(app))
    assert second != first
    assert sentences(app.run()) == second


def test_two_temperatures_stand_side_by_side_on_the_same_draw(open_page, trained_run):
    link = {"beside": "temperature", "temperature": "0", "temperature2": "3", "prompt": "the king", "count": "2"}
    link |= {"draw": "7", "charts": "1", "allow_unknown": "1"}
    app = open_page("generate", trained_run.id, **link)
    sure, daring = sentences(app)
    assert len(set(sure)) == 1  # the likeliest words, whatever was drawn
    assert len(set(daring)) > 1
    assert {name: str(app.query_params[name]).strip("[]'") for name in link} == link
    app.number_input(key=session.key("generate", "second temperature")).set_value(0.0).run()
    assert sentences(app) == [sure, sure]


@pytest.mark.parametrize("number", ["nan", "1e999", "-1", "x", ""])
def test_a_link_with_no_number_in_it_is_explained_or_counts_as_nothing(number, open_page, trained_run):
    app = open_page(
        "generate",
        trained_run.id,
        temperature=number,
        max_tokens=number,
        count=number,
        draw=number,
        charts=number,
        beside="<b>",
    )
    assert not app.exception
    assert len(app.error) == (1 if number == "-1" else 0)


def test_another_run_reads_the_same_prompt(open_page, trained_run, new_run):
    other = new_run("other")
    work(other.folder)
    app = open_page("generate", trained_run.id, beside="run", prompt="the queen")
    assert app.query_params["run"] in (trained_run.id, [trained_run.id])
    one, two = sentences(app)
    assert all(sentence.startswith("the queen") for sentence in [*one, *two])


def test_a_network_of_characters_writes_as_many_as_are_asked_for(open_page, runs_folder):
    text = TextSettings(unit="char", sentences="lines")
    corpus = prepare_sentences([list("the quick brown fox jumps over the lazy dog")] * 30, "fox", text)
    model = ModelConfig(vocabulary_size=len(corpus.vocabulary), hidden_size=4)
    training = TrainingSettings(steps=1, epochs=None, sample_every_seconds=None, horizon_every_seconds=None)
    run = runs.create_run(runs_folder / runs.new_run_id(), "characters", corpus, model, training, text)
    work(run.folder)
    app = open_page("generate", run.id, max_tokens="70", temperature="1")
    app.slider(key=session.key("generate", "count")).set_value(20)
    (written,) = sentences(app.run())
    assert max(map(len, written)) == 70


# --- the component ----------------------------------------------------------------------------------------------------


@pytest.fixture
def choose(monkeypatch: pytest.MonkeyPatch, trained_run) -> Callable[[Any], list[str]]:
    """Draws two sentences and lets the browser send something -> what the page was told to go on from."""
    tokens = list(
        generate(trained_run.load_model(), trained_run.vocabulary(), "the queen", 2, SamplingSettings(max_tokens=6))
    )
    callbacks: dict[str, Callable[[], None]] = {}
    monkeypatch.setattr(component, "_component", lambda key, data, **listeners: callbacks.update(listeners))
    told: list[str] = []
    component.written(tokens, "word", key="here", label="", on_choose=told.append)

    def choose(sent: Any) -> list[str]:
        monkeypatch.setattr(component.st, "session_state", {"here": {"chosen": sent}})
        callbacks["on_chosen_change"]()
        return told

    choose.tokens = tokens  # type: ignore[attr-defined]
    return choose


def test_an_alternative_is_gone_on_from_in_its_own_sentence(choose) -> None:
    second = [token for token in choose.tokens if token.sentence == 1]
    words = [token.word for token in second[:3]] + [second[3].alternatives[2][0]]
    assert choose([1, 3, 2]) == ["".join(written_pieces(words))]


NOTHING = [None, "x", [1], [9, 0, 0], [0, 99, 0], [0, 0, 99], [[], 0, 0], {"a": 1}, [0, 0, None]]


@pytest.mark.parametrize("sent", NOTHING)
def test_what_no_browser_sends_is_not_heard(choose, sent) -> None:
    assert choose(sent) == []
