"""A run is a folder: whoever comes, goes, pauses, kills or looks, it ends as if nothing had happened."""

from __future__ import annotations

import contextlib
import io
import json
import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from tiny_runs import Workers, alive, differences, ending, tiny_corpus, tiny_run, wait_for_heartbeat
from waiting import HANG_SECONDS, wait_for

from rnn_core import runs
from rnn_core.config import ModelConfig, TextSettings, TrainingSettings
from rnn_core.errors import RunError, SettingsError, UserError
from rnn_core.nn.language_model import LanguageModel
from rnn_core.runs import (
    Run,
    checkpoints,
    create_run,
    delete_run,
    files,
    history_writer,
    list_runs,
    locked,
    new_run_id,
    rename_run,
    run_config,
    run_folder,
    run_writer,
    worker_alive,
    zip_run,
)
from rnn_core.runs import worker as worker_module
from rnn_core.runs.history_writer import HistoryWriter
from rnn_core.runs.stop_signals import StopSignals
from rnn_core.runs.worker import Limits, Worker, work
from rnn_core.training import Event, Sampled, StepDone, Validated, new_model


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    server = Workers()
    yield server
    server.close()


def long_run(folder: Path) -> Run:
    """One that does not end while a test looks at it."""
    return tiny_run(folder, steps=10**6, checkpoint_every_seconds=0.05)


def state_is(run: Run, *states: str) -> bool:
    return run.status().state in states


def kinds(run: Run) -> list[str]:
    return [event["kind"] for event in run.events()]


# --- the folder -------------------------------------------------------------------------------------------------------


def test_a_run_is_read_back_as_it_was_made(tmp_path: Path) -> None:
    corpus = tiny_corpus()
    made = tiny_run(tmp_path / "run", corpus=corpus, truncate=3)
    run = Run.open(tmp_path / "run")
    assert run.config == made.config
    assert run.config.corpus.train_tokens == sum(len(sentence) - 1 for sentence in corpus.train)
    again = run.corpus()
    assert again.vocabulary == corpus.vocabulary
    for part in ("train", "valid"):
        one, other = getattr(corpus, part), getattr(again, part)
        assert all(np.array_equal(left, right) for left, right in zip(one, other, strict=True))
    assert run.status().state == "created"
    assert run.checkpoint_steps() == []
    with pytest.raises(RunError, match="no weights yet"):
        run.load_model()


def test_the_unigram_of_a_run_lies_between_knowing_nothing_and_perfection(tmp_path: Path) -> None:
    facts = tiny_run(tmp_path / "run").config.corpus
    assert 0 < facts.unigram_nats < facts.uniform_nats == pytest.approx(np.log(29))


def test_a_run_begins_from_given_weights(tmp_path: Path) -> None:
    corpus = tiny_corpus()
    config = ModelConfig(cell="tanh", hidden_size=8, vocabulary_size=len(corpus.vocabulary))
    given = LanguageModel(config, rng=np.random.default_rng(5))
    create_run(tmp_path / "run", "x", corpus, config, TrainingSettings(steps=1), TextSettings(), given.params)
    work(tmp_path / "run")
    first = Run.open(tmp_path / "run").load_model(step=0)
    assert all(np.array_equal(first.params[name], given.params[name]) for name in given.params)


def test_a_second_run_in_the_same_folder_is_refused_with_how_to_resume(tmp_path: Path) -> None:
    tiny_run(tmp_path / "run")
    with pytest.raises(RunError, match="resume"):
        tiny_run(tmp_path / "run")


def test_a_folder_with_other_things_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(RunError, match="not empty"):
        tiny_run(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_an_empty_folder_may_become_a_run(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    tiny_run(tmp_path / "run")
    assert Run.open(tmp_path / "run").status().state == "created"


def test_a_run_that_cannot_be_made_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.SystemCalls, "fsync", staticmethod(full))
    with pytest.raises(RunError, match="disk is full"):
        tiny_run(tmp_path / "deep" / "run")
    assert list((tmp_path / "deep").iterdir()) == []


def test_a_network_that_does_not_fit_the_corpus_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="vocabulary"):
        tiny_run(tmp_path / "run", model={"vocabulary_size": 5})


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "damaged"),
        (b"{", "damaged"),
        (b"[]", "damaged"),
        (b"\xff\xfe", "damaged"),
        (b'{"schema": 1}', "missing"),
        (b'{"schema": "1"}', "schema"),
        (b'{"schema": true}', "schema"),
        (b'{"schema": 0}', "schema"),
        (b'{"schema": 2}', "newer version"),
        (b'{"schema": 1, "schema": 1}', "twice"),
        (b"[" * 10**6, "nested"),
    ],
)
def test_a_damaged_config_is_explained(tmp_path: Path, content: bytes, words: str) -> None:
    tiny_run(tmp_path / "run")
    (tmp_path / "run" / "config.json").write_bytes(content)
    with pytest.raises(RunError, match=words):
        Run.open(tmp_path / "run")
    (listed,) = list_runs(tmp_path)
    assert words in listed.error


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("name",), 7),
        (("created",), "yesterday"),
        (("model", "cell"), "transformer"),
        (("model", "hidden_size"), -1),
        (("model", "extra"), 1),
        (("training", "optimizer"), None),
        (("text", "unit"), "byte"),
        (("corpus", "train_tokens"), -5),
        (("corpus", "train_tokens"), True),
        (("corpus", "unigram_nats"), "low"),
        (("corpus", "extra"), 1),
        (("corpus",), []),
    ],
)
def test_settings_that_a_stranger_put_into_a_config_are_refused(tmp_path: Path, path: Any, value: Any) -> None:
    tiny_run(tmp_path / "run")
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    part = config
    for key in path[:-1]:
        part = part[key]
    part[path[-1]] = value
    (tmp_path / "run" / "config.json").write_text(json.dumps(config))
    with pytest.raises(RunError, match="damaged"):
        Run.open(tmp_path / "run")


def test_a_run_from_before_a_setting_existed_opens_with_its_default(tmp_path: Path) -> None:
    made = tiny_run(tmp_path / "run")
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    for part, setting in (("training", "omega"), ("model", "chrono"), ("text", "lowercase"), ("corpus", "report")):
        del config[part][setting]
    (tmp_path / "run" / "config.json").write_text(json.dumps(config))
    run = Run.open(tmp_path / "run")
    assert (run.config.training, run.config.model) == (made.config.training, made.config.model)
    work(run.folder, steps=2)


def test_a_run_of_an_older_schema_is_migrated_step_by_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Schema 1 is today's; so tomorrow is pretended: schema 3, in which `title` became `label` and then `name`."""
    made = tiny_run(tmp_path / "run")
    path = tmp_path / "run" / "config.json"
    config = json.loads(path.read_text())
    config["title"] = config.pop("name")
    path.write_text(json.dumps(config))
    with pytest.raises(RunError, match="damaged"):
        Run.open(tmp_path / "run")

    def to_two(values: dict[str, Any]) -> dict[str, Any]:
        return {**values, "label": values["title"]}

    def to_three(values: dict[str, Any]) -> dict[str, Any]:
        return {**values, "name": values["label"]}

    monkeypatch.setattr(run_config, "SCHEMA", 3)
    monkeypatch.setattr(run_config, "MIGRATIONS", {1: to_two, 2: to_three})
    assert Run.open(tmp_path / "run").config.name == made.config.name
    work(tmp_path / "run", steps=1)
    assert json.loads(path.read_text())["schema"] == 3


@pytest.mark.parametrize("name", ["vocabulary.json", "corpus.safetensors"])
@pytest.mark.parametrize("damage", ["missing", "cut", "junk"])
def test_damaged_files_of_a_run_are_explained_by_name(tmp_path: Path, name: str, damage: str) -> None:
    run = tiny_run(tmp_path / "run")
    path = run.folder / name
    content = path.read_bytes()
    path.unlink()
    if damage != "missing":
        path.write_bytes(content[:-20] if damage == "cut" else b"\x00junk" * 50)
    with pytest.raises(RunError, match=name):
        run.corpus()


def test_a_damaged_history_is_explained_and_may_be_deleted(tmp_path: Path) -> None:
    run = tiny_run(tmp_path / "run", epochs=2)
    work(run.folder)
    (run.folder / "events.sqlite").write_bytes(b"no database" * 1000)
    with pytest.raises(RunError, match="delete it to go on"):
        run.status()
    (run.folder / "events.sqlite").unlink()
    work(run.folder, epochs=3)
    assert run.status().state == "finished"
    assert run.metrics()["step"][0] == 15  # what went before is gone, and only that


# --- ids, lists, names ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["", "..", "../x", "a/b", "/etc", "A-run", "ab", "a" * 65, "a\n", "run\x00", "-run", "run ", "rün", "a.b"]
)
def test_what_is_not_an_id_never_becomes_a_path(tmp_path: Path, name: str) -> None:
    with pytest.raises(RunError, match="not the name of a run"):
        run_folder(tmp_path, name)


def test_a_link_out_of_the_folder_is_no_run(tmp_path: Path) -> None:
    tiny_run(tmp_path / "outside" / "run")
    root = tmp_path / "root"
    root.mkdir()
    (root / "linked").symlink_to(tmp_path / "outside" / "run")
    with pytest.raises(RunError, match="no such run"):
        run_folder(root, "linked")
    assert list_runs(root) == []


def test_new_ids_fit_the_pattern_and_are_never_the_same() -> None:
    ids = {new_run_id() for _ in range(100)}
    assert len(ids) == 100
    assert all(runs.RUN_ID.fullmatch(id) and len(id) >= 29 for id in ids)


def test_runs_are_listed_newest_first_with_their_losses(tmp_path: Path) -> None:
    assert list_runs(tmp_path / "nowhere") == []
    tiny_run(tmp_path / "first", steps=2)
    work(tmp_path / "first")
    tiny_run(tmp_path / "second")
    (tmp_path / "notes").mkdir()
    newest, oldest = list_runs(tmp_path)
    assert (newest.id, oldest.id) == ("second", "first")
    assert oldest.status is not None
    assert oldest.status.valid_loss_nats is not None
    assert run_folder(tmp_path, "first") == oldest.folder


def test_a_renamed_run_keeps_its_id_and_a_name_is_one_line(tmp_path: Path) -> None:
    tiny_run(tmp_path / "run")
    rename_run(tmp_path / "run", "  my\nbest\x1b[31m run ![x](http://x) " + "x" * 500)
    name = Run.open(tmp_path / "run").config.name
    assert name.startswith("my best [31m run ![x](http://x) xxx")
    assert len(name) == 120
    rename_run(tmp_path / "run", " \n ")
    assert Run.open(tmp_path / "run").config.name == "unnamed"


def test_deleting_a_run_spares_what_is_not_its_own(tmp_path: Path) -> None:
    run = tiny_run(tmp_path / "run", steps=2)
    work(run.folder)
    (run.folder / "my notes.txt").write_text("keep me")
    delete_run(run.folder)
    assert [path.name for path in run.folder.iterdir()] == ["my notes.txt"]
    with pytest.raises(RunError, match="no such run"):
        delete_run(run.folder)
    tiny_run(tmp_path / "other", steps=2)
    delete_run(tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_a_zipped_run_opens_elsewhere_and_goes_on_there(tmp_path: Path) -> None:
    run = tiny_run(tmp_path / "run", epochs=2)
    work(run.folder)
    buffer = io.BytesIO()
    zip_run(run.folder, buffer)
    with zipfile.ZipFile(buffer) as archive:
        assert all(name.startswith("run/") for name in archive.namelist())
        archive.extractall(tmp_path / "elsewhere")
    copy = Run.open(tmp_path / "elsewhere" / "run")
    assert copy.status().state == "finished"
    assert differences(ending(copy), ending(run)) == []
    work(copy.folder, epochs=3)
    work(run.folder, epochs=3)
    assert differences(ending(copy), ending(run)) == []


@pytest.mark.parametrize("state", ["running", "paused"])
def test_a_zip_of_a_run_that_is_being_trained_is_one_that_was_stopped(tmp_path: Path, state: str) -> None:
    run = long_run(tmp_path / "run")
    with locked(run.folder):
        worker = Worker(run, StopSignals(), Limits())
        steps = worker.steps()
        for _ in range(5):
            next(steps)
        if state == "paused":
            run.request("pause")
            while not worker.paused:
                next(steps)
        assert run.status().state == state
        buffer = io.BytesIO()
        zip_run(run.folder, buffer)
        steps.close()
    zipfile.ZipFile(buffer).extractall(tmp_path / "elsewhere")
    copy = Run.open(tmp_path / "elsewhere" / "run")
    status = copy.status()
    assert (status.state, status.message) == ("stopped", "copied while it was being trained.")
    work(copy.folder, steps=status.step + 3)
    assert copy.status().state == "finished"


# --- a worker, and others ---------------------------------------------------------------------------------------------


def test_history_and_status_tell_of_the_whole_training(tmp_path: Path) -> None:
    run = tiny_run(tmp_path / "run", epochs=3, sample_every_seconds=0.0, horizon_every_seconds=0.0)
    events: list[Event] = []
    outcome = work(run.folder, on_event=events.append)
    steps = [event for event in events if isinstance(event, StepDone)]
    metrics = run.metrics()
    assert list(metrics) == list(runs.METRICS)
    assert metrics["step"].tolist() == list(range(1, len(steps) + 1))
    assert metrics["loss_nats"].tolist() == [step.loss_nats for step in steps]
    assert outcome.tokens_per_second is not None
    assert outcome.tokens_per_second > 0
    assert run.metrics(after_step=5, limit=2)["step"].tolist() == [6, 7]
    assert run.metrics(stride=4)["step"].tolist() == [4, 8, 12, 16, 20]
    assert run.metrics(after_step=10**6)["step"].tolist() == []
    assert kinds(run).count("epoch_done") == 3
    assert {"started", "validated", "sampled", "horizon_measured", "finished"} <= set(kinds(run))
    last = run.events()[-1]
    assert last["kind"] == "finished"
    assert run.events(after_id=last["id"]) == []
    assert {event["kind"] for event in run.events(kinds=["validated", "sampled"])} == {"validated", "sampled"}
    told = {event for event in events if isinstance(event, (Validated, Sampled))}
    assert {*run.recorded(Validated, Sampled).values()} == told
    assert [*run.recorded(Event)] == [event["id"] for event in run.events()]
    status = run.status()
    assert (status.state, status.step, status.total_steps, status.epoch) == ("finished", len(steps), len(steps), 3)
    assert not status.alive
    assert not status.resumable
    assert outcome.train_loss_nats == status.train_loss_nats
    assert outcome.valid_loss_nats == status.valid_loss_nats
    assert outcome.parameters == new_model(run.config.model, run.config.training).parameter_count
    assert run.checkpoint_steps()[-1] == status.checkpoint_step == status.step


def test_a_finished_run_is_left_alone_unless_it_gets_a_later_end(tmp_path: Path) -> None:
    run = tiny_run(tmp_path / "run", epochs=1)
    work(run.folder)
    before = run.events()
    assert work(run.folder).state == "finished"
    assert run.events() == before
    with pytest.raises(SettingsError, match="ask for more"):
        work(run.folder, steps=2)
    assert run.status().state == "finished"
    assert work(run.folder, epochs=2).epoch == 2
    assert Run.open(run.folder).config.training.epochs == 2


def test_training_further_is_the_same_as_having_asked_for_more_at_once(tmp_path: Path) -> None:
    at_once, further = tiny_run(tmp_path / "a", epochs=3), tiny_run(tmp_path / "b", epochs=1)
    work(at_once.folder)
    for epochs in (1, 2, 3):
        work(further.folder, epochs=epochs)
    assert differences(ending(at_once), ending(further)) == []


def test_a_worker_answers_pause_step_resume_and_stop(tmp_path: Path, workers: Workers) -> None:
    run = long_run(tmp_path / "run")
    pid = workers.start(run.folder)
    wait_for(lambda: state_is(run, "running") and run.status().step > 3)
    assert run.status().pid == pid
    run.request("pause")
    wait_for(lambda: state_is(run, "paused"))
    step = run.status().step
    wait_for(lambda: run.checkpoint_steps()[-1] == step)  # written once the pause is known
    for made in (1, 2, 3):
        run.request("step")
        wait_for(lambda made=made: run.status().step == step + made and state_is(run, "paused"))
    run.request("resume")
    wait_for(lambda: run.status().step > step + 10)
    run.request("stop")
    wait_for(lambda: state_is(run, "stopped"))
    wait_for(lambda: not alive(pid))
    assert {"paused", "resumed", "stopped"} <= set(kinds(run))
    assert run.status().resumable
    with pytest.raises(RunError, match="resume it first"):
        run.request("pause")


def test_every_request_has_its_state_and_its_event(tmp_path: Path) -> None:
    run = long_run(tmp_path / "run")
    with locked(run.folder):
        worker = Worker(run, StopSignals(), Limits())
        steps = worker.steps()
        next(steps)

        def until(state: str, step: int | None = None) -> None:
            while run.status().state != state or (step is not None and run.status().step != step):
                next(steps)

        run.request("pause")
        until("paused")
        step = worker.state.step
        assert run.checkpoint_steps()[-1] == step
        run.request("pause")  # It is paused already: nothing happens.
        for _ in range(5):
            next(steps)
        run.request("step")
        until("paused", step + 1)
        run.request("resume")
        until("running")
        for _ in range(5):
            next(steps)
        assert worker.state.step > step + 2
        run.request("stop")
        for _ in steps:
            pass
    assert run.status().state == "stopped"
    said = [(event["kind"], event["why"]) for event in run.events(kinds=["paused", "resumed", "stopped"])]
    assert said == [
        ("paused", "by request"),
        ("paused", "one step was made"),
        ("resumed", "by request"),
        ("stopped", "by request"),
    ]


def test_answers_wait_together_for_the_next_commit(tmp_path: Path) -> None:
    run = tiny_run(tmp_path / "run")
    for _ in range(3):
        run.request("pause")
    history = HistoryWriter(run.folder)
    history.restore(0, {}, 0.0)
    first, second, third = (number for number, _, _ in history.open_requests())
    history.answer([first])
    history.answer([third])
    assert [number for number, _, _ in history.open_requests()] == [second]
    assert history.commit({"step": 0}, durable=False)
    history.close()
    again = HistoryWriter(run.folder)
    assert [number for number, _, _ in again.open_requests()] == [second]
    again.close()


@pytest.mark.parametrize("payload", ["NULL", "7", "'['", "'[1]'", "x'00ff'", "'{\"learning_rate\": 1e999}'"])
def test_a_request_whose_payload_makes_no_sense_asks_for_nothing(tmp_path: Path, payload: str) -> None:
    run = long_run(tmp_path / "run")
    with locked(run.folder):
        worker = Worker(run, StopSignals(), Limits())
        steps = worker.steps()
        next(steps)
        rate = worker.state.learning_rate
        with contextlib.closing(sqlite3.connect(run.folder / "events.sqlite")) as history:
            # As a stranger may have made the table.
            history.executescript(
                "ALTER TABLE requests RENAME TO old; CREATE TABLE requests AS SELECT * FROM old;"
                f"INSERT INTO requests (id, time, kind, payload) VALUES (1, 1.0, 'learning_rate', {payload});"
            )
        worker.handle_requests()
        assert worker.state.learning_rate == rate
        assert worker.history.open_requests() == []
        steps.close()


def test_a_run_that_is_half_deleted_is_none_any_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = tiny_run(tmp_path / "run", steps=2)
    work(run.folder)
    unlink, deleted = Path.unlink, list[str]()

    def fail_after_one(path: Path, missing_ok: bool = False) -> None:
        if deleted:
            raise PermissionError(13, "Permission denied")
        deleted.append(path.name)
        unlink(path, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", fail_after_one)
    with pytest.raises(RunError, match="cannot be written .Permission denied.*run"):
        delete_run(run.folder)
    assert deleted == ["config.json"]
    assert list_runs(tmp_path) == []


def test_a_name_that_cannot_be_written_is_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = tiny_run(tmp_path / "run")

    def full(*arguments: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.SystemCalls, "fsync", staticmethod(full))
    with pytest.raises(RunError, match=rf"the disk is full; .* `resume {run.folder}`"):
        rename_run(run.folder, "new")
    assert Run.open(run.folder).config.name == "tiny"


def test_a_new_learning_rate_is_used_recorded_and_survives_a_kill(tmp_path: Path, workers: Workers) -> None:
    run = long_run(tmp_path / "run")
    pid = workers.start(run.folder)
    wait_for(lambda: run.status().step > 3)
    run.request("learning_rate", learning_rate=0.0123)
    (changed,) = wait_for(lambda: run.events(kinds=["learning_rate_changed"]))
    assert (changed["new"], changed["why"]) == (0.0123, "set by hand")
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: state_is(run, "dead"))
    assert run.metrics()["learning_rate"][0] != 0.0123
    work(run.folder, steps=run.status().step + 5)
    assert run.metrics()["learning_rate"][-1] == 0.0123
    assert len(run.events(kinds=["learning_rate_changed"])) == 1


def test_a_learning_rate_may_be_set_while_nobody_works(tmp_path: Path) -> None:
    run = tiny_run(tmp_path / "run", steps=4)
    work(run.folder, limits=Limits(steps=2))
    run.request("learning_rate", learning_rate=0.5)
    with pytest.raises(RunError, match="above 0"):
        run.request("learning_rate", learning_rate=-1)
    with pytest.raises(RunError, match="cannot be asked"):
        run.request("dance")
    work(run.folder)
    assert run.metrics()["learning_rate"].tolist() == [0.002, 0.002, 0.5, 0.5]


def test_a_stop_meant_for_a_dead_worker_does_not_stop_the_next(tmp_path: Path, workers: Workers) -> None:
    run = long_run(tmp_path / "run")
    pid = workers.start(run.folder)
    wait_for(lambda: run.status().step > 3)
    os.kill(pid, signal.SIGSTOP)
    run.request("stop")
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: state_is(run, "dead"))
    assert work(run.folder, steps=run.status().step + 3).state == "finished"


def test_a_stop_while_it_waits_in_the_queue_is_heard(tmp_path: Path) -> None:
    run = long_run(tmp_path / "run")
    run.queue("place 2 in line")
    assert (run.status().state, run.status().message) == ("queued", "place 2 in line")
    run.request("stop")
    assert work(run.folder).state == "stopped"
    assert run.status().step <= 1


def test_a_worker_that_could_not_be_started_says_so(tmp_path: Path) -> None:
    run = tiny_run(tmp_path / "run")
    run.fail("no Python here")
    assert (run.status().state, run.status().message) == ("failed", "no Python here")
    assert run.status().resumable


def test_a_killed_worker_shows_as_dead_at_once(tmp_path: Path, workers: Workers) -> None:
    run = long_run(tmp_path / "run")
    for request in (None, "pause"):
        pid = workers.start(run.folder)
        wait_for(lambda: run.status().step > 3 and run.status().alive)
        if request:
            run.request(request)
            wait_for(lambda: state_is(run, "paused"))
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: not alive(pid))  # noqa: B023 - it is waited for here
        status = run.status()
        assert status.state == "dead"
        assert "resume" in status.message
        assert status.pid is None
        assert status.resumable


def test_what_is_asked_as_soon_as_a_worker_shows_as_alive_is_heard(tmp_path: Path, monkeypatch) -> None:
    run = long_run(tmp_path / "run")
    work(run.folder, limits=Limits(steps=2))
    with contextlib.closing(sqlite3.connect(run.folder / "events.sqlite")) as history, history:
        history.execute("UPDATE status SET state = 'running'")  # as a killed worker leaves it

    class AskedWhileLocked(StopSignals):
        def __enter__(self) -> StopSignals:
            assert run.status().alive
            run.request("stop")
            return super().__enter__()

    monkeypatch.setattr(worker_module, "StopSignals", AskedWhileLocked)
    outcome = work(run.folder, limits=Limits(steps=50))
    assert (outcome.step, outcome.message) == (2, "by request")


def test_a_heart_beats_while_a_worker_is_at_work_paused_or_not(tmp_path: Path, workers: Workers) -> None:
    run = long_run(tmp_path / "run")
    workers.start(run.folder)
    wait_for(lambda: run.status().step > 3)
    for kind, state in (("pause", "paused"), ("resume", "running")):
        run.request(kind)
        wait_for(lambda: state_is(run, state))  # noqa: B023 - it is waited for here
        wait_for_heartbeat(run)
    age = run.status().heartbeat_age_seconds
    assert age is not None
    assert age >= 0
    run.request("stop")
    wait_for(lambda: state_is(run, "stopped"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_stops_in_good_order(tmp_path: Path, workers: Workers, number: int) -> None:
    run = long_run(tmp_path / "run")
    pid = workers.start(run.folder)
    wait_for(lambda: run.status().step > 3)
    os.kill(pid, number)
    wait_for(lambda: not alive(pid))
    status = run.status()
    assert status.state == "stopped"
    assert signal.Signals(number).name in status.message
    assert status.checkpoint_step == status.step == run.metrics()["step"][-1]


def test_two_workers_never_write_one_run(tmp_path: Path, workers: Workers) -> None:
    run = long_run(tmp_path / "run")
    workers.start(run.folder)
    wait_for(lambda: run.status().step > 3)
    with pytest.raises(RunError, match="at work on this run already"):
        work(run.folder)
    with pytest.raises(RunError, match="at work on this run already"):
        run.queue()
    with pytest.raises(RunError, match="at work on this run already"):
        delete_run(run.folder)
    run.fail("not true")
    assert state_is(run, "running")
    run.request("stop")
    wait_for(lambda: state_is(run, "stopped"))


def test_many_readers_do_not_disturb_a_worker(tmp_path: Path, workers: Workers) -> None:
    run = long_run(tmp_path / "run")
    workers.start(run.folder)
    wait_for(lambda: run.status().step > 3)
    errors: list[BaseException] = []

    def look() -> None:
        try:
            mine, seen = Run.open(run.folder), 0
            while seen < 150:
                assert mine.status().state == "running"
                steps = mine.metrics(after_step=seen)["step"]
                assert steps.tolist() == list(range(seen + 1, seen + 1 + len(steps)))
                seen += len(steps)
                mine.watch()
                mine.load_model()
                mine.checkpoint_steps()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=look) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    run.request("stop")
    wait_for(lambda: state_is(run, "stopped"))
    assert errors == []


def test_a_run_nobody_watches_is_stored_and_stopped(tmp_path: Path) -> None:
    run = long_run(tmp_path / "run")
    outcome = work(run.folder, limits=Limits(unwatched_minutes=0.2 / 60))
    assert (outcome.state, run.status().state) == ("stopped", "stopped")
    assert "nobody had watched" in run.status().message
    assert run.status().checkpoint_step == run.status().step


def test_unwatched_seconds_are_counted_from_the_last_look_and_not_by_the_wall_clock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tiny_run(tmp_path / "run")
    history = HistoryWriter(run.folder)
    history.restore(0, {}, time.time())
    clock = SimpleNamespace(monotonic=lambda: now, time=time.time)
    monkeypatch.setattr(history_writer, "time", clock)
    now = 1000.0
    assert history.seconds_unwatched() == 0
    now += 30
    assert history.seconds_unwatched() == 30
    clock.time = lambda: 0.0  # somebody sets the clock
    assert history.seconds_unwatched() == 30
    run.watch()
    now += 5
    assert history.seconds_unwatched() == 0
    now += 7
    assert history.seconds_unwatched() == 7
    history.close()


def test_a_host_limits_minutes_and_steps(tmp_path: Path) -> None:
    run = long_run(tmp_path / "run")
    assert "steps" in work(run.folder, limits=Limits(steps=5)).message
    assert run.status().step == 5
    assert "minutes" in work(run.folder, limits=Limits(minutes=0.1 / 60)).message
    stopped_at = run.status().step
    assert "minutes" in work(run.folder, limits=Limits(minutes=0.1 / 60)).message  # minutes count over all resumptions
    assert run.status().step <= stopped_at + 1


def test_what_was_recorded_after_a_checkpoint_is_taken_back(tmp_path: Path) -> None:
    run = tiny_run(tmp_path / "run", steps=6)
    work(run.folder)
    events = run.events()
    history = HistoryWriter(run.folder)
    history.restore(4, {"event_id": events[1]["id"]}, 0.0)
    history.close()
    assert run.metrics()["step"].tolist() == [1, 2, 3, 4]
    assert run.events() == events[:2]


def test_what_a_killed_worker_had_not_finished_writing_is_cleared_away(tmp_path: Path) -> None:
    run = tiny_run(tmp_path / "run", steps=2)
    for name in ("model.safetensors.tmp", "weights-1.safetensors.tmp"):
        (run.folder / name).write_bytes(b"half of a file")
    work(run.folder)
    assert not list(run.folder.glob("*.tmp"))


def test_a_damaged_checkpoint_is_not_kept_as_the_one_before(tmp_path: Path) -> None:
    run = tiny_run(tmp_path / "run", steps=6)
    work(run.folder, limits=Limits(steps=2))
    work(run.folder, limits=Limits(steps=4))
    (run.folder / checkpoints.NEWEST).write_bytes(b"damaged")
    work(run.folder)
    assert run.status().state == "finished"
    assert all(path.read_bytes() != b"damaged" for path in run.folder.glob("model*"))
    assert run.checkpoint_steps() == [0, 2, 6]


def test_checkpoints_come_less_often_where_writing_one_takes_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tiny_run(tmp_path / "run", steps=10**6, checkpoint_every_seconds=3.0)
    clock = SimpleNamespace(monotonic=lambda: now, time=time.time, sleep=time.sleep)
    monkeypatch.setattr(run_writer, "time", clock)
    now, cost = 1000.0, 0.0
    save = checkpoints.save

    def slow_save(*arguments: Any) -> None:
        nonlocal now
        save(*arguments)
        now += cost

    monkeypatch.setattr(checkpoints, "save", slow_save)
    with locked(run.folder):
        worker = Worker(run, StopSignals(), Limits())
        steps = worker.steps()
        next(steps)
        for seconds, pause in ((0.1, 3.0), (0.5, 10.0)):  # a twentieth of the time at most
            cost = seconds
            worker.writer.checkpoint()
            assert worker.writer.next_checkpoint == pytest.approx(now + pause)
        steps.close()


def test_unwatched_minutes_have_60_seconds_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = long_run(tmp_path / "run")
    with locked(run.folder):
        worker = Worker(run, StopSignals(), Limits(unwatched_minutes=2))
        steps = worker.steps()
        next(steps)
        monkeypatch.setattr(worker.history, "seconds_unwatched", lambda: 119.0)
        worker.check_limits()
        monkeypatch.setattr(worker.history, "seconds_unwatched", lambda: 120.0)
        for _ in steps:
            pass
    assert run.status().message == "nobody had watched it for 2 minutes"


def test_a_link_or_a_pipe_in_the_place_of_a_lock_is_no_worker(tmp_path: Path) -> None:
    run, other = tiny_run(tmp_path / "run"), tiny_run(tmp_path / "other")
    (run.folder / "lock").unlink()
    (run.folder / "lock").symlink_to(other.folder / "lock")
    with locked(other.folder):
        assert worker_alive(other.folder)
        assert not worker_alive(run.folder)
    (run.folder / "lock").unlink()
    os.mkfifo(run.folder / "lock")
    assert not worker_alive(run.folder)


def test_a_limit_of_minutes_is_one_of_60_seconds_each(tmp_path: Path) -> None:
    run = long_run(tmp_path / "run")
    with locked(run.folder):
        worker = Worker(run, StopSignals(), Limits(minutes=2))
        steps = worker.steps()
        next(steps)
        worker.state.elapsed_seconds = 119.0
        worker.check_limits()
        worker.state.elapsed_seconds = 120.0
        for _ in steps:
            pass
    assert run.status().state == "stopped"
    assert run.status().message == "the 2 minutes of training that this server allows are over"


def test_another_number_of_threads_is_told_since_it_changes_the_last_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tiny_run(tmp_path / "run", steps=2)
    monkeypatch.setenv("RNN_CORE_THREADS", "2")
    work(run.folder)
    work(run.folder, steps=3)
    assert run.events(kinds=["threads_changed"]) == []
    monkeypatch.setenv("RNN_CORE_THREADS", "1")
    work(run.folder, steps=4)
    (event,) = run.events(kinds=["threads_changed"])
    assert (event["before"], event["now"]) == (2, 1)


# --- disks ------------------------------------------------------------------------------------------------------------

LIMITED = """
import os, resource, sys
from rnn_core.cli.main import main
from rnn_core.runs import Run
Run.open(sys.argv[2])
exec(sys.argv[1])
sys.exit(main(["resume", sys.argv[2], "--quiet"]))
"""


def resume_under(limit: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", LIMITED, limit, str(folder)], capture_output=True, text=True, timeout=HANG_SECONDS
    )


@pytest.mark.parametrize("space", [0.1, 0.99])
@pytest.mark.process
def test_a_full_disk_stops_the_run_with_a_sentence_and_it_can_be_resumed(tmp_path: Path, space: float) -> None:
    larger = {"hidden_size": 40}  # SQLite alone needs 32 kB to share memory
    reference, run = (tiny_run(tmp_path / name, steps=60, model=larger) for name in "ab")
    work(reference.folder)
    work(run.folder, limits=Limits(steps=20))
    size = int((run.folder / checkpoints.NEWEST).stat().st_size * space)
    result = resume_under(f"resource.setrlimit(resource.RLIMIT_FSIZE, ({size}, {resource.RLIM_INFINITY}))", run.folder)
    assert result.returncode == 2, result.stderr
    assert result.stderr.startswith("error: the disk is full")
    assert len(result.stderr.splitlines()) == 1
    status = run.status()
    assert status.resumable
    if space > 0.5:  # else there is no room even to say so
        assert (status.state, status.message) == ("failed", result.stderr.strip().removeprefix("error: "))
    work(run.folder)
    assert differences(ending(run), ending(reference)) == []


@pytest.mark.process
def test_a_folder_that_cannot_be_written_is_read_all_the_same() -> None:
    with tempfile.TemporaryDirectory(prefix="read-only-") as room:
        run = tiny_run(Path(room) / "run", steps=3)
        work(run.folder)
        os.chmod(room, 0o755)
        os.chmod(run.folder, 0o555)
        for path in run.folder.iterdir():
            os.chmod(path, 0o444)
        become = "os.geteuid() or os.setegid(65534); os.geteuid() or os.seteuid(65534)"
        result = resume_under(become, run.folder)
        assert result.returncode == 2
        assert result.stderr.startswith("error: ")
        assert "cannot be written" in result.stderr
        assert len(result.stderr.splitlines()) == 1
        look = "run = Run.open(sys.argv[2]); print(run.status().state, len(run.events()), flush=True); os._exit(0)"
        result = resume_under(f"{become}; {look}", run.folder)
        assert result.stdout.split()[:1] == ["finished"], result.stderr
        os.chmod(run.folder, 0o755)


def test_a_failing_disk_leaves_the_run_failed_with_a_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = tiny_run(tmp_path / "run", steps=20)
    work(run.folder, limits=Limits(steps=10))

    def broken(*arguments: Any) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(files.SystemCalls, "fsync", staticmethod(broken))
        with pytest.raises(RunError, match="Input/output error"):
            work(run.folder)
    assert run.status().state == "failed"
    assert "Input/output error" in run.status().message
    assert work(run.folder).state == "finished"


def test_a_mistake_of_ours_is_told_in_the_status_and_raised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = tiny_run(tmp_path / "run", steps=20)
    with monkeypatch.context() as patch:
        patch.setattr(LanguageModel, "training_gradients", lambda *arguments, **options: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            work(run.folder)
    assert run.status().state == "failed"
    assert "ZeroDivisionError" in run.status().message
    assert work(run.folder).state == "finished"


def test_too_little_memory_is_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = tiny_run(tmp_path / "run", steps=20)

    def greedy(*arguments: Any, **options: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(LanguageModel, "training_gradients", greedy)
    with pytest.raises(RunError, match="not enough memory"):
        work(run.folder)
    assert run.status().state == "failed"


def test_a_diverged_run_keeps_its_last_good_weights_and_goes_on_with_a_lower_rate(tmp_path: Path) -> None:
    run = tiny_run(
        tmp_path / "run",
        model={"cell": "relu", "init": "spectral", "init_scale": 3.0},
        optimizer="sgd",
        learning_rate=1e4,
        clip=None,
        epochs=5,
    )
    outcome = work(run.folder)
    assert outcome.state == run.status().state == "diverged"
    assert outcome.message == run.status().message
    (event,) = run.events(kinds=["diverged"])
    assert event["step"] == run.status().step
    weights = run.load_model().params
    assert all(np.isfinite(value).all() for value in weights.values())
    assert run.status().resumable


@pytest.mark.parametrize(
    "statement",
    [
        "DROP TABLE status",
        "DELETE FROM status",
        "UPDATE status SET state = 'asleep'",
        "UPDATE metrics SET step = 'first' WHERE 0; INSERT INTO events VALUES (99, 1, 1, 'x', '[')",
        "INSERT INTO events VALUES (99, 1, 1, 'x', '[1]')",
        "DROP TABLE metrics; CREATE TABLE metrics AS SELECT 'a' AS step, 'b' AS loss_nats",
    ],
)
def test_a_strangers_history_is_refused_in_words(tmp_path: Path, statement: str) -> None:
    run = tiny_run(tmp_path / "run", steps=2)
    work(run.folder)
    with contextlib.closing(sqlite3.connect(run.folder / "events.sqlite")) as database:
        database.executescript(statement)
    with pytest.raises(RunError, match=r"events\.sqlite"):
        print(run.status(), run.events(), run.metrics())


def test_a_run_without_its_history_says_so_and_goes_on_without(tmp_path: Path) -> None:
    run = tiny_run(tmp_path / "run", steps=2)
    work(run.folder)
    (run.folder / "events.sqlite").unlink()
    with pytest.raises(RunError, match="lost its history"):
        run.status()
    assert "lost its history" in list_runs(tmp_path)[0].error
    work(run.folder, steps=3)
    assert run.status().state == "finished"


# --- a run's life -----------------------------------------------------------------------------------------------------

LIFE = {"steps": 400, "validate_every": 40, "checkpoint_every_seconds": 0.02, "model": {"dropout": 0.1}}


@cache
def undisturbed() -> dict[str, Any]:
    """How the run of `Life` ends when nobody touches it."""
    with tempfile.TemporaryDirectory() as room:
        run = tiny_run(Path(room) / "run", **LIFE)
        work(run.folder)
        return ending(run)


class Life(RuleBasedStateMachine):
    """Anything may happen to a run in any order; its history is a prefix of the undisturbed one's, to the last bit."""

    workers: Workers

    @initialize()
    def create(self) -> None:
        self.room = Path(tempfile.mkdtemp(prefix="life-"))
        self.pid: int | None = None
        self.make()

    def make(self) -> None:
        self.run = tiny_run(self.room / "run", **LIFE)

    def at_work(self) -> bool:
        return self.pid is not None and alive(self.pid)

    def gone(self) -> None:
        assert self.pid is not None
        pid = self.pid
        wait_for(lambda: not alive(pid))
        self.pid = None

    @precondition(lambda self: not self.at_work())
    @rule()
    def start(self) -> None:
        self.pid = self.workers.start(self.run.folder)
        wait_for(lambda: not self.at_work() or self.run.status().state in ("running", "paused", "finished"))

    @rule(seconds=st.floats(0, 0.1))
    def wait(self, seconds: float) -> None:
        time.sleep(seconds)

    @precondition(lambda self: self.at_work())
    @rule(kind=st.sampled_from(["pause", "resume", "step", "stop"]))
    def ask(self, kind: str) -> None:
        try:
            self.run.request(kind)
        except RunError:
            wait_for(lambda: not self.at_work())  # It ended while we were asking.

    @precondition(lambda self: self.at_work())
    @rule(number=st.sampled_from([signal.SIGKILL, signal.SIGTERM]))
    def kill(self, number: int) -> None:
        assert self.pid is not None
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)
        self.gone()
        assert not self.run.status().alive

    @precondition(lambda self: self.at_work())
    @rule()
    def intrude(self) -> None:
        try:
            delete_run(self.run.folder)
        except RunError as refused:
            self.refused = str(refused)
        else:
            wait_for(lambda: not self.at_work())  # It had just ended, so there was nothing to intrude upon.
            self.make()

    @precondition(lambda self: not self.at_work())
    @rule()
    def delete(self) -> None:
        delete_run(self.run.folder)
        assert not self.run.folder.exists()
        self.make()

    @invariant()
    def attach(self) -> None:
        if not hasattr(self, "run"):
            return
        run = Run.open(self.run.folder)
        metrics, whole = run.metrics(), undisturbed()["metrics"]
        steps = len(metrics["step"])
        for name in whole:
            assert np.array_equal(metrics[name], whole[name][:steps]), name
        assert (
            run.status().state
            in (
                ("running", "paused", "finished", "stopped")
                if self.at_work()
                else ("created", "stopped", "finished", "dead")
            )
            or not self.at_work()
        )
        ids = [event["id"] for event in run.events()]
        assert ids == sorted(set(ids))

    def teardown(self) -> None:
        if not hasattr(self, "run"):
            return
        if self.at_work():
            assert self.pid is not None
            os.kill(self.pid, signal.SIGKILL)
            self.gone()
        work(self.run.folder)
        assert differences(ending(self.run), undisturbed()) == []
        shutil.rmtree(self.room)


@pytest.mark.slow
def test_a_runs_life(workers: Workers) -> None:
    Life.workers = workers
    Life.TestCase.settings = settings(
        max_examples=6, stateful_step_count=12, deadline=None, suppress_health_check=list(HealthCheck)
    )
    test = Life.TestCase("runTest")
    test.runTest()


@pytest.mark.process
def test_a_short_form_of_the_kill_harness() -> None:
    """The long form: python tests/kill_harness.py --kills 200."""
    sys.path.insert(0, str(Path(__file__).parent))
    program = (
        "import random, sys, tempfile; from pathlib import Path; from kill_harness import *\n"
        "with tempfile.TemporaryDirectory() as room:\n"
        "    faults_around_every_call(Path(room), only_every=11)\n"
        "    random_kills(Path(room), 5, random.Random(1), steps=400)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", program],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        timeout=3 * HANG_SECONDS,  # for dozens of trainings, one after the other
    )
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize(("forgetful", "code"), [(False, 0), (True, 1)])
@pytest.mark.process
def test_the_kill_harness_notices_a_history_that_is_not_taken_back(forgetful: bool, code: int) -> None:
    program = (
        "import tempfile; from pathlib import Path; from kill_harness import *\n"
        "from rnn_core.runs import history_writer as module\n"
        f"if {forgetful}: module.HistoryWriter.restore = lambda *arguments: None\n"
        "def listen(event):\n"
        "    if event.step == 1: time.sleep(0.5)  # what has happened so far is then written down\n"
        "    if event.step == 2: os.kill(os.getpid(), signal.SIGKILL)\n"
        "with tempfile.TemporaryDirectory() as room:\n"
        "    whole, killed = (Path(room) / name for name in ('whole', 'killed'))\n"
        "    tiny_run(whole, steps=8, checkpoint_every_seconds=1000.0)\n"
        "    shutil.copytree(whole, killed)\n"
        "    finished_in_peace(whole)\n"
        "    os.waitpid(in_a_child(lambda: work(killed, on_event=listen)), 0)\n"
        "    finished_in_peace(killed)\n"
        "    check(killed, ending(Run.open(whole)), 'after a kill')\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], cwd=Path(__file__).parent, capture_output=True, text=True, timeout=HANG_SECONDS
    )
    assert result.returncode == code, result.stderr


def test_errors_of_users_are_user_errors() -> None:
    assert issubclass(RunError, UserError)
