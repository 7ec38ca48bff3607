"""A run, or an experiment, as one HTML file: everything is in it, nothing is fetched, whatever a user wrote is text."""

from __future__ import annotations

import dataclasses
import json
import shlex
import sqlite3
from contextlib import closing
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_runs import differences, ending, tiny_corpus, tiny_run

from rnn_core.cli.main import main, make_parser
from rnn_core.cli.parser import read_settings
from rnn_core.config import ModelConfig, TaskSettings, TextSettings, TrainingSettings
from rnn_core.data import prepare_sentences
from rnn_core.errors import RunError, SettingsError
from rnn_core.experiments import results
from rnn_core.experiments.base import Trial
from rnn_core.experiments.catalogue import EXPERIMENTS, Result, open_result, shipped
from rnn_core.experiments.report import result_html
from rnn_core.report import report_html, write_report
from rnn_core.report.repeat import _call, command, fork_command, python
from rnn_core.runs import Run, create_run, create_task_run, fork_run, rename_run
from rnn_core.runs.worker import work

HOSTILE = "</title></svg><script>alert(1)</script><img src=http://127.0.0.1:9/x onerror=alert(1)>&amp;'\"]]>"
WORD = "<img/src=http://127.0.0.1:9/word.png/onerror=alert(1)>"
TAGS = {
    *("html", "head", "meta", "title", "style", "body", "main", "div", "h1", "h2", "p", "ol", "li", "pre"),
    *("table", "tr", "th", "td", "svg", "text", "line", "polyline", "rect", "path"),
}


class Read(HTMLParser):
    """What a browser finds in a file: its elements, their attributes, its text."""

    def __init__(self, content: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.texts: list[str] = []
        self.feed(content)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    made = tiny_run(tmp_path_factory.mktemp("report") / "run", epochs=4, learning_rate=0.01, truncate=3)
    work(made.folder)
    return made


def test_everything_is_in_one_file_and_nothing_in_it_is_fetched_or_runs(run: Run, tmp_path: Path) -> None:
    page = Read(write_report(run, tmp_path / "report.html").read_text())
    headings = [page.texts[place] for place in range(len(page.texts))]
    for heading in ("Gradient by lag", "What it writes", "Loss", "Gradient norm", "Settings", "How to repeat it"):
        assert heading in headings
    assert page.tags.count("svg") == 5
    assert set(page.tags) <= TAGS
    names = {name for name, _ in page.attributes}
    assert not names & {"src", "href", "xlink:href", "srcset", "background", "style"}
    assert not any(name.startswith("on") for name in names)
    assert any(value is not None and value.startswith("default-src 'none'") for _, value in page.attributes)
    assert "url(" not in "".join(page.texts)


def test_names_and_words_of_strangers_stay_text(tmp_path: Path) -> None:
    corpus = prepare_sentences([[WORD, "and", WORD, "again"]] * 30, HOSTILE, TextSettings(sentences="lines"))
    model = ModelConfig(vocabulary_size=len(corpus.vocabulary), hidden_size=4)
    training = TrainingSettings(steps=3, epochs=None, sample_every_seconds=None, horizon_every_seconds=None)
    made = create_run(tmp_path / "run", "name", corpus, model, training, TextSettings(sentences="lines"))
    work(made.folder)
    rename_run(made.folder, HOSTILE)
    page = Read(report_html(Run.open(made.folder), f"{WORD} and"))
    assert set(page.tags) <= TAGS
    assert HOSTILE in page.texts
    assert any(HOSTILE in text and text.startswith("CORPUS") for text in page.texts)
    assert any(text.startswith("<img/src=") for text in page.texts)


def test_a_report_never_takes_the_place_of_a_file_of_a_run(run: Run, tmp_path: Path, capsys) -> None:
    before = {path.name: path.read_bytes() for path in run.folder.iterdir()}
    (tmp_path / "link.html").symlink_to(run.folder / "config.json")
    for target in (run.folder / "config.json", run.folder, tmp_path / "link.html", tmp_path / "no" / "r.html"):
        assert main(["report", str(run.folder), str(target)]) == 2
        assert capsys.readouterr().err.startswith("error: ")
    assert {path.name: path.read_bytes() for path in run.folder.iterdir()} == before
    assert main(["report", str(run.folder), str(tmp_path / "r.html"), "--text", "the queen"]) == 0
    assert (tmp_path / "r.html").read_text().startswith("<!doctype html>")


def test_a_run_without_weights_has_a_report_that_says_so(tmp_path: Path) -> None:
    text = "".join(Read(report_html(tiny_run(tmp_path / "run"))).texts)
    assert "this run has no weights yet" in text
    assert "How to repeat it" in text


def test_a_run_on_a_task_has_a_report(tmp_path: Path) -> None:
    task = TaskSettings(task="prefix_parity", task_steps=5)
    training = TrainingSettings(steps=4, epochs=None, validate_every=2)
    made = create_task_run(tmp_path / "run", "parity", task, ModelConfig(hidden_size=4), training)
    work(made.folder)
    page = Read(report_html(made))
    assert page.tags.count("svg") == 5
    text = "".join(page.texts)
    assert "--task prefix_parity" in text
    (*_, last) = made.events(kinds=["validated"])
    assert f"after 4 steps the error rate is {last['metric']:.3g}; without looking at the input it is 0.5." in text
    with pytest.raises(RunError, match="it has no words"):
        report_html(made, "a")


def test_a_network_that_diverged_has_a_report_that_says_so(run: Run, tmp_path: Path) -> None:
    corpus = tiny_corpus()
    weights = {name: np.full_like(value, 3e38) for name, value in run.load_model().params.items()}
    made = create_run(
        tmp_path / "run", "diverged", corpus, run.config.model, run.config.training, TextSettings(), weights=weights
    )
    text = "".join(Read(report_html(made)).texts)
    assert "it has diverged" in text


def test_an_empty_sentence_is_refused(run: Run) -> None:
    with pytest.raises(SettingsError, match="empty"):
        report_html(run, " ")


def test_changes_on_the_way_are_listed(run: Run, tmp_path: Path) -> None:
    made = tiny_run(tmp_path / "run")
    with closing(sqlite3.connect(made.folder / "events.sqlite")) as history:
        payload = json.dumps({"old": None, "new": 2.5, "why": "set by hand"})
        history.execute(
            "INSERT INTO events (step, time, kind, payload) VALUES (7, 0, 'clipping_changed', ?)", (payload,)
        )
        history.commit()
    texts = Read(report_html(made)).texts
    assert "Changed on the way" in texts
    assert "2.5" in texts


# --- of an experiment -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_an_experiments_report_has_its_claim_every_seed_and_the_command_and_fetches_nothing(name: str) -> None:
    experiment = EXPERIMENTS[name]
    result = shipped(experiment) or Result(experiment, experiment.seeds)
    page = Read(result_html(result))
    text = "\n".join(page.texts)
    rule = experiment.rule if result.whole else ""
    for said in (experiment.claim, experiment.source, rule, result.command, result.date):
        assert said in text
    assert set(page.tags) <= TAGS
    assert not {attribute for attribute, _ in page.attributes} & {"src", "href", "style"}
    for row in result.rows:
        (place,) = [place for place, cell in enumerate(page.texts) if cell == row.setting][:1]
        cells = page.texts[place + 1 : place + 4]
        assert cells[0] == ("beyond" if row.measured is None else f"{row.measured:.4g}")
        assert cells[1] == ("–" if row.published is None else f"{row.published:.5g}")
        assert row.seeds == 1 or len(cells[2].split(", ")) == row.seeds
    if experiment.picture is not None and result.finished:
        lines = page.tags.count("polyline")
        assert lines == len(result.finished) + bool(experiment.picture.published)


def test_what_a_result_says_stays_text_and_a_part_of_it_is_called_one(tmp_path: Path, capsys) -> None:
    whole = shipped(EXPERIMENTS["adding"])
    assert whole is not None
    strange = dataclasses.replace(
        whole, text=HOSTILE, machine=HOSTILE, date=HOSTILE, versions={HOSTILE: HOSTILE}, finished=whole.finished[:3]
    )
    strange.finished[0] = dataclasses.replace(strange.finished[0], trial=Trial({HOSTILE: 1.0}))
    strange.save(tmp_path)
    for target in (tmp_path / "result.json", tmp_path):
        assert main(["report", str(tmp_path), str(target)]) == 2
    assert main(["report", str(tmp_path), str(tmp_path / "r.html"), "--text", "a"]) == 2
    assert main(["report", str(tmp_path), str(tmp_path / "r.html")]) == 0
    page = Read((tmp_path / "r.html").read_text())
    assert set(page.tags) <= TAGS
    assert HOSTILE in page.texts
    assert any(text.startswith("3 of 10 trials are done") for text in page.texts)
    values = strange.to_json()
    values["trials"][0]["measured"] = {"LSTM": "many"}
    (tmp_path / "result.json").write_text(json.dumps(values))
    assert main(["report", str(tmp_path), str(tmp_path / "r.html")]) == 2
    assert "result of no experiment" in capsys.readouterr().err.splitlines()[-1]


def test_a_result_is_read_once_whichever_experiment_it_is_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    last = list(EXPERIMENTS.values())[-1]
    Result(last, last.seeds).save(tmp_path)
    read, read_bytes = [], results.read_bytes
    monkeypatch.setattr(results, "read_bytes", lambda path, limit: read.append(path) or read_bytes(path, limit))
    assert open_result(tmp_path).experiment is last
    assert len(read) == 1


# --- how to repeat it -------------------------------------------------------------------------------------------------


SETTINGS = st.fixed_dictionaries(
    {},
    optional={
        "optimizer": st.sampled_from(["sgd", "adam"]),
        "truncate": st.none() | st.integers(1, 9),
        "clip": st.none() | st.floats(0.5, 9),
        "learning_rate": st.floats(1e-4, 1.0),
        "shuffle": st.booleans(),
        "batch_size": st.integers(1, 50),
        "seed": st.integers(0, 9),
    },
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("repeat")


@settings(max_examples=25)
@given(training=SETTINGS, steps=st.none() | st.integers(1, 99), cell=st.sampled_from(["tanh", "lstm", "gru"]))
def test_the_command_gives_the_settings_of_the_run(run: Run, training: dict, steps: int | None, cell: str) -> None:
    end = {} if steps is None else {"steps": steps, "epochs": None}
    given = TrainingSettings(**training, **end)
    model = ModelConfig(cell=cell, vocabulary_size=50, hidden_size=7)
    text = TextSettings(unit="char", seed=given.seed)  # one flag sets both
    config = run.config.__class__(1, "x", 0.0, model, given, text, run.config.corpus)
    words = shlex.split(command(Run(run.folder, config)))
    assert words[:2] == ["see-bptt", "train"]
    options = make_parser().parse_args(words[1:])
    assert read_settings(TrainingSettings, options) == given
    assert read_settings(TextSettings, options) == text
    assert read_settings(ModelConfig, options).to_json() | {"vocabulary_size": 50} == model.to_json()
    for part in (given, model, text):
        assert eval(_call(part)) == part


def test_the_command_in_the_report_of_a_fork_makes_the_same_fork(run: Run, tmp_path: Path, monkeypatch) -> None:
    step = run.checkpoint_steps()[-1]
    changes = {"epochs": 6, "clip": None, "learning_rate": 0.02, "weight_decay": 0.1, "schedule": "cosine"}
    fork = fork_run(run.folder, tmp_path / "fork", step=step, changes=changes)
    work(fork.folder)
    assert fork.config.forked is not None
    words = shlex.split(fork_command(fork, fork.config.forked))
    assert words[:2] == ["see-bptt", "fork"]
    assert shlex.join(words) in unescape(report_html(fork))
    monkeypatch.chdir(run.folder.parent)
    words[words.index("repeated")] = str(tmp_path / "repeated")
    assert main([*words[1:], "--quiet"]) == 0
    assert differences(ending(Run.open(tmp_path / "repeated")), ending(fork)) == []


def test_the_python_of_a_report_trains_to_the_same_weights(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(run.folder.parent)
    lines = python(run)
    assert lines is not None
    exec(lines, {})
    again = Run.open("repeated").load_model().params
    for name, value in run.load_model().params.items():
        np.testing.assert_array_equal(again[name], value)
