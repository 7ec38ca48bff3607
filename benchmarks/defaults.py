"""How word vectors should start, and whether a bias should take steps twice as large: figures for the defaults.

    python benchmarks/defaults.py TEXTS DIR [--seeds 3]

TEXTS is a folder with tinyshakespeare.txt, wikitext-2-valid.txt and reddit-comments-2015-08-sample.csv; DIR takes the
runs: one sweep for each corpus or task, so that a stopped one goes on where it stood. Every network has 64 units and
word vectors of 64 numbers; all that is not named here is at its default. Printed is docs/defaults.md's tables: the
validation loss in nats, median over the seeds with the lowest and highest, and what is better or worse than the
first column by the rule of that page. It takes about six minutes of one core.

A bias that moves twice as far is what a second bias comes to, as PyTorch's networks have it: both get the same
gradient, and Adam moves each by the same step.
"""

from __future__ import annotations

import os

# Before NumPy is imported: one training is one core's work.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import math
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import machine
import numpy as np

from rnn_core.config import Choice, ModelConfig, TaskSettings, TextSettings, TrainingSettings, choices
from rnn_core.data import PreparedCorpus, prepare
from rnn_core.experiments.points import ENDED
from rnn_core.experiments.sweep_runner import sweep
from rnn_core.nn.gradients import Gradient
from rnn_core.optim.optimizers import OPTIMIZERS, Adam

UNITS = 64
# What is only looked at by the clock would cost more the busier the machine is.
QUIET: dict[str, Any] = {"sample_every_seconds": None, "horizon_every_seconds": None, "checkpoint_every_seconds": 600.0}
CELLS = ("tanh", "gru", "lstm")
# The default when the two were compared.
VECTORS = {"embedding_size": UNITS, "embedding_init": "uniform"}
STARTS = ("uniform", "small_normal", "normal")
TWO_BIASES = "adam, two biases"

Losses = dict[tuple[str, str], dict[str, list[float]]]
"""{(case, cell): {candidate: the validation losses of its seeds}}"""


class AdamTwoBiases(Adam):
    """Adam, whose steps of b are twice as large."""

    def _update_one(
        self, name: str, parameter: np.ndarray, gradient: Gradient, learning_rate: float, scale: float
    ) -> None:
        factor = 2 if name == "b" else 1
        super()._update_one(name, parameter, gradient, factor * learning_rate, scale)


@dataclass(frozen=True)
class Case:
    """A corpus or a task, and how it is trained on.

    file, kilobytes  the text, and how much of it from its start; no file for a task
    vectors, biases  whether the start of word vectors is compared on it, and the step of the biases
    """

    label: str
    file: str = ""
    kilobytes: int = 0
    text: TextSettings = field(default_factory=TextSettings)
    task: TaskSettings | None = None
    model: dict[str, Any] = field(default_factory=lambda: VECTORS)
    training: dict[str, Any] = field(default_factory=lambda: {"epochs": 4})
    vectors: bool = True
    biases: bool = True

    def data(self, texts: Path) -> PreparedCorpus | TaskSettings:
        if self.task is not None:
            return self.task
        with open(texts / self.file, "rb") as file:
            beginning = file.read(1000 * self.kilobytes)
        return prepare(beginning[: beginning.rindex(b"\n") + 1], self.file, self.text)


WORDS = TextSettings(vocabulary_size=2000)
CASES = [
    Case("tinyshakespeare, words", "tinyshakespeare.txt", 100, WORDS),
    Case(
        "tinyshakespeare, words, tied",
        "tinyshakespeare.txt",
        100,
        WORDS,
        model={**VECTORS, "tied": True},
        biases=False,
    ),
    Case("tinyshakespeare, characters", "tinyshakespeare.txt", 50, TextSettings(unit="char")),
    Case(
        "wikitext-2, words",
        "wikitext-2-valid.txt",
        100,
        TextSettings(tokenizer="whitespace", vocabulary_size=2000),
        biases=False,
    ),
    Case("reddit, words", "reddit-comments-2015-08-sample.csv", 1000, WORDS, biases=False),
    Case(
        "agreement",
        task=TaskSettings(task="agreement"),
        training={"batch_size": 32, "steps": 100, "schedule": "constant"},
    ),
    Case(
        "adding",
        task=TaskSettings(task="adding", task_steps=20),
        model={},
        training={"batch_size": 32, "steps": 400, "schedule": "constant"},
        vectors=False,
    ),
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("texts", type=Path)
    parser.add_argument("dir", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    # No setting; but in this process, where a sweep with one process trains, it is one.
    OPTIMIZERS[TWO_BIASES] = AdamTwoBiases
    choices.OPTIMIZERS.register(TWO_BIASES, Choice(TWO_BIASES, defaults={"learning_rate": Adam.default_learning_rate}))
    vectors: Losses = {}
    biases: Losses = {}
    # Seed by seed, so that a run that is cut short says something of all cases.
    for seeds in range(1, options.seeds + 1):
        for case in CASES:
            if case.vectors:
                vectors |= _train(case, options.texts, options.dir, "embedding_init", STARTS, seeds)
            if case.biases:
                biases |= _train(case, options.texts, options.dir, "optimizer", ("adam", TWO_BIASES), seeds)
    print(machine.describe(), end="\n\n")
    print("\n".join(_table(vectors, STARTS)), end="\n\n")
    print("\n".join(_table(biases, ("adam", TWO_BIASES))))


def _train(case: Case, texts: Path, folder: Path, compared: str, candidates: Sequence[str], seeds: int) -> Losses:
    name = f"{case.label.replace(', ', '-')}-{compared}"
    print(f"{name}: {seeds} seeds", flush=True)
    results = sweep(
        case.data(texts),
        folder / name,
        {"cell": CELLS, compared: candidates},
        seeds=seeds,
        model=ModelConfig(hidden_size=UNITS, **case.model),
        training=TrainingSettings(**{"batch_size": 16, **QUIET, **case.training}),
        text=case.text,
        jobs=1,
    )
    losses: Losses = {}
    for result in results:
        if result.state not in ENDED:
            raise SystemExit(f"stopped at {result.point.label} ({result.state}); the same command goes on.")
        settings = result.point.settings
        row = losses.setdefault((case.label, settings["cell"]), {})
        # What diverged is the worst that there is.
        loss = result.valid_loss_nats if result.state == "finished" else None
        row.setdefault(settings[compared], []).append(math.inf if loss is None else loss)
    return losses


def verdict(losses: Sequence[float], of_default: Sequence[float]) -> str:
    """ "better", "worse" or "": whether the medians differ by more than the seeds of either do."""
    difference = statistics.median(losses) - statistics.median(of_default)
    if abs(difference) <= max(max(losses) - min(losses), max(of_default) - min(of_default)):
        return ""
    return "better" if difference < 0 else "worse"


def _table(rows: Losses, candidates: Sequence[str]) -> Iterator[str]:
    default, *others = candidates
    yield "| | cell | " + " | ".join(candidates) + " |"
    yield "|---|---|" + "---|" * len(candidates)
    counts = {candidate: {"better": 0, "worse": 0, "": 0} for candidate in others}
    for (label, cell), losses in rows.items():
        cells = [_cell(losses[default], "")]
        for candidate in others:
            found = verdict(losses[candidate], losses[default])
            counts[candidate][found] += 1
            cells.append(_cell(losses[candidate], found))
        yield f"| {label} | {cell} | " + " | ".join(cells) + " |"
    summary = [f"{count['better']} better, {count['worse']} worse" for count in counts.values()]
    yield f"| of {len(rows)} | | | " + " | ".join(summary) + " |"


def _cell(losses: Sequence[float], found: str) -> str:
    values = f"{statistics.median(losses):.3f} ({min(losses):.3f} to {max(losses):.3f})"
    return f"{values} {found}".strip()


if __name__ == "__main__":
    main()
