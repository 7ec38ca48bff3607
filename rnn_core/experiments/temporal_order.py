"""Temporal order: a plain network learns over fifty steps once its gradient neither explodes nor vanishes."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rnn_core.config import ModelConfig, TrainingSettings
from rnn_core.data.tasks import TemporalOrder
from rnn_core.experiments.base import Experiment, Picture, Row, Settings, Trial, measured
from rnn_core.experiments.task_training import learn_task
from rnn_core.nn.network import Network
from rnn_core.randomness import stream
from rnn_core.training import TaskSource, network_config

STEPS, UNITS, DEVIATION = 50, 50, 0.1
SOLVED, SEQUENCES = 0.01, 10_000
UPDATES = 60_000
"""The paper allows five million. Within 30,000 and with four of five seeds solved, the fifth was still falling."""
OMEGA = 4 / STEPS
"""Of the sum over the steps that the paper prints. The authors' code, with which 4 belongs, takes the mean over them
(RNN.py of github.com/pascanur/trainingRNNs): 4 times the sum would be fifty times as strong."""
FRESH = 10
"""The first seed: with those before it, other weights of Ω and fewer updates were tried."""

BOTH, CLIPPED, NEITHER = "clipping and Ω", "clipping alone", "neither"

TRAINING = TrainingSettings(
    optimizer="sgd",
    learning_rate=0.01,
    schedule="constant",
    batch_size=20,
    epochs=None,
    steps=UPDATES,
    stop_below=SOLVED,
    sample_every_seconds=None,
    horizon_every_seconds=None,
)


def trial(settings: Settings, seed: int, texts: Sequence[Path] = ()) -> Trial:
    """Train until fewer than 1 % of 10,000 sequences are wrong, or for so many updates: 1 or 0 for solved."""
    seed += FRESH
    source = TaskSource(TemporalOrder(steps=STEPS), validation_sequences=SEQUENCES)
    config = network_config(source.task, ModelConfig(cell="tanh", hidden_size=UNITS))
    training = dataclasses.replace(TRAINING, seed=seed, clip=settings["clip"], omega=settings["omega"])
    network = Network(config, dtype=np.float32)
    for name, value in network.params.items():
        rng = stream(seed, f"temporal order {name}")
        fresh = DEVIATION * rng.standard_normal(value.shape) if value.ndim > 1 else np.zeros(value.shape)
        network.params[name] = fresh.astype(np.float32)
    curve = learn_task(network, source, training)
    return Trial({settings["row"]: float(curve.solved)}, curve.curves)


def _reproduced(rows: Sequence[Row]) -> bool:
    both, clipped, neither = (measured(rows, name) for name in (BOTH, CLIPPED, NEITHER))
    return both == 1 and clipped < 0.5 and neither < 0.5


EXPERIMENT = Experiment(
    name="temporal-order",
    title="Temporal order",
    claim="A plain network learns an order over 50 steps when its gradient is clipped and Ω keeps it from vanishing, "
    "and not with clipping alone.",
    source="Pascanu, Mikolov & Bengio 2013, section 4.1",
    measures="share of seeds that solve it within 60,000 updates: fewer than 1 % of 10,000 sequences wrong",
    rule="Every seed solves it with clipping and Ω, fewer than half with clipping alone, fewer than half with neither. "
    "Of five other seeds four had solved it within 30,000 updates.",
    settings={
        BOTH: {"row": BOTH, "clip": 1.0, "omega": OMEGA},
        CLIPPED: {"row": CLIPPED, "clip": 1.0, "omega": 0.0},
        NEITHER: {"row": NEITHER, "clip": None, "omega": 0.0},
    },
    seeds=5,
    trial=trial,
    picture=Picture("errors", ("updates", "share of wrong answers"), x="updates", log=True),
    reproduced=_reproduced,
)
