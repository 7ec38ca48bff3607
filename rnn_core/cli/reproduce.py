"""`reproduce`: an experiment of the literature, ours beside the published."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tqdm import tqdm

from rnn_core.cli.corpus import check_no_device
from rnn_core.cli.hosting import lower_priority
from rnn_core.cli.output import finite, print_status, program, refresh_seconds, show
from rnn_core.cli.parser import Commands
from rnn_core.cli.progress import Progress
from rnn_core.errors import RunError, SettingsError
from rnn_core.experiments.base import Experiment
from rnn_core.experiments.catalogue import EXPERIMENTS
from rnn_core.experiments.results import FILE, PID, VERDICTS, Result, shipped
from rnn_core.experiments.running import run
from rnn_core.runs import check_output_folder, locked
from rnn_core.runs.files import atomic_write


def add(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add("reproduce", reproduce_command, "repeat an experiment of the literature, with every seed")
    parser.add_argument("name", metavar="NAME", help="an experiment; `list` names them")
    parser.add_argument("--seeds", type=int, metavar="N", help="(as many as the experiment declares)")
    parser.add_argument("--corpus", metavar="FILE", nargs="+", default=(), help="for an experiment that reads texts")
    parser.add_argument("--dir", metavar="DIR", help="where the result is kept; what is there is not repeated")
    place = parser.add_mutually_exclusive_group()
    place.add_argument("--jobs", type=int, metavar="N", help="processes (1; at most as many as there are cores)")
    place.add_argument("--dask", metavar="ADDRESS", help="a Dask scheduler whose workers are to do the work")
    parser.add_argument("--max-minutes", type=float, help=argparse.SUPPRESS)
    parser.add_argument("--nice", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--quiet", action="store_true", help="no progress")


def reproduce_command(options: argparse.Namespace) -> int:
    """Run an experiment, or list all of them."""
    if options.name == "list":
        return _list(options)
    experiment = EXPERIMENTS.get(options.name)
    if experiment is None:
        raise SettingsError(f"there is no experiment {options.name!r}; there are {', '.join(EXPERIMENTS)}.")
    if options.seeds is not None and not 1 <= options.seeds <= 10_000:
        raise SettingsError("an experiment is run with 1 to 10,000 seeds.")
    if options.corpus and not experiment.reads:
        raise SettingsError(f"the experiment {experiment.name} reads no texts; leave --corpus out.")
    lower_priority(options)
    if options.max_minutes is not None:
        # SIGALRM ends the process when the time is over; what has been done by then is stored.
        signal.setitimer(signal.ITIMER_REAL, 60 * options.max_minutes)
    for name in options.corpus:
        check_no_device(name)
    texts = [Path(name) for name in options.corpus]
    with _folder(options.dir) as folder, TrialsProgress(options.quiet) as bar:
        result = run(experiment, options.seeds, texts, folder, bar, options.jobs, options.dask)
    show(options, result_json(result), _lines(result))
    return 0


def result_json(result: Result) -> dict[str, Any]:
    """What --json prints of a result."""
    return {
        "name": result.experiment.name,
        "claim": result.experiment.claim,
        "source": result.experiment.source,
        "rows": [
            {
                "setting": row.setting,
                "seeds": row.seeds,
                "measured": finite(row.measured),
                "published": row.published,
            }
            for row in result.rows
        ],
        "reproduced": result.reproduced,
    }


def _list(options: argparse.Namespace) -> int:
    """All experiments, each with the result that came with the package."""
    values, lines = [], []
    width = max(map(len, EXPERIMENTS))
    for experiment in EXPERIMENTS.values():
        result = shipped(experiment)
        entry = {"name": experiment.name, "claim": experiment.claim, "source": experiment.source}
        values.append(entry | {"minutes": None if result is None else round(result.minutes, 2)})
        lines.append(f"{experiment.name:{width}s} {experiment.claim}")
        last = "not run yet" if result is None else f"{VERDICTS[result.reproduced]}, {result.facts}"
        lines.append(f"{'':{width}s} {experiment.source}; {last}")
    lines += ["", f"`{program()} reproduce NAME` runs one."]
    show(options, {"experiments": values}, lines)
    return 0


def _lines(result: Result) -> list[str]:
    experiment: Experiment = result.experiment
    width = max(len(row.setting) for row in result.rows)
    lines = [experiment.claim, experiment.source, "", f"{experiment.measures}:"]
    lines.append(f"{'':{width}s}  seeds    measured   published")
    for row in result.rows:
        ours = "beyond" if row.measured is None else f"{row.measured:.4g}"
        theirs = "–" if row.published is None else f"{row.published:.5g}"
        lines.append(f"{row.setting:{width}s}  {row.seeds:5d}  {ours:>10s}  {theirs:>10s}")
    rule = f" ({experiment.rule})" if experiment.rule else ""
    return [*lines, "", f"{VERDICTS[result.reproduced]}{rule}", result.facts]


@contextlib.contextmanager
def _folder(name: str | None) -> Iterator[Path | None]:
    """The folder of the result, locked, with the id of this process in its file `pid`; None where no name is given."""
    if name is None:
        yield None
        return
    folder = Path(name)
    check_output_folder(folder, FILE)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"{folder} cannot be made: {error.strerror or error}.") from error
    with locked(folder):
        atomic_write(folder / PID, [str(os.getpid()).encode()], 0o644)
        yield folder


class TrialsProgress(Progress):
    """A bar over the trials."""

    def __call__(self, result: Result) -> None:
        if self.quiet:
            return
        if self.bar is None:
            if result.finished:
                print_status(f"{len(result.finished)} of {result.total} trials are there already.")
            self.bar = tqdm(total=result.total, unit="trial", mininterval=refresh_seconds(), dynamic_ncols=True)
        self.bar.update(len(result.finished) - self.bar.n)
