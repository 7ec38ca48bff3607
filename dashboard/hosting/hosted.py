"""Hosted mode: one server, many strangers. Switched on by the environment variable SEE_BPTT_HOSTED.

    SEE_BPTT_HOSTED=1                                the caps below
    SEE_BPTT_HOSTED="minutes=30 trainings=1"         the same with some of them changed

- What a visitor asks for is capped, and a training's memory is estimated before it starts.
- A run has an owner: whoever made it, known by a secret in a cookie; the run's folder holds only the secret's hash. Who
  has nothing but the run's unguessable id (that is, the link) may look, and no more.
- At most so many trainings at a time as there are slots; the others stand in line. A slot is a file that the training's
  process keeps locked: the kernel frees it when that process ends, however it ends and whoever else has died before.
  The line is a small database beside the runs, so a restarted server finds everybody where they stood.
- A place in line is kept by looking at the run's page; a training that nobody looks at is stored and stopped.
- Old runs are swept, and the process opens no connection to any other machine.

Nothing here knows of Streamlit. What is promised, and what is not: docs/promises.md.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import hashlib
import os
import re
import shutil
import socket
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from rnn_core.config import ModelConfig, TrainingSettings
from rnn_core.data import PreparedCorpus
from rnn_core.errors import CorpusError, RunError, SettingsError, UserError
from rnn_core.parallel.threads import limited_threads, usable_cores
from rnn_core.runs import RUN_ID, Run, delete_run, disk_error, memory, worker_alive
from rnn_core.training.loop import Plan

VARIABLE = "SEE_BPTT_HOSTED"
OFF = ("", "0", "off", "no", "false")
ON = ("1", "on", "yes", "true")


@dataclass(frozen=True)
class Caps:
    """What a visitor of a hosted server may ask for. Every name can be set in SEE_BPTT_HOSTED."""

    upload_megabytes: int = 5
    words: int = 500_000  # of a corpus, in tokens
    vocabulary: int = 10_000
    hidden: int = 256  # units; also numbers of a word vector
    layers: int = 2
    batch: int = 256  # sentences side by side
    steps: int = 50_000
    minutes: float = 15.0  # of training, over every resumption
    memory_megabytes: int = 700  # of one training's process
    unwatched_minutes: float = 10.0
    trainings: int = 0  # at a time; 0: as many as there are usable cores
    waiting: int = 50  # in line, over all visitors
    trainings_per_visitor: int = 4  # at work or in line
    runs_per_visitor: int = 20
    days: float = 7.0  # since anybody looked at a run, or trained it
    total_megabytes: int = 2000  # of all visitors' runs together

    @property
    def slots(self) -> int:
        return self.trainings or usable_cores()

    @property
    def threads_each(self) -> int:
        """Threads of one training: the cores shared out, so that trainings side by side do not fight for them."""
        return max(1, usable_cores() // self.slots)


def caps() -> Caps | None:
    """The caps of this server; None where it is not hosted. Raises SettingsError where the variable makes no sense:
    better no page than one without caps.
    """
    return _parse(os.environ.get(VARIABLE, ""))


@lru_cache(maxsize=8)
def _parse(value: str) -> Caps | None:
    value = value.strip()
    if value.lower() in OFF:
        return None
    if value.lower() in ON:
        return Caps()
    kinds = {field.name: float if field.type == "float" else int for field in dataclasses.fields(Caps)}
    changed: dict[str, Any] = {}
    for part in value.replace(",", " ").split():
        name, equals, number = part.partition("=")
        if not equals or name not in kinds:
            raise SettingsError(
                f"{VARIABLE} is 1, or holds caps such as minutes=30; it knows no {part[:40]!r}. "
                f"The caps are {', '.join(kinds)}."
            )
        try:
            changed[name] = kinds[name](number)
        except ValueError:
            raise SettingsError(f"{VARIABLE}: {name} is a number, not {number[:40]!r}.") from None
        if not 0 <= changed[name] < 1e9 or (changed[name] == 0 and name != "trainings"):
            raise SettingsError(f"{VARIABLE}: {name} must be above 0 and below a thousand million.")
    return Caps(**changed)


# --- what may be asked for --------------------------------------------------------------------------------------------


def check_upload(size_bytes: int, caps: Caps) -> None:
    """Raises CorpusError for a text of more bytes than this server reads."""
    if size_bytes > caps.upload_megabytes * 2**20:
        raise CorpusError(
            f"this text has {size_bytes / 2**20:.1f} MB, and this server reads up to {caps.upload_megabytes} MB. "
            "Choose a part of it, or run the app on your own machine."
        )


def check_corpus(corpus: PreparedCorpus, caps: Caps) -> None:
    """Raises CorpusError for a corpus of more words than this server trains on."""
    if corpus.report.tokens > caps.words:
        raise CorpusError(
            f"this text has {corpus.report.tokens:,} words, and this server trains on up to {caps.words:,}. "
            "Choose a part of it, or run the app on your own machine."
        )


def check_training(
    corpus: PreparedCorpus, model: ModelConfig, training: TrainingSettings, caps: Caps, together: int = 1
) -> None:
    """Raises CorpusError or SettingsError, with the numbers, for what this server does not train.

    `together`: so many networks, the largest of them like this one, that share one process.
    """
    check_corpus(corpus, caps)
    tokens = sum(map(len, corpus.train)) - len(corpus.train)
    sizes = (
        ("a vocabulary of {:,} words", model.vocabulary_size, caps.vocabulary),
        ("{:,} hidden units", model.hidden_size, caps.hidden),
        ("word vectors of {:,} numbers", model.embedding_size or 0, caps.hidden),
        ("{:,} layers", model.layers, caps.layers),
        ("batches of {:,} sentences", training.batch_size, caps.batch),
        ("{:,} training steps", Plan.of(training, len(corpus.train), tokens).total_steps, caps.steps),
    )
    for what, asked, most in sizes:
        if asked > most:
            raise SettingsError(
                f"you ask for {what.format(asked)}, and this server allows {most:,}. "
                "Choose less, or run the app on your own machine."
            )
    with limited_threads(caps.threads_each):  # which says how many processes will share its batches
        estimate = memory.estimate_for(corpus, model, training)
    needed = estimate.total_bytes + (together - 1) * (estimate.total_bytes - estimate.process_bytes)
    # What other processes need comes first: a training that is killed for its size helps nobody.
    most_bytes = min(caps.memory_megabytes * 10**6, memory.available_bytes())
    if needed > most_bytes:
        raise SettingsError(
            f"this training would take about {needed / 1e6:,.0f} MB of memory, and {most_bytes / 1e6:,.0f} MB are free "
            "for it here. Choose a smaller vocabulary, fewer hidden units or smaller batches."
        )


# --- whose run it is --------------------------------------------------------------------------------------------------

OWNER = "owner"
SECRET = re.compile(r"[0-9a-f]{64}")


def mark(secret: str) -> str:
    """What a run's folder says of the visitor with this secret: enough to know them again, of no use to a reader."""
    return hashlib.sha256(f"see-bptt {secret}".encode()).hexdigest()


def give(folder: Path, owner: str) -> None:
    """Let the run in `folder` belong to the visitor with this mark. Raises RunError where that cannot be written."""
    try:
        (folder / OWNER).write_text(owner, encoding="ascii")
    except OSError as error:
        raise disk_error(error, folder) from error


def owner_of(folder: Path) -> str | None:
    """The mark of a run's owner; None for a run that nobody made on a hosted server: the host's own."""
    try:
        descriptor = os.open(folder / OWNER, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return None
    with open(descriptor, "rb") as file:
        return file.read(64).decode("ascii", errors="replace")


def owned(root: Path, owner: str) -> list[Path]:
    """The folders of a visitor's runs."""
    return [folder for folder in _run_folders(root) if owner_of(folder) == owner]


def check_one_more(root: Path, owner: str, caps: Caps) -> None:
    """Raises RunError where a visitor has as many runs as one may have."""
    count = len(owned(root, owner))
    if count >= caps.runs_per_visitor:
        raise RunError(
            f"you have {count} trainings here, as many as this server keeps for one visitor. "
            "Delete one on the Runs page (download it first if you want to keep it)."
        )


def _run_folders(root: Path) -> list[Path]:
    try:
        return [
            folder
            for folder in root.iterdir()
            if RUN_ID.fullmatch(folder.name) and not folder.is_symlink() and (folder / "config.json").exists()
        ]
    except OSError:
        return []


# --- the line ---------------------------------------------------------------------------------------------------------

FOLDER = ".hosting"
"""Beside the runs; no run's id begins with a dot."""

WAITER_SECONDS = 90.0
"""A place is given up when nobody has looked for so long. A browser's background tabs wake once a minute."""

PAUSED_SECONDS = 120.0
"""How long a paused training may keep its slot while others wait."""

STARTING_SECONDS = 15.0
"""A process that has not taken its run's lock by then never will."""


class Place(NamedTuple):
    """place 1 is next; of `waiting` in line, while `training` are at work."""

    place: int
    waiting: int
    training: int


class _Ticket(NamedTuple):
    number: int
    run: str
    owner: str
    seen: float  # unix seconds
    started: float | None


_TICKETS = """
CREATE TABLE IF NOT EXISTS tickets (
    number INTEGER PRIMARY KEY AUTOINCREMENT, run TEXT NOT NULL UNIQUE, owner TEXT NOT NULL, seen REAL NOT NULL,
    started REAL
)
"""


def join(root: Path, run_id: str, owner: str, caps: Caps) -> None:
    """Stand in line with a run; nothing changes for one that stands there already. Raises RunError where the line is
    full, or the visitor has enough in it.
    """
    with _line(root) as line:
        tickets = _tickets(line)
        if any(ticket.run == run_id and ticket.started is None for ticket in tickets):
            return
        tickets = [ticket for ticket in tickets if ticket.run != run_id]  # of its training before, over by now
        _check_room(tickets, owner, caps)
        line.execute("DELETE FROM tickets WHERE run = ?", (run_id,))
        line.execute("INSERT INTO tickets (run, owner, seen) VALUES (?, ?, ?)", (run_id, owner, time.time()))


def check_room(root: Path, owner: str, caps: Caps) -> None:
    """Raises RunError where one more training of this visitor could not join the line."""
    with _line(root, "DEFERRED") as line:
        _check_room(_tickets(line), owner, caps)


def _check_room(tickets: list[_Ticket], owner: str, caps: Caps) -> None:
    own = sum(ticket.owner == owner for ticket in tickets)
    if own >= caps.trainings_per_visitor:
        raise RunError(
            f"{own} of your trainings are at work or in line, as many as one visitor may have here. "
            "Wait for one to end, or stop one."
        )
    waiting = sum(ticket.started is None for ticket in tickets)
    if waiting >= caps.waiting:
        raise RunError(f"{waiting} trainings wait in line already. Come back in a while, or use your own machine.")


def leave(root: Path, run_id: str) -> None:
    """Give up a place."""
    with _line(root) as line:
        line.execute("DELETE FROM tickets WHERE run = ?", (run_id,))


def keep(root: Path, run_id: str) -> None:
    """Somebody still waits for this run."""
    with _line(root) as line:
        line.execute("UPDATE tickets SET seen = ? WHERE run = ?", (time.time(), run_id))


def keep_all(root: Path) -> None:
    """After a restart: whoever stood in line while no page could be looked at has not gone away by that."""
    with _line(root) as line:
        line.execute("UPDATE tickets SET seen = ?", (time.time(),))


def place(root: Path, run_id: str) -> Place | None:
    """Where a run stands; None where it does not wait."""
    with _line(root, "DEFERRED") as line:
        tickets = _tickets(line)
    order = [ticket.run for ticket in _order(tickets)]
    if run_id not in order:
        return None
    return Place(order.index(run_id) + 1, len(order), len(tickets) - len(order))


def serve(root: Path, caps: Caps, start: Callable[[Path, int], None]) -> None:
    """Let those who are next begin, as far as there are slots, and forget those who went away.

    `start(folder, slot)` starts a training's process that inherits the file descriptor `slot`; it raises UserError,
    after it has told the run, where that fails. Any number of servers may call this at the same time.
    """
    lost = []
    with _line(root) as line:
        now = time.time()
        for ticket in _tickets(line):
            folder = root / ticket.run
            at_work = worker_alive(folder)
            if ticket.started is None and at_work:
                line.execute("UPDATE tickets SET started = ? WHERE number = ?", (now, ticket.number))
            elif ticket.started is None and now - ticket.seen > WAITER_SECONDS:
                line.execute("DELETE FROM tickets WHERE number = ?", (ticket.number,))
                lost.append(folder)
            elif not (folder / "config.json").exists() or (
                ticket.started is not None and not at_work and now - ticket.started > STARTING_SECONDS
            ):
                line.execute("DELETE FROM tickets WHERE number = ?", (ticket.number,))
        tickets = _tickets(line)
        for ticket in _order(tickets):
            slot = _free_slot(root, caps)
            if slot is None:
                _end_pauses([root / ticket.run for ticket in tickets if ticket.started is not None], now)
                break
            try:
                start(root / ticket.run, slot)
            except UserError:
                line.execute("DELETE FROM tickets WHERE number = ?", (ticket.number,))
            else:
                line.execute("UPDATE tickets SET started = ? WHERE number = ?", (now, ticket.number))
            finally:
                os.close(slot)  # The process that was started holds it now, and nobody else.
    for folder in lost:
        with contextlib.suppress(UserError):
            Run.open(folder).unqueue(
                f"it gave up its place in line, because nobody had looked for {WAITER_SECONDS:.0f} seconds. "
                "Resume it to stand in line again."
            )


def _order(tickets: list[_Ticket]) -> list[_Ticket]:
    """Those who wait, the next one first: by turns among visitors, and among turns by who came first.

    A visitor's second training waits until everybody's first has had its turn, and so on.
    """
    turns: dict[str, int] = {}
    for ticket in tickets:
        if ticket.started is not None:
            turns[ticket.owner] = turns.get(ticket.owner, 0) + 1
    ranked = []
    for ticket in tickets:
        if ticket.started is None:
            turn = turns.get(ticket.owner, 0)
            turns[ticket.owner] = turn + 1
            ranked.append((turn, ticket.number, ticket))
    return [ticket for _, _, ticket in sorted(ranked)]


def _end_pauses(folders: list[Path], now: float) -> None:
    """A training that stands still must not keep others from theirs: it is stored, and can go on later."""
    for folder in folders:
        with contextlib.suppress(UserError):
            run = Run.open(folder)
            if run.status().state == "paused":
                paused = run.events(kinds=["paused"])
                if paused and now - paused[-1]["time"] > PAUSED_SECONDS:
                    run.request("stop")


def _free_slot(root: Path, caps: Caps) -> int | None:
    """An open file whose lock is the right to train; None where all are taken."""
    for number in range(caps.slots):
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(root / FOLDER / f"slot-{number}", flags, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return descriptor
        except BlockingIOError:
            os.close(descriptor)
    return None


def _tickets(line: sqlite3.Connection) -> list[_Ticket]:
    rows = line.execute("SELECT number, run, owner, seen, started FROM tickets ORDER BY number").fetchall()
    return [_Ticket(*row) for row in rows]


@contextlib.contextmanager
def _line(root: Path, transaction: str = "IMMEDIATE") -> Iterator[sqlite3.Connection]:
    """One transaction on the line; DEFERRED where it only reads, so that it waits for nobody.

    A damaged database is begun anew: it holds places, and nothing of value.
    """
    path = root / FOLDER / "line.sqlite"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            database = _open_line(path, transaction)
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError:
            for suffix in ("", "-wal", "-shm", "-journal"):
                path.with_name(path.name + suffix).unlink(missing_ok=True)
            database = _open_line(path, transaction)
    except OSError as error:
        raise disk_error(error, root) from error
    except sqlite3.Error as error:
        raise RunError(f"the line of trainings cannot be kept ({error}); see that {root} can be written.") from error
    with contextlib.closing(database):
        try:
            yield database
        except BaseException:
            database.execute("ROLLBACK")
            raise
        database.execute("COMMIT")


def _open_line(path: Path, transaction: str) -> sqlite3.Connection:
    database = sqlite3.connect(path, isolation_level=None, timeout=10.0)
    try:
        database.execute("PRAGMA journal_mode = WAL")
        # It need not outlive a power cut, only the server: nobody waits for the disk.
        database.execute("PRAGMA synchronous = OFF")
        database.execute(_TICKETS)
        database.execute(f"BEGIN {transaction}")
        database.execute("SELECT number, run, owner, seen, started FROM tickets LIMIT 1").fetchone()
    except BaseException:
        database.close()
        raise
    return database


# --- looking at a run -------------------------------------------------------------------------------------------------

LOOK_SECONDS = 5.0
"""How often a look is written down, however many pages show the same run."""

_looks: dict[Path, float] = {}
_looks_lock = threading.Lock()


def looked(run: Run) -> None:
    """Somebody looks at this run: its training goes on, its place in line is kept, and its time to be swept is put off.

    Cheap enough to be called by every page at every look.
    """
    now = time.monotonic()
    with _looks_lock:
        if now - _looks.get(run.folder, -LOOK_SECONDS) < LOOK_SECONDS:
            return
        if len(_looks) > 1000:
            _looks.clear()
        _looks[run.folder] = now
    with contextlib.suppress(OSError):
        os.utime(run.folder / OWNER)
    with contextlib.suppress(UserError):
        state = run.status().state
        if state == "queued":
            keep(run.folder.parent, run.id)
        elif state in ("running", "paused"):
            run.watch()


# --- sweeping ---------------------------------------------------------------------------------------------------------

STAGING = ".new-run-"
STAGING_SECONDS = 3600.0


def sweep(root: Path, caps: Caps, now: float | None = None) -> list[str]:
    """Delete visitors' runs that nobody used for `caps.days`, and the longest unused ones where all together take more
    than `caps.total_megabytes`. Returns their ids. A run at work, in line, or without an owner is left alone.
    """
    now = time.time() if now is None else now
    with _line(root, "DEFERRED") as line:
        in_line = {ticket.run for ticket in _tickets(line)}
    entries = []
    total = 0
    for folder in _run_folders(root):
        if owner_of(folder) is None:
            continue
        size, used = _size_and_use(folder)
        total += size
        if folder.name not in in_line:
            entries.append((used, size, folder))
    swept = []
    for used, size, folder in sorted(entries):
        if now - used < caps.days * 86400 and total <= caps.total_megabytes * 10**6:
            break
        with contextlib.suppress(UserError):  # at work, or gone already
            delete_run(folder)
            swept.append(folder.name)
            total -= size
    for folder in root.glob(f"{STAGING}*"):  # of a server that died while it made a run
        with contextlib.suppress(OSError):
            if now - folder.stat().st_mtime > STAGING_SECONDS and not folder.is_symlink():
                shutil.rmtree(folder, ignore_errors=True)
    return swept


def _size_and_use(folder: Path) -> tuple[int, float]:
    """(bytes, unix seconds of the last training of a run or look at it)."""
    size, used = 0, 0.0
    with contextlib.suppress(OSError):
        for entry in os.scandir(folder):
            facts = entry.stat(follow_symlinks=False)
            size, used = size + facts.st_size, max(used, facts.st_mtime)
    return size, used


# --- no connections ---------------------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def stay_offline() -> None:
    """From now on this process opens no connection to another machine, whichever library tries. Cannot be undone."""
    sys.addaudithook(_refuse_connections)


def _refuse_connections(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "socket.connect":
        connection, address = arguments
        if connection.family in (socket.AF_INET, socket.AF_INET6) and not _here(str(address[0])):
            raise ConnectionRefusedError("a hosted server of this app opens no connections")
    elif event == "socket.getaddrinfo" and not _here(arguments[0]):
        raise ConnectionRefusedError("a hosted server of this app looks no names up")


def _here(host: str | bytes | None) -> bool:
    name = host.decode("ascii", errors="replace") if isinstance(host, bytes) else host
    return name is None or name in ("", "localhost", "::1", "0.0.0.0", "::") or name.startswith("127.")
