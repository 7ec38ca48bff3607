"""events.sqlite: metrics, events, requests and the status of a run. WAL: one writer, many readers.

Its file may come from a stranger. A database can do more than hold rows: a view or a trigger is a program, and one
that never ends is easily written. So nothing is read before the tables have been found to be ordinary tables with the
columns of `TABLES`, with no view or trigger beside them; and whatever is read has a limit in time and in size.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from rnn_core.errors import RunError
from rnn_core.runs.files import PRIVATE
from rnn_core.runs.reading import check_regular, disk_error
from rnn_core.runs.run_config import SCHEMA
from rnn_core.training import STEERABLE

FILE = "events.sqlite"
COMPANIONS = ("-wal", "-shm", "-journal")
"""What SQLite keeps beside it while it is open, and opens by itself."""

BUSY_SECONDS = 10.0
READ_SECONDS = 10.0  # for one statement of a reader; a million steps take two
LONGEST_VALUE_BYTES = 2**24

TABLES = {
    "metrics": {
        "step": "INTEGER PRIMARY KEY",
        "epoch": "INTEGER NOT NULL",
        "tokens": "INTEGER NOT NULL",
        "loss_nats": "REAL NOT NULL",
        "gradient_norm": "REAL NOT NULL",
        "clipped_norm": "REAL NOT NULL",
        "learning_rate": "REAL NOT NULL",
        "tokens_per_second": "REAL NOT NULL",
        "elapsed_seconds": "REAL NOT NULL",
    },
    "events": {
        "id": "INTEGER PRIMARY KEY AUTOINCREMENT",
        "step": "INTEGER NOT NULL",
        "time": "REAL NOT NULL",  # unix seconds
        "kind": "TEXT NOT NULL",
        "payload": "TEXT NOT NULL",  # a JSON object; see `events`
    },
    "requests": {
        "id": "INTEGER PRIMARY KEY AUTOINCREMENT",
        "time": "REAL NOT NULL",
        "kind": "TEXT NOT NULL",
        "payload": "TEXT NOT NULL",
        "done": "REAL",
    },
    "status": {
        "only_row": "INTEGER PRIMARY KEY CHECK (only_row = 1)",
        "state": "TEXT NOT NULL",
        "pid": "INTEGER",
        "heartbeat": "REAL",  # unix seconds
        "step": "INTEGER NOT NULL",
        "total_steps": "INTEGER",
        "epoch": "INTEGER NOT NULL",
        "message": "TEXT NOT NULL",
        "watched": "REAL",  # unix seconds
        "train_loss_nats": "REAL",
        "valid_loss_nats": "REAL",
        "tokens_per_second": "REAL",
        "checkpoint_step": "INTEGER",
    },
}
"""Every table, with its columns and their types: the one place in which they stand."""

TYPES = {"INTEGER": np.int64, "REAL": np.float64}

METRICS = {column: TYPES[declared.split()[0]] for column, declared in TABLES["metrics"].items()}
"""The keys of `Run.metrics()` and the types of its arrays; one row for each training step."""


def connect(folder: Path, mode: str) -> sqlite3.Connection:
    """A connection in mode ro or rw. Statements commit one by one unless a transaction is begun. Raises RunError where
    the file, or one that SQLite opens with it, is not a regular one.
    """
    path = (folder / FILE).absolute()
    for suffix in ("", *COMPANIONS):
        check_regular(path.with_name(path.name + suffix), missing_ok=bool(suffix))
    database = sqlite3.connect(f"{path.as_uri()}?mode={mode}", uri=True, isolation_level=None, timeout=BUSY_SECONDS)
    # Functions with side effects are not for a schema that a stranger wrote (https://sqlite.org/security.html).
    database.execute("PRAGMA trusted_schema = OFF")
    database.execute("PRAGMA cell_size_check = ON")
    database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LONGEST_VALUE_BYTES)
    return database


def open_to_write(folder: Path) -> sqlite3.Connection:
    """The worker's connection. Makes an empty history where there is none: a damaged one may have been deleted."""
    with contextlib.suppress(FileExistsError):
        os.close(os.open(folder / FILE, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE))
    database = connect(folder, "rw")
    try:
        if not database.execute("SELECT 1 FROM sqlite_master").fetchone():
            _create_tables(database)
        check_schema(database)
        database.execute("PRAGMA journal_mode = WAL")  # A file keeps it; a stranger's may have been without.
    except BaseException:
        database.close()
        raise
    return database


def _create_tables(database: sqlite3.Connection) -> None:
    tables = "".join(
        f"CREATE TABLE {name} ({', '.join(f'{column} {declared}' for column, declared in columns.items())}); "
        for name, columns in TABLES.items()
    )
    database.execute("PRAGMA journal_mode = WAL")  # not possible inside a transaction
    database.executescript(
        f"BEGIN; {tables} CREATE INDEX events_by_kind ON events (kind, id); "
        "INSERT INTO status (only_row, state, step, epoch, message) VALUES (1, 'created', 0, 0, ''); "
        f"PRAGMA user_version = {SCHEMA}; COMMIT;"
    )


def check_schema(database: sqlite3.Connection) -> None:
    """Raises sqlite3.DatabaseError unless the tables are ours, and nothing in the file runs by itself."""
    programs = database.execute("SELECT 1 FROM sqlite_master WHERE type NOT IN ('table', 'index') LIMIT 1")
    if programs.fetchone():
        raise sqlite3.DatabaseError("it holds a view or a trigger, and ours have none")
    for table, columns in TABLES.items():
        # A virtual table has no page of its own.
        if not database.execute("SELECT 1 FROM sqlite_master WHERE name = ? AND rootpage > 0", (table,)).fetchone():
            raise sqlite3.DatabaseError(f"the table {table} is missing")
        found = database.execute('SELECT name, type, "notnull", pk, hidden FROM pragma_table_xinfo(?)', (table,))
        declared = [
            (name, words.split()[0], int("NOT NULL" in words), int("PRIMARY KEY" in words), 0)
            for name, words in columns.items()
        ]
        if found.fetchall() != declared:
            raise sqlite3.DatabaseError(f"the table {table} has other columns")


@contextlib.contextmanager
def reading(folder: Path) -> Iterator[sqlite3.Connection]:
    """A read-only connection. ValueError, TypeError and OverflowError in the block mean damaged data: RunError."""
    if not os.path.lexists(folder / FILE):
        raise RunError(f"{folder} has lost its history, {FILE}; resume it to go on without.")
    with explained(folder):
        database = connect(folder, "ro")
        try:
            _bound(database)
            check_schema(database)
        except sqlite3.OperationalError as error:
            database.close()
            if not getattr(error, "sqlite_errorname", "").startswith(("SQLITE_CANTOPEN", "SQLITE_READONLY")):
                raise
            # A folder that cannot be written has no room for SQLite's shared memory. But then no writer can change it.
            database = connect(folder, "ro&immutable=1")
            _bound(database)
            check_schema(database)
        except BaseException:
            database.close()
            raise
        with contextlib.closing(database):
            try:
                yield database
            except (ValueError, TypeError, OverflowError) as error:
                raise RunError(
                    f"{folder / FILE} is damaged ({error}); delete it to go on without the history."
                ) from None


def _bound(database: sqlite3.Connection) -> None:
    """End every statement that takes too long: a table may be damaged so that reading it never ends."""
    end = time.monotonic() + READ_SECONDS
    database.set_progress_handler(lambda: time.monotonic() > end, 10_000)


@contextlib.contextmanager
def writing(folder: Path) -> Iterator[sqlite3.Connection]:
    """A connection in one transaction, committed at the end of the block, rolled back by an exception there."""
    with explained(folder), contextlib.closing(connect(folder, "rw")) as database:
        check_schema(database)
        database.execute("BEGIN IMMEDIATE")
        try:
            yield database
        except BaseException:
            database.execute("ROLLBACK")
            raise
        database.execute("COMMIT")


@contextlib.contextmanager
def explained(folder: Path) -> Iterator[None]:
    """Inside the block SQLite's errors become RunErrors that say what to do."""
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
        if name.startswith("SQLITE_INTERRUPT"):
            raise RunError(
                f"{folder / FILE} takes too long to read; delete it to go on without the history."
            ) from error
        raise RunError(f"{folder / FILE} is no history of a run ({error}).") from error
    except UnicodeDecodeError:
        # SQLite's own message quotes the damaged schema, and Python cannot read the quotation.
        raise RunError(
            f"{folder / FILE} is damaged (its schema is no text); delete it to go on without the history."
        ) from None
    except sqlite3.Error as error:
        raise RunError(f"{folder / FILE} is damaged ({error}); delete it to go on without the history.") from error


def drop_old_requests(database: sqlite3.Connection, before: float) -> None:
    """Mark requests of before this time as done, but not changes of settings, which are for the next worker too."""
    placeholders = ", ".join("?" * len(STEERABLE))
    database.execute(
        f"UPDATE requests SET done = ? WHERE done IS NULL AND time < ? AND kind NOT IN ({placeholders})",
        (time.time(), before, *STEERABLE),
    )


def copy_detached(folder: Path, copy: Path, message: str) -> None:
    """Copy a run's history, also while it trains, to a new file, as that of a run without a worker (`detach`)."""
    os.close(os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE))
    with reading(folder) as history, contextlib.closing(sqlite3.connect(copy)) as target:
        history.backup(target)
        detach(target, message)
        target.commit()


def detach(history: sqlite3.Connection, message: str) -> None:
    """Make a copied history that of a run without a worker: stopped, out of the queue, without open requests.

    message: why one that was being trained has stopped.
    """
    history.execute(
        "UPDATE status SET state = 'stopped', message = ? WHERE state IN ('running', 'paused', 'queued')", (message,)
    )
    history.execute("UPDATE status SET pid = NULL, heartbeat = NULL, watched = NULL")
    history.execute("UPDATE requests SET done = 0 WHERE done IS NULL")
