"""Runs an experiment trial by trial; what has ended is stored, and is not repeated after a kill."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from rnn_core.experiments.base import Experiment
from rnn_core.experiments.results import FILE, Finished, Result, load

Progress = Callable[[Result], None]


def run(
    experiment: Experiment,
    seeds: int | None = None,
    texts: Sequence[Path] = (),
    folder: Path | None = None,
    progress: Progress | None = None,
) -> Result:
    """Every setting with the seeds 0, 1, … (default: as many as it declares) -> the result.

    texts     the files that the experiment reads, where it reads some
    folder    where the result is stored after each trial; trials that it holds already are not repeated
    progress  hears of the result before the first trial and after each

    Raises RunError for a folder with another experiment's result, and what a trial raises.
    """
    wanted = experiment.seeds if seeds is None else seeds
    result = Result(experiment, wanted, ", ".join(path.name for path in texts))
    if folder is not None:
        before = load(experiment, folder / FILE)
        if before is not None and before.text == result.text and before.versions == result.versions:
            result.finished = [ended for ended in before.finished if ended.seed < wanted]
    if progress is not None:
        progress(result)
    for setting, seed in missing(result):
        started = time.process_time()
        trial = experiment.trial(experiment.settings[setting], seed, texts)
        result.finished.append(Finished(setting, seed, time.process_time() - started, trial))
        if folder is not None:
            result.save(folder)
        if progress is not None:
            progress(result)
    return result


def missing(result: Result) -> Iterator[tuple[str, int]]:
    """The (setting, seed) that are still to do, seed by seed: so the first ones say something of all settings."""
    done = {(ended.setting, ended.seed) for ended in result.finished}
    for seed in range(result.seeds):
        for setting in result.experiment.settings:
            if (setting, seed) not in done:
                yield setting, seed
