"""Peak memory of training, over N, T and B: rnn_core beside PyTorch, and beside what `rnn_core.runs.memory` predicts.

    pip install -r benchmarks/requirements.txt      # PyTorch; without it only rnn_core is measured
    python benchmarks/memory.py

Every figure is a process of its own that takes three training steps (SGD, float32, random words). "above" is the peak
above what the process held once everything was imported; PyTorch's imports alone are several times NumPy's. Where
several processes share a batch, the others count in full.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys

import machine
import numpy as np
import peers
from train_speed import ROWS, Batches, Row

from rnn_core import LanguageModel, ModelConfig
from rnn_core.config import TrainingSettings
from rnn_core.runs.memory import estimate

MEGABYTE = 2**20
BASE = ROWS[0]
# One of N, T, B grows at a time.
GROWTH = [
    *(BASE._replace(words=words) for words in (2000, 8000, 32000)),
    *(BASE._replace(steps=steps) for steps in (40, 80)),
    *(BASE._replace(batch=batch) for batch in (64, 128)),
]


def config_of(row: Row, cell: str) -> ModelConfig:
    return ModelConfig(cell=cell, vocabulary_size=row.words, hidden_size=row.hidden, embedding_size=row.hidden)


def status_bytes(name: str, process: str = "self") -> int:
    """A line of /proc/…/status: VmHWM is the most that a process has ever held, VmRSS what it holds now."""
    with open(f"/proc/{process}/status", encoding="ascii") as file:
        return next(1024 * int(line.split()[1]) for line in file if line.startswith(name))


def members_bytes() -> int:
    """The most that the processes beside this one have held, with what they share with it."""
    with open(f"/proc/self/task/{os.getpid()}/children", encoding="ascii") as file:
        return sum(status_bytes("VmHWM", process) for process in file.read().split())


def measure_here(name: str, cell: str, row: Row) -> None:
    """In a fresh process: train three steps and print the peak, and the peak above the imports, in bytes."""
    make = peers.rnn_core_step if name == "rnn_core" else peers.installed_peers()[name]
    config, batches = config_of(row, cell), Batches(row)
    if name == "PyTorch":
        import torch  # noqa: F401
    before = status_bytes("VmRSS")
    step = make(config, LanguageModel(config, np.random.default_rng(0)).params)
    for k in range(3):
        step(*batches[k])
    peak = status_bytes("VmHWM") + members_bytes()
    print(peak, peak - before)


def measure(name: str, cell: str, row: Row) -> tuple[float, float]:
    """Megabytes: the peak, and the peak above the imports."""
    command = [sys.executable, __file__, "--measure", name, cell, *map(str, row)]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    peak, above = (int(figure) / MEGABYTE for figure in output.split())
    return peak, above


def predicted(cell: str, row: Row) -> float:
    """Megabytes above the imports, by the formula in `rnn_core.runs.memory`."""
    settings = TrainingSettings(
        batch_size=row.batch, optimizer="sgd", sample_every_seconds=None, horizon_every_seconds=None
    )
    parts = estimate(config_of(row, cell), settings, longest_sentence=row.steps)
    return (parts.total_bytes - parts.process_bytes) / MEGABYTE


def table(title: str, cell: str, rows: list[Row], names: list[str]) -> None:
    print(f"\n**{title}** (MB)\n")
    columns = [f"{name}: peak | {name}: above" for name in names]
    print(f"| N, H, B, T | {' | '.join(columns)} | predicted above | rnn_core / PyTorch, peak | above |")
    print("|" + "---|" * (4 + 2 * len(names)))
    for row in rows:
        figures = {name: measure(name, cell, row) for name in names}
        cells = [f"{figures[name][0]:.0f} | {figures[name][1]:.0f}" for name in names]
        ratios = ["–", "–"]
        if "PyTorch" in figures:
            ratios = [f"{figures['rnn_core'][k] / figures['PyTorch'][k]:.2f}" for k in (0, 1)]
        print(f"| {row} | {' | '.join(cells)} | {predicted(cell, row):.0f} | {' | '.join(ratios)} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="Peak memory of training.")
    parser.add_argument("--measure", nargs=6, metavar="X", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        name, cell, *sizes = arguments.measure
        measure_here(name, cell, Row(*map(int, sizes)))
        return
    names = ["rnn_core", *(name for name in peers.installed_peers() if name == "PyTorch")]
    print(machine.describe())
    table("tanh, the rows of train_speed.py", "tanh", ROWS, names)
    table("LSTM", "lstm", [ROWS[0], ROWS[1], ROWS[3]], names)
    table("tanh, N, T and B growing one at a time", "tanh", GROWTH, names)


if __name__ == "__main__":
    main()
