"""Copy memory: an LSTM repeats symbols after a silence; its gates start for long memories (chrono), or not."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from rnn_core.config import ModelConfig, TrainingSettings
from rnn_core.data.tasks import CopyMemory
from rnn_core.experiments.base import Experiment, Picture, Row, Settings, Trial, measured
from rnn_core.experiments.task_training import learn_task
from rnn_core.training import TaskSource, network_config, new_network

TASK = CopyMemory(delay=30, length=5)
LONGEST = TASK.delay + TASK.length
UNITS = 64
UPDATES = 5000

CHRONO, PLAIN = "chrono", "forget bias 1"

TRAINING = TrainingSettings(
    optimizer="adam",
    learning_rate=0.003,
    schedule="constant",
    batch_size=32,
    clip=1.0,
    epochs=None,
    steps=UPDATES,
    validate_every=250,
    sample_every_seconds=None,
    horizon_every_seconds=None,
)


def trial(settings: Settings, seed: int, texts: Sequence[Path] = ()) -> Trial:
    """Train for so many updates: the share of the symbols that are wrong at the end."""
    source = TaskSource(TASK, validation_sequences=500)
    training = dataclasses.replace(TRAINING, seed=seed)
    shape = ModelConfig(cell="lstm", hidden_size=UNITS, chrono=settings["chrono"])
    curve = learn_task(new_network(network_config(TASK, shape), training), source, training)
    # The metric is the share over all steps. The blank ones are soon always right, so the errors are at the symbols.
    steps_per_symbol = (TASK.delay + 2 * TASK.length) / TASK.length
    wrong = [100 * steps_per_symbol * error for error in curve.errors]
    return Trial({settings["row"]: wrong[-1]}, curve.curves)


def _reproduced(rows: Sequence[Row]) -> bool:
    return measured(rows, CHRONO) < measured(rows, PLAIN)


EXPERIMENT = Experiment(
    name="copy",
    title="Copy and chrono",
    claim="An LSTM learns to repeat symbols after a silence sooner when its gates start for memories that long.",
    source="after Tallec & Ollivier 2018, copy task",
    measures=f"wrong answers after {UPDATES:,} updates, in per cent of the symbols to repeat (a guess: 87.5)",
    rule="The mean over the seeds is lower with chrono initialisation than with a forget bias of 1.",
    settings={CHRONO: {"row": CHRONO, "chrono": LONGEST}, PLAIN: {"row": PLAIN, "chrono": None}},
    seeds=5,
    trial=trial,
    picture=Picture("errors", ("updates", "share of wrong answers"), x="updates", log=True),
    reproduced=_reproduced,
)
