"""Runs side by side: what is drawn, what is said, and what the link keeps."""

from __future__ import annotations

import json
import math
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard import hosting
from dashboard.charts import compare as charts
from dashboard.services import comparing, differences, library, measurements, racing
from dashboard.text import compare as wording
from rnn_core import runs
from rnn_core.config import ModelConfig, TextSettings, TrainingSettings, settings_of
from rnn_core.data import detokenize, prepare_sentences
from rnn_core.runs import Run
from rnn_core.training import BY_HAND
from tests.tiny_runs import tiny_corpus

LOSSES = {0: [3.0, 2.0, 1.0], 1: [3.5, 2.5, 0.5], 2: [4.0, 1.0, 0.7]}
"""Validation losses by seed, after steps 10, 20 and 30."""


def note(history: sqlite3.Connection, step: int, kind: str, **payload: object) -> None:
    history.execute(
        "INSERT INTO events (step, time, kind, payload) VALUES (?, 0, ?, ?)", (step, kind, json.dumps(payload))
    )


@pytest.fixture
def make(runs_folder: Path) -> Callable[..., Run]:
    """Makes a run with a made-up history: these validation losses, 30 steps of 10 tokens and half a second each."""

    def make(name: str, losses: list[float], cell: str = "tanh", unit: str = "word", **settings: object) -> Run:
        text = TextSettings(unit=unit)
        corpus = tiny_corpus()
        if unit == "char":
            sentences = [list(detokenize(corpus.vocabulary.decode(ids[1:-1]))) for ids in corpus.train]
            corpus = prepare_sentences(sentences, "agreement", text)
        network = {name: settings.pop(name) for name in settings_of(ModelConfig) if name in settings}
        model = ModelConfig(cell=cell, vocabulary_size=len(corpus.vocabulary), hidden_size=4, **network)
        run = runs.create_run(
            runs_folder / runs.new_run_id(),
            name,
            corpus,
            model,
            TrainingSettings(**settings),
            text,  # type: ignore[arg-type]
        )
        with closing(sqlite3.connect(run.folder / "events.sqlite")) as history:
            rows = [(step, 0, 10, 5 - step / 10, step, step, 0.1, 1.0, step / 2) for step in range(1, 31)]
            history.executemany(f"INSERT INTO metrics VALUES ({', '.join('?' * 9)})", rows)
            for place, loss in enumerate(losses, 1):
                payload = json.dumps({"epoch": place, "loss_nats": loss, "perplexity": math.exp(loss)})
                history.execute(
                    "INSERT INTO events (step, time, kind, payload) VALUES (?, 0, 'validated', ?)",
                    (10 * place, payload),
                )
            history.commit()
        return run

    return make


def lines_of(made: list[Run], quantity: comparing.Quantity = "validation", axis: comparing.Axis = "steps", **options):
    return comparing.lines(made, quantity, axis, **{"bits": False, "seeds": True, **options})


def test_runs_that_differ_in_the_seed_alone_become_their_median_between_their_extremes(make) -> None:
    made = [make(f"tanh, seed {seed}", losses, seed=seed) for seed, losses in LOSSES.items()]
    other = make("lstm", [2.0, 1.5, 1.25], cell="lstm")
    band, line = lines_of([*made, other])
    losses = np.array(list(LOSSES.values()))
    assert (band.label, line.label) == ("tanh, seed", "lstm")
    assert band.x.tolist() == line.x.tolist() == [10, 20, 30]
    np.testing.assert_array_equal(band.y, np.median(losses, axis=0))
    np.testing.assert_array_equal(band.low, losses.min(axis=0))
    np.testing.assert_array_equal(band.high, losses.max(axis=0))
    assert line.low is None
    assert len(lines_of([*made, other], seeds=False)) == 4


def test_a_run_that_was_steered_is_no_seed_of_the_others(make) -> None:
    steered, left = make("a", LOSSES[0], seed=0), make("b", LOSSES[1], seed=1)
    with closing(sqlite3.connect(steered.folder / "events.sqlite")) as history:
        note(history, 5, "learning_rate_changed", old=0.1, new=0.2, why=BY_HAND)
        history.commit()
    assert len(lines_of([steered, left])) == 2
    assert differences.differing([steered, left])["changed on the way"] == ["learning rate 0.2 after step 5", "–"]


def test_steps_become_tokens_and_seconds(make) -> None:
    run = make("one", LOSSES[0])
    assert lines_of([run], axis="tokens")[0].x.tolist() == [100, 200, 300]
    assert lines_of([run], axis="seconds")[0].x.tolist() == [5, 10, 15]
    training = lines_of([run], "training")[0]
    assert training.x.tolist() == list(range(1, 31))
    assert training.last == pytest.approx(2)


def test_bits_per_character_are_one_measure_for_words_and_characters(make) -> None:
    words, characters = make("words", LOSSES[0]), make("characters", LOSSES[0], unit="char")
    assert not differences.same_text([words, characters])
    by_name = {line.label: line for line in lines_of([words, characters], bits=True)}
    np.testing.assert_allclose(by_name["characters"].y, np.array(LOSSES[0]) / math.log(2))
    corpus = words.corpus()
    text = "".join(detokenize(corpus.vocabulary.decode(ids[1:-1])) + "\n" for ids in corpus.valid)
    tokens = sum(len(ids) - 1 for ids in corpus.valid)
    per_token = measurements.characters_per_token(str(words.folder))
    assert per_token == pytest.approx(len(text) / tokens)
    np.testing.assert_allclose(by_name["words"].y, np.array(LOSSES[0]) / math.log(2) / per_token)


def test_what_grows_in_a_history_is_read_again(make) -> None:
    run = make("one", LOSSES[0][:1])
    assert lines_of([run])[0].last == 3.0
    with closing(sqlite3.connect(run.folder / "events.sqlite")) as history:
        note(history, 20, "validated", epoch=2, loss_nats=0.25, perplexity=2.0)
        history.commit()
    assert lines_of([run])[0].last == 0.25


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE metrics SET loss_nats = x'ff'",
        "INSERT INTO events (step, time, kind, payload) VALUES (1, 1, 'validated', '[1]')",
        "INSERT INTO events (step, time, kind, payload) VALUES (1, 1, 'horizon_measured', '{')",
    ],
)
def test_a_run_with_a_damaged_history_hides_no_other(damage: str, make, open_page) -> None:
    whole, damaged = make("whole", LOSSES[0]), make("damaged", LOSSES[1], cell="lstm")
    with closing(sqlite3.connect(damaged.folder / "events.sqlite")) as history:
        history.execute("PRAGMA ignore_check_constraints = ON")
        history.execute(damage)
        history.commit()
    app = open_page("compare", runs=f"{whole.id},{damaged.id}")
    assert not app.exception
    assert [error.value for error in app.error] == ["1 run cannot be compared"]
    said = " ".join(text.value for text in app.text)
    assert "events.sqlite is damaged" in said
    assert "“whole” ends at" in said


def test_only_settings_that_differ_are_listed_and_every_name_is_told_from_the_others(make) -> None:
    made = [make("same", [1.0], learning_rate=rate) for rate in (0.1, 0.2)] + [make("same", [1.0], learning_rate=0.2)]
    assert differences.differing(made) == {"Learning rate": ["0.1", "0.2", "0.2"]}
    assert differences.labels(made) == [
        "same, learning rate 0.1",
        "same, learning rate 0.2",
        "same, learning rate 0.2 (2)",
    ]


def test_a_setting_is_no_difference_where_it_has_no_effect(make) -> None:
    """Word vectors, where there are none: their usual start was another once, and stands in the runs of then."""
    now, then = make("now", [1.0]), make("then", [1.0], embedding_init="uniform")
    assert differences.differing([now, then]) == {}
    with_vectors = make("vectors", [1.0], embedding_size=4, embedding_init="uniform")
    assert list(differences.differing([now, with_vectors])) == ["Numbers in a word vector"]
    others = make("others", [1.0], embedding_size=4, embedding_init="normal")
    shown = differences.differing([now, with_vectors, others])["First word vectors"]
    assert shown[0] == "–"
    assert shown[1] != shown[2]


def test_runs_of_a_story_or_a_race_are_known_by_what_they_are(trained_run: Run) -> None:
    assert comparing.kind(trained_run.id, trained_run.config) == ""
    assert comparing.kind(racing.lane_id(racing.new_race_id(), 2), trained_run.config) == "race"


@given(
    st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=charts.NAMED),
    st.booleans(),
)
def test_names_keep_their_order_and_a_letter_s_height_between_them(values: list[float], log: bool) -> None:
    extent = (1e-3, 1e3)
    measure = np.log if log else np.asarray
    found = measure(charts.spread(values, extent, log=log))
    height = charts._LETTER * (measure(extent[1]) - measure(extent[0]))
    order = np.argsort(measure(values), kind="stable")  # which may be equal where the values are not quite
    assert (np.diff(found[order]) >= height * (1 - 1e-6)).all()


def test_the_sentence_names_the_lowest_and_says_when_seeds_overlap() -> None:
    def outcome(label: str, value: float, low: float, high: float, seeds: int) -> wording.Outcome:
        return wording.Outcome(label, value, low, high, seeds, least=False, steps=30)

    apart = [outcome("b", 2.0, 2.0, 2.0, 1), outcome("a", 1.0, 1.0, 1.0, 1)]
    assert wording.verdict("training", "nats per word", apart) == (
        "“a” ends lowest, at 1 nats per word; next is “b” with 2."
    )
    close = [outcome("a", 1.0, 0.5, 2.5, 3), outcome("b", 2.0, 1.5, 3.0, 3)]
    assert wording.verdict("training", "nats per word", close).endswith("and their seeds overlap.")


# --- the page ---------------------------------------------------------------------------------------------------------


def drawn(app) -> list[str]:
    return [text.value for text in app.text if text.value.startswith("“")]


def test_the_link_says_which_runs_over_what_and_of_what(make, open_page) -> None:
    made = [make("one", LOSSES[0]), make("two", LOSSES[1]), make("three", LOSSES[2])]
    listed = ",".join(run.id for run in made[:2])
    app = open_page("compare", runs=listed, axis="tokens", quantity="training")
    assert not app.exception
    (said,) = drawn(app)
    assert said.endswith("” with 2.")
    assert app.query_params["runs"] in (listed, [listed])
    assert app.query_params["axis"] in ("tokens", ["tokens"])
    app.selectbox(key="link: quantity").set_value("validation").run()
    assert drawn(app) == ["“two” ends lowest, at 0.5 nats per word; next is “one” with 1."]
    assert "quantity" not in app.query_params
    app.multiselect[0].set_value([run.id for run in made]).run()
    assert ",".join(run.id for run in made) in str(app.query_params["runs"])
    assert "“two” ends lowest, at 0.5 nats per word; next is “three” with 0.7." in drawn(app)


def test_what_does_not_compare_is_called_so(make, open_page) -> None:
    listed = ",".join(run.id for run in (make("words", LOSSES[0]), make("characters", LOSSES[1], unit="char")))
    app = open_page("compare", runs=listed)
    assert app.selectbox(key="link: unit").value == "bits"
    assert wording.MIXED not in [caption.value for caption in app.caption]
    app.selectbox(key="link: unit").set_value("nats").run()
    assert wording.MIXED in [caption.value for caption in app.caption]


def test_a_link_to_nothing_and_to_nonsense_is_explained(make, open_page) -> None:
    run = make("one", LOSSES[0])
    app = open_page("compare", runs=f"{run.id},20200101-00000000000000000000,../../etc", axis="<b>", quantity="x")
    assert not app.exception
    assert len(app.error) == 1
    assert drawn(app) == ["“one” ends at 1 nats per word."]


def test_a_visitor_compares_their_own_runs_and_those_of_the_link_and_no_others(make, open_page, monkeypatch) -> None:
    mine, linked, hidden = make("mine", LOSSES[0]), make("linked", LOSSES[1]), make("hidden", LOSSES[2])
    monkeypatch.setenv(hosting.VARIABLE, "1")
    monkeypatch.setattr(hosting, "stay_offline", lambda: None)
    monkeypatch.setattr("dashboard.services.worker.start_dispatcher", lambda: None)
    for run, owner in ((mine, "a"), (linked, "b"), (hidden, "b")):
        hosting.set_owner(run.folder, hosting.owner_id(owner * 64))
    monkeypatch.setattr(library, "_secret", lambda: "a" * 64)
    app = open_page("compare", runs=f"{mine.id},{linked.id}")
    assert set(app.multiselect[0].options) == {"mine", "linked"}
    assert drawn(app) == ["“linked” ends lowest, at 0.5 nats per word; next is “mine” with 1."]


def test_a_run_that_was_deleted_meanwhile_leaves_the_others(make, open_page) -> None:
    made = [make("one", LOSSES[0]), make("two", LOSSES[1])]
    app = open_page("compare", runs=",".join(run.id for run in made))
    shutil.rmtree(made[0].folder)
    app.run()
    assert not app.exception
    assert drawn(app) == ["“two” ends at 0.5 nats per word."]


def test_the_filter_of_the_runs_is_in_the_link(open_page, trained_run, new_run):
    new_run("something else")
    app = open_page("runs", filter="something")
    assert list(app.dataframe[0].value["name"]) == ["something else"]
    app.text_input[0].set_value("").run()
    assert "filter" not in app.query_params
    assert len(app.dataframe[0].value) == 2
