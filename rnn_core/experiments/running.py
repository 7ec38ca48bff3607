"""Runs an experiment trial by trial; what has ended is stored, and is not repeated after a kill."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from rnn_core.errors import RunError, SettingsError
from rnn_core.experiments import dask_cluster
from rnn_core.experiments.base import Experiment
from rnn_core.experiments.results import FILE, Finished, Result, load
from rnn_core.threads import limited_threads, usable_cores

Progress = Callable[[Result], None]


def run(
    experiment: Experiment,
    seeds: int | None = None,
    texts: Sequence[Path] = (),
    folder: Path | None = None,
    progress: Progress | None = None,
    jobs: int | None = None,
    dask: str | None = None,
) -> Result:
    """Every setting with the seeds 0, 1, … (default: as many as it declares) -> the result.

    texts     the files that the experiment reads, where it reads some
    folder    where the result is stored after each trial; trials that it holds already are not repeated
    progress  called with the result before the first trial and after each
    jobs      processes, one thread each (default 1; the most: as many as there are cores)
    dask      the address of a Dask scheduler that is to do the work instead (needs `distributed`, and texts that its
              workers can read)

    Raises SettingsError, RunError for a folder with another experiment's result, and what a trial raises.
    """
    wanted = experiment.seeds if seeds is None else seeds
    if jobs is not None and jobs < 1:
        raise SettingsError("an experiment needs at least 1 process; leave the number of jobs out for one.")
    result = Result(experiment, wanted, ", ".join(path.name for path in texts))
    if folder is not None:
        before = load(experiment, folder / FILE)
        if before is not None and before.text == result.text and before.versions == result.versions:
            result.finished = [ended for ended in before.finished if ended.seed < wanted]
    if progress is not None:
        progress(result)
    todo = missing(result)
    if dask is not None:
        ended = _on_cluster(experiment, todo, texts, dask)
    elif jobs is not None and jobs > 1:
        ended = _on_cores(experiment, todo, texts, min(jobs, usable_cores()))
    else:
        ended = (_trial(experiment, setting, seed, texts) for setting, seed in todo)
    for trial in ended:
        result.finished.append(trial)
        if folder is not None:
            result.save(folder)
        if progress is not None:
            progress(result)
    return result


def missing(result: Result) -> list[tuple[str, int]]:
    """The (setting, seed) pairs still to do, seed by seed, so that every setting has a first number early."""
    done = {(ended.setting, ended.seed) for ended in result.finished}
    every = [(setting, seed) for seed in range(result.seeds) for setting in result.experiment.settings]
    return [point for point in every if point not in done]


def _trial(experiment: Experiment, setting: str, seed: int, texts: Sequence[Path]) -> Finished:
    # Processor time, because a busy machine makes the wall clock say more.
    started = time.process_time()
    with limited_threads(1):
        trial = experiment.trial(experiment.settings[setting], seed, texts)
    return Finished(setting, seed, time.process_time() - started, trial)


def _on_cores(
    experiment: Experiment, todo: list[tuple[str, int]], texts: Sequence[Path], jobs: int
) -> Iterator[Finished]:
    import joblib  # takes a while, and most experiments need one process

    pool = joblib.Parallel(jobs, backend="loky", return_as="generator_unordered", batch_size=1)
    yield from pool(joblib.delayed(_trial)(experiment, setting, seed, texts) for setting, seed in todo)


def _on_cluster(
    experiment: Experiment, todo: list[tuple[str, int]], texts: Sequence[Path], address: str
) -> Iterator[Finished]:
    distributed = dask_cluster.distributed_for("an experiment")
    with dask_cluster.connected(distributed, address) as client:
        # Not "pure", so that Dask does not answer with what an older version of the program computed.
        futures = [client.submit(_trial, experiment, setting, seed, texts, pure=False) for setting, seed in todo]
        try:
            for future in distributed.as_completed(futures):
                yield future.result()
                future.release()  # else Dask computes it again where the worker that holds it dies
        except (distributed.CancelledError, distributed.KilledWorker):
            raise RunError(
                f"the Dask cluster at {address} has lost this experiment; is its scheduler still running, and is there "
                "memory enough for its workers? With --dir, what is done is kept, and the same command goes on."
            ) from None
