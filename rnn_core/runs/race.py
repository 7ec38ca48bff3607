"""A race: one process trains up to four runs in turn, one step each, on the same batches.

Each run is an ordinary one, worked on by an ordinary `worker.Worker` under its own lock, so it ends with the bits it
would have had alone; and it can be paused, stopped, resumed, opened and compared like any other. What the race adds is
the common clock: nobody is ever more than a step ahead, and the horizon and the agreement are measured in all of them
after the same step.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from rnn_core.data import AgreementItem
from rnn_core.errors import SettingsError, UserError
from rnn_core.nn.language_model import LanguageModel
from rnn_core.runs import Run, locked
from rnn_core.runs.agreement import agreement_items_of, measured_agreement
from rnn_core.runs.layout import CORPUS_FILE, VOCABULARY_FILE
from rnn_core.runs.reading import read_bytes
from rnn_core.runs.stop_signals import StopSignals
from rnn_core.runs.worker import Limits, Outcome, Worker
from rnn_core.training import CorpusSource, Event, measured_horizon

MOST = 4
MEASURE_SECONDS = 0.8
MEASURE_SHARE = 0.15  # of the race's time at most; a large share, since the race is run for its pictures
MEASURE_PARTS = 25  # A race is measured at least so many times on its way, however short it is.
SHARED_SETTINGS = ("batch_size", "batching", "sequence_length", "seed", "epochs", "steps")
"""Settings in which runs must agree for each of their steps to see the same batch, up to the same end."""

CORPUS_FILES = (VOCABULARY_FILE, CORPUS_FILE)
CORPUS_LIMIT_BYTES = 4 * 2**30


def race(
    folders: Sequence[str | Path], *, limits: Limits | None = None, on_event: Callable[[int, Event], None] | None = None
) -> list[Outcome | UserError]:
    """Train these runs side by side, each from its newest checkpoint to its end -> how each ended.

    One that lags behind (it was stopped earlier than the others) catches up first; while one is paused, all wait. One
    that fails or diverges drops out, and the others go on. `on_event` also gets the run's place among `folders`.
    Raises SettingsError where the runs would not see the same batches, RunError where one of them is in use.
    """
    runs = [Run.open(folder) for folder in folders]
    check_alike(runs)
    with contextlib.ExitStack() as held:
        locked_since = [held.enter_context(locked(run.folder)) for run in runs]
        signals = held.enter_context(StopSignals())
        lanes = []
        for place, (run, since) in enumerate(zip(runs, locked_since, strict=True)):
            listener = None if on_event is None else _listener(on_event, place)
            # Opened again, now that nobody else can write it.
            worker = Worker(Run.open(run.folder), signals, limits or Limits(), listener, since=since)
            lanes.append(_Lane(worker))
        return _Race(lanes).run()


def _listener(on_event: Callable[[int, Event], None], place: int) -> Callable[[Event], None]:
    return lambda event: on_event(place, event)


def check_alike(runs: Sequence[Run]) -> None:
    """Raises SettingsError where these runs cannot race, with the reason."""
    if not 1 <= len(runs) <= MOST:
        raise SettingsError(f"a race has from 1 to {MOST} networks, not {len(runs)}.")
    if len({run.folder.resolve() for run in runs}) < len(runs):
        raise SettingsError("a network cannot race against itself; name each run once.")
    first = runs[0]
    for run in runs[1:]:
        for setting in SHARED_SETTINGS:
            ours, theirs = (getattr(of.config.training, setting) for of in (first, run))
            if ours != theirs:
                raise SettingsError(
                    f"these trainings would not see the same batches: {setting} is {ours} in one and {theirs} in "
                    "another. Start them with the same settings of batches, length and seed."
                )
        if first.config.task != run.config.task:
            raise SettingsError("these trainings learn different things; only networks on the same task can race.")
        if first.config.task is not None:
            continue
        corpora = [[read_bytes(of.folder / name, CORPUS_LIMIT_BYTES) for name in CORPUS_FILES] for of in (first, run)]
        if corpora[0] != corpora[1]:
            raise SettingsError("these trainings learn different texts; only networks on the same corpus can race.")


class _Lane:
    """One run of the race."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.steps = worker.steps()
        self.started = False
        self.result: Outcome | UserError | None = None

    def advance(self, hold: bool = False) -> None:
        """Make one step; with `hold`, or while it is paused, only poll for requests."""
        try:
            self.steps.send(hold if self.started else None)
            self.started = True
        except StopIteration as last:
            self.result = last.value
        except UserError as error:
            self.result = error  # Its run says why it failed; the others have no part in it.

    @property
    def step(self) -> int:
        return self.worker.state.step


class _Race:
    """All runs of a race: a run that is ahead waits for those behind, and all are measured after the same step."""

    def __init__(self, lanes: list[_Lane]) -> None:
        self.lanes = lanes
        self.next_time = 0.0
        self.next_step = 0
        self.measured = -1

    def run(self) -> list[Outcome | UserError]:
        try:
            for lane in self.lanes:
                lane.advance()  # up to its first step
            self.items = self._items()
            while living := [lane for lane in self.lanes if lane.result is None]:
                self.round(living)
        except BaseException as error:
            for lane in self.lanes:
                if lane.started and lane.result is None:
                    with contextlib.suppress(BaseException):
                        lane.steps.throw(error)
            raise
        return [lane.result for lane in self.lanes if lane.result is not None]

    def round(self, living: list[_Lane]) -> None:
        behind, ahead = min(lane.step for lane in living), max(lane.step for lane in living)
        waiting = any(lane.worker.paused for lane in living)
        if behind == ahead and not waiting:
            self.measure(living)
        for lane in living:
            lane.advance(hold=lane.step > behind or (waiting and not lane.worker.paused))

    def measure(self, living: list[_Lane]) -> None:
        """Horizon and agreement of all, after the same step: before the first one, now and then, after the last."""
        started, step, total = time.monotonic(), living[0].step, living[0].worker.total_steps
        due = started >= self.next_time or step >= min(self.next_step, total)
        if step == self.measured or not due:
            return
        self.measured = step
        for lane in living:
            worker = lane.worker
            worker.writer.record(measured_horizon(worker.model, worker.source.probe(), step))
            if self.items and isinstance(worker.source, CorpusSource) and isinstance(worker.model, LanguageModel):
                worker.writer.record(measured_agreement(worker.model, worker.source.corpus, self.items, step))
        ended = time.monotonic()
        self.next_time = ended + max(MEASURE_SECONDS, (ended - started) / MEASURE_SHARE)
        self.next_step = step + math.ceil(total / MEASURE_PARTS)

    def _items(self) -> list[AgreementItem]:
        """Sentences to measure the agreement on; none where the corpus is no agreement corpus."""
        sources = [lane.worker.source for lane in self.lanes if lane.result is None]
        return agreement_items_of(sources[0].corpus) if sources and isinstance(sources[0], CorpusSource) else []
