"""Runs with a thing wrong, as strangers, disks or power cuts may leave them: at random, the same for the same seed."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rnn_core.errors import RunError
from rnn_core.runs import checkpoints, tensors

FILES = ("config.json", "vocabulary.json", "corpus.safetensors", "model.safetensors", "events.sqlite", "lock")
JSON_FILES = FILES[:2]

STRANGE: tuple[Any, ...] = (
    None, True, -1, 0, 1, 2**31, 2**63 - 1, 10**30, 10**400, -(10**30), 0.5, 1e300, -1e300, "", "x", "7",
    "\ud800", "\x00", "a\nb", "x" * 5000, "![x](http://127.0.0.1:9/x.png)", [], [1], {}, {"a": 1}, [[[]]], 1e-320,
    "NaN", "2" * 5000,
)  # fmt: skip
"""What may stand in the place of a value in JSON."""

RAW = (b"NaN", b"Infinity", b"1e999", b"[" * 50_000, b'{"a":' * 5000, b'"\\ud800"', b"9" * 6000, b"\xff\xfe", b"")

SQL_VALUES = ("NULL", "-1", "1e300", "9e999", "'x'", "x'ff'", "''", "9223372036854775807", "CAST(x'ff' AS TEXT)", "0.5")

ENDLESS = "WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n) SELECT * FROM n"
SCHEMAS = (
    f"DROP TABLE {{t}}; CREATE VIEW {{t}} AS {ENDLESS}",
    f"CREATE VIEW extra AS {ENDLESS}",
    "CREATE TRIGGER evil AFTER INSERT ON {t} BEGIN DELETE FROM metrics; END",
    "CREATE TRIGGER evil AFTER UPDATE ON {t} BEGIN DELETE FROM metrics; END",
    "DROP TABLE {t}",
    "DELETE FROM {t}",
    "ALTER TABLE {t} ADD COLUMN extra TEXT",
    "DROP TABLE {t}; CREATE TABLE {t} AS SELECT 'a' AS step, 'b' AS state",
    "PRAGMA user_version = 99",
    "PRAGMA journal_mode = DELETE",
)

PAYLOADS = (
    "{",
    "[1]",
    "null",
    '"x"',
    "{}",
    '{"loss_nats": "low"}',
    '{"text": 7}',
    '{"loss_nats": 1e999}',
    '{"a": NaN}',
)
PAYLOADS += ('{"median": [1, "x"], "low": [], "high": 7, "half_life": []}', '{"why": "\\ud800"}', "[" * 3000)
KINDS = ("validated", "sampled", "horizon_measured", "learning_rate_changed", "finished", "paused", "strange", "")


def cut(folder: Path, rng: random.Random) -> str:
    path = folder / rng.choice(FILES[:5])
    content = path.read_bytes()
    size = rng.choice([0, 1, 7, 8, 9, len(content) // 2, len(content) - 1])
    path.write_bytes(content[:size])
    return f"{path.name} cut to {size}"


def flip(folder: Path, rng: random.Random) -> str:
    path = folder / rng.choice(FILES[:5])
    content = bytearray(path.read_bytes())
    for _ in range(rng.choice([1, 1, 3, 40])):
        # Headers are short and decide much, so that they are hit as often as the rest.
        place = rng.randrange(min(len(content), rng.choice([120, 4200, len(content)])))
        content[place] ^= 1 << rng.randrange(8)
    path.write_bytes(content)
    return f"{path.name} with flipped bits"


def junk(folder: Path, rng: random.Random) -> str:
    path = folder / rng.choice(FILES)
    path.write_bytes(rng.choice([rng.randbytes(rng.choice([1, 100, 9000])), b"\x80\x04\x95pickle", b"PK\x03\x04zip"]))
    return f"{path.name} of junk"


def missing(folder: Path, rng: random.Random) -> str:
    path = folder / rng.choice(FILES[1:])
    path.unlink()
    return f"{path.name} missing"


def other_kind(folder: Path, rng: random.Random) -> str:
    names = (*FILES, "events.sqlite-wal", "events.sqlite-shm", "events.sqlite-journal", "model-1.safetensors")
    names += ("weights-1.safetensors", "worker.log", "owner", "model.safetensors.tmp", "config.json.tmp")
    path = folder / rng.choice(names)
    path.unlink(missing_ok=True)
    kind = rng.choice(["pipe", "folder", "link to itself", "link to nowhere", "link to zeros", "link to another file"])
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        target = {"link to itself": path, "link to nowhere": "/nowhere", "link to zeros": "/dev/zero"}
        path.symlink_to(target.get(kind, folder / "lock"))
    return f"{path.name} is a {kind}"


def _places(values: Any) -> list[tuple[Any, Any]]:
    """Every place in JSON where something stands, as (container, key)."""
    found: list[tuple[Any, Any]] = []
    parts = values.items() if isinstance(values, dict) else enumerate(values) if isinstance(values, list) else ()
    for key, part in parts:
        found.append((values, key))
        if len(found) < 400:
            found += _places(part)
    return found


def strange_value(folder: Path, rng: random.Random) -> str:
    path = folder / rng.choice(JSON_FILES)
    values = json.loads(path.read_text())
    container, key = rng.choice(_places(values))
    what = rng.choice(["value", "value", "value", "gone", "raw", "extra"])
    if what == "gone":
        del container[key]
    elif what == "extra" and isinstance(container, dict):
        container["extra"] = rng.choice(STRANGE)
    else:
        container[key] = "@here@" if what == "raw" else rng.choice(STRANGE)
    text = json.dumps(values).encode()
    path.write_bytes(text.replace(b'"@here@"', rng.choice(RAW)))
    return f"{path.name}: {what} for {key!r}"


def word_list(folder: Path, rng: random.Random) -> str:
    path = folder / "vocabulary.json"
    values = json.loads(path.read_text())
    kind = rng.choice(["shorter", "longer", "shuffled", "double", "no counts"])
    words = values["words"]
    if kind == "shorter":
        words.pop()
        values["counts"] = values["counts"][: len(words)]
    elif kind == "longer":
        words.append("more")
        values["counts"].append(1)
    elif kind == "shuffled":
        tail = words[3:]
        rng.shuffle(tail)
        words[3:] = tail
    elif kind == "double":
        words[-1] = words[-2]
    else:
        values["counts"] = []
    path.write_text(json.dumps(values))
    return f"words: {kind}"


def weights(folder: Path, rng: random.Random) -> str:
    """A file with a right checksum and wrong contents."""
    path = folder / checkpoints.NEWEST
    header = json.loads(_header(path))
    metadata = header.pop("__metadata__")
    specs = {
        name: tensors.Spec(tensors.DTYPES[entry["dtype"]], tuple(entry["shape"])) for name, entry in header.items()
    }
    arrays, _ = tensors.read_tensors(path, specs)
    metadata.pop("sha256", None)
    kind = rng.choice(["3e38", "-3e38", "nan", "inf", "1e18", "step", "state", "event_id", "missing array", "counters"])
    if kind in ("3e38", "-3e38", "nan", "inf", "1e18"):
        arrays = {
            name: np.full_like(array, float(kind)) if array.dtype.kind == "f" else array
            for name, array in arrays.items()
        }
    elif kind == "step":
        metadata["step"] = rng.choice(["-1", "1e30", "9" * 30, "", "x", "9" * 5000])
    elif kind == "state":
        metadata["state"] = rng.choice(["", "[]", "{}", "null", '{"training": 7}', "[" * 9000, '{"vocabulary": 7}'])
    elif kind == "missing array":
        arrays.pop(sorted(arrays)[0])
    else:
        state = json.loads(metadata["state"])
        if kind == "event_id":
            state["history"] = rng.choice([{"event_id": 1e30}, {"event_id": 10**30}, {"event_id": -1}, [], 7, None])
        else:
            state["training"][rng.choice(sorted(state["training"]))] = rng.choice(STRANGE[:14])
        metadata["state"] = json.dumps(state)
    path.write_bytes(b"".join(tensors.encode_tensors(arrays, metadata)))
    return f"weights: {kind}"


def _header(path: Path) -> bytes:
    content = path.read_bytes()
    return content[8 : 8 + int.from_bytes(content[:8], "little")]


def history(folder: Path, rng: random.Random) -> str:
    kind = rng.choice(["status", "status", "metrics", "events", "payload", "requests", "schema", "schema"])
    table = rng.choice(["status", "metrics", "events", "requests"])
    with contextlib.closing(sqlite3.connect(folder / "events.sqlite")) as database:
        statement = rng.choice(SCHEMAS).format(t=table)
        if kind == "payload":
            statement = (
                f"INSERT INTO events (step, time, kind, payload) VALUES (1, 1, '{rng.choice(KINDS)}', "
                f"'{rng.choice(PAYLOADS)}')"
            )
        elif kind == "requests":
            statement = (
                f"INSERT INTO requests (time, kind, payload) VALUES ({rng.choice(SQL_VALUES)}, "
                f"'{rng.choice(['stop', 'learning_rate', 'x'])}', '{rng.choice(PAYLOADS)}')"
            )
        elif kind != "schema":
            columns = [row[1] for row in database.execute(f"PRAGMA table_info({kind})")]
            statement = f"UPDATE {kind} SET {rng.choice(columns[1:])} = {rng.choice(SQL_VALUES)}"
        try:
            database.executescript(statement)
        except sqlite3.Error:  # a constraint that holds: then let it not hold
            with contextlib.suppress(sqlite3.Error):
                database.executescript(
                    f"PRAGMA ignore_check_constraints = ON; PRAGMA writable_schema = ON; {statement}"
                )
    return f"history: {statement[:90]}"


def long_name(folder: Path, rng: random.Random) -> str:
    (folder / ("x" * 250)).touch()
    (folder / f"model-{'9' * rng.choice([18, 19, 200])}.safetensors").write_bytes(b"x")
    (folder / f"weights-{'9' * rng.choice([18, 19, 200])}.safetensors").write_bytes(b"x")
    return "files with long names"


DAMAGES: tuple[Callable[[Path, random.Random], str], ...] = (
    cut,
    flip,
    flip,
    junk,
    missing,
    other_kind,
    other_kind,
    strange_value,
    strange_value,
    strange_value,
    word_list,
    weights,
    weights,
    history,
    history,
    history,
    long_name,
)


Damage = Callable[[Path, random.Random], str]


def damaged_copy(good: Path, folder: Path, seed: int, damages: Sequence[Damage] | None = None) -> str:
    """A copy of a good run with these things wrong, or with one to three drawn ones -> what."""
    rng = random.Random(seed)
    shutil.copytree(good, folder)
    done = []
    drawn = damages or rng.choices(DAMAGES, k=rng.choice([1, 1, 1, 1, 2, 3]))
    for damage in sorted(drawn, key=lambda damage: damage is other_kind):  # Nobody here should open a pipe either.
        try:
            done.append(damage(folder, rng))
        except (
            OSError,
            ValueError,
            KeyError,
            TypeError,
            AttributeError,
            IndexError,
            RecursionError,
            sqlite3.Error,
            RunError,
        ) as error:
            done.append(f"({type(error).__name__})")  # What one damage left, the next cannot always damage.
    return "; ".join(done)
