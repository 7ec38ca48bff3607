"""A run is a folder: settings, vocabulary, corpus, weights and history of one training.

    runs/<id>/  config.json         schema, name, settings, facts about the corpus
                vocabulary.json     the words, in the order of their ids
                corpus.safetensors  train_ids, train_offsets, valid_ids, valid_offsets
                model.safetensors   the newest checkpoint; model-<step>.safetensors are the two before it
                weights-<step>.safetensors  weights alone, at moments along the way (see `snapshots`)
                events.sqlite       metrics, events, requests, status (WAL: one writer, many readers)
                lock                flock'ed by the one worker that may write

Training is a process of its own (`work`, behind `python -m rnn_core resume DIR`). Everybody else opens the folder as a
`Run`, reads what is new, and leaves requests. So whoever looks can come, go, and crash without touching the training.

A worker that dies leaves its lock free: that, and not a silent heartbeat, is what `RunStatus.state == "dead"` means.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import fcntl
import json
import math
import os
import re
import secrets
import shutil
import sqlite3
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from rnn_core.config import ModelConfig, TextSettings, TrainingSettings, check_together
from rnn_core.data import CorpusReport, PreparedCorpus, Vocabulary, ngrams
from rnn_core.errors import CorpusError, RunError, SettingsError, UserError
from rnn_core.nn.language_model import LanguageModel, parameter_shapes
from rnn_core.parallel.threads import thread_count
from rnn_core.runs import checkpoints, files, snapshots, tensors
from rnn_core.runs.strict_json import parse_json
from rnn_core.runs.tensors import Spec, Specs
from rnn_core.training.loop import Plan, TrainingState, state_arrays

SCHEMA = 1
RUN_ID = re.compile(r"[a-z0-9][a-z0-9-]{2,63}")
REQUESTS = ("pause", "resume", "step", "stop", "learning_rate")
State = Literal["created", "queued", "running", "paused", "stopped", "finished", "failed", "diverged", "dead"]

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

# Files that belong to a run; whatever else lies in its folder is somebody's own.
OWN_FILES = re.compile(
    r"(config\.json|vocabulary\.json|corpus\.safetensors|(model(-\d{1,18})?|weights-\d{1,18})\.safetensors)(\.tmp)?"
    r"|events\.sqlite(-wal|-shm|-journal)?|lock|worker\.log|owner"
)


# --- what a run says about itself -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class CorpusFacts:
    """What config.json knows of the corpus. Tokens are predicted ones: a sentence of n words has n + 1, with `</s>`."""

    name: str
    train_sentences: int
    train_tokens: int
    valid_sentences: int
    valid_tokens: int
    uniform_nats: float  # ln(vocabulary size): the loss of knowing nothing
    unigram_nats: float  # validation loss of the words' frequencies alone
    report: dict[str, Any] = field(default_factory=dict)  # text.CorpusReport.to_json()


@dataclass(frozen=True)
class RunConfig:
    """config.json."""

    schema: int
    name: str  # chosen by a user: data, never markup
    created: float  # unix seconds
    model: ModelConfig
    training: TrainingSettings
    text: TextSettings
    corpus: CorpusFacts


@dataclass(frozen=True)
class RunStatus:
    """Where a run stands. `dead`: its worker vanished without a word (killed, power cut); it can be resumed."""

    state: State
    pid: int | None  # of the worker at work, else None
    step: int
    total_steps: int | None
    epoch: int  # epochs completed
    message: str  # one line for people: why it stopped, what went wrong, or ""
    heartbeat_age_seconds: float | None  # None: no worker ever began
    train_loss_nats: float | None = None  # mean over the current epoch so far, or the last one
    valid_loss_nats: float | None = None  # newest validation
    tokens_per_second: float | None = None
    checkpoint_step: int | None = None  # of the newest checkpoint: what a kill now would fall back to

    @property
    def alive(self) -> bool:
        """A worker is at work on it (running, or waiting while paused)."""
        return self.state in ("running", "paused")

    @property
    def resumable(self) -> bool:
        """`python -m rnn_core resume` would go on with it."""
        return not self.alive and self.state != "finished"


@dataclass(frozen=True)
class RunSummary:
    """One line of the list of runs. A folder that cannot be read has an `error` and neither config nor status."""

    id: str
    folder: Path
    config: RunConfig | None
    status: RunStatus | None
    error: str = ""


# --- the read side ----------------------------------------------------------------------------------------------------


class Run:
    """A run's folder, as everybody but its worker sees it. Cheap to open; holds no file open between calls.

    Reading goes on while a worker writes. Every method raises RunError where the folder is damaged.
    """

    def __init__(self, folder: Path, config: RunConfig) -> None:
        self.folder, self.config = folder, config

    @property
    def id(self) -> str:
        return self.folder.name

    @classmethod
    def open(cls, folder: str | Path) -> Run:
        """Raises RunError where there is no run, it is damaged, or a newer version of this program made it."""
        folder = Path(folder)
        try:
            (folder / "config.json").lstat()
        except (FileNotFoundError, NotADirectoryError):
            raise RunError(
                f"{folder} is not a run: it has no config.json. Begin one with `train CORPUS --run {folder}`."
            ) from None
        except OSError as error:
            raise RunError(f"{folder} cannot be read: {error.strerror}.") from None
        return cls(folder, _config_from_json(_read_json(folder / "config.json")))

    def vocabulary(self) -> Vocabulary:
        return Vocabulary.from_json(_read_json(self.folder / "vocabulary.json"))

    def corpus(self) -> PreparedCorpus:
        """The sentences as the network sees them. Needs neither the original text nor a tokenizer."""
        facts = self.config.corpus
        vocabulary = self.vocabulary()
        arrays, _ = tensors.read_tensors(self.folder / "corpus.safetensors", _corpus_specs(facts))
        train = _sentences(arrays["train_ids"], arrays["train_offsets"], len(vocabulary))
        valid = _sentences(arrays["valid_ids"], arrays["valid_offsets"], len(vocabulary))
        report = CorpusReport.from_json(facts.report)
        return PreparedCorpus(vocabulary=vocabulary, train=train, valid=valid, name=facts.name, report=report)

    def load_model(self, step: int | None = None) -> LanguageModel:
        """The network at its newest checkpoint, or at one of `moments()`. Raises RunError if there is none yet."""
        return self.load_model_and_step(step)[0]

    def load_model_and_step(self, step: int | None = None) -> tuple[LanguageModel, int]:
        """As `load_model`, and the step that the weights are of."""
        specs = checkpoint_specs(self.config)
        if step is not None and step in snapshots.steps(self.folder):
            arrays = snapshots.load(self.folder, step, parameter_specs(self.config.model))
            return LanguageModel(self.config.model, params=parameters_of(arrays)), step
        if step is None:
            checkpoint = checkpoints.load_newest(self.folder, specs)
        else:
            paths = [path for path in checkpoints.candidates(self.folder) if checkpoints.step_of(path) == step]
            checkpoint = checkpoints.load(paths[0], specs) if paths else None
        if checkpoint is None:
            which = "no weights yet" if step is None else f"no weights of step {step}"
            raise RunError(f"this run has {which}; start its training, or wait for the first checkpoint.")
        return LanguageModel(self.config.model, params=parameters_of(checkpoint.arrays)), checkpoint.step

    def checkpoint_steps(self) -> list[int]:
        """The steps whose weights are in the folder, ascending."""
        steps = {checkpoints.step_of(path) for path in checkpoints.candidates(self.folder)}
        return sorted(step for step in steps if step is not None)

    def moments(self) -> list[int]:
        """The steps whose weights can be looked at, ascending: checkpoints and the lighter snapshots."""
        return sorted({*self.checkpoint_steps(), *snapshots.steps(self.folder)})

    def metrics(self, after_step: int = 0, limit: int | None = None, stride: int = 1) -> dict[str, NDArray[Any]]:
        """One row for each training step above `after_step`, ascending, as arrays (rows,) under the names in METRICS.

        `stride=k` keeps the steps that k divides; `limit` the first so many rows.
        """
        query = f"SELECT {', '.join(METRICS)} FROM metrics WHERE step > ? AND step % ? = 0 ORDER BY step LIMIT ?"
        with _reading(self.folder) as database:
            rows = database.execute(query, (after_step, stride, -1 if limit is None else limit)).fetchall()
            columns = zip(*rows, strict=True) if rows else [()] * len(METRICS)
            return {name: np.array(column, METRICS[name]) for name, column in zip(METRICS, columns, strict=True)}

    def events(self, after_id: int = 0, kinds: Sequence[str] | None = None) -> list[dict[str, Any]]:
        """Events with an id above `after_id`, in order: dicts with id, step, time (unix seconds), kind, and the
        payload's keys.

        Kinds from the training: validated, epoch_done, learning_rate_changed, sampled, horizon_measured, diverged,
        finished (keys: the fields of the class of that name in `training`). From the worker: started, paused, resumed,
        stopped, checkpoint_rejected, threads_changed. From a race: agreement_measured. After a kill, events and metrics
        beyond the checkpoint are taken back; ids go on.
        """
        query = "SELECT id, step, time, kind, payload FROM events WHERE id > ?"
        query += f" AND kind IN ({', '.join('?' * len(kinds))})" if kinds is not None else ""
        with _reading(self.folder) as database:
            rows = database.execute(query + " ORDER BY id", (after_id, *(kinds or ()))).fetchall()
            return [
                {**json.loads(payload), "id": id, "step": step, "time": at, "kind": kind}
                for id, step, at, kind, payload in rows
            ]

    def status(self) -> RunStatus:
        row = self._status_row()
        if row["state"] in ("running", "paused") and not worker_alive(self.folder):
            # The lock was free just now. A worker that ended in good order wrote its last word before it let go, so a
            # second look sees that; an unchanged "running" of the same process was written by one that is dead.
            again = self._status_row()
            if again["state"] in ("running", "paused") and again["pid"] == row["pid"]:
                again |= {
                    "state": "dead",
                    "message": "its process ended without a word (killed, or the power went); resume it to go on "
                    f"from step {again['checkpoint_step'] or 0}.",
                }
            row = again
        state, pid, heartbeat = row["state"], row["pid"], row.pop("heartbeat")
        row["pid"] = pid if state in ("running", "paused") else None
        row.pop("watched")
        return RunStatus(heartbeat_age_seconds=None if heartbeat is None else max(0.0, time.time() - heartbeat), **row)

    def _status_row(self) -> dict[str, Any]:
        with _reading(self.folder) as database:
            row = database.execute(f"SELECT {', '.join(STATUS_COLUMNS)} FROM status").fetchone()
        if row is None or row[0] not in get_args(State):
            raise RunError(f"{self.folder / 'events.sqlite'} has lost its status; delete it to go on without history.")
        return dict(zip(STATUS_COLUMNS, row, strict=True))

    def request(self, kind: str, **payload: Any) -> None:
        """Ask the worker for something; it answers within about 0.1 s, between two steps, and leaves an event.

        kind: pause | resume | step (one step, then pause) | stop | learning_rate (learning_rate=X; also kept for the
        next worker where none is at work). Raises RunError where nobody is, or will be, there to hear it.
        """
        if kind not in REQUESTS:
            raise RunError(f"a run cannot be asked to {kind!r}; it can be asked to {', '.join(REQUESTS)}.")
        if kind == "learning_rate":
            rate = payload.get("learning_rate")
            if not isinstance(rate, (int, float)) or not (math.isfinite(rate) and rate > 0):
                raise RunError("a learning rate is a number above 0.")
        elif (state := self.status().state) not in ("created", "queued", "running", "paused"):
            raise RunError(f"no training is at work on this run (it is {state}); resume it first.")
        with _writing(self.folder) as database:
            database.execute(
                "INSERT INTO requests (time, kind, payload) VALUES (?, ?, ?)", (time.time(), kind, json.dumps(payload))
            )

    def queue(self, message: str = "") -> None:
        """Say that a worker is about to be started, or waits for its turn; older requests to pause or stop are void."""
        if worker_alive(self.folder):
            raise RunError("a training is at work on this run already; watch it, or stop it first.")
        with _writing(self.folder) as database:
            drop_old_requests(database, time.time())
            database.execute("UPDATE status SET state = 'queued', message = ?", (message,))

    def unqueue(self, message: str) -> None:
        """Say that it waits no longer, and why. A run that does not wait stays what it is."""
        with _writing(self.folder) as database:
            database.execute("UPDATE status SET state = 'stopped', message = ? WHERE state = 'queued'", (message,))

    def fail(self, message: str) -> None:
        """Say that no worker could be started, and why. The run stays resumable."""
        if not worker_alive(self.folder):
            with _writing(self.folder) as database:
                database.execute("UPDATE status SET state = 'failed', message = ?", (message,))

    def watch(self) -> None:
        """Tell the worker that somebody is looking; `Limits.unwatched_minutes` counts from here. Call it every few
        seconds.
        """
        with _writing(self.folder) as database:
            database.execute("UPDATE status SET watched = ?", (time.time(),))


def list_runs(root: str | Path, wanted: Callable[[Path], bool] = lambda folder: True) -> list[RunSummary]:
    """Every run in a folder of runs whose folder is `wanted`, the newest first. One that is damaged is listed with its
    error, not left out.
    """
    summaries = []
    root = Path(root)
    for folder in root.iterdir() if root.is_dir() else ():
        if not RUN_ID.fullmatch(folder.name) or folder.is_symlink() or not (folder / "config.json").exists():
            continue
        if not wanted(folder):
            continue
        try:
            run = Run.open(folder)
            summaries.append(RunSummary(folder.name, folder, run.config, run.status()))
        except UserError as error:
            summaries.append(RunSummary(folder.name, folder, None, None, str(error)))
    return sorted(summaries, key=lambda summary: summary.config.created if summary.config else 0.0, reverse=True)


def new_run_id() -> str:
    """A name for a folder that nobody can guess: 80 random bits, after the day, so that folders sort by age."""
    return f"{time.strftime('%Y%m%d')}-{secrets.token_hex(10)}"


def run_folder(root: str | Path, run_id: str) -> Path:
    """The folder of the run `run_id`, which may come from a link: nothing but an id of ours gets to the file system."""
    if not RUN_ID.fullmatch(run_id):
        raise RunError("this is not the name of a run; it has 3 to 64 small letters, digits and hyphens.")
    folder = Path(root) / run_id
    if folder.is_symlink() or not folder.is_dir():
        raise RunError("there is no such run; it may have been deleted.")
    return folder


# --- making, renaming, deleting, giving away --------------------------------------------------------------------------


def create_run(
    folder: str | Path,
    name: str,
    corpus: PreparedCorpus,
    model: ModelConfig,
    training: TrainingSettings,
    text: TextSettings,
    weights: dict[str, NDArray[Any]] | None = None,
) -> Run:
    """Make a run's folder; it appears whole or not at all. Training begins with `work`.

    `weights` to begin from, instead of fresh ones: `LanguageModel.params` of a network with these settings. Raises
    SettingsError for settings that make no sense, RunError where the folder is in use or cannot be written.
    """
    folder = Path(folder)
    check_together(model, training)
    text.validate()
    if model.vocabulary_size != len(corpus.vocabulary):
        raise SettingsError(
            f"the network has {model.vocabulary_size} words and the corpus {len(corpus.vocabulary)}; "
            "set the network's vocabulary size to the corpus's."
        )
    if not corpus.train:
        raise CorpusError("the corpus has no sentence to train on; give a longer text.")
    facts = CorpusFacts(
        name=corpus.name,
        train_sentences=len(corpus.train),
        train_tokens=sum(map(len, corpus.train)) - len(corpus.train),
        valid_sentences=len(corpus.valid),
        valid_tokens=sum(map(len, corpus.valid)) - len(corpus.valid),
        uniform_nats=math.log(len(corpus.vocabulary)),
        unigram_nats=ngrams.mean_nats(
            ngrams.Unigram(corpus.train, len(corpus.vocabulary)), corpus.valid or corpus.train
        ),
        report=corpus.report.to_json(),
    )
    config = RunConfig(SCHEMA, clean_name(name or corpus.name), time.time(), model, training, text, facts)
    if folder.is_dir() and any(folder.iterdir()):
        if (folder / "config.json").exists():
            raise RunError(
                f"{folder} holds a run already; `resume {folder}` goes on with it, or choose another folder."
            )
        raise RunError(f"{folder} is not empty; choose a new folder for the run.")
    try:
        folder.absolute().parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=".new-run-", dir=folder.absolute().parent))
        try:
            staging.chmod(0o777 & ~_umask())
            write_config(staging, config)
            files.atomic_write(staging / "vocabulary.json", [_to_bytes(corpus.vocabulary.to_json())])
            arrays = {**_flattened("train", corpus.train), **_flattened("valid", corpus.valid)}
            tensors.write_tensors(staging / "corpus.safetensors", arrays, {"schema": str(SCHEMA)})
            if weights is not None:
                _write_first_checkpoint(staging, config, weights)
            (staging / "lock").touch()
            with contextlib.closing(connect(staging, "rwc")) as database:
                create_tables(database)
            os.replace(staging, folder)
            files.fsync_folder(folder.absolute().parent)
        except BaseException:
            shutil.rmtree(staging, ignore_errors=True)
            raise
    except OSError as error:
        raise disk_error(error, folder) from error
    return Run(folder, config)


def _write_first_checkpoint(folder: Path, config: RunConfig, weights: dict[str, NDArray[Any]]) -> None:
    params = {name: value.astype(np.float32) for name, value in weights.items()}
    plan = Plan.of(config.training, config.corpus.train_sentences, config.corpus.train_tokens)
    state = TrainingState.fresh(LanguageModel(config.model, params=params), config.training, plan)
    checkpoints.save(folder, 0, checkpoint_arrays(params, state), checkpoint_state(state, last_event=0), None)


def rename_run(folder: str | Path, name: str) -> None:
    """Give a run another name; its id, and links to it, stay."""
    run = Run.open(folder)
    try:
        write_config(run.folder, dataclasses.replace(run.config, name=clean_name(name)))
    except OSError as error:
        raise disk_error(error, run.folder) from error


def lengthen_run(folder: str | Path, training: TrainingSettings) -> Run:
    """Give a run that nobody trains these settings, which have a later end; whoever resumes it trains until then."""
    run = Run.open(folder)
    check_together(run.config.model, training)
    with locked(run.folder):
        longer = dataclasses.replace(run.config, training=training)
        try:
            write_config(run.folder, longer)
        except OSError as error:
            raise disk_error(error, run.folder) from error
    return Run(run.folder, longer)


def delete_run(folder: str | Path) -> None:
    """Delete a run's own files, and its folder if nothing else is in it. Raises RunError while a worker is at work."""
    folder = Path(folder)
    if folder.is_symlink() or not (folder / "config.json").exists():
        raise RunError("there is no such run; it may have been deleted already.")
    with locked(folder):
        try:
            # First what makes it a run: whatever happens next, nobody sees half of one.
            for path in [folder / "config.json", *folder.iterdir()]:
                if OWN_FILES.fullmatch(path.name) and (path.is_file() or path.is_symlink()):
                    path.unlink(missing_ok=True)
            with contextlib.suppress(OSError):
                folder.rmdir()
        except OSError as error:
            raise disk_error(error, folder) from error


def zip_run(folder: str | Path, file: IO[bytes]) -> None:
    """Write a run as a zip archive into `file`, also while it trains: settings, words, weights and a whole history."""
    run = Run.open(folder)
    archive = zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1)
    with archive, tempfile.TemporaryDirectory() as temporary:
        for name in ("config.json", "vocabulary.json", "corpus.safetensors"):
            archive.write(run.folder / name, f"{run.id}/{name}")
        for path in checkpoints.candidates(run.folder)[:1]:
            archive.write(path, f"{run.id}/{checkpoints.NEWEST}", zipfile.ZIP_STORED)
        copy = Path(temporary) / "events.sqlite"
        with _reading(run.folder) as database, contextlib.closing(sqlite3.connect(copy)) as target:
            database.backup(target)
            if target.execute("SELECT state FROM status").fetchone()[0] in ("running", "paused"):
                target.execute("UPDATE status SET state = 'stopped', message = 'copied while it was being trained.'")
                target.commit()
        archive.write(copy, f"{run.id}/events.sqlite")


# --- files ------------------------------------------------------------------------------------------------------------

Migration = Callable[[dict[str, Any]], dict[str, Any]]

# From a schema to the next: {1: from_1_to_2, ...}. New settings with a default need none: what is missing takes it.
MIGRATIONS: dict[int, Migration] = {}

JSON_LIMIT_BYTES = 256 * 1024 * 1024


def write_config(folder: Path, config: RunConfig) -> None:
    """Write config.json, whole or not at all. Raises OSError."""
    values = {
        "schema": config.schema,
        "name": config.name,
        "created": config.created,
        "model": config.model.to_json(),
        "training": config.training.to_json(),
        "text": config.text.to_json(),
        "corpus": dataclasses.asdict(config.corpus),
    }
    files.atomic_write(folder / "config.json", [_to_bytes(values)])


def migrated(values: Any) -> dict[str, Any]:
    """config.json of any schema so far, as one of today's. Raises RunError for one of tomorrow's."""
    schema = values.get("schema") if isinstance(values, dict) else None
    if type(schema) is not int or schema < 1:
        raise RunError("config.json is damaged: it does not say which schema it has.")
    if schema > SCHEMA:
        raise RunError("this run was made by a newer version of this program; update it to open the run.")
    for older in range(schema, SCHEMA):
        values = {**MIGRATIONS[older](values), "schema": older + 1}
    return values


def _config_from_json(values: Any) -> RunConfig:
    values = migrated(values)
    try:
        facts = values["corpus"]
        known = {entry.name for entry in dataclasses.fields(CorpusFacts)}
        if not isinstance(facts, dict) or not facts.keys() <= known:
            raise RunError("config.json is damaged: its facts about the corpus make no sense.")
        config = RunConfig(
            SCHEMA,
            clean_name(values["name"]),
            float(values["created"]),
            ModelConfig.from_json(values["model"]),
            TrainingSettings.from_json(values["training"]),
            TextSettings.from_json(values["text"]),
            CorpusFacts(**facts),
        )
        counts = [config.corpus.train_sentences, config.corpus.train_tokens]
        counts += [config.corpus.valid_sentences, config.corpus.valid_tokens]
        baselines = [config.corpus.uniform_nats, config.corpus.unigram_nats]
        if (
            not isinstance(config.corpus.name, str)
            or not all(type(count) is int and 0 <= count < 2**48 for count in counts)
            or not all(type(nats) in (int, float) and math.isfinite(nats) for nats in baselines)
            or not isinstance(config.corpus.report, dict)
        ):
            raise RunError("config.json is damaged: its facts about the corpus make no sense.")
    except (KeyError, TypeError, ValueError, AttributeError):
        raise RunError("config.json is damaged: something in it is missing or of the wrong kind.") from None
    except SettingsError as error:
        raise RunError(f"config.json is damaged: {error}") from None
    return config


def clean_name(name: str) -> str:
    """A name fit for one line: no control characters, at most 120 characters."""
    name = "".join(character if character.isprintable() else " " for character in name)
    return " ".join(name.split())[:120] or "unnamed"


def _read_json(path: Path) -> Any:
    try:
        with path.open("rb") as file:
            data = file.read(JSON_LIMIT_BYTES + 1)
        if len(data) > JSON_LIMIT_BYTES:
            raise RunError(f"{path.name} is larger than {JSON_LIMIT_BYTES} bytes; it is none of ours.")
        return parse_json(data)
    except OSError as error:
        raise RunError(f"{path} cannot be read: {error.strerror}.") from None
    except ValueError as error:
        raise RunError(f"{path} is damaged: {error}.") from None


def _to_bytes(values: Any) -> bytes:
    return (json.dumps(values, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode("utf-8")


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _flattened(part: str, sentences: Sequence[NDArray[Any]]) -> dict[str, NDArray[Any]]:
    ids = np.concatenate(sentences) if sentences else np.zeros(0, np.int32)
    offsets = np.cumsum([0, *map(len, sentences)])
    return {f"{part}_ids": ids.astype("<i4"), f"{part}_offsets": offsets.astype("<i8")}


def _corpus_specs(facts: CorpusFacts) -> dict[str, Spec]:
    specs = {}
    for part, sentences, tokens in (
        ("train", facts.train_sentences, facts.train_tokens),
        ("valid", facts.valid_sentences, facts.valid_tokens),
    ):
        specs[f"{part}_ids"] = Spec(np.dtype("<i4"), (tokens + sentences,))
        specs[f"{part}_offsets"] = Spec(np.dtype("<i8"), (sentences + 1,))
    return specs


def _sentences(ids: NDArray[Any], offsets: NDArray[Any], vocabulary_size: int) -> list[NDArray[Any]]:
    whole = offsets[0] == 0 and offsets[-1] == len(ids) and (np.diff(offsets) >= 2).all()
    if not whole or (len(ids) and not (ids.min() >= 0 and ids.max() < vocabulary_size)):
        raise RunError("corpus.safetensors is damaged: its sentences make no sense.")
    return [ids[start:stop] for start, stop in zip(offsets[:-1], offsets[1:], strict=True)]


def checkpoint_specs(config: RunConfig) -> Specs:
    """Every array that a checkpoint of this run must hold, with type and shape."""
    plan = Plan.of(config.training, config.corpus.train_sentences, config.corpus.train_tokens)
    specs = parameter_specs(config.model)
    for name, (kind, shape) in state_arrays(config.model, config.training, plan).items():
        specs[name] = Spec(np.dtype(kind), shape)
    return specs


def parameter_specs(model: ModelConfig) -> dict[str, Spec]:
    """The weights among them."""
    return {f"model/{name}": Spec(np.dtype("<f4"), shape) for name, shape in parameter_shapes(model).items()}


def named_parameters(params: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """The network's parameters under the names that files have for them; the way back is `parameters_of`."""
    return {f"model/{name}": value for name, value in params.items()}


def checkpoint_arrays(params: Mapping[str, NDArray[Any]], state: TrainingState) -> dict[str, NDArray[Any]]:
    """The arrays of a checkpoint, as `checkpoint_specs` lists them."""
    return named_parameters(params) | state.arrays()


def checkpoint_state(state: TrainingState, last_event: int) -> dict[str, Any]:
    """The counters of a checkpoint; the last event that happened before it; the threads whose bits it has."""
    return {"training": state.to_json(), "history": {"event_id": last_event}, "threads": thread_count()}


def parameters_of(arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """The network's parameters among a checkpoint's arrays."""
    return {name.removeprefix("model/"): value for name, value in arrays.items() if name.startswith("model/")}


def disk_error(error: OSError, folder: Path) -> RunError:
    """What the operating system says, in words that say what to do."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return RunError(f"the disk is full; free some space, then go on with `resume {folder}`.")
    if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        return RunError(f"{folder} cannot be written ({error.strerror}); make it writable, then `resume {folder}`.")
    return RunError(f"{error.filename or folder}: {error.strerror or error}.")


# --- the database -----------------------------------------------------------------------------------------------------


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
def _reading(folder: Path) -> Iterator[sqlite3.Connection]:
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
def _writing(folder: Path) -> Iterator[sqlite3.Connection]:
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


# --- the lock ---------------------------------------------------------------------------------------------------------


def worker_alive(folder: Path) -> bool:
    """Whether a process holds the run's lock. Exact at once after a kill: the kernel frees a dead process's locks."""
    try:
        descriptor = os.open(folder / "lock", os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return False


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a run's lock. Raises RunError where another process has it."""
    try:
        descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
    except OSError as error:
        raise disk_error(error, folder) from error
    try:
        for attempt in range(40):
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            # Whoever asks `worker_alive` holds it for microseconds; a worker, for as long as it lives.
            time.sleep(0.005 * (attempt > 0))
        else:
            raise RunError("a training is at work on this run already; watch it, or stop it first.")
        yield
    finally:
        os.close(descriptor)
