"""A run is a folder: settings, vocabulary, corpus, weights and history of one training.

    runs/<id>/  config.json         schema, name, settings, facts about the corpus
                vocabulary.json     the words, in the order of their ids
                corpus.safetensors  train_ids, train_offsets, valid_ids, valid_offsets
                model.safetensors   the newest checkpoint; model-<step>.safetensors are the two before it
                events.sqlite       metrics, events, requests, status (WAL: one writer, many readers)
                lock                flock'ed by the one worker that may write

Training is a process of its own (`work`, behind `python -m rnn_core resume DIR`). Everybody else opens the folder as a `Run`,
reads what is new, and leaves requests. So whoever looks can come, go, and crash without touching the training.

A worker that dies leaves its lock free: that, and not a silent heartbeat, is what `RunStatus.state == "dead"` means.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import math
import os
import re
import secrets
import shutil
import sqlite3
import stat
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
from numpy.typing import NDArray

from rnn_core import checkpoints
from rnn_core.errors import RunError, UserError
from rnn_core.model import LanguageModel, ModelConfig
from rnn_core.text import PreparedCorpus, TextSettings, Vocabulary
from rnn_core.training import TrainingSettings

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


# --- what a run says about itself -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class CorpusFacts:
    """What config.json knows of the corpus. Tokens are predicted tokens: a sentence of n words has n + 1, with `</s>`."""

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


@dataclass(frozen=True)
class Outcome:
    """What `work` reports when it ends; the JSON of `train` and `resume`."""

    state: State  # finished | stopped | diverged
    run: str
    step: int
    epoch: int  # epochs completed
    train_loss_nats: float | None
    valid_loss_nats: float | None
    valid_perplexity: float | None
    tokens_per_second: float | None
    parameters: int
    message: str = ""
    signal: int | None = None  # the signal that stopped it, if one did


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
        if not (folder / "config.json").is_file():
            raise RunError(f"{folder} is not a run: it has no config.json. Begin one with `train CORPUS --run {folder}`.")
        return cls(folder, _config_from_json(_read_json(folder / "config.json")))

    def vocabulary(self) -> Vocabulary:
        return Vocabulary.from_json(_read_json(self.folder / "vocabulary.json"))

    def corpus(self) -> PreparedCorpus:
        """The sentences as the network sees them. Needs neither the original text nor a tokenizer."""
        facts = self.config.corpus
        vocabulary = self.vocabulary()
        arrays, _ = checkpoints.read_tensors(self.folder / "corpus.safetensors", _corpus_specs(facts))
        train = _sentences(arrays["train_ids"], arrays["train_offsets"], len(vocabulary))
        valid = _sentences(arrays["valid_ids"], arrays["valid_offsets"], len(vocabulary))
        report = CorpusReport.from_json(facts.report)
        return PreparedCorpus(vocabulary=vocabulary, train=train, valid=valid, name=facts.name, report=report)

    def load_model(self, step: int | None = None) -> LanguageModel:
        """The network at its newest checkpoint, or at one of `checkpoint_steps()`. Raises RunError if there is none yet."""
        return self.load_model_and_step(step)[0]

    def load_model_and_step(self, step: int | None = None) -> tuple[LanguageModel, int]:
        """As `load_model`, and the step that the weights are of."""
        specs = checkpoint_specs(self.config.model, self.config.training, self.folder)
        if step is None:
            checkpoint = checkpoints.load_newest(self.folder, specs)
        else:
            paths = [path for path in checkpoints.candidates(self.folder) if checkpoints.step_of(path) == step]
            checkpoint = checkpoints.load(paths[0], specs) if paths else None
        if checkpoint is None:
            which = "no weights yet" if step is None else f"no weights of step {step}"
            raise RunError(f"this run has {which}; start its training, or wait for the first checkpoint.")
        params = parameters_of(checkpoint.arrays)
        return LanguageModel(self.config.model, params=params), checkpoint.step

    def checkpoint_steps(self) -> list[int]:
        """The steps whose weights are in the folder, ascending."""
        steps = {checkpoints.step_of(path) for path in checkpoints.candidates(self.folder)}
        return sorted(step for step in steps if step is not None)

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
        """Events with an id above `after_id`, in order: dicts with id, step, time (unix seconds), kind, and the payload's keys.

        Kinds from the training: validated, epoch_done, learning_rate_changed, sampled, horizon_measured, diverged,
        finished (keys: the fields of the class of that name in `training`). From the worker: started, paused, resumed,
        stopped, checkpoint_rejected. After a kill, events and metrics beyond the checkpoint are taken back; ids go on.
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
        return RunStatus(
            heartbeat_age_seconds=None if heartbeat is None else max(0.0, time.time() - heartbeat), **row
        )

    def _status_row(self) -> dict[str, Any]:
        with _reading(self.folder) as database:
            row = database.execute(f"SELECT {', '.join(STATUS_COLUMNS)} FROM status").fetchone()
        if row is None:
            raise RunError(f"{self.folder / 'events.sqlite'} has lost its status; delete the file to go on without history.")
        return dict(zip(STATUS_COLUMNS, row, strict=True))

    def request(self, kind: str, **payload: Any) -> None:
        """Ask the worker for something; it answers within about 0.1 s, between two steps, and leaves an event.

        kind: pause | resume | step (one step, then pause) | stop | learning_rate (learning_rate=X; also kept for the next
        worker where none is at work). Raises RunError where nobody is, or will be, there to hear it.
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
            _drop_old_requests(database)
            database.execute("UPDATE status SET state = 'queued', message = ?", (message,))

    def fail(self, message: str) -> None:
        """Say that no worker could be started, and why. The run stays resumable."""
        if not worker_alive(self.folder):
            with _writing(self.folder) as database:
                database.execute("UPDATE status SET state = 'failed', message = ?", (message,))

    def watch(self) -> None:
        """Tell the worker that somebody is looking; `Limits.unwatched_minutes` counts from here. Call it every few seconds."""
        with _writing(self.folder) as database:
            database.execute("UPDATE status SET watched = ?", (time.time(),))


def list_runs(root: str | Path) -> list[RunSummary]:
    """Every run in a folder of runs, the newest first. One that is damaged is listed with its error, not left out."""
    summaries = []
    root = Path(root)
    for folder in root.iterdir() if root.is_dir() else ():
        if not RUN_ID.fullmatch(folder.name) or folder.is_symlink() or not (folder / "config.json").exists():
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
) -> Run:
    """Make a run's folder; it appears whole or not at all. Training begins with `work`.

    Raises SettingsError for settings that make no sense, RunError where the folder is in use or cannot be written.
    """
    folder = Path(folder)
    model.validate()
    training.validate()
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
        unigram_nats=unigram_nats(corpus),
        report=corpus.report.to_json(),
    )
    config = RunConfig(SCHEMA, clean_name(name or corpus.name), time.time(), model, training, text, facts)
    if folder.is_dir() and any(folder.iterdir()):
        if (folder / "config.json").exists():
            raise RunError(f"{folder} holds a run already; `resume {folder}` goes on with it, or choose another folder.")
        raise RunError(f"{folder} is not empty; choose a new folder for the run.")
    try:
        folder.absolute().parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=".new-run-", dir=folder.absolute().parent))
        try:
            staging.chmod(0o777 & ~_umask())
            write_config(staging, config)
            checkpoints.write_whole(staging / "vocabulary.json", _to_bytes(corpus.vocabulary.to_json()))
            arrays = {**_flattened("train", corpus.train), **_flattened("valid", corpus.valid)}
            checkpoints.write_tensors(staging / "corpus.safetensors", arrays, {"schema": str(SCHEMA)})
            (staging / "lock").touch()
            with contextlib.closing(_connect(staging, "rwc")) as database:
                _create_tables(database)
            os.replace(staging, folder)
            checkpoints.sync_folder(folder.absolute().parent)
        except BaseException:
            shutil.rmtree(staging, ignore_errors=True)
            raise
    except OSError as error:
        raise disk_error(error, folder) from error
    return Run(folder, config)


def rename_run(folder: str | Path, name: str) -> None:
    """Give a run another name; its id, and links to it, stay."""
    run = Run.open(folder)
    try:
        write_config(run.folder, dataclasses.replace(run.config, name=clean_name(name)))
    except OSError as error:
        raise disk_error(error, run.folder) from error


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
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive, tempfile.TemporaryDirectory() as temporary:
        for name in ("config.json", "vocabulary.json", "corpus.safetensors"):
            archive.write(run.folder / name, f"{run.id}/{name}")
        for path in checkpoints.candidates(run.folder)[:1]:
            archive.write(path, f"{run.id}/{checkpoints.NEWEST}", zipfile.ZIP_STORED)
        copy = Path(temporary) / "events.sqlite"
        with _reading(run.folder) as database, contextlib.closing(sqlite3.connect(copy)) as target:
            database.backup(target)
        archive.write(copy, f"{run.id}/events.sqlite")
