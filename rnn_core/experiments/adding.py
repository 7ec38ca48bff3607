"""Adding: the sum of two marked numbers of fifty, by a gated network and by a plain one."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from rnn_core.config import ModelConfig, TrainingSettings
from rnn_core.data.tasks import Adding
from rnn_core.experiments.base import Experiment, Picture, Settings, Trial
from rnn_core.experiments.task_training import learn_task
from rnn_core.training import TaskSource, network_config, new_network

STEPS, UNITS = 50, 64
SOLVED = 0.02
UPDATES = 12_000

TRAINING = TrainingSettings(
    optimizer="adam",
    learning_rate=0.003,
    schedule="constant",
    batch_size=50,
    clip=1.0,
    epochs=None,
    steps=UPDATES,
    stop_below=SOLVED,
    validate_every=100,
    sample_every_seconds=None,
    horizon_every_seconds=None,
)


def trial(settings: Settings, seed: int, texts: Sequence[Path] = ()) -> Trial:
    """Train until the mean squared error is below 0.02: after how many updates; None where that never happens."""
    source = TaskSource(Adding(steps=STEPS), validation_sequences=1000)
    training = dataclasses.replace(TRAINING, seed=seed)
    config = network_config(source.task, ModelConfig(cell=settings["cell"], hidden_size=UNITS))
    curve = learn_task(new_network(config, training), source, training)
    return Trial({settings["row"]: float(curve.updates[-1]) if curve.solved else None}, curve.curves)


EXPERIMENT = Experiment(
    name="adding",
    title="Adding",
    claim="A gated network learns to add two marked numbers among 50 in far fewer updates than a plain one.",
    source="after Hochreiter & Schmidhuber 1997, experiment 4; markers as Le, Jaitly & Hinton 2015, section 4.1",
    measures="updates until the mean squared error is below 0.02 (answering 1 gives 1/6)",
    rule="",
    settings={row: {"row": row, "cell": cell} for row, cell in (("LSTM", "lstm"), ("tanh", "tanh"))},
    seeds=5,
    trial=trial,
    picture=Picture("errors", ("updates", "mean squared error"), x="updates", log=True),
)
