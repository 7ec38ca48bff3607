"""Trains a sweep's points: on this machine's cores by joblib, or on a Dask cluster.

On one machine each point is trained by one of joblib's processes, in its own folder; for a cluster see
`sweep_on_cluster`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import signal
import threading
from collections.abc import Callable
from pathlib import Path

from rnn_core.config import ModelConfig, TaskSettings, TextSettings, TrainingSettings
from rnn_core.data import PreparedCorpus
from rnn_core.errors import RunError, UserError
from rnn_core.experiments.grid import Grid
from rnn_core.experiments.points import ENDED, Point, PointResult
from rnn_core.experiments.sweep import STOP, Sweep
from rnn_core.experiments.sweep_on_cluster import OnCluster
from rnn_core.runs import Run, locked, worker_alive
from rnn_core.runs.paths import is_run
from rnn_core.runs.stop_signals import StopSignals
from rnn_core.runs.worker import work
from rnn_core.threads import limited_threads, usable_cores

WATCH_SECONDS = 1.0
MOST_BROKEN_POOLS = 3
"""How often in a row the pool may break (the system killed a process, perhaps for its memory) and be made anew."""

Progress = Callable[[list[PointResult]], None]


def sweep(
    data: PreparedCorpus | TaskSettings,
    folder: str | Path,
    grid: Grid,
    *,
    seeds: int = 1,
    model: ModelConfig | None = None,
    training: TrainingSettings | None = None,
    text: TextSettings | None = None,
    jobs: int | None = None,
    dask: str | None = None,
    progress: Progress | None = None,
) -> list[PointResult]:
    """Train a network for every combination of the settings in `grid` and every seed 0 .. seeds - 1; what `folder` has
    already is not done again -> how each point ended. A point that fails is reported there, and the others go on.

    data, text   a corpus, with the settings that made it; or a task
    grid         {name of a setting: values}, {"hidden_size": [50, 100]}
    model, training  all other settings
    jobs         processes, one thread each (default, and the most: as many as there are cores)
    dask         the address of a Dask scheduler that is to do the work instead (needs `distributed`)
    progress     called about once a second with how all points stand

    SIGINT and SIGTERM stop it, with a checkpoint of every point at work; calling it again goes on. Raises SettingsError
    and RunError before anything begins, RunError also where processes are killed again and again.
    """
    task = data if isinstance(data, TaskSettings) else None
    corpus = None if isinstance(data, TaskSettings) else data
    model = model or ModelConfig()
    if corpus is not None:
        model = dataclasses.replace(model, vocabulary_size=len(corpus.vocabulary))
    digest = "" if corpus is None else corpus_digest(corpus)
    of_text = text or TextSettings()
    plan = Sweep(grid, seeds, model, training or TrainingSettings(), task, of_text, digest)
    plan.check(corpus)
    backend = OnCluster(dask) if dask is not None else _OnCores(jobs)
    folder = Path(folder).absolute()
    plan.write(folder)
    return _train_points(plan, folder, corpus, backend, progress)


def go_on(folder: str | Path, jobs: int | None = None, progress: Progress | None = None) -> list[PointResult]:
    """Go on with the sweep in this folder, on this machine; as `sweep`. A corpus is taken from its runs."""
    folder = Path(folder).absolute()
    plan = Sweep.read(folder)
    corpus = _corpus_of(plan, folder) if plan.task is None else None
    return _train_points(plan, folder, corpus, _OnCores(jobs), progress)


def _corpus_of(plan: Sweep, folder: Path) -> PreparedCorpus:
    """The text of a sweep, from the first of its runs that has it. Raises RunError."""
    for point in plan.points:
        with contextlib.suppress(UserError):
            corpus = plan.open_run(plan.run_folder(folder, point), point).corpus()
            if corpus_digest(corpus) == plan.corpus:
                return corpus
    raise RunError(f"no run of the sweep in {folder} has its text; repeat the command that it was begun by.")


def _train_points(
    plan: Sweep, folder: Path, corpus: PreparedCorpus | None, backend: _OnCores | OnCluster, progress: Progress | None
) -> list[PointResult]:
    with locked(folder), StopSignals() as signals:
        (folder / STOP).unlink(missing_ok=True)
        with _Watch(plan, folder, signals, progress):
            failures = backend(plan, folder, corpus, signals)
    return [
        dataclasses.replace(result, state="failed", message=failures[result.point.name])
        if result.point.name in failures and result.state not in ENDED
        else result
        for result in plan.results(folder)
    ]


class _Watch:
    """A thread that reads how the points stand about once a second, reports it to `progress`, and passes on a request
    or a signal to stop to every worker.
    """

    def __init__(self, plan: Sweep, folder: Path, signals: StopSignals, progress: Progress | None) -> None:
        self.plan, self.folder, self.signals, self.progress = plan, folder, signals, progress
        self.ended: dict[str, PointResult] = {}
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._watch, name="sweep", daemon=True)

    def __enter__(self) -> None:
        self.thread.start()

    def __exit__(self, *exception: object) -> None:
        self.over.set()
        self.thread.join()
        self._report()

    def _watch(self) -> None:
        while not self.over.wait(WATCH_SECONDS):
            self._report()
            if (self.folder / STOP).exists():
                self.signals.received = self.signals.received or signal.SIGTERM
            if self.signals.received is not None:
                self._stop()

    def _report(self) -> None:
        if self.progress is not None:
            self.progress([self._result(point) for point in self.plan.points])

    def _result(self, point: Point) -> PointResult:
        """How a point stands. One that has ended is not read again: 60 folders each second would slow the training."""
        result = self.ended.get(point.name) or self.plan.result(self.folder, point)
        if result.state in ENDED:
            self.ended[point.name] = result
        return result

    def _stop(self) -> None:
        for point in self.plan.points:
            run_folder = self.plan.run_folder(self.folder, point)
            if is_run(run_folder) and worker_alive(run_folder):
                try:
                    Run.open(run_folder).request("stop")
                except UserError:
                    continue  # It ended a moment ago.


class _OnCores:
    """Points side by side on this machine."""

    def __init__(self, jobs: int | None) -> None:
        if jobs is not None and jobs < 1:
            raise RunError("a sweep needs at least 1 process; leave --jobs out for as many as there are cores.")
        self.jobs = min(jobs or usable_cores(), usable_cores())

    def __call__(
        self, plan: Sweep, folder: Path, corpus: PreparedCorpus | None, signals: StopSignals
    ) -> dict[str, str]:
        """Train every point that has not ended -> by their names, why points failed."""
        import joblib  # takes a while, which every command would wait for
        from joblib.externals.loky.process_executor import BrokenProcessPool

        failures: dict[str, str] = {}
        broken_pools = 0
        while left := [point for point in plan.unfinished(folder) if point.name not in failures]:
            # No more points than processes are dispatched at a time: joblib cannot take back what it has dispatched.
            pool = joblib.Parallel(
                self.jobs, backend="loky", return_as="generator_unordered", pre_dispatch=self.jobs, batch_size=1
            )
            calls = (
                joblib.delayed(_train)(point.name, str(plan.run_folder(folder, point)))
                for point in left
                if signals.received is None and _created(plan, folder, point, corpus, failures)
            )
            try:
                for name, failure, received in pool(calls):
                    broken_pools = 0
                    # With one job joblib trains in this process, and the training is what catches the signal.
                    signals.received = signals.received or received
                    if failure:
                        failures[name] = failure
                return failures
            except BrokenProcessPool:
                broken_pools += 1
                if broken_pools > MOST_BROKEN_POOLS:
                    raise RunError(
                        "the processes of this sweep are killed again and again; perhaps memory is short: try fewer "
                        "--jobs. What is done is kept, and the same command goes on."
                    ) from None
        return failures


def _created(plan: Sweep, folder: Path, point: Point, corpus: PreparedCorpus | None, failures: dict[str, str]) -> bool:
    """Whether the point's run is there, or could be made; else the reason is put into `failures`."""
    try:
        run_folder = plan.run_folder(folder, point)
        if is_run(run_folder):
            plan.open_run(run_folder, point)
        else:
            plan.create_run(run_folder, point, corpus)
        return True
    except UserError as error:
        failures[point.name] = str(error)
        return False


def _train(name: str, folder: str) -> tuple[str, str, int | None]:
    """Train a point's run, with one thread -> its name, why it failed or "", and the signal that stopped it."""
    try:
        with limited_threads(1):
            return name, "", work(folder).signal
    except Exception as error:  # Any error ends this point alone.
        return name, str(error) or type(error).__name__, None


def corpus_digest(corpus: PreparedCorpus) -> str:
    """SHA-256 of the words and sentences."""
    found = hashlib.sha256("\n".join(corpus.vocabulary.words).encode("utf-8", "surrogatepass"))
    for sentence in (*corpus.train, None, *corpus.valid):
        found.update(b"|" if sentence is None else sentence.tobytes())
    return found.hexdigest()
