"""The worker's connection to events.sqlite: it writes metrics, events and status, and reads requests.

Rows wait in memory for the next commit, so that no step waits for the disk. Where another program holds the database,
they go on waiting: a checkpoint then stores them too (`pending`), and the worker that resumes from it writes them
(`restore`). So a training need not end because it cannot write its history.
"""

from __future__ import annotations

import contextlib
import json
import math
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rnn_core.errors import CheckpointError
from rnn_core.runs.database import METRICS, drop_old_requests, explained, open_to_write
from rnn_core.runs.events import RECORDED, HistoryHeld, decode_request
from rnn_core.runs.status import State
from rnn_core.runs.strict_json import parse_json
from rnn_core.training import Event, StepDone

PATIENCE_MILLISECONDS = 1000  # How long to wait for readers and requests, which hold the database for a few.
PENDING_LIMIT_BYTES = 64 * 1024  # A checkpoint's header has room for them, with the quotes escaped twice.
METRICS_ROW_BYTES = 25 * len(METRICS)  # as JSON, at most

INSERT_METRICS = f"INSERT OR REPLACE INTO metrics VALUES ({', '.join('?' * len(METRICS))})"
INSERT_EVENT = "INSERT INTO events (step, time, kind, payload) VALUES (?, ?, ?, ?)"


class HistoryWriter:
    """The one connection that writes metrics, events and status. `restore` comes first."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.last_event_id = 0  # of the newest event that is committed
        self.held_since: float | None = None  # (monotonic) None: the last commit succeeded
        self._metrics: list[tuple[Any, ...]] = []
        self._events: list[tuple[Any, ...]] = []
        self._answers: list[tuple[float, int]] = []
        self._watched: float | None = None
        self._watched_at = time.monotonic()
        with explained(folder):
            self._database = open_to_write(folder)

    def close(self) -> None:
        with contextlib.suppress(sqlite3.Error):
            self._database.close()

    def restore(self, step: int, history: Mapping[str, Any], since: float) -> None:
        """Make the history what it was at a checkpoint of `step`, of which `history` is what `pending` gave.

        What was recorded later is deleted, and requests to an earlier worker, of before `since` (unix seconds), are
        marked as done. Raises CheckpointError where `history` makes no sense.
        """
        last_event, metrics, events = _read_pending(history)
        with explained(self.folder):
            self._database.execute("BEGIN IMMEDIATE")
            self._database.execute("DELETE FROM metrics WHERE step > ?", (step,))
            self._database.execute("DELETE FROM events WHERE id > ?", (last_event,))
            self._database.executemany(INSERT_METRICS, metrics)
            self._database.executemany(INSERT_EVENT, events)
            (state,) = self._database.execute("SELECT state FROM status").fetchone()
            if state not in ("created", "queued"):  # What was asked while it was queued is meant for this worker.
                drop_old_requests(self._database, since)
            # A training that begins counts as watched: somebody has just started it.
            self._database.execute("UPDATE status SET watched = ?", (time.time(),))
            self._database.execute("COMMIT")
            self.last_event_id = self._newest_event_id()
            self._database.execute(f"PRAGMA busy_timeout = {PATIENCE_MILLISECONDS}")

    # -- writing --

    def record(self, event: Event) -> None:
        """A step is a row of metrics, an event of a class in RECORDED is one of events; others are passed over."""
        if isinstance(event, StepDone):
            self._metrics.append(tuple(getattr(event, column) for column in METRICS))
        elif isinstance(event, RECORDED):
            self._events.append(_row(event))

    def answer(self, requests: Sequence[int]) -> None:
        """Mark requests as done, with the next commit."""
        self._answers += [(time.time(), request) for request in requests]

    def commit(self, status: Mapping[str, Any], durable: bool) -> bool:
        """All rows so far and the status, in one transaction. `durable`: also after a power cut, not only after a kill.

        False where another program holds the database: then everything waits for the next commit.
        """
        columns = ", ".join(f"{name} = ?" for name in status)
        events = list(self._events)
        if self.held_since is not None:
            events.append(_row(HistoryHeld(status["step"], time.monotonic() - self.held_since)))
        try:
            with explained(self.folder), self._unless_held():
                # In WAL mode NORMAL does not wait for the disk; FULL does (https://sqlite.org/pragma.html).
                self._database.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
                self._database.execute("BEGIN IMMEDIATE")
                self._database.executemany(INSERT_METRICS, self._metrics)
                self._database.executemany(INSERT_EVENT, events)
                self._database.executemany("UPDATE requests SET done = ? WHERE id = ?", self._answers)
                self._database.execute(f"UPDATE status SET {columns}", tuple(status.values()))
                newest = self._newest_event_id()
                self._database.execute("COMMIT")
        except _Held:
            return False
        finally:
            if self._database.in_transaction:
                with contextlib.suppress(sqlite3.Error):
                    self._database.execute("ROLLBACK")
        self.last_event_id = newest
        self._metrics.clear()
        self._events.clear()
        self._answers.clear()
        if self.held_since is not None:
            self.held_since = None
            self._database.execute(f"PRAGMA busy_timeout = {PATIENCE_MILLISECONDS}")
        return True

    @property
    def full(self) -> bool:
        """Whether so many rows wait that a checkpoint has no room for more: the training must wait as well."""
        return len(self._metrics) * METRICS_ROW_BYTES + sum(len(row[-1]) for row in self._events) >= PENDING_LIMIT_BYTES

    def pending(self) -> dict[str, Any]:
        """Where the history stands, for a checkpoint: the last event that is committed, and the rows that are not."""
        if not (self._metrics or self._events):
            return {"event_id": self.last_event_id}
        return {"event_id": self.last_event_id, "metrics": self._metrics, "events": self._events}

    def record_failure(self, state: State, message: str) -> None:
        """Why the training ended, if even that can still be written."""
        with contextlib.suppress(sqlite3.Error):
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
            self._database.execute("UPDATE status SET state = ?, message = ?", (state, message))

    # -- reading --

    def open_requests(self) -> list[tuple[int, str, dict[str, Any]]]:
        """(id, kind, payload) of each request that is not answered; none while another program holds the database."""
        try:
            with explained(self.folder), self._unless_held():
                rows = self._database.execute(
                    "SELECT id, kind, payload FROM requests WHERE done IS NULL ORDER BY id"
                ).fetchall()
        except _Held:
            return []
        answered = {request for _, request in self._answers}
        return [(number, kind, decode_request(payload)) for number, kind, payload in rows if number not in answered]

    def seconds_unwatched(self) -> float:
        """Seconds since somebody last called `Run.watch`. By a monotonic clock, and 0 while another program
        holds the database: then nobody can call it.
        """
        try:
            with explained(self.folder), self._unless_held():
                (watched,) = self._database.execute("SELECT watched FROM status").fetchone()
        except _Held:
            watched = None
        if watched is None or watched != self._watched:
            self._watched, self._watched_at = watched, time.monotonic()
        return time.monotonic() - self._watched_at

    def _newest_event_id(self) -> int:
        return int(self._database.execute("SELECT COALESCE(MAX(id), 0) FROM events").fetchone()[0])

    @contextlib.contextmanager
    def _unless_held(self) -> Iterator[None]:
        """Raises _Held where another program holds the database; from then on, until a commit succeeds, at once."""
        try:
            yield
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:  # the low byte says what the extended codes share
                raise
            if self.held_since is None:
                self.held_since = time.monotonic()
                self._database.execute("PRAGMA busy_timeout = 0")
            raise _Held from None


class _Held(Exception):
    """Another program holds the database."""


def _row(event: Event) -> tuple[int, float, str, str]:
    """The columns of INSERT_EVENT."""
    payload = event.to_json()
    step, kind = payload.pop("step"), payload.pop("kind")
    return step, time.time(), kind, json.dumps(payload, allow_nan=False)


def _read_pending(history: Mapping[str, Any]) -> tuple[int, list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    """What `HistoryWriter.pending` gave, from a file that a stranger may have written -> event_id, metrics, events."""
    last_event, metrics, events = history.get("event_id", 0), history.get("metrics", []), history.get("events", [])
    if (
        _is_count(last_event)
        and isinstance(metrics, list)
        and isinstance(events, list)
        and all(isinstance(row, list) and len(row) == len(METRICS) and all(map(_is_number, row)) for row in metrics)
        and all(isinstance(row, list) and len(row) == 4 and _is_event(*row) for row in events)
    ):
        return last_event, [tuple(row) for row in metrics], [tuple(row) for row in events]
    raise CheckpointError("the newest checkpoint's record of the history makes no sense; delete its file.")


def _is_count(value: object) -> bool:
    return type(value) is int and 0 <= value < 2**63  # SQLite's integers have 64 bits


def _is_number(value: object) -> bool:
    return _is_count(value) or (type(value) is float and math.isfinite(value))


def _is_event(step: object, at: object, kind: object, payload: object) -> bool:
    if not (_is_count(step) and _is_number(at) and isinstance(kind, str) and isinstance(payload, str)):
        return False
    try:
        return isinstance(parse_json(payload.encode()), dict)
    except ValueError:  # no JSON, or a lone surrogate that UTF-8 has no bytes for
        return False
