"""`sweep`: one training for every combination of some settings, and for several seeds."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from pathlib import Path
from typing import Any

from tqdm import tqdm

from rnn_core.cli.corpus import prepare_file
from rnn_core.cli.hosting import lower_priority
from rnn_core.cli.output import finite, refresh_seconds, show
from rnn_core.cli.parser import Commands, add_settings, read_settings
from rnn_core.cli.progress import Progress
from rnn_core.cli.train import check_one_of_both
from rnn_core.config import TASK_DEFAULTS, ModelConfig, TaskSettings, TextSettings, TrainingSettings, check
from rnn_core.data import PreparedCorpus
from rnn_core.data.tasks import make_task
from rnn_core.errors import SettingsError
from rnn_core.experiments.grid import parse_grid
from rnn_core.experiments.points import ENDED, Band, PointResult, bands
from rnn_core.experiments.sweep import Sweep
from rnn_core.experiments.sweep_runner import go_on, sweep

MOST_LINES = 40
"""Combinations listed at the end; the others are counted."""

BAR = "{percentage:3.0f}%|{bar}| {n:.1f} of {total} points [{elapsed} gone, {remaining} left{postfix}]"


def add(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add("sweep", sweep_command, "train a network for every combination of some settings, with seeds")
    parser.add_argument("corpus", metavar="CORPUS", nargs="?", help="a .txt, .csv or .jsonl file; or give a --task")
    parser.add_argument(
        "--dir",
        metavar="DIR",
        required=True,
        help="the folder of the sweep; given alone, it goes on with the sweep in it",
    )
    parser.add_argument(
        "--grid",
        metavar="NAME=V1,V2,…",
        action="append",
        default=[],
        help="a setting and the values that it is to have; as often as you like",
    )
    parser.add_argument("--seeds", metavar="N", type=int, default=1, help="so many seeds for each combination (1)")
    place = parser.add_mutually_exclusive_group()
    place.add_argument("--jobs", metavar="N", type=int, help="processes; by default, and at most, one for each core")
    place.add_argument("--dask", metavar="ADDRESS", help="a Dask scheduler whose workers are to do the work")
    for settings_class in (TextSettings, TaskSettings, ModelConfig, TrainingSettings):
        add_settings(parser, settings_class)
    parser.add_argument("--nice", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--quiet", action="store_true", help="no progress")


def sweep_command(options: argparse.Namespace) -> int:
    """A sweep, from its start or where it stood."""
    if not (hasattr(options, "task") or options.corpus is not None or options.grid):
        return _go_on(options)
    lower_priority(options)
    check_one_of_both(options)
    of_task = hasattr(options, "task")
    text = read_settings(TextSettings, options)
    model = read_settings(ModelConfig, options)
    training = read_settings(TrainingSettings, options, TASK_DEFAULTS if of_task else None)
    grid = parse_grid(options.grid, of_task)
    check(text, model, training)
    data: PreparedCorpus | TaskSettings
    data = read_settings(TaskSettings, options) if of_task else prepare_file(options.corpus, text, options.quiet)
    model = (
        model if isinstance(data, TaskSettings) else dataclasses.replace(model, vocabulary_size=len(data.vocabulary))
    )
    with SweepProgress(options.quiet) as progress:
        results = sweep(
            data,
            options.dir,
            grid,
            seeds=options.seeds,
            model=model,
            training=training,
            text=text,
            jobs=options.jobs,
            dask=options.dask,
            progress=progress,
        )
    return _show_results(options, results, data if isinstance(data, TaskSettings) else None)


def _go_on(options: argparse.Namespace) -> int:
    """The rest of the sweep that is in the folder."""
    if options.dask is not None:
        raise SettingsError("to go on with a sweep on Dask, repeat the command that it was begun by.")
    lower_priority(options)
    with SweepProgress(options.quiet) as progress:
        results = go_on(options.dir, options.jobs, progress)
    return _show_results(options, results, Sweep.read(Path(options.dir)).task)


def _show_results(options: argparse.Namespace, results: list[PointResult], task: TaskSettings | None) -> int:
    values = {"dir": str(options.dir), "points": [_values(result) for result in results]}
    measure = "validation loss in nats" if task is None else make_task(task).metric_name
    show(options, values, _table(results, measure))
    # 2: points are left to do, or have failed; one that diverged has been done.
    return 0 if all(result.state in ENDED for result in results) else 2


def _values(result: PointResult) -> dict[str, Any]:
    return {
        "settings": dict(result.point.settings),
        "seed": result.point.seed,
        "run": result.point.name,
        "metrics": {
            "state": result.state,
            "step": result.step,
            "train_loss_nats": finite(result.train_loss_nats),
            "valid_loss_nats": finite(result.valid_loss_nats),
            "metric": finite(result.metric),
            "message": result.message,
        },
    }


def _table(results: list[PointResult], measure: str) -> list[str]:
    """The combinations, the best first, with the band over their seeds; then what went wrong."""
    found = bands(results)
    lines = [f"{measure}, mean over the seeds (lowest to highest), the best first:"] if found else []
    lines += [_line(band) for band in found[:MOST_LINES]]
    if len(found) > MOST_LINES:
        lines.append(f"… and {len(found) - MOST_LINES} more")
    for result in results:
        if result.state in ("failed", "diverged"):
            lines.append(f"{result.state}: {result.point.label}: {result.message}")
    left = sum(result.state not in (*ENDED, "failed") for result in results)
    if left:
        lines.append(f"{left} of {len(results)} points are still to do; the same command goes on.")
    return lines


def _line(band: Band) -> str:
    settings = ", ".join(f"{name} {'none' if value is None else value}" for name, value in band.settings.items())
    seeds = f"{band.seeds} seed{'' if band.seeds == 1 else 's'}" + (f", {band.failed} failed" if band.failed else "")
    return f"  {band.mean:<10.4g} ({band.low:.4g} to {band.high:.4g}; {seeds})  {settings}"


class SweepProgress(Progress):
    """A bar over all points, those at work by how far they are."""

    def __call__(self, results: list[PointResult]) -> None:
        """Show how far all points are."""
        if self.quiet:
            return
        done = sum(result.fraction for result in results)
        if self.bar is None:
            self.bar = tqdm(
                total=len(results),
                initial=done,
                smoothing=0,
                mininterval=refresh_seconds(),
                dynamic_ncols=True,
                bar_format=BAR,
                file=sys.stderr,
            )
        best = bands(results)
        if best:
            self.bar.set_postfix_str(f"best {best[0].mean:.4g}", refresh=False)
        self.bar.update(done - self.bar.n)
