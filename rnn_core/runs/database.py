"""events.sqlite: metrics, events, requests and the status of a run. WAL: one writer, many readers."""

from __future__ import annotations

import contextlib
import errno
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from rnn_core.errors import RunError
from rnn_core.runs.reading import disk_error
from rnn_core.runs.run_config import SCHEMA

# Columns of the table `metrics`, and so the keys of `Run.metrics()`; one row for each training step.
METRICS = {
    "step": np.int64,
    "epoch": np.int64,
    "tokens": np.int64,
    "loss_nats": np.float64,
    "gradient_norm": np.float64,
    "clipped_norm": np.float64,
    "learning_rate": np.float64,
    "tokens_per_second": np.float64,
    "elapsed_seconds": np.float64,
}


STATUS_COLUMNS = (
    "state",
    "pid",
    "heartbeat",
    "step",
    "total_steps",
    "epoch",
    "message",
    "watched",
    "train_loss_nats",
    "valid_loss_nats",
    "tokens_per_second",
    "checkpoint_step",
)

TABLES = """
CREATE TABLE metrics (
    step INTEGER PRIMARY KEY, epoch INTEGER NOT NULL, tokens INTEGER NOT NULL, loss_nats REAL NOT NULL,
    gradient_norm REAL NOT NULL, clipped_norm REAL NOT NULL, learning_rate REAL NOT NULL,
    tokens_per_second REAL NOT NULL, elapsed_seconds REAL NOT NULL
);
CREATE TABLE events (
    id INTEGER PRIMARY KEY AUTOINCREMENT, step INTEGER NOT NULL, time REAL NOT NULL, kind TEXT NOT NULL,
    payload TEXT NOT NULL
);
CREATE INDEX events_by_kind ON events (kind, id);
CREATE TABLE requests (
    id INTEGER PRIMARY KEY AUTOINCREMENT, time REAL NOT NULL, kind TEXT NOT NULL, payload TEXT NOT NULL, done REAL
);
CREATE TABLE status (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1), state TEXT NOT NULL, pid INTEGER, heartbeat REAL,
    step INTEGER NOT NULL, total_steps INTEGER, epoch INTEGER NOT NULL, message TEXT NOT NULL, watched REAL,
    train_loss_nats REAL, valid_loss_nats REAL, tokens_per_second REAL, checkpoint_step INTEGER
);
INSERT INTO status (only_row, state, step, epoch, message) VALUES (1, 'created', 0, 0, '');
"""


def connect(folder: Path, mode: str) -> sqlite3.Connection:
    """A connection in mode ro, rw or rwc (create). Statements commit one by one unless a transaction is begun."""
    path = (folder / "events.sqlite").absolute()
    database = sqlite3.connect(f"{path.as_uri()}?mode={mode}", uri=True, isolation_level=None, timeout=10.0)
    # A database from a stranger may hold triggers and views: they get no say.
    database.execute("PRAGMA trusted_schema = OFF")
    return database


def create_tables(database: sqlite3.Connection) -> None:
    database.execute("PRAGMA journal_mode = WAL")
    database.executescript(f"BEGIN; {TABLES} PRAGMA user_version = {SCHEMA}; COMMIT;")


@contextlib.contextmanager
def reading(folder: Path) -> Iterator[sqlite3.Connection]:
    """For reading alone. What makes no sense in a database that a stranger made raises RunError too."""
    if not (folder / "events.sqlite").exists():
        raise RunError(f"{folder} has lost its history, events.sqlite; resume it to go on without.")
    with explained(folder):
        database = connect(folder, "ro")
        try:
            database.execute("SELECT 1 FROM status")
        except sqlite3.OperationalError as error:
            database.close()
            if not error.sqlite_errorname.startswith(("SQLITE_CANTOPEN", "SQLITE_READONLY")):
                raise
            # In a folder that cannot be written SQLite cannot share memory with a writer. But nobody can write there.
            database = connect(folder, "ro&immutable=1")
        with contextlib.closing(database):
            try:
                yield database
            except (ValueError, TypeError, OverflowError):
                raise RunError(
                    f"{folder / 'events.sqlite'} holds something that makes no sense; delete it to go on without it."
                ) from None


@contextlib.contextmanager
def writing(folder: Path) -> Iterator[sqlite3.Connection]:
    """One transaction."""
    with explained(folder), contextlib.closing(connect(folder, "rw")) as database:
        database.execute("BEGIN IMMEDIATE")
        try:
            yield database
        except BaseException:
            database.execute("ROLLBACK")
            raise
        database.execute("COMMIT")


@contextlib.contextmanager
def explained(folder: Path) -> Iterator[None]:
    """SQLite's errors as ours."""
    try:
        yield
    except sqlite3.OperationalError as error:
        name = getattr(error, "sqlite_errorname", "")
        if name.startswith("SQLITE_FULL"):
            raise disk_error(OSError(errno.ENOSPC, ""), folder) from error
        if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")):
            raise disk_error(OSError(errno.EACCES, "no permission, or the history is missing"), folder) from error
        if name.startswith("SQLITE_IOERR"):
            raise disk_error(OSError(errno.ENOSPC, ""), folder) from error
        if name.startswith("SQLITE_BUSY"):
            raise RunError("another program holds this run's history; close it, then try again.") from error
        raise RunError(f"{folder / 'events.sqlite'} is no history of a run ({error}).") from error
    except sqlite3.DatabaseError as error:
        raise RunError(
            f"{folder / 'events.sqlite'} is damaged ({error}); delete it to go on without the history."
        ) from error


def drop_old_requests(database: sqlite3.Connection, before: float) -> None:
    """What was asked of a worker that is gone is void, but for the learning rate: that belongs to the training."""
    database.execute(
        "UPDATE requests SET done = ? WHERE done IS NULL AND kind != 'learning_rate' AND time < ?",
        (time.time(), before),
    )
