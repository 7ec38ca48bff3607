"""A server for strangers: what they may ask for, whose turn it is, whose run it is, and what becomes of it."""

from __future__ import annotations

import contextlib
import errno
import io
import logging
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dashboard import hosting
from dashboard.hosting import Caps, connections, queue, sweeping
from dashboard.hosting.folder import FOLDER
from dashboard.services import library, sources, trainings, worker
from dashboard.state import session
from dashboard.text import corpus as corpus_wording
from dashboard.text import general as common_wording
from dashboard.text import hosting as wording
from dashboard.text import laboratory as wording_laboratory
from rnn_core import runs
from rnn_core.config import ModelConfig, TextSettings, TrainingSettings
from rnn_core.errors import CorpusError, RunError, SettingsError, UserError
from rnn_core.parallel.processes import WORKER_BYTES
from rnn_core.runs import Run, memory, worker_alive
from rnn_core.runs.worker import work
from rnn_core.threads import limited_threads
from tests.dashboard.conftest import APP, new_window, running_server
from tests.dashboard.test_pages import button, texts
from tests.waiting import HANG_SECONDS, wait_for

ANNA, BERT, CARL = (hosting.owner_id(letter * 64) for letter in "abc")
CAPS = Caps(trainings=1)
LONG = replace(CAPS, steps=10**8)
"""For trainings that are to last as long as their test, however fast the machine."""


@pytest.fixture
def hosted(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Makes this a hosted server, with one training at a time unless told otherwise; until the test ends."""

    def switch_on(value: str = "trainings=1") -> None:
        monkeypatch.setenv(hosting.VARIABLE, value)
        # What it does cannot be undone in this process; it has a test of its own.
        monkeypatch.setattr(hosting, "stay_offline", lambda: None)
        monkeypatch.setattr(worker, "DISPATCH_SECONDS", 0.1)  # which is waited for when the test ends

    yield switch_on
    monkeypatch.delenv(hosting.VARIABLE, raising=False)
    if worker._dispatcher is not None:
        worker._dispatcher.join(10)


@pytest.fixture
def visiting(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Says whose browser it is, where no page is drawn."""
    return lambda owner: monkeypatch.setattr(library, "visitor", lambda: owner)


# --- the variable -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["", " ", "0", "off", "No", "FALSE"])
def test_a_server_is_not_hosted_unless_it_is_said_so(value: str, monkeypatch) -> None:
    monkeypatch.setenv(hosting.VARIABLE, value)
    assert hosting.current_caps() is None


def test_one_variable_switches_hosted_mode_on_and_can_change_any_cap(monkeypatch) -> None:
    monkeypatch.setenv(hosting.VARIABLE, "1")
    assert hosting.current_caps() == Caps()
    monkeypatch.setenv(hosting.VARIABLE, "minutes=2.5, trainings=3 words=1000")
    assert hosting.current_caps() == Caps(minutes=2.5, trainings=3, words=1000)


@pytest.mark.parametrize(
    "value", ["maybe", "minuets=3", "minutes=", "minutes=-1", "words=0", "minutes=nan", "hidden=x"]
)
def test_a_variable_that_makes_no_sense_closes_the_server_with_the_reason(value, hosted, open_page) -> None:
    hosted(value)
    with pytest.raises(SettingsError, match=hosting.VARIABLE):
        hosting.current_caps()
    app = open_page("corpus")
    assert [error.value for error in app.error] == [wording.NOT_SET_UP]
    assert not app.title
    assert session.is_hosted()


# --- what may be asked for --------------------------------------------------------------------------------------------


def agreement(count: int = 200):
    return sources.prepare(sources.Agreement(gap=3, count=count), TextSettings(sentences="lines"))


def asked(caps: Caps = CAPS, training: dict[str, Any] | None = None, **model: Any) -> None:
    corpus = agreement()
    config = ModelConfig(**{"vocabulary_size": len(corpus.vocabulary), "hidden_size": 16, **model})
    hosting.check_training(corpus, config, TrainingSettings(**(training or {})), caps)


def test_what_is_within_the_caps_may_be_trained() -> None:
    asked()


@pytest.mark.parametrize(
    ("request_", "says"),
    [
        ({"caps": replace(CAPS, words=100)}, "words, and this server trains on up to 100"),
        ({"caps": replace(CAPS, vocabulary=10)}, "and this server allows 10."),
        ({"hidden_size": 512}, "Hidden units: you ask for 512, and this server allows 256."),
        ({"embedding_size": 300}, "you ask for 300, and this server allows 256."),
        ({"layers": 3}, "Layers: you ask for 3, and this server allows 2."),
        ({"training": {"batch_size": 1000}}, "you ask for 1,000, and this server allows 256."),
        ({"training": {"steps": 60_000}}, "you ask for 60,000, and this server allows 50,000."),
        ({"training": {"epochs": 100_000}}, "and this server allows 50,000."),
        ({"caps": replace(CAPS, memory_megabytes=20)}, "MB of memory, and 20 MB are free"),
    ],
)
def test_what_is_too_much_is_refused_with_both_numbers(request_: dict[str, Any], says: str) -> None:
    with pytest.raises((SettingsError, CorpusError)) as refusal:
        asked(**request_)
    assert says in str(refusal.value)


def test_a_training_for_which_no_memory_is_free_is_refused(monkeypatch) -> None:
    monkeypatch.setattr(memory, "available_bytes", lambda: 10**7)
    with pytest.raises(SettingsError, match="10 MB are free"):
        asked()


def test_a_refusal_is_shown_before_anything_is_started(hosted, open_page, runs_folder) -> None:
    hosted("trainings=1 hidden=50")
    app = open_page("corpus")
    app.segmented_control(key=session.key("corpus", "source")).set_value("agreement").run()
    button(app, "Train a network on this").click().run()
    assert "Hidden units: this server allows 50" in texts(app)
    assert button(app, "Start training").disabled
    assert not [folder for folder in runs_folder.iterdir() if folder.name != FOLDER]


def test_a_text_that_is_too_large_is_refused_before_it_is_read(hosted, open_page, monkeypatch) -> None:
    hosted("upload_megabytes=1")
    monkeypatch.setattr(sources, "_read", lambda *_: pytest.fail("it was read"))
    with pytest.raises(CorpusError, match=r"1\.2 MB, and this server reads up to 1 MB"):
        sources.prepare(sources.Upload("a.txt", b"word " * 250_000), TextSettings())
    with pytest.raises(CorpusError, match="reads up to 1 MB"):
        sources.prepare(sources.Paste("word " * 250_000), TextSettings())


def test_a_hosted_server_offers_nothing_that_needs_the_internet(hosted, open_page) -> None:
    hosted()
    app = open_page("corpus")
    kinds = app.segmented_control(key=session.key("corpus", "source"))
    assert corpus_wording.SOURCES["nltk"] not in kinds.options
    with pytest.raises(CorpusError, match="no access to the internet"):
        sources.prepare(sources.Nltk("brown"), TextSettings())


@pytest.mark.parametrize(
    ("host", "is_here"),
    [
        ("127.0.0.1", True),
        ("127.8.9.10", True),
        ("localhost", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("0.0.0.0", True),
        (b"127.0.0.1", True),
        (None, True),
        ("127.example.org", False),
        ("127.0.0.1.example.org", False),
        ("localhost.example.org", False),
        ("::ffff:192.0.2.1", False),
        ("10.0.0.1", False),
        ("169.254.169.254", False),
        ("2001:db8::1", False),
        (b"\xff", False),
    ],
)
def test_what_counts_as_this_machine_is_an_address_and_no_name_that_looks_like_one(host, is_here: bool) -> None:
    assert connections._is_here(host) == is_here


CONNECTIONS = """
import os, socket, subprocess, sys, time, urllib.request
from dashboard import hosting
hosting.stay_offline()
for attempt in (
    lambda: socket.create_connection(("192.0.2.1", 80), timeout=30),
    lambda: socket.create_connection(("2001:db8::1", 80), timeout=30),
    lambda: urllib.request.urlopen("http://example.org", timeout=30),
    lambda: socket.getaddrinfo("example.org", 80),
    lambda: socket.getaddrinfo("127.example.org", 80),
    lambda: socket.gethostbyname("example.org"),
    lambda: socket.gethostbyaddr("192.0.2.1"),
    lambda: socket.getnameinfo(("192.0.2.1", 80), 0),
    lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("192.0.2.1", 53)),
    lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendmsg([b"x"], [], 0, ("192.0.2.1", 53)),
    lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).connect(("192.0.2.1", 53)),
    lambda: socket.socket(socket.AF_INET6, socket.SOCK_DGRAM).connect_ex(("2001:db8::1", 53)),
    lambda: subprocess.run(["curl", "http://192.0.2.1"]),
    lambda: subprocess.run("curl http://192.0.2.1", shell=True),
    lambda: subprocess.run([sys.executable, "-c", "pass"]),
    lambda: os.system("true"),
    lambda: os.execv("/bin/true", ["true"]),
    lambda: os.posix_spawn("/bin/true", ["true"], {}),
):
    try:
        attempt()
    except OSError as error:  # at once: it says why, which a connection that timed out does not
        assert "hosted" in str(error), error
    else:
        raise AssertionError("it got out")
listener = socket.create_server(("127.0.0.1", 0))
socket.create_connection(listener.getsockname(), timeout=5).close()
socket.create_connection(("localhost", listener.getsockname()[1]), timeout=5).close()
training = [sys.executable, "-m", "rnn_core", "resume", "/no/such/run"]
assert subprocess.run(training, capture_output=True).returncode == 2
print("stayed here")
"""


@pytest.mark.process
def test_a_hosted_server_opens_no_connection_to_another_machine() -> None:
    process = subprocess.run([sys.executable, "-c", CONNECTIONS], capture_output=True, text=True, timeout=HANG_SECONDS)
    assert process.stdout.strip() == "stayed here", process.stderr


# --- the queue --------------------------------------------------------------------------------------------------------


@pytest.fixture
def queued_run(new_run, runs_folder: Path) -> Callable[..., Run]:
    """Puts a new run into the queue, for somebody."""

    def wait(owner: str = ANNA, caps: Caps = CAPS, **training: Any) -> Run:
        run = new_run(**training)
        hosting.set_owner(run.folder, owner)
        run.queue()
        hosting.enqueue(runs_folder, run.id, owner, caps)
        return run

    return wait


class Slots:
    """Stands in for the processes of trainings: takes the slot and the run's lock, as they do."""

    def __init__(self) -> None:
        self.held: dict[str, list[int]] = {}
        self.order: list[str] = []

    def start(self, folder: Path, slot: int) -> None:
        import fcntl

        lock = os.open(folder / "lock", os.O_RDWR)
        fcntl.flock(lock, fcntl.LOCK_EX)
        self.held[folder.name] = [os.dup(slot), lock]
        self.order.append(folder.name)

    def end(self, run: Run) -> None:
        for descriptor in self.held.pop(run.id):
            os.close(descriptor)

    def close(self) -> None:
        for descriptors in self.held.values():
            for descriptor in descriptors:
                os.close(descriptor)


@pytest.fixture
def slots() -> Iterator[Slots]:
    made = Slots()
    yield made
    made.close()


def test_first_come_first_served_and_everybody_sees_the_position(queued_run, slots, runs_folder) -> None:
    waiting = [queued_run(owner) for owner in (ANNA, BERT, CARL)]
    assert [hosting.position(runs_folder, run.id) for run in waiting] == [(1, 3, 0), (2, 3, 0), (3, 3, 0)]
    hosting.dispatch(runs_folder, CAPS, slots.start)
    assert slots.order == [waiting[0].id]
    assert [hosting.position(runs_folder, run.id) for run in waiting] == [None, (1, 2, 1), (2, 2, 1)]
    hosting.dispatch(runs_folder, CAPS, slots.start)
    assert len(slots.held) == 1
    slots.end(waiting[0])
    hosting.dispatch(runs_folder, CAPS, slots.start)
    assert slots.order == [waiting[0].id, waiting[1].id]


def test_who_wants_several_takes_turns_with_the_others(queued_run, slots, runs_folder) -> None:
    a1, a2, a3 = queued_run(ANNA), queued_run(ANNA), queued_run(ANNA)
    b1, b2, c1 = queued_run(BERT), queued_run(BERT), queued_run(CARL)
    turns = [a1, b1, c1, a2, b2, a3]
    assert [hosting.position(runs_folder, run.id).position for run in turns] == [1, 2, 3, 4, 5, 6]
    # Two at a time: while A's and B's first are at work, C comes before the second of either.
    two = replace(CAPS, trainings=2)
    hosting.dispatch(runs_folder, two, slots.start)
    assert slots.order == [a1.id, b1.id]
    assert [hosting.position(runs_folder, run.id).position for run in (c1, a2, b2, a3)] == [1, 2, 3, 4]


def test_never_more_trainings_than_slots_however_many_servers_hand_them_out(queued_run, slots, runs_folder) -> None:
    caps = replace(CAPS, trainings=2)
    for owner in (ANNA, BERT, CARL):
        for _ in range(3):
            queued_run(owner)
    with ThreadPoolExecutor(8) as servers:
        list(servers.map(lambda _: hosting.dispatch(runs_folder, caps, slots.start), range(24)))
    assert len(slots.order) == len(set(slots.order)) == 2


def test_asking_again_keeps_the_place(queued_run, runs_folder) -> None:
    first, second = queued_run(ANNA), queued_run(BERT)
    hosting.enqueue(runs_folder, first.id, ANNA, CAPS)
    assert hosting.position(runs_folder, first.id).position == 1
    assert hosting.position(runs_folder, second.id).waiting == 2


def test_the_queue_is_finite_and_nobody_takes_it_all(queued_run, runs_folder) -> None:
    for _ in range(CAPS.trainings_per_visitor):
        queued_run(ANNA)
    with pytest.raises(RunError, match="4 of your trainings"):
        queued_run(ANNA)
    with pytest.raises(RunError, match="4 of your trainings"):
        hosting.check_room(runs_folder, ANNA, CAPS)
    with pytest.raises(RunError, match="4 trainings are in the queue already"):
        queued_run(BERT, replace(CAPS, waiting=4))
    queued_run(BERT)


def test_who_goes_away_loses_the_place_and_who_looks_keeps_it(queued_run, slots, runs_folder, monkeypatch) -> None:
    gone, stays = queued_run(ANNA), queued_run(BERT)
    now = time.monotonic()
    monkeypatch.setattr(queue, "_clock", lambda: now + 85)  # 90 are promised
    hosting.record_visit(stays)
    monkeypatch.setattr(queue, "_clock", lambda: now + 95)
    hosting.dispatch(runs_folder, CAPS, slots.start)
    assert slots.order == [stays.id]
    assert gone.status().state == "stopped"
    assert "lost its place in the queue" in gone.status().message
    assert gone.status().resumable


def test_after_a_restart_nobody_has_lost_a_place(queued_run, slots, runs_folder, monkeypatch) -> None:
    run = queued_run()
    now = time.monotonic()
    monkeypatch.setattr(queue, "_clock", lambda: now + 10 * queue.ABANDONED_SECONDS)
    hosting.refresh_all(runs_folder)
    hosting.dispatch(runs_folder, CAPS, slots.start)
    assert slots.order == [run.id]


def test_a_run_that_was_deleted_while_it_waited_holds_nobody_up(queued_run, slots, runs_folder) -> None:
    deleted, other = queued_run(ANNA), queued_run(BERT)
    runs.delete_run(deleted.folder)
    assert not deleted.folder.exists()
    hosting.dispatch(runs_folder, CAPS, slots.start)
    assert slots.order == [other.id]
    assert hosting.position(runs_folder, deleted.id) is None


def test_a_training_that_cannot_be_started_holds_nobody_up(queued_run, slots, runs_folder) -> None:
    broken, other = queued_run(ANNA), queued_run(BERT)

    def start(folder: Path, slot: int) -> None:
        if folder.name == broken.id:
            raise RunError("no process could be started.")
        slots.start(folder, slot)

    hosting.dispatch(runs_folder, CAPS, start)
    assert slots.order == [other.id]


def test_a_server_that_died_after_it_started_a_training_does_not_start_it_twice(queued_run, slots, runs_folder) -> None:
    run = queued_run()

    def start_and_die(folder: Path, slot: int) -> None:
        slots.start(folder, slot)
        raise KeyboardInterrupt  # the transaction is lost, the process it started is not

    with pytest.raises(KeyboardInterrupt):
        hosting.dispatch(runs_folder, CAPS, start_and_die)
    assert hosting.position(runs_folder, run.id) == (1, 1, 0)
    hosting.dispatch(runs_folder, CAPS, slots.start)
    assert slots.order == [run.id]
    assert hosting.position(runs_folder, run.id) is None


def test_one_flipped_bit_anywhere_in_the_queue_loses_nobody_a_place(queued_run, slots, runs_folder) -> None:
    waiting = [queued_run(owner) for owner in (ANNA, ANNA, BERT)]
    hosting.dispatch(runs_folder, CAPS, slots.start)
    file = runs_folder / FOLDER / queue.FILE
    whole = file.read_bytes()
    for place in range(len(whole)):
        with pytest.raises(ValueError):
            queue._from_bytes(whole[:place] + bytes([whole[place] ^ 1 << place % 8]) + whole[place + 1 :])
    file.write_bytes(whole.replace(ANNA[:8].encode(), b"00000000", 1))
    slots.end(waiting[0])
    runs_at_work = hosting.position(runs_folder, waiting[2].id)
    assert runs_at_work is not None
    hosting.dispatch(runs_folder, CAPS, slots.start)
    assert len(slots.order) == 2


@pytest.mark.parametrize("damage", [b"", b"nothing of ours", b"SQLite format 3\x00" + b"\xff" * 5000, None])
def test_a_queue_that_is_damaged_or_lost_is_rebuilt_from_the_runs(damage, queued_run, slots, runs_folder) -> None:
    first, second = queued_run(ANNA), queued_run(BERT)
    (runs_folder / FOLDER / queue.FILE).unlink()
    if damage is not None:
        (runs_folder / FOLDER / queue.FILE).write_bytes(damage)
    third = queued_run(CARL)
    hosting.dispatch(runs_folder, CAPS, slots.start)
    assert slots.order == [first.id]
    assert [hosting.position(runs_folder, run.id).position for run in (second, third)] == [1, 2]


def test_a_rebuilt_queue_has_one_place_for_a_race(runs_folder, hosted, visiting, monkeypatch) -> None:
    hosted()
    visiting(ANNA)
    corpus = agreement()
    model = ModelConfig(vocabulary_size=len(corpus.vocabulary), hidden_size=8)
    (runs_folder / FOLDER).mkdir()
    slot = queue._take_slot(runs_folder, CAPS)
    try:
        race = trainings.begin_race({"one": model, "two": model}, corpus, TextSettings(), TrainingSettings(epochs=1))
        (runs_folder / FOLDER / queue.FILE).unlink()
        assert hosting.position(runs_folder, f"{race}-1") == (1, 1, 0)
    finally:
        os.close(slot)


def test_what_hosted_mode_keeps_is_for_nobody_elses_eyes(queued_run, slots, runs_folder) -> None:
    run = queued_run()
    hosting.dispatch(runs_folder, CAPS, slots.start)
    folder = runs_folder / FOLDER
    assert folder.stat().st_mode & 0o777 == 0o700
    for path in [*folder.iterdir(), run.folder / hosting.OWNER_FILE]:
        assert path.stat().st_mode & 0o777 == 0o600, path


def test_a_queue_that_cannot_be_written_is_explained(queued_run, runs_folder, monkeypatch) -> None:
    run = queued_run()
    monkeypatch.setattr(queue.os, "replace", lambda *_: (_ for _ in ()).throw(OSError(errno.ENOSPC, "full")))
    with pytest.raises(RunError, match="the disk is full"):
        hosting.leave(runs_folder, run.id)


def test_a_training_that_stood_still_for_long_is_asked_to_stop_where_others_wait(
    queued_run, slots, runs_folder, monkeypatch
) -> None:
    paused, waiting = queued_run(ANNA), queued_run(BERT)
    hosting.dispatch(runs_folder, CAPS, slots.start)
    asked: list[tuple[str, str]] = []
    monkeypatch.setattr(Run, "request", lambda run, kind: asked.append((run.id, kind)))
    monkeypatch.setattr(Run, "status", lambda run: SimpleNamespace(state="paused" if run.id == paused.id else "queued"))
    hosting.dispatch(runs_folder, CAPS, slots.start)  # which finds that it is paused
    now = queue._clock()
    for late, expected in ((0, []), (queue.PAUSED_SECONDS + 1, [(paused.id, "stop")])):
        monkeypatch.setattr(queue, "_clock", lambda late=late: now + late)
        queue.refresh(runs_folder, waiting.id)
        hosting.dispatch(runs_folder, CAPS, slots.start)
        assert asked == expected


def test_a_folder_in_which_no_queue_can_be_kept_is_explained(tmp_path) -> None:
    (tmp_path / FOLDER).write_text("a file where the folder should be")
    with pytest.raises(RunError):
        hosting.enqueue(tmp_path, "some-run", ANNA, CAPS)


@pytest.mark.process
def test_a_paused_training_makes_room_for_others(queued_run, runs_folder, hosted, visiting, monkeypatch) -> None:
    hosted()
    visiting(ANNA)
    paused = queued_run(ANNA, epochs=100_000)
    worker._dispatch(runs_folder, LONG)
    wait_for(lambda: paused.status().state == "running")
    paused.request("pause")
    wait_for(lambda: paused.status().state == "paused")
    other = queued_run(BERT, epochs=100_000)
    worker._dispatch(runs_folder, LONG)
    assert hosting.position(runs_folder, other.id) == (1, 1, 1)
    monkeypatch.setattr(queue, "PAUSED_SECONDS", 0.0)
    wait_for(lambda: worker._dispatch(runs_folder, LONG) or other.status().state == "running")
    assert paused.status().state == "stopped"
    assert paused.status().resumable


# --- with real processes ----------------------------------------------------------------------------------------------


@pytest.mark.process
def test_trainings_run_one_after_the_other_on_one_slot(new_run, runs_folder, hosted, visiting) -> None:
    hosted()
    started = []
    for owner in (ANNA, BERT, CARL):
        visiting(owner)
        run = new_run(epochs=2)
        hosting.set_owner(run.folder, owner)
        worker.start(run)
        started.append(run)
    worker.start_dispatcher()
    most = 0

    def all_finished() -> bool:
        nonlocal most
        most = max(most, sum(worker_alive(run.folder) for run in started))
        return all(run.status().state == "finished" for run in started)

    wait_for(all_finished)
    assert most == 1
    begun = [run.events(kinds=["started"])[0]["time"] for run in started]
    assert begun == sorted(begun)


@pytest.mark.process
def test_a_slot_is_free_the_moment_its_process_is_killed(queued_run, runs_folder, hosted, visiting) -> None:
    hosted()
    visiting(ANNA)
    first, second = queued_run(ANNA, epochs=100_000), queued_run(BERT, epochs=100_000)
    worker._dispatch(runs_folder, LONG)
    wait_for(lambda: first.status().state == "running")
    os.kill(first.status().pid, signal.SIGKILL)
    wait_for(lambda: not worker_alive(first.folder))
    worker._dispatch(runs_folder, LONG)
    wait_for(lambda: second.status().state == "running")
    assert first.status().state == "dead"


SERVER = """
import sys, time
from dashboard import hosting
from dashboard.services import worker
worker.start_dispatcher()
print("attending", flush=True)
time.sleep(120)
"""


@pytest.mark.process
def test_a_killed_server_leaves_its_training_and_the_next_one_finds_the_queue(queued_run, hosted, runs_folder) -> None:
    hosted("trainings=1 steps=100000000")
    first, second = queued_run(ANNA, epochs=100_000), queued_run(BERT, epochs=2)
    for number in range(2):
        with subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True) as server:
            try:
                assert server.stdout.readline() == "attending\n"
                if number == 0:
                    wait_for(lambda: first.status().state == "running")
                else:
                    assert hosting.position(runs_folder, second.id) == (1, 1, 1)
                    first.request("stop")
                    wait_for(lambda: second.status().state == "finished")
            finally:
                server.kill()
        if number == 0:
            assert worker_alive(first.folder)
            assert hosting.position(runs_folder, second.id) == (1, 1, 1)
            with queue._changing(runs_folder) as tickets:  # Nobody could look without a server: for hours, say.
                for ticket in tickets:
                    ticket.visited -= 10_000
    # A process says how its training ended a moment before it is gone.
    wait_for(lambda: not worker_alive(first.folder) and not worker_alive(second.folder))


@pytest.mark.process
def test_a_training_is_told_its_limits_and_stops_when_nobody_looks(queued_run, runs_folder, hosted, visiting) -> None:
    hosted("trainings=1 unwatched_minutes=0.02")
    visiting(ANNA)
    run = queued_run(ANNA, hosting.current_caps(), epochs=100_000)
    worker._dispatch(runs_folder, hosting.current_caps())
    wait_for(lambda: run.status().state == "stopped")
    assert "nobody had watched it" in run.status().message
    assert run.checkpoint_steps()[-1] == run.status().step > 0
    wait_for(lambda: not worker_alive(run.folder))  # it says so a moment before it is gone


@pytest.mark.parametrize(("cap", "says"), [("steps=40", "40 steps"), ("minutes=0.005", "0.005 minutes")])
@pytest.mark.process
def test_minutes_and_steps_end_a_training_in_good_order(cap, says, queued_run, runs_folder, hosted, visiting) -> None:
    hosted(f"trainings=1 {cap}")
    visiting(ANNA)
    run = queued_run(ANNA, hosting.current_caps(), epochs=100_000)
    worker._dispatch(runs_folder, hosting.current_caps())
    wait_for(lambda: run.status().state == "stopped")
    assert says in run.status().message


# --- whose run it is --------------------------------------------------------------------------------------------------


def visit(open_page, page: str, run: Run | None = None, secret: str = "a" * 64):
    """A page as the visitor with this secret sees it."""
    from streamlit.testing.v1 import AppTest

    app = AppTest.from_file(str(APP), default_timeout=HANG_SECONDS)
    app.session_state[session._SECRET] = secret
    if run is not None:
        app.query_params["run"] = run.id
    app.run()
    if page != "corpus":
        app.switch_page(f"views/{page}.py").run()
    assert not app.exception
    return app


CONTROLS = {"Pause", "Resume", "Start", "Stop", "One step", "Leave the queue"}


def labels(app) -> set[str]:
    return {element.label for element in app.button}


def test_visitors_see_their_own_runs_alone(hosted, open_page, trained_run, runs_folder) -> None:
    hosted()
    hosting.set_owner(trained_run.folder, hosting.owner_id("a" * 64))
    others = Run.open(shutil.copytree(trained_run.folder, runs_folder / runs.new_run_id()))
    hosting.set_owner(others.folder, hosting.owner_id("b" * 64))
    nobodys = shutil.copytree(trained_run.folder, runs_folder / runs.new_run_id())
    (nobodys / hosting.OWNER_FILE).unlink()
    app = visit(open_page, "runs")
    assert list(app.dataframe[0].value["folder"]) == [trained_run.id]
    assert not visit(open_page, "runs", secret="c" * 64).dataframe


def test_a_link_lets_others_look_and_not_touch(hosted, open_page, new_run) -> None:
    hosted()
    run = new_run()
    hosting.set_owner(run.folder, hosting.owner_id("a" * 64))
    owner = visit(open_page, "train", run)
    assert "Start" in labels(owner)
    assert wording.SHARE in texts(owner)
    guest = visit(open_page, "train", run, secret="b" * 64)
    assert not labels(guest) & CONTROLS
    assert wording.ONLY_LOOKING in texts(guest)
    assert run.config.name in texts(guest)
    for page in ("gradients", "generate", "runs", "corpus"):
        assert not labels(visit(open_page, page, run, secret="b" * 64)) & {"Rename", "Delete", *CONTROLS}


def test_what_changes_a_run_asks_whose_it_is(hosted, visiting, new_run) -> None:
    hosted()
    run = new_run()
    hosting.set_owner(run.folder, ANNA)
    visiting(BERT)
    before = {path.name: path.read_bytes() for path in run.folder.iterdir()}
    changes: dict[str, Callable[[], object]] = {
        "start": lambda: worker.start(run),
        "leave the queue": lambda: worker.leave_queue(run),
        "go further": lambda: trainings.go_further(1, run),
        "fork": lambda: trainings.fork(run, 0, {}),
        "steer": lambda: library.steer(run, "clip", 1.0),
        "request": lambda: library.request(run, "pause"),
        "rename": lambda: library.rename(run, "mine now"),
        "tag": lambda: library.tag(run, ["mine now"]),
        "delete": lambda: library.delete(run),
        "take home": lambda: library.write_zip(run, io.BytesIO()),
    }
    for change in changes.values():
        with pytest.raises(RunError, match="belongs to somebody else"):
            change()
    assert {path.name: path.read_bytes() for path in run.folder.iterdir()} == before
    assert run.status().state == "created"
    visiting(ANNA)
    library.check_mine(run)


def test_a_visitors_secret_is_256_random_bits_that_the_cookie_brings_back(monkeypatch) -> None:
    secrets = []
    for _ in range(2):
        monkeypatch.setattr(session.st, "session_state", {})
        monkeypatch.setattr(session, "cookie", lambda: None)
        secrets.append(session.secret())
        assert session.secret() == secrets[-1]
    assert len(set(secrets)) == 2
    assert all(len(bytes.fromhex(secret)) == 32 for secret in secrets)
    monkeypatch.setattr(session.st, "session_state", {})
    monkeypatch.setattr(session, "cookie", lambda: secrets[0])
    assert session.secret() == secrets[0]
    assert hosting.SECRET.fullmatch(secrets[0])


def test_a_guest_cannot_copy_the_corpus_of_a_run_by_training_it_again(hosted, open_page, new_run) -> None:
    hosted()
    run = new_run(clip=None, horizon_every_seconds=0.0)
    work(run.folder)
    with sqlite3.connect(run.folder / "events.sqlite") as database:
        database.execute("UPDATE status SET state = 'diverged', message = 'it exploded.'")
    hosting.set_owner(run.folder, hosting.owner_id("a" * 64))
    assert wording_laboratory.CURES in texts(visit(open_page, "gradients", run))
    guests = texts(visit(open_page, "gradients", run, secret="b" * 64))
    assert wording_laboratory.NOT_YOUR_CURE in guests
    assert wording_laboratory.CURES not in guests


def test_networks_that_share_a_process_are_weighed_together() -> None:
    corpus = agreement()
    config = ModelConfig(vocabulary_size=len(corpus.vocabulary), hidden_size=250)
    one = memory.estimate_for(corpus, config, TrainingSettings()).total_bytes
    caps = replace(CAPS, memory_megabytes=2 + one // 10**6)
    hosting.check_training(corpus, config, TrainingSettings(), caps)
    with pytest.raises(SettingsError, match="MB of memory"):
        hosting.check_training(corpus, config, TrainingSettings(), caps, networks=4)


def test_the_processes_that_share_a_trainings_batches_are_those_that_it_may_have(monkeypatch) -> None:
    monkeypatch.setenv("RNN_CORE_THREADS", "4")
    monkeypatch.setattr("dashboard.hosting.caps.usable_cores", lambda: 4)
    corpus = agreement()
    config = ModelConfig(cell="lstm", vocabulary_size=len(corpus.vocabulary), hidden_size=250)
    with limited_threads(1):
        alone = memory.estimate_for(corpus, config, TrainingSettings()).total_bytes
    assert memory.estimate_for(corpus, config, TrainingSettings()).total_bytes > alone + 3 * WORKER_BYTES
    enough_for_one = replace(CAPS, memory_megabytes=2 + alone // 10**6)
    hosting.check_training(corpus, config, TrainingSettings(), replace(enough_for_one, trainings=4))
    with pytest.raises(SettingsError, match="MB of memory"):
        hosting.check_training(corpus, config, TrainingSettings(), replace(enough_for_one, trainings=1))


@pytest.mark.process
def test_a_runs_folder_tells_nobody_the_secret_of_its_owner(hosted, visiting, runs_folder, monkeypatch) -> None:
    hosted()
    monkeypatch.setattr(library, "_secret", lambda: "5" * 64)
    corpus = agreement()
    model = ModelConfig(vocabulary_size=len(corpus.vocabulary), hidden_size=8)
    run_id = trainings.begin("x", corpus, TextSettings(), model, TrainingSettings(epochs=1))
    folder = runs_folder / run_id
    assert hosting.owner_of(folder) == hosting.owner_id("5" * 64) != "5" * 64
    wait_for(lambda: Run.open(folder).status().state == "finished" and not worker_alive(folder))
    assert not [path for path in folder.iterdir() if b"5" * 64 in path.read_bytes()]
    archive = runs_folder.parent / "run.zip"
    with archive.open("wb") as file:
        runs.zip_run(folder, file)
    shutil.unpack_archive(archive, runs_folder.parent / "unpacked")
    assert not list((runs_folder.parent / "unpacked").rglob(hosting.OWNER_FILE))


@pytest.mark.parametrize("cookie", ["", "short", "A" * 64, "a" * 65, "' onload='", "../../etc"])
def test_a_forged_cookie_counts_as_none(cookie: str, monkeypatch) -> None:
    class Context:
        cookies = {session.COOKIE: cookie}

    monkeypatch.setattr(session.st, "context", Context)
    assert session.cookie() is None
    Context.cookies = {session.COOKIE: "a" * 64}
    assert session.cookie() == "a" * 64


def test_ids_of_runs_cannot_be_guessed() -> None:
    made = {runs.new_run_id().partition("-")[2] for _ in range(1000)}
    assert len(made) == 1000
    assert {len(identifier) for identifier in made} == {20}  # hexadecimal digits: 80 random bits


@pytest.mark.process
def test_twelve_tabs_at_once_make_no_more_runs_than_one_after_the_other(hosted, visiting, runs_folder) -> None:
    hosted("runs_per_visitor=3 trainings_per_visitor=100")
    visiting(ANNA)
    corpus = agreement()
    model = ModelConfig(vocabulary_size=len(corpus.vocabulary), hidden_size=8)

    def begin(number: int) -> str | None:
        with contextlib.suppress(RunError):
            return trainings.begin(f"tab {number}", corpus, TextSettings(), model, TrainingSettings(epochs=1))
        return None

    with ThreadPoolExecutor(12) as tabs:
        made = [run_id for run_id in tabs.map(begin, range(12)) if run_id is not None]
    assert len(made) == 3
    assert {folder.name for folder in runs_folder.iterdir() if folder.name != FOLDER} == set(made)


def test_a_race_counts_as_its_networks(hosted, visiting, runs_folder) -> None:
    hosted("runs_per_visitor=3")
    visiting(ANNA)
    corpus = agreement()
    model = ModelConfig(vocabulary_size=len(corpus.vocabulary), hidden_size=8)
    entrants = dict.fromkeys(("one", "two", "three", "four"), model)
    with pytest.raises(RunError, match="this server keeps 3"):
        trainings.begin_race(entrants, corpus, TextSettings(), TrainingSettings(epochs=1))
    assert not [folder for folder in runs_folder.iterdir() if folder.name != FOLDER]


@pytest.mark.parametrize("networks", [1, 2])
def test_a_start_that_is_refused_leaves_nothing_behind(networks, hosted, visiting, runs_folder, monkeypatch) -> None:
    hosted("waiting=1")
    visiting(ANNA)
    corpus = agreement()
    model = ModelConfig(vocabulary_size=len(corpus.vocabulary), hidden_size=8)
    entrants = {f"network {number}": model for number in range(networks)}
    # Between the first look at the queue and the place in it somebody else was faster.
    monkeypatch.setattr(hosting, "check_room", lambda *_: None)
    monkeypatch.setattr(hosting, "enqueue", lambda *_: queue._check_room([], ANNA, replace(CAPS, waiting=0)))
    with pytest.raises(RunError, match="in the queue already"):
        trainings.begin_race(entrants, corpus, TextSettings(), TrainingSettings(epochs=1))
    assert not [folder for folder in runs_folder.iterdir() if folder.name != FOLDER]


def test_a_finished_training_that_may_not_go_on_stays_as_long_as_it_was(
    hosted, visiting, trained_run, monkeypatch
) -> None:
    hosted()
    visiting(ANNA)
    hosting.set_owner(trained_run.folder, ANNA)
    monkeypatch.setattr(hosting, "enqueue", lambda *_: queue._check_room([], ANNA, replace(CAPS, waiting=0)))
    with pytest.raises(RunError, match="in the queue already"):
        trainings.go_further(5, trained_run)
    assert Run.open(trained_run.folder).config == trained_run.config


@pytest.mark.parametrize(
    ("caps", "changes", "says"),
    [
        ("runs_per_visitor=1", {"epochs": 9}, "this server keeps 1 for one visitor"),
        ("steps=40", {"epochs": 9}, "and this server allows 40"),
    ],
)
def test_a_fork_is_bounded_like_any_training_and_leaves_nothing_where_it_is_refused(
    caps: str, changes: dict[str, Any], says: str, hosted, visiting, trained_run, runs_folder
) -> None:
    hosted(caps)
    visiting(ANNA)
    hosting.set_owner(trained_run.folder, ANNA)
    with pytest.raises(UserError, match=says):
        trainings.fork(trained_run, trained_run.moments()[-1], changes)
    assert [folder.name for folder in runs_folder.iterdir() if folder.name != FOLDER] == [trained_run.id]


def test_a_fork_belongs_to_who_made_it(hosted, visiting, trained_run, runs_folder, monkeypatch) -> None:
    hosted()
    visiting(ANNA)
    hosting.set_owner(trained_run.folder, ANNA)
    monkeypatch.setattr(worker, "start", lambda *runs: None)
    made = trainings.fork(trained_run, trained_run.moments()[-1], {"epochs": 9})
    assert hosting.owner_of(runs_folder / made) == ANNA


def test_a_visitor_has_a_limited_number_of_runs(hosted, visiting, new_run, runs_folder) -> None:
    hosted("runs_per_visitor=2")
    visiting(ANNA)
    for _ in range(2):
        hosting.set_owner(new_run().folder, ANNA)
    corpus = agreement()
    model = ModelConfig(vocabulary_size=len(corpus.vocabulary), hidden_size=8)
    with pytest.raises(RunError, match="you have 2 trainings here"):
        trainings.begin("third", corpus, TextSettings(), model, TrainingSettings())
    visiting(BERT)
    hosting.check_run_count(runs_folder, BERT, hosting.current_caps())


# --- on the page ------------------------------------------------------------------------------------------------------


def test_the_page_shows_the_position_and_lets_one_leave_the_queue(hosted, open_page, queued_run, runs_folder) -> None:
    hosted()
    taken = queue._take_slot  # somebody else's training has the only slot
    (runs_folder / FOLDER).mkdir()
    slot = taken(runs_folder, CAPS)
    first = queued_run(BERT)
    try:
        run = queued_run(hosting.owner_id("a" * 64))
        app = visit(open_page, "train", run)
        assert "number 2 of 2 in the queue" in app.info[0].value
        assert labels(app) & CONTROLS == {"Leave the queue"}
        button(app, "Leave the queue").click().run()
        assert run.status().state == "stopped"
        assert hosting.position(runs_folder, run.id) is None
        assert "Resume" in labels(app.run())
    finally:
        hosting.leave(runs_folder, first.id)  # or the server would start it in a process, now that there is a slot
        os.close(slot)


def test_a_run_that_fell_out_of_the_queue_can_be_resumed(hosted, open_page, queued_run, runs_folder) -> None:
    hosted()
    run = queued_run(hosting.owner_id("a" * 64))
    hosting.leave(runs_folder, run.id)  # as after a queue that was lost
    app = visit(open_page, "train", run)
    assert wording.NOT_IN_QUEUE in texts(app)
    assert "Resume" in labels(app)


@pytest.mark.parametrize("is_hosted", [True, False])
def test_a_mistake_of_ours_ends_in_a_calm_sentence(is_hosted, hosted, trained_run, monkeypatch, caplog) -> None:
    from streamlit.testing.v1 import AppTest

    if is_hosted:
        hosted()

    def broken() -> None:
        raise ZeroDivisionError("secret words of a visitor")

    monkeypatch.setattr(library, "summaries", broken)
    app = AppTest.from_file(str(APP), default_timeout=HANG_SECONDS).run()
    with caplog.at_level(logging.ERROR):
        app.switch_page("views/runs.py").run()
    assert app.error[0].value.startswith(common_wording.INTERNAL_ERROR)
    assert bool(app.exception) == (not is_hosted)
    if is_hosted:
        assert "secret words" not in str(app._tree)
    number = app.error[0].value.split()[-1].rstrip(")")
    assert [record for record in caplog.records if number in record.getMessage() and record.exc_info]


# --- sweeping ---------------------------------------------------------------------------------------------------------


def aged(run: Run, days: float) -> Run:
    for path in run.folder.iterdir():
        os.utime(path, (time.time() - 86400 * days,) * 2)
    return run


@pytest.fixture
def given(new_run) -> Callable[..., Run]:
    def make(owner: str | None = ANNA, days: float = 0) -> Run:
        run = new_run()
        if owner is not None:
            hosting.set_owner(run.folder, owner)
        return aged(run, days)

    return make


def test_runs_that_nobody_used_for_days_are_swept(given, runs_folder) -> None:
    old, young, the_hosts = given(days=8), given(days=6), given(owner=None, days=80)
    assert hosting.sweep(runs_folder, CAPS) == [old.id]
    assert not old.folder.exists()
    assert young.folder.exists()
    assert the_hosts.folder.exists()


def test_a_look_puts_the_sweeping_off(given, runs_folder, hosted) -> None:
    run = given(days=8)
    hosting.record_visit(run)
    assert hosting.sweep(runs_folder, CAPS) == []


@pytest.mark.parametrize("state", ["running", "paused"])
def test_a_visit_keeps_a_training_at_work_also_while_it_is_paused(state: str, given, monkeypatch) -> None:
    watched: list[Run] = []
    monkeypatch.setattr(Run, "watch", lambda run: watched.append(run))
    monkeypatch.setattr(Run, "status", lambda run: SimpleNamespace(state=state))
    run = given()
    hosting.record_visit(run)
    assert watched == [run]


def test_a_visit_touches_nothing_that_a_link_leads_to(given, tmp_path) -> None:
    run, elsewhere = given(), tmp_path / "elsewhere"
    elsewhere.touch()
    os.utime(elsewhere, (1000, 1000))
    (run.folder / hosting.OWNER_FILE).unlink()
    (run.folder / hosting.OWNER_FILE).symlink_to(elsewhere)
    hosting.record_visit(run)
    assert elsewhere.stat().st_mtime == 1000


def test_reading_a_list_of_runs_is_no_visit_and_opening_one_is(given, runs_folder, hosted, visiting) -> None:
    hosted()
    visiting(ANNA)
    listed, opened = given(days=8), given(days=8)
    assert len(library.summaries()) == 2
    library.open_run(opened.id)
    assert hosting.sweep(runs_folder, CAPS) == [listed.id]


def test_a_date_that_somebody_sets_ahead_deletes_nothing(given, runs_folder, monkeypatch) -> None:
    run = given(days=1)
    hosting.sweep(runs_folder, CAPS)
    now = time.time()
    monkeypatch.setattr(sweeping.time, "time", lambda: now + 86400 * 365)
    assert hosting.sweep(runs_folder, CAPS) == []
    monkeypatch.undo()
    assert run.folder.exists()


def test_where_space_runs_out_the_longest_unused_go_first(given, runs_folder) -> None:
    newest, oldest, middle = given(days=1), given(days=3), given(days=2)
    size = sum(path.stat().st_size for path in newest.folder.iterdir())
    caps = replace(CAPS, total_megabytes=2.5 * size / 1e6)
    assert hosting.sweep(runs_folder, caps) == [oldest.id]
    assert newest.folder.exists()
    assert middle.folder.exists()


def test_runs_at_work_and_in_the_queue_are_never_swept(given, queued_run, slots, runs_folder) -> None:
    at_work, waits = queued_run(ANNA), queued_run(BERT)
    hosting.dispatch(runs_folder, CAPS, slots.start)
    for run in (at_work, waits):
        aged(run, 100)
    assert hosting.sweep(runs_folder, replace(CAPS, total_megabytes=1e-6)) == []


def test_what_a_dead_server_left_half_made_is_swept_and_nothing_else(runs_folder) -> None:
    half = runs_folder / f"{sweeping.STAGING}abc"
    other = runs_folder / "somebodys-notes"
    for folder in (half, other):
        folder.mkdir()
        (folder / "file").write_text("x")
        os.utime(folder, (time.time() - 7200,) * 2)
    hosting.sweep(runs_folder, CAPS)
    assert not half.exists()
    assert (other / "file").exists()


def test_user_errors_of_this_file_are_user_errors() -> None:
    assert issubclass(RunError, UserError)


# --- in a real browser ------------------------------------------------------------------------------------------------


LONG_AND_SLOW = """
import time
from dashboard.services import demo
from rnn_core.optim import optimizers

demo.STEPS = 50_000
update = optimizers.SGD.update
optimizers.SGD.update = lambda *gradients, **scale: (time.sleep(0.01), update(*gradients, **scale))
"""


@pytest.mark.browser
def test_owners_guests_and_the_queue_in_a_browser(browser, tmp_path) -> None:
    from playwright.sync_api import Error as PlaywrightError
    from playwright.sync_api import expect

    # The demo is over in seconds. Here it is to be caught at work, however slow the browser is.
    (tmp_path / "sitecustomize.py").write_text(LONG_AND_SLOW)
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    with running_server(tmp_path / "hosted" / "runs", SEE_BPTT_HOSTED="trainings=1", PYTHONPATH=path) as server:
        owner = new_window(browser).new_page()
        owner.goto(f"{server.address}/corpus")
        owner.get_by_role("button", name=common_wording.FIRST_VISIT_BUTTON).click()
        owner.get_by_role("button", name="Pause").click()
        expect(owner.get_by_role("button", name="Resume")).to_be_visible()
        run = Run.open(server.folder / owner.url.partition("run=")[2])
        assert worker_alive(run.folder)
        assert session.COOKIE not in owner.url

        # A refresh and a second tab are the same visitor.
        owner.reload()
        expect(owner.get_by_role("button", name="Resume")).to_be_visible()
        second_tab = owner.context.new_page()
        second_tab.goto(owner.url)
        expect(second_tab.get_by_role("button", name="Resume")).to_be_visible()
        second_tab.close()

        # Who only has the link looks on.
        guest = new_window(browser).new_page()
        guest.goto(owner.url)
        expect(guest.get_by_text(wording.ONLY_LOOKING)).to_be_visible()
        expect(guest.locator(".stVegaLiteChart canvas, .stVegaLiteChart svg.marks").first).to_be_visible()
        for control in ("Pause", "Resume", "Stop", "One step"):
            expect(guest.get_by_test_id("stMain").get_by_role("button", name=control, exact=True)).to_have_count(0)
        pages = guest.get_by_test_id("stSidebarNav")
        pages.get_by_role("link", name="Runs").click()
        expect(guest.get_by_text("Here every training is kept")).to_be_visible()

        # The guest's own training waits until the owner's ends, and then begins by itself.
        guest.goto(f"{server.address}/corpus")
        guest.get_by_role("button", name=common_wording.FIRST_VISIT_BUTTON).click()
        expect(guest.get_by_text("It is next; 1 training at work on this server")).to_be_visible()
        owner.get_by_test_id("stMain").get_by_role("button", name="Stop").click()
        guest.get_by_role("button", name="Pause").click()
        expect(guest.get_by_role("button", name="Resume")).to_be_visible()
        assert not worker_alive(run.folder)

        # A killed worker shows within five seconds; one click goes on.
        theirs = Run.open(server.folder / guest.url.partition("run=")[2])
        os.kill(theirs.status().pid, signal.SIGKILL)
        expect(guest.get_by_text(common_wording.STATE_HELP["dead"]).first).to_be_visible()
        guest.get_by_role("button", name="Resume").click()
        guest.get_by_role("button", name="Pause").click()
        expect(guest.get_by_role("button", name="Resume")).to_be_visible()

        # A killed server: the training lives, and the page finds it again when there is a server again.
        server.process.kill()
        server.process.wait()
        expect(guest.get_by_test_id("stApp")).not_to_have_attribute("data-test-connection-state", "CONNECTED")
        assert worker_alive(theirs.folder)
        step, pid = theirs.status().step, theirs.status().pid
        with running_server(server.folder, int(server.address.rpartition(":")[2]), SEE_BPTT_HOSTED="trainings=1"):
            app = guest.get_by_test_id("stApp")
            expect(app).to_have_attribute("data-test-connection-state", "CONNECTED")

            def resumed() -> bool:
                # A click while the page is still finding its way back is lost, as it is for people.
                with contextlib.suppress(PlaywrightError):
                    guest.get_by_role("button", name="Resume").click(timeout=4000)
                return theirs.status().step > step

            wait_for(resumed)
            assert theirs.status().pid == pid or theirs.status().state == "finished"
            expect(guest.get_by_text("finished").or_(guest.get_by_role("button", name="Pause")).first).to_be_visible()
