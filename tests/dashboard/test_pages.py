"""Every page as a visitor meets it: empty, with a run, with bad input. The app runs; only the browser is missing."""

from __future__ import annotations

import dataclasses
import shutil

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from dashboard import hosting
from dashboard.services import racing, worker
from dashboard.state import session
from dashboard.text import corpus as corpus_wording
from dashboard.text import general as wording
from dashboard.text import training as training_wording
from rnn_core import runs
from rnn_core.config.presets import PRESETS
from rnn_core.runs import Run
from rnn_core.runs.worker import Limits, work
from tests.waiting import wait_for

PAGES = ["corpus", "train", "gradients", "evaluate", "units", "generate", "compare", "runs"]
SENTENCES = "\n".join(
    f"The {animal} saw the {thing} again."
    for animal in ("cat", "dog", "owl")
    for thing in ("mouse", "ball", "leaf", "sun")
)


def texts(app: AppTest) -> str:
    """All that the page says in plain text or in our own words."""
    kinds = (app.text, app.markdown, app.caption, app.error, app.info, app.success, app.code)
    return "\n".join(str(element.value) for kind in kinds for element in kind)


def button(app: AppTest, label: str):
    (found,) = [candidate for candidate in app.button if candidate.label == label]
    return found


def number(app: AppTest, label: str, place: str = ""):
    (found,) = [field for field in app.number_input if field.label == label and place in field.key]
    return found


def said_beside_fields(app: AppTest) -> str:
    return " ".join(text.value for text in app.markdown if ":red[" in text.value)


def train_on_this(app: AppTest) -> None:
    """From the Corpus page to the Train page; the testing framework has to be told of the change of page."""
    button(app, "Train a network on this").click().run()
    app.switch_page("views/train.py").run()


def wait_for_state(run: Run, state: str) -> None:
    wait_for(lambda: run.status().state == state, state)


@pytest.mark.parametrize("view", PAGES)
def test_a_first_visit_finds_every_page_friendly_and_empty(view, open_page):
    app = open_page(view)
    assert not app.error
    assert app.title[0].value == view.capitalize()


@pytest.mark.parametrize("view", PAGES)
def test_every_page_shows_a_finished_run(view, open_page, trained_run):
    app = open_page(view, trained_run.id)
    assert not app.error
    assert trained_run.config.name in [element.value for element in app.sidebar.text]


@pytest.mark.parametrize("view", ["train", "gradients", "generate"])
@pytest.mark.parametrize("link", ["no-such-run", "../../etc/passwd", "x" * 100, "%2e%2e", ".", ""])
def test_a_link_to_no_run_of_ours_opens_nothing_and_says_so_kindly(view, link, open_page, trained_run):
    app = open_page(view, link)
    assert not app.exception
    assert not app.sidebar.text
    assert len(app.error) <= 1


# --- corpus -----------------------------------------------------------------------------------------------------------


def test_an_uploaded_text_is_read_and_becomes_the_corpus_to_train_on(open_page):
    app = open_page("corpus")
    app.file_uploader[0].set_value([("animals.txt", SENTENCES.encode(), "text/plain")]).run()
    numbers = {metric.label: metric.value for metric in app.metric}
    assert numbers["Sentences"] == "12"
    assert numbers["Words"] == "84"
    assert numbers["Text covered"] == "100.0 %"
    train_on_this(app)
    assert app.title[0].value == "Train"
    assert "animals.txt" in texts(app)


def test_a_pasted_text_is_read_line_by_line_when_asked(open_page):
    app = open_page("corpus")
    app.segmented_control(key=session.key("corpus", "source")).set_value("paste").run()
    app.text_area[0].set_value(SENTENCES).run()
    app.selectbox(key=session.key("corpus", "sentences")).set_value("lines").run()
    assert {metric.label: metric.value for metric in app.metric}["Sentences"] == "12"


def test_the_column_of_a_table_is_the_readers_to_choose(open_page):
    table = "id,body\n" + "\n".join(f"{number},{line}" for number, line in enumerate(SENTENCES.split("\n")))
    app = open_page("corpus")
    app.file_uploader[0].set_value([("table.csv", table.encode(), "text/csv")]).run()
    column = app.selectbox(key=session.key("corpus", "column"))
    assert column.options == ["id", "body"]
    column.set_value("body").run()
    assert {metric.label: metric.value for metric in app.metric}["Words"] == "84"


def test_a_smaller_vocabulary_covers_less_of_the_text(open_page):
    app = open_page("corpus")
    app.segmented_control(key=session.key("corpus", "source")).set_value("python").run()
    whole = {metric.label: metric.value for metric in app.metric}
    slider = app.select_slider(key=session.key("corpus", "vocabulary_size"))
    slider.set_value(50).run()
    cut = {metric.label: metric.value for metric in app.metric}
    assert cut["Vocabulary"] == "50"
    assert float(cut["Text covered"].split()[0]) < float(whole["Text covered"].split()[0])


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("empty.txt", b"", "empty"),
        ("word.txt", b"word", "at least 20"),
        ("binary.txt", bytes(range(256)) * 50, "binary"),
        ("line.txt", b"x" * 1_000_000, "without a space"),
        ("zip.txt", b"PK\x03\x04" + b"\x00" * 100, "zip archive"),
        ("pickle.csv", b"\x80\x04\x95" + b"\x00" * 100, "binary file"),
    ],
)
def test_what_is_no_text_gets_a_sentence_of_explanation(name, data, says, open_page):
    app = open_page("corpus")
    app.file_uploader[0].set_value([(name, data, "text/plain")]).run()
    assert not app.exception
    assert len(app.error) == 1
    assert says in "\n".join(element.value for element in app.text)


def test_letters_of_an_unknown_encoding_are_asked_for_with_a_preview(open_page):
    russian = "\n".join(f"кошка номер {number} видела мышь у дома" for number in range(30))
    app = open_page("corpus")
    app.file_uploader[0].set_value([("koshka.txt", russian.encode("cp1251"), "text/plain")]).run()
    encodings = app.selectbox[-1]
    assert encodings.label == "Encoding"
    assert "cp1251" in encodings.options
    encodings.set_value("cp1251").run()
    assert not app.error
    assert "кошка" in app.dataframe[0].value["sentence"].str.cat()
    assert app.session_state[session._CORPUS].settings.encoding == "cp1251"
    # What was said of one file does not hold for another, though it has the same name.
    app.file_uploader[0].set_value([("koshka.txt", f"{russian}.".encode("koi8-r"), "text/plain")]).run()
    assert corpus_wording.WHICH_ENCODING in [error.value for error in app.error]


@pytest.mark.parametrize("page", ["evaluate", "units"])
def test_a_text_to_look_at_is_asked_for_its_encoding_too(page, open_page, trained_run):
    text = "the queen wanted her café and the king wanted his naïve queen .\n" * 20
    app = open_page(page, trained_run.id, text="upload")
    app.file_uploader[0].set_value([("cafe.txt", text.encode("latin-1"), "text/plain")]).run()
    assert corpus_wording.WHICH_ENCODING in [error.value for error in app.error]
    next(box for box in app.selectbox if box.label == "Encoding").set_value("cp1252").run()
    assert not app.error
    assert not app.exception
    assert corpus_wording.WHICH_ENCODING not in texts(app)


def test_an_nltk_corpus_is_fetched_by_a_click_only_and_its_absence_breaks_nothing(open_page, monkeypatch):
    from dashboard.services import sources
    from rnn_core.errors import CorpusError

    asked: list[str] = []

    def offline(name: str) -> list[str]:
        asked.append(name)
        raise CorpusError("NLTK's server cannot be reached. Choose another corpus.")

    monkeypatch.setattr(sources, "nltk_corpus", offline)
    app = open_page("corpus")
    app.segmented_control(key=session.key("corpus", "source")).set_value("nltk").run()
    assert not asked
    button(app, "Get it").click().run()
    assert asked == ["gutenberg"]
    assert "cannot be reached" in texts(app)


# --- train ------------------------------------------------------------------------------------------------------------


@pytest.mark.process
@pytest.mark.slow
def test_the_demo_goes_from_one_click_to_a_training_with_a_falling_loss(open_page, runs_folder):
    app = open_page("corpus")
    button(app, wording.FIRST_VISIT_BUTTON).click().run()
    assert app.title[0].value == "Train"
    run = Run.open(runs_folder / app.query_params["run"])
    wait_for(lambda: len(run.metrics()["loss_nats"]) >= 300, "a picture")
    losses = run.metrics()["loss_nats"]
    assert losses[-50:].mean() < 0.7 * losses[:5].mean()


@pytest.mark.process
@pytest.mark.slow
def test_a_training_can_be_paused_stepped_resumed_and_stopped_from_the_page(open_page, new_run):
    run = new_run(epochs=100_000)
    app = open_page("train", run.id)
    button(app, "Start").click().run()
    wait_for_state(run, "running")
    button(app.run(), "Pause").click().run()
    wait_for_state(run, "paused")
    step = run.status().step
    button(app.run(), "One step").click().run()
    wait_for(lambda: run.status().step > step)
    assert run.status().step == step + 1
    button(app.run(), "Resume").click().run()
    wait_for_state(run, "running")
    button(app.run(), "Stop").click().run()
    wait_for_state(run, "stopped")
    app.run()
    assert button(app, "Resume")
    assert not app.error


def test_the_dials_of_a_training_steer_what_goes_on_and_say_so(open_page, new_run):
    run = new_run(epochs=None, steps=8, clip=None)
    work(run.folder, limits=Limits(steps=3))
    app = open_page("train", run.id)
    for label, value in {"Learning rate": 0.01, "Clip at": 0.5, "Truncation": 2}.items():
        number(app, label, "steering").set_value(value).run()
        assert number(app, label, "steering").value == value
    assert run.requested_settings() == {"learning_rate": 0.01, "clip": 0.5, "truncate": 2}
    number(app, "Clip at", "steering").set_value(None).run()
    number(app, "Clip at", "steering").set_value(0.25).run()
    work(run.folder)
    metrics = run.metrics()
    assert metrics["learning_rate"].tolist() == [0.002] * 3 + [0.01] * 5
    assert (metrics["clipped_norm"][3:] <= 0.2501).all()
    assert run.training_at(4).truncate == 2
    app = open_page("train", run.id)
    table = next(element.value for element in app.dataframe if "now" in element.value.columns)
    now = dict(zip(table["setting"], table["now"], strict=True))
    assert {name: now[name] for name in ("learning_rate", "clip", "truncate", "schedule")} == {
        "learning_rate": "0.01",
        "clip": "0.25",
        "truncate": "2",
        "schedule": "",
    }


@pytest.mark.parametrize(
    ("label", "value", "reason"),
    [
        ("Learning rate", -1.0, "a number above 0. It goes on with 0.002."),
        ("Learning rate", None, "a number above 0. It goes on with 0.002."),
        ("Clip at", 0.0, "above 0, or none for no clipping. It goes on with 5."),
        ("Truncation", 2.5, "a whole number. It goes on with full."),
    ],
)
def test_a_dial_that_is_turned_too_far_says_why_and_asks_for_nothing(label, value, reason, open_page, new_run):
    run = new_run(steps=8, epochs=None)
    work(run.folder, limits=Limits(steps=2))
    app = open_page("train", run.id)
    number(app, label, "steering").set_value(value).run()
    assert reason in said_beside_fields(app)
    assert run.requested_settings() == {}
    assert number(app, label, "steering").value == value


def test_a_dial_follows_the_schedule_until_somebody_turns_it(open_page, new_run):
    run = new_run(steps=6, epochs=None)
    work(run.folder, limits=Limits(steps=2))
    app = open_page("train", run.id)
    assert number(app, "Learning rate", "steering").value == 0.002
    run.request("learning_rate", learning_rate=0.001)  # another tab, or the schedule
    assert number(app.run(), "Learning rate", "steering").value == 0.001


def test_of_a_training_that_diverged_the_cure_stands_first_and_resume_is_no_main_button(open_page, new_run):
    run = new_run(optimizer="sgd", learning_rate=1e38)
    run.request("clip", clip=None)  # switched off on the way: then it is the remedy to switch it on
    assert work(run.folder).state == "diverged"
    app = open_page("train", run.id)
    assert app.error[0].value == wording.STATE_HELP["diverged"]
    labels = [candidate.label for candidate in app.button]
    assert labels.index("Clip at 1") < labels.index("A tenth of the learning rate") < labels.index("Resume")
    primary = [candidate.label for candidate in app.button if candidate.proto.type == "primary"]
    assert primary == ["Clip at 1", "Fork and train"]  # the second in a form that is closed


@pytest.mark.process
@pytest.mark.parametrize("page", ["train", "runs"])
def test_a_training_is_forked_from_the_page_with_other_settings(page, open_page, new_run, runs_folder):
    parent = new_run(epochs=None, steps=12, schedule="constant")
    work(parent.folder, limits=Limits(steps=5))
    work(parent.folder)
    app = open_page(page, parent.id)
    next(box for box in app.selectbox if box.label == "From").set_value(5).run()
    number(app, "Learning rate", "fork").set_value(-1.0).run()
    assert "a number above 0" in said_beside_fields(app)
    assert button(app, "Fork and train").disabled
    number(app, "Learning rate", "fork").set_value(0.01).run()
    button(app, "Fork and train").click().run()
    assert not app.error
    (fork,) = [Run.open(folder) for folder in runs_folder.iterdir() if folder.name != parent.id]
    wait_for_state(fork, "finished")
    assert (fork.config.forked.run, fork.config.forked.step) == (parent.id, 5)
    assert fork.metrics()["learning_rate"].tolist() == [0.002] * 5 + [0.01] * 7
    app.run()
    assert "forked at step 5" in texts(app)


@pytest.mark.process
@pytest.mark.slow
def test_a_killed_training_is_seen_as_interrupted_and_goes_on_by_one_click(open_page, new_run):
    import os
    import signal

    run = new_run(epochs=100_000, checkpoint_every_seconds=0.1)
    app = open_page("train", run.id)
    button(app, "Start").click().run()
    wait_for_state(run, "running")
    wait_for(run.checkpoint_steps)
    os.kill(run.status().pid, signal.SIGKILL)
    wait_for_state(run, "dead")
    app.run()
    assert app.error[0].value == wording.STATE_HELP["dead"]
    button(app, "Resume").click().run()
    wait_for_state(run, "running")
    assert not worker.last_words(run).startswith("Traceback")


@pytest.mark.parametrize(("length", "unit", "end"), [({"epochs": 3}, "epoch", 5), ({"steps": 8}, "step", 10)])
@pytest.mark.process
@pytest.mark.slow
def test_a_finished_training_goes_on_for_as_long_as_one_likes(length, unit, end, open_page, new_run):
    run = new_run(schedule="constant", **length)
    work(run.folder)
    app = open_page("train", run.id)
    number(app, f"More {unit}s").set_value(2).run()
    assert training_wording.FURTHER_EXACT in texts(app)
    button(app, f"Train 2 more {unit}s").click().run()
    assert not app.error
    wait_for_state(run, "finished")
    training = Run.open(run.folder).config.training
    assert (training.epochs if unit == "epoch" else training.steps) == end
    at_once = new_run(schedule="constant", **{f"{unit}s": end})
    work(at_once.folder)
    assert run.status().step == at_once.status().step
    weights = [finished.load_model().params for finished in (run, at_once)]
    assert all(np.array_equal(weights[0][name], weights[1][name]) for name in weights[1])


def test_a_training_whose_schedule_forbids_it_does_not_claim_to_go_on_exactly(open_page, new_run):
    run = new_run(schedule="cosine")
    work(run.folder)
    said = texts(open_page("train", run.id))
    assert training_wording.FURTHER_EXACT not in said
    assert training_wording.FURTHER_STRETCHED in said


def test_a_combination_that_makes_no_sense_is_refused_with_the_reason(open_page):
    app = open_page("corpus")
    app.segmented_control(key=session.key("corpus", "source")).set_value("agreement").run()
    train_on_this(app)
    assert not button(app, "Start training").disabled
    app.toggle(key=session.key("train", "tied")).set_value(True).run()
    assert "tied weights use the embedding" in texts(app)
    assert button(app, "Start training").disabled


@pytest.mark.process
def test_every_setting_on_the_form_reaches_the_run(open_page, runs_folder):
    app = open_page("corpus")
    app.segmented_control(key=session.key("corpus", "source")).set_value("agreement").run()
    train_on_this(app)

    def key(name: str) -> str:
        return session.key("train", name)

    app.selectbox(key=key("cell")).set_value("gru")
    app.selectbox(key=key("init")).set_value("orthogonal")
    app.selectbox(key=key("schedule")).set_value("cosine")
    app.run()
    app.number_input(key=key("hidden_size")).set_value(16)
    app.number_input(key=key("truncate")).set_value(4)
    app.number_input(key=key("learning_rate")).set_value(0.05)
    app.number_input(key=key("layers")).set_value(2)
    app.selectbox(key=key("gru_reset")).set_value("before")
    app.number_input(key=key("init_scale")).set_value(1.2)
    app.number_input(key=key("batch_size")).set_value(7)
    app.selectbox(key=key("optimizer")).set_value("momentum")
    app.number_input(key=key("warmup_steps")).set_value(5)
    app.selectbox(key=key("clip_mode")).set_value("value")
    app.number_input(key=key("clip")).set_value(0.5)
    app.number_input(key=key("dropout")).set_value(0.1)
    app.toggle(key=key("variational")).set_value(True)
    app.number_input(key=key("weight_decay")).set_value(0.001)
    app.number_input(key=key("seed")).set_value(3)
    app.text_input(key=key("name")).set_value("everything")
    app.run()
    app.number_input(key=key("embedding_size")).set_value(8)
    app.number_input(key=key("chrono")).set_value(9)
    app.number_input(key=key("steps")).set_value(3)
    app.run()
    assert not app.error
    button(app, "Start training").click().run()
    assert not app.error
    config = Run.open(runs_folder / app.query_params["run"]).config
    model, training = config.model, config.training
    assert config.name == "everything"
    assert (model.cell, model.hidden_size, model.layers, model.embedding_size) == ("gru", 16, 2, 8)
    assert (model.init, model.init_scale, model.gru_reset, model.chrono) == ("orthogonal", 1.2, "before", 9)
    assert (model.dropout, model.variational) == (0.1, True)
    assert (training.truncate, training.learning_rate, training.batch_size) == (4, 0.05, 7)
    assert (training.optimizer, training.schedule, training.warmup_steps) == ("momentum", "cosine", 5)
    assert (training.clip_mode, training.clip, training.weight_decay) == ("value", 0.5, 0.001)
    assert (training.steps, training.epochs, training.seed) == (3, None, 3)


@pytest.mark.process
def test_a_setting_that_would_have_no_effect_is_neither_shown_nor_kept(open_page, runs_folder):
    app = open_page("corpus")
    app.segmented_control(key=session.key("corpus", "source")).set_value("agreement").run()
    train_on_this(app)

    def numbers() -> set[str]:
        return {field.key.removeprefix("train: ") for field in app.number_input}

    gated = {"forget_bias", "init_scale", "warmup_steps", "sequence_length"}
    assert not gated & numbers()
    app.selectbox(key=session.key("train", "cell")).set_value("lstm")
    app.selectbox(key=session.key("train", "init")).set_value("spectral")
    app.selectbox(key=session.key("train", "schedule")).set_value("cosine")
    app.selectbox(key=session.key("train", "batching")).set_value("stream")
    app.run()
    assert gated <= numbers()
    for name in gated:
        app.number_input(key=session.key("train", name)).set_value(2)
    app.run()
    for name, value in {"cell": "tanh", "init": "uniform", "schedule": "constant", "batching": "sentences"}.items():
        app.selectbox(key=session.key("train", name)).set_value(value)
    app.run()
    assert not app.error
    button(app, "Start training").click().run()
    config = Run.open(runs_folder / app.query_params["run"]).config
    assert (config.model.forget_bias, config.model.init_scale) == (1.0, 1.0)
    assert (config.training.warmup_steps, config.training.sequence_length) == (0, 35)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "wrong", "reason"),
    [
        ("learning_rate", -20.0, "the learning rate must be a number above 0."),
        ("learning_rate", 0.0, "the learning rate must be a number above 0."),
        ("epochs", 0, "train for at least 1 epoch."),
        ("batch_size", 100_000, "the batch size must be from 1 to 65,536."),
        ("hidden_size", -1, "the network needs at least 1 hidden unit."),
        ("truncate", -1, "truncation keeps 0 to 65,536 steps; leave it out for full back-propagation."),
        ("hidden_size", 2.5, "the setting 'hidden_size' should be of type int, not float: a whole number."),
        ("batch_size", 1e20, "the batch size must be from 1 to 65,536."),
        ("hidden_size", 1e20, "GiB"),
        ("layers", 4, "the network can have 1 to 3 layers, not 4."),
    ],
)
def test_a_value_out_of_bounds_is_explained_beside_its_field_and_never_trains(
    open_page, runs_folder, name, wrong, reason
):
    app = open_page("corpus")
    app.segmented_control(key=session.key("corpus", "source")).set_value("agreement").run()
    train_on_this(app)
    field = app.number_input(key=session.key("train", name))
    right = field.value
    field.set_value(wrong).run()
    assert app.number_input(key=session.key("train", name)).value == wrong
    assert reason[1:] in said_beside_fields(app) or reason == "GiB"  # which no single field is to blame for
    assert reason in texts(app)
    assert button(app, "Start training").disabled
    app.number_input(key=session.key("train", name)).set_value(right).run()
    assert reason[1:] not in said_beside_fields(app)
    assert not button(app, "Start training").disabled


@pytest.mark.process
def test_a_learning_rate_of_twenty_is_trained_as_it_stands(open_page, runs_folder):
    app = open_page("corpus")
    app.segmented_control(key=session.key("corpus", "source")).set_value("agreement").run()
    train_on_this(app)
    app.number_input(key=session.key("train", "learning_rate")).set_value(20.0)
    app.number_input(key=session.key("train", "steps")).set_value(1).run()
    button(app, "Start training").click().run()
    training = Run.open(runs_folder / app.query_params["run"]).config.training
    assert (training.learning_rate, training.steps) == (20.0, 1)


def test_a_servers_cap_is_told_beside_the_field_that_it_bounds(open_page, runs_folder, monkeypatch):
    monkeypatch.setattr(hosting, "stay_offline", lambda: None)  # which would hold for the tests that follow
    monkeypatch.setattr(worker, "start_dispatcher", lambda: None)
    monkeypatch.setenv("SEE_BPTT_HOSTED", "hidden=50")
    app = open_page("corpus")
    app.segmented_control(key=session.key("corpus", "source")).set_value("agreement").run()
    train_on_this(app)
    app.number_input(key=session.key("train", "hidden_size")).set_value(51).run()
    assert "his server allows 50" in said_beside_fields(app)
    assert button(app, "Start training").disabled
    app.number_input(key=session.key("train", "hidden_size")).set_value(50).run()
    assert not button(app, "Start training").disabled


@pytest.mark.process
@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_fills_every_setting_and_says_what_it_changed(open_page, runs_folder, name):
    preset = PRESETS[name]
    app = open_page("corpus")
    app.segmented_control(key=session.key("corpus", "source")).set_value("agreement").run()
    train_on_this(app)
    app.number_input(key=session.key("train", "seed")).set_value(7)
    app.number_input(key=session.key("train", "steps")).set_value(7).run()
    button(app, preset.label).click().run()
    said = next(caption.value for caption in app.caption if preset.about in caption.value)
    assert "Seed 7 → 0" in said
    assert "Steps 7 → none" in said
    assert "Layers" in said if preset.model.layers != 1 else "Layers" not in said
    button(app, "Start training").click().run()
    config = Run.open(runs_folder / app.query_params["run"]).config
    assert dataclasses.replace(config.model, vocabulary_size=preset.model.vocabulary_size) == preset.model
    kept = preset.training.checkpoint_every_seconds
    assert dataclasses.replace(config.training, checkpoint_every_seconds=kept) == preset.training


def test_what_a_preset_changed_is_not_said_of_other_settings(open_page):
    preset = PRESETS["tutorial"]
    app = open_page("corpus")
    app.segmented_control(key=session.key("corpus", "source")).set_value("agreement").run()
    train_on_this(app)
    button(app, preset.label).click().run()
    assert any(preset.about in caption.value for caption in app.caption)
    app.number_input(key=session.key("train", "hidden_size")).set_value(12).run()
    assert not any(preset.about in caption.value for caption in app.caption)


def form_opened_by(open_page, **link: str) -> AppTest:
    """The form on the Train page, whose link was opened before there was a text."""
    app = open_page("train")
    for name, value in link.items():
        app.query_params[name] = value
    app.run().switch_page("views/corpus.py").run()
    app.segmented_control(key=session.key("corpus", "source")).set_value("agreement").run()
    train_on_this(app)
    assert not app.exception
    return app


def linked_settings(app: AppTest) -> dict[str, str]:
    return {name: value if isinstance(value, str) else value[0] for name, value in app.query_params.items()}


def fields_of(app: AppTest) -> dict[str, object]:
    return {field.key: field.value for kind in ("number_input", "selectbox", "toggle") for field in app.get(kind)}


def test_everything_that_is_set_on_the_form_is_in_its_link_which_fills_it_again(open_page):
    app = form_opened_by(open_page)
    assert linked_settings(app) == {"corpus": "agreement"}
    button(app, PRESETS["tutorial"].label).click().run()
    number(app, "Seed").set_value(7).run()
    link = linked_settings(app)
    assert (link["truncate"], link["clip"], link["bias"], link["seed"]) == ("4", "none", "false", "7")
    again = form_opened_by(open_page, **link)
    assert linked_settings(again) == link
    assert fields_of(again) == fields_of(app)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("learning_rate", "-1", "Learning rate: the learning rate must be a number above 0."),
        ("learning_rate", "inf", "Learning rate: the learning rate must be a number above 0."),
        ("learning_rate", "1e999", "a number above 0"),
        ("hidden_size", "2.5", "Hidden units: '2.5' is no value that it can have."),
        ("hidden_size", "9" * 400, "Hidden units"),
        ("cell", "<img src=x>", "cell '<img src=x>' is not known"),
        ("bias", "maybe", "Biases: 'maybe' is no value that it can have."),
        ("epochs", "", ""),
    ],
)
def test_a_forged_value_in_a_link_is_refused_with_a_sentence(name, value, says, open_page):
    app = form_opened_by(open_page, **{name: value, "seed": "5"})
    assert says in texts(app)
    assert bool(says) == (wording.LINK_REFUSED in texts(app))
    assert linked_settings(app) == {"corpus": "agreement", "seed": "5"}
    assert number(app, "Seed").value == 5


def test_a_short_text_is_read_in_smaller_batches_unless_somebody_says_otherwise(open_page):
    def batch() -> int:
        return app.number_input(key=session.key("train", "batch_size")).value

    app = open_page("corpus")
    app.segmented_control(key=session.key("corpus", "source")).set_value("agreement").run()
    for count, size in ((500, 8), (4000, 32), (2000, 16)):
        app.select_slider(key=session.key("corpus", "count")).set_value(count).run()
        train_on_this(app)
        assert batch() == size
        app.switch_page("views/corpus.py").run()
    train_on_this(app)
    app.number_input(key=session.key("train", "batch_size")).set_value(5).run()
    app.switch_page("views/corpus.py").run()
    app.select_slider(key=session.key("corpus", "count")).set_value(500).run()
    train_on_this(app)
    assert batch() == 5


def test_a_refresh_comes_back_to_the_same_run(open_page, trained_run):
    for _ in range(2):
        app = open_page("train", trained_run.id)
        assert "finished" in texts(app)
        assert app.query_params["run"] == trained_run.id


# --- gradients and generate -------------------------------------------------------------------------------------------


def test_a_network_that_does_not_know_the_usual_sentence_gets_one_that_it_knows(open_page, trained_run):
    app = open_page("gradients", trained_run.id)
    sentence = app.text_input[0].value
    assert sentence.split()[1] in ("queen", "king")
    assert "reads <unk>" not in texts(app)


def test_any_sentence_can_be_asked_for_its_gradients(open_page, trained_run):
    app = open_page("gradients", trained_run.id)
    app.text_input[0].set_value("the queen slowly lost her zeppelin").run()
    assert not app.error
    assert "zeppelin" in texts(app)
    numbers = {metric.label: metric.value for metric in app.metric}
    assert numbers["Weights of step"] == f"{trained_run.status().step:,}"


@pytest.mark.parametrize("sentence", ["", " ", "word " * 500, "\u202e", "<s> </s> <unk>"])
def test_no_sentence_breaks_the_gradient_page(sentence, open_page, trained_run):
    app = open_page("gradients", trained_run.id)
    app.text_input[0].set_value(sentence).run()
    assert not app.exception


def test_a_run_without_weights_says_so_on_the_pages_that_need_them(open_page, new_run):
    run = new_run()
    for page in ("gradients", "generate"):
        app = open_page(page, run.id)
        assert [element.value for element in app.info] == [wording.NO_CHECKPOINT]


# --- runs -------------------------------------------------------------------------------------------------------------


def test_every_run_of_the_folder_is_listed_and_a_damaged_one_with_its_reason(open_page, trained_run, new_run):
    new_run("second")
    broken = new_run("broken")
    (broken.folder / "config.json").write_text("{")
    app = open_page("runs")
    assert set(app.dataframe[0].value["name"]) == {trained_run.config.name, "second"}
    assert list(app.dataframe[1].value["folder"]) == [broken.id]


def test_runs_are_found_by_any_word_that_the_table_has_of_them(open_page, trained_run, new_run):
    tagged = new_run("second")
    runs.tag_run(tagged.folder, ["for the paper"])
    app = open_page("runs")
    for words, found in {"paper second": {"second"}, "nowhere": set(), "FINISHED": {trained_run.config.name}}.items():
        app.text_input(key=session.key("runs", "filter")).set_value(words).run()
        assert set(app.dataframe[0].value["name"]) == found


def test_runs_of_a_race_are_folded_away_until_they_are_asked_for(open_page, trained_run, runs_folder):
    shutil.copytree(trained_run.folder, runs_folder / racing.lane_id(racing.new_race_id(), 1))
    app = open_page("runs")
    assert len(app.dataframe[0].value) == 1
    app.toggle(key=session.key("runs", "everything")).set_value(True).run()
    assert len(app.dataframe[0].value) == 2


def test_deleting_asks_first(open_page, trained_run):
    app = open_page("runs", trained_run.id)
    button(app, "Delete").click().run()
    assert button(app, "Delete for good")
    assert trained_run.folder.exists()


def test_a_run_from_elsewhere_shows_up_in_the_list(open_page, trained_run, runs_folder):
    other = shutil.copytree(trained_run.folder, runs_folder / runs.new_run_id())
    app = open_page("runs")
    assert other.name in set(app.dataframe[0].value["folder"])


def test_a_missing_folder_of_runs_is_an_empty_list(open_page, runs_folder):
    runs_folder.rmdir()
    assert wording.WOULD_SHOW["runs"] in texts(open_page("runs"))


@pytest.mark.parametrize("page", ["train", "generate", "gradients"])
def test_a_page_that_shows_an_older_state_says_so(page, trained_run, open_page) -> None:
    assert not any(wording.OLDER_STATE in warning.value for warning in open_page(page, trained_run.id).warning)
    newest = trained_run.folder / "model.safetensors"
    content = bytearray(newest.read_bytes())
    content[-1] ^= 1
    newest.write_bytes(content)
    app = open_page(page, trained_run.id)
    assert [warning.value for warning in app.warning] == [wording.OLDER_STATE]
    assert any("model.safetensors" in text.value for text in app.main.text)
