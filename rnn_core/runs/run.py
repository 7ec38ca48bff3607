"""Opening a run: what it trains on, its weights, its history and status, and requests to its worker."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

import numpy as np

from rnn_core.arrays import Array
from rnn_core.config import TrainingSettings
from rnn_core.data import CorpusReport, PreparedCorpus, Vocabulary
from rnn_core.data.tasks import Task, make_task
from rnn_core.errors import RunError, SettingsError
from rnn_core.nn.language_model import LanguageModel
from rnn_core.nn.network import Network
from rnn_core.runs import checkpoints, database, events, layout, metrics, run_config, snapshots, status
from rnn_core.runs.checkpoints import Checkpoint
from rnn_core.runs.layout import CORPUS_FILE, VOCABULARY_FILE
from rnn_core.runs.lock import worker_alive
from rnn_core.runs.reading import read_json
from rnn_core.runs.run_config import RunConfig
from rnn_core.runs.status import RunStatus
from rnn_core.runs.tensors import read_tensors
from rnn_core.training import (
    STEERABLE,
    ClippingChanged,
    CorpusSource,
    Event,
    Source,
    TruncationChanged,
    check_change,
)

VOCABULARY_LIMIT_BYTES = 64 * 2**20

REQUESTS = ("pause", "resume", "step", "stop", *STEERABLE)


AnyNetwork = TypeVar("AnyNetwork", bound=Network)
AnyEvent = TypeVar("AnyEvent", bound=Event)


@dataclass(frozen=True)
class LoadedWeights(Generic[AnyNetwork]):
    """A network as it was after `step` training steps; `damaged`: what is wrong with newer checkpoints, if any."""

    model: AnyNetwork
    step: int
    damaged: tuple[str, ...] = ()

    @property
    def note(self) -> str:
        """A sentence for whoever looks at the network, where it is not the newest of its run; else ""."""
        if not self.damaged:
            return ""
        return f"This is an older state, of step {self.step:,}: what was stored later cannot be read. {self.damaged[0]}"


class Run:
    """A run, read from its folder by anyone but its worker. Cheap to open; holds no file open between calls.

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
            (folder / run_config.FILE).lstat()
        except (FileNotFoundError, NotADirectoryError):
            raise RunError(
                f"{folder} is not a run: it has no config.json. Begin one with `train CORPUS --run {folder}`."
            ) from None
        except OSError as error:
            raise RunError(f"{folder} cannot be read: {error.strerror}.") from None
        except ValueError:
            raise RunError("this is no path: it holds a character that no path can have.") from None
        return cls(folder, run_config.read_config(folder))

    def source(self) -> Source:
        """Where its batches come from: its text, or its task."""
        return self.config.task_source() or CorpusSource(self.corpus())

    def data(self) -> PreparedCorpus | Task:
        """What it is trained on."""
        return self.corpus() if self.config.task is None else make_task(self.config.task)

    def check_has_words(self) -> None:
        """Raises RunError for a run on a task: there are no words in it."""
        if self.config.task is not None:
            raise RunError(
                f"this run learns the task {make_task(self.config.task).label} and no text: it has no words. "
                "Choose a run on a text for this."
            )

    def vocabulary(self) -> Vocabulary:
        """The words, one for each row of the network's weights. RunError also for a run on a task, which has none."""
        self.check_has_words()
        vocabulary = Vocabulary.from_json(read_json(self.folder / VOCABULARY_FILE, VOCABULARY_LIMIT_BYTES))
        if len(vocabulary) != self.config.model.vocabulary_size:
            raise RunError(
                f"{VOCABULARY_FILE} has {len(vocabulary):,} words and the network "
                f"{self.config.model.vocabulary_size:,}: it is damaged, or of another run. Put the run's own back."
            )
        return vocabulary

    def corpus(self) -> PreparedCorpus:
        """The sentences as the network sees them. Needs neither the original text nor a tokenizer."""
        facts = self.config.corpus
        vocabulary = self.vocabulary()
        arrays, _ = read_tensors(self.folder / CORPUS_FILE, layout.corpus_specs(facts))
        train = layout.sentences_of(arrays["train_ids"], arrays["train_offsets"], len(vocabulary))
        valid = layout.sentences_of(arrays["valid_ids"], arrays["valid_offsets"], len(vocabulary))
        report = CorpusReport.from_json(facts.report)
        return PreparedCorpus(vocabulary=vocabulary, train=train, valid=valid, name=facts.name, report=report)

    def load_model(self, step: int | None = None) -> LanguageModel:
        """The network at its newest checkpoint, or at one of `moments()`. Raises RunError if there is none yet; warns
        where a newer checkpoint is damaged.
        """
        loaded = self.load_weights(step)
        if loaded.note:
            warnings.warn(loaded.note, RuntimeWarning, stacklevel=2)
        return loaded.model

    def load_weights(self, step: int | None = None) -> LoadedWeights[LanguageModel]:
        """As `load_model`, with the step that the weights are of, and whether newer ones are damaged: whoever shows
        what such a network does has to say so.
        """
        self.check_has_words()
        return self._load(LanguageModel, step)

    def load_network(self, step: int | None = None) -> LoadedWeights[Network]:
        """As `load_weights`, also for a run on a task, whose network is no language model."""
        if self.config.task is None:
            return self._load(LanguageModel, step)
        return self._load(Network, step)

    def _load(self, kind: type[AnyNetwork], step: int | None) -> LoadedWeights[AnyNetwork]:
        if step is not None and step in snapshots.steps(self.folder):
            arrays, words = snapshots.load(self.folder, step, layout.parameter_specs(self.config.model))
            self._check_words(words, f"the weights of step {step}")
            return LoadedWeights(kind(self.config.model, params=layout.parameters_of(arrays)), step)
        checkpoint = self.load_checkpoint(step)
        if checkpoint is None and self.config.monitored:
            raise RunError(
                "this run records a training of another program and has no weights; `import` the network that it saves."
            )
        if checkpoint is None:
            which = "no weights yet" if step is None else f"no weights of step {step}"
            raise RunError(f"this run has {which}; start its training, or wait for the first checkpoint.")
        model = kind(self.config.model, params=layout.parameters_of(checkpoint.arrays))
        return LoadedWeights(model, checkpoint.step, checkpoint.rejected)

    def load_checkpoint(self, step: int | None = None) -> Checkpoint | None:
        """The newest checkpoint that is whole, or the one of `step`; None where there is none. Raises RunError where
        none is whole, or where the vocabulary is not the one that it was trained with.
        """
        specs = layout.checkpoint_specs(self.config)
        if step is None:
            checkpoint = checkpoints.load_newest(self.folder, specs)
        else:
            paths = [path for path in checkpoints.candidates(self.folder) if checkpoints.step_of(path) == step]
            checkpoint = checkpoints.load(paths[0], specs) if paths else None
        if checkpoint is not None:
            self._check_words(checkpoint.state.get("vocabulary"), checkpoint.path.name)
        return checkpoint

    def check_checkpoint(self, path: Path) -> None:
        """Raises RunError unless this file is a whole checkpoint of this run."""
        checkpoint = checkpoints.load(path, layout.checkpoint_specs(self.config))
        self._check_words(checkpoint.state.get("vocabulary"), path.name)

    def _check_words(self, expected: object, weights: str) -> None:
        """Raises RunError where the vocabulary is not the one whose digest came with some weights. Checkpoints of
        before there was a digest have None; then the words' counts must be those of the corpus, as far as it is there.
        """
        if self.config.task is not None:
            if layout.task_digest(self.config.task) != expected:
                raise RunError(f"{weights} was trained on another task than config.json says. Put the run's own back.")
            return
        vocabulary = self.vocabulary()
        if expected is None:
            fits = self._counts_fit(vocabulary)
        else:
            fits = layout.vocabulary_digest(vocabulary) == expected
        if not fits:
            raise RunError(
                f"{VOCABULARY_FILE} is not the word list that {weights} was trained with, so weights would be taken "
                "for those of other words. Put the run's own back."
            )

    def _counts_fit(self, vocabulary: Vocabulary) -> bool:
        if not vocabulary.counts:
            return True
        try:
            train = self.corpus().train
        except RunError:
            return True  # a damaged corpus is reported where it is needed
        found = np.bincount(np.concatenate(train), minlength=len(vocabulary))
        return bool(np.array_equal(found, vocabulary.counts))

    def digest(self) -> str:
        """What its weights are about: a digest of the words, or of the task."""
        if self.config.task is not None:
            return layout.task_digest(self.config.task)
        return layout.vocabulary_digest(self.vocabulary())

    def checkpoint_steps(self) -> list[int]:
        """The steps whose weights are in the folder, ascending."""
        steps = {checkpoints.step_of(path) for path in checkpoints.candidates(self.folder)}
        return sorted(step for step in steps if step is not None)

    def moments(self) -> list[int]:
        """The steps whose weights can be looked at, ascending: checkpoints and the lighter snapshots."""
        return sorted({*self.checkpoint_steps(), *snapshots.steps(self.folder)})

    def metrics(self, after_step: int = 0, limit: int | None = None, stride: int = 1) -> dict[str, Array]:
        """One row for each training step above `after_step`, ascending, as arrays (rows,) under the names in METRICS.

        `stride=k` keeps the steps that k divides; `limit` the first so many rows.
        """
        return metrics.read(self.folder, after_step, limit, stride)

    def outline(self, points: int = 300) -> dict[str, Array]:
        """The metrics in at most `points` rows, each of about equally many steps: arrays (rows,) under step, tokens,
        loss_nats, gradient_norm, elapsed_seconds.

        step and elapsed_seconds are those of a row's last step, tokens all that were trained on until then, loss and
        norm means over the row. SQLite makes the rows: of 20,000 steps Python sees no more than these.
        """
        return metrics.outline(self.folder, points)

    def events(self, after_id: int = 0, kinds: Sequence[str] | None = None) -> list[dict[str, Any]]:
        """Events with an id above `after_id`, in order: dicts with id, step, time (unix seconds), kind, and the fields
        of the class that has this kind, of which `runs.events.RECORDED` lists all. None: of every kind.

        After a kill, events and metrics beyond the checkpoint are taken back; ids go on.
        """
        return [values for _, values in self._read_events(after_id, kinds)]

    def recorded(self, *classes: type[AnyEvent], after_id: int = 0) -> dict[int, AnyEvent]:
        """As `events`, by id, those of these classes as what they are. `Event`: all, also those of later versions."""
        kinds = [event.kind for event in events.RECORDED if issubclass(event, classes)]
        read = self._read_events(after_id, None if Event in classes else kinds)
        return {values["id"]: cast(AnyEvent, event) for event, values in read}

    def _read_events(self, after_id: int, kinds: Sequence[str] | None) -> list[tuple[Event, dict[str, Any]]]:
        query = "SELECT id, step, time, kind, payload FROM events WHERE id > ?"
        query += f" AND kind IN ({', '.join('?' * len(kinds))})" if kinds is not None else ""
        with database.reading(self.folder) as history:
            rows = history.execute(query + " ORDER BY id", (after_id, *(kinds or ()))).fetchall()
            return [events.decode(*row) for row in rows]

    def training_at(self, step: int) -> TrainingSettings:
        """The settings of the update number `step`, from 1: `config.training` with the clipping and truncation that it
        had been given by then.
        """
        settings = self.config.training
        for change in self.recorded(ClippingChanged, TruncationChanged).values():
            if change.step < step:
                settings = dataclasses.replace(settings, **{change.setting: change.new})
        return settings

    def status(self) -> RunStatus:
        """Where the run stands now."""
        return status.read(self.folder, self.config.monitored)

    def request(self, kind: str, **payload: Any) -> None:
        """Ask the worker for something; it answers within about 0.1 s, between two steps, and leaves an event.

        kind: pause | resume | step (one step, then pause) | stop, or a setting to be changed: learning_rate | clip |
        truncate, with the value under that name (`request("clip", clip=1.0)`); that is also kept for the next worker
        where none is at work. Raises RunError where there is and will be no worker, or a setting cannot have the value.
        """
        if kind not in REQUESTS:
            raise RunError(f"a run cannot be asked to {kind!r}; it can be asked to {', '.join(REQUESTS)}.")
        if self.config.monitored:
            raise RunError("this run records a training of another program, which takes no requests.")
        if kind in STEERABLE:
            if payload.keys() != {kind}:
                raise RunError(f"say what {kind} is to become, and nothing else.")
            try:
                check_change(self.config.model, self.config.training, kind, payload[kind])
            except SettingsError as error:
                raise RunError(str(error)) from None
        elif (state := self.status().state) not in ("created", "queued", "running", "paused"):
            raise RunError(f"no training is at work on this run (it is {state}); resume it first.")
        with database.writing(self.folder) as history:
            history.execute(
                "INSERT INTO requests (time, kind, payload) VALUES (?, ?, ?)", (time.time(), kind, json.dumps(payload))
            )

    def requested_settings(self) -> dict[str, Any]:
        """Changes of settings that were requested and that no worker has made yet: {setting: new value}."""
        query = f"SELECT kind, payload FROM requests WHERE done IS NULL AND kind IN ({', '.join('?' * len(STEERABLE))})"
        with database.reading(self.folder) as history:
            rows = history.execute(query + " ORDER BY id", [*STEERABLE]).fetchall()
        requested: dict[str, Any] = {}
        for kind, payload in rows:
            values = events.decode_request(payload)
            with contextlib.suppress(SettingsError):  # a stranger's request, which no worker will follow
                if kind in values:
                    check_change(self.config.model, self.config.training, kind, values[kind])
                    requested[kind] = values[kind]
        return requested

    def queue(self, message: str = "") -> None:
        """Say that a worker is about to be started, or waits for its turn; older requests to pause or stop are void.

        Raises RunError where one is at work.
        """
        if worker_alive(self.folder):
            raise RunError("a training is at work on this run already; watch it, or stop it first.")
        with database.writing(self.folder) as history:
            database.drop_old_requests(history, time.time())
            history.execute("UPDATE status SET state = 'queued', message = ?", (message,))

    def unqueue(self, message: str) -> None:
        """Say that it waits no longer, and why. A run that does not wait stays what it is."""
        with database.writing(self.folder) as history:
            history.execute("UPDATE status SET state = 'stopped', message = ? WHERE state = 'queued'", (message,))

    def fail(self, message: str) -> None:
        """Say that no worker could be started, and why. The run stays resumable."""
        if not worker_alive(self.folder):
            with database.writing(self.folder) as history:
                history.execute("UPDATE status SET state = 'failed', message = ?", (message,))

    def watch(self) -> None:
        """Tell the worker that somebody is looking; `Limits.unwatched_minutes` counts from here. Call it every few
        seconds.
        """
        with database.writing(self.folder) as history:
            history.execute("UPDATE status SET watched = ?", (time.time(),))
