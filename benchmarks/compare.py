"""How long fifty runs of 20,000 steps take to be compared, from their folders to the numbers of the picture.

    python -m benchmarks.compare [--runs 50] [--steps 20000] [--rounds 5]

The medians of some rounds, with nothing kept from one to the next. The histories are made up; everything is read as the
page reads it. Beside it, how long the same takes where every step is read: that is what the outline is for.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np

from dashboard.charts import compare as charts
from dashboard.services import comparing, differences, run_curves
from rnn_core.config import ModelConfig, TextSettings, TrainingSettings
from rnn_core.data import agreement_sentences, prepare_sentences
from rnn_core.runs import Run, create_run, list_runs, new_run_id


def make(root: Path, count: int, steps: int) -> None:
    text = TextSettings(sentences="lines")
    corpus = prepare_sentences(agreement_sentences(3, 500), "agreement", text)
    first = root / new_run_id()
    model = ModelConfig(vocabulary_size=len(corpus.vocabulary), hidden_size=8)
    create_run(first, "first", corpus, model, TrainingSettings(), text)
    rng = np.random.default_rng(0)
    losses, norms = 2 + rng.random(steps), np.exp(rng.standard_normal(steps))
    with closing(sqlite3.connect(first / "events.sqlite")) as history:
        rows = ((k + 1, k // 100, 320, losses[k], norms[k], norms[k], 0.001, 1e4, k / 100) for k in range(steps))
        history.executemany(f"INSERT INTO metrics VALUES ({', '.join('?' * 9)})", rows)
        for step in range(100, steps + 1, 100):
            payload = json.dumps({"epoch": step // 100, "loss_nats": losses[step - 1], "perplexity": 10.0})
            history.execute(
                "INSERT INTO events (step, time, kind, payload) VALUES (?, 0, 'validated', ?)", (step, payload)
            )
        history.commit()
    for _ in range(count - 1):
        shutil.copytree(first, root / new_run_id())


def opened(root: Path) -> list[Run]:
    return [Run(summary.folder, summary.config) for summary in list_runs(root) if summary.config is not None]


def compared(root: Path) -> None:
    """What the Compare page does before it draws."""
    for kept in (run_curves._read_outline, run_curves._read_validations):
        kept.cache_clear()
    runs = opened(root)
    lines = comparing.lines(runs, "training", "steps", bits=False, seeds=True)
    curves = [charts.Curve(line.label, line.x, line.y, line.low, line.high) for line in lines]
    charts.compare_chart(curves, "steps", "loss", log=False)
    charts.compare_table(curves, log=False)
    differences.differing(runs)


def step_by_step(root: Path) -> None:
    for run in opened(root):
        run.metrics()
        run.events(kinds=["validated"])


def median(work: Callable[[Path], None], root: Path, rounds: int) -> float:
    seconds = []
    for _ in range(rounds):
        started = time.perf_counter()
        work(root)
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("--runs", 50), ("--steps", 20_000), ("--rounds", 5)):
        parser.add_argument(name, type=int, default=default)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        make(Path(folder), options.runs, options.steps)
        compared(Path(folder))  # the first time Altair gets to work too
        outlines = median(compared, Path(folder), options.rounds)
        steps = median(step_by_step, Path(folder), options.rounds)
    print(f"{options.runs} runs of {options.steps:,} steps: {outlines:.2f} s by outline, {steps:.2f} s step by step")
    print(f"{steps / outlines:.1f} times")


if __name__ == "__main__":
    main()
