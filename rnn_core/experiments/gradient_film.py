"""The gradient film: an error at step 128 on its way back, through a plain network and through an LSTM."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rnn_core.arrays import Array
from rnn_core.config import ModelConfig
from rnn_core.diagnostics import gradient_flow
from rnn_core.experiments.base import Experiment, Picture, Settings, Trial
from rnn_core.nn.language_model import LanguageModel
from rnn_core.randomness import stream

STEPS, UNITS, WORDS, DEVIATION = 128, 64, 64, 0.05
LEFT = 0.01

RNN, LSTM = "RNN", "LSTM"


def small_network(cell: str, seed: int) -> LanguageModel:
    """A network whose matrices are drawn from N(0, 0.05); its biases are as it usually starts."""
    model = LanguageModel(ModelConfig(cell=cell, vocabulary_size=WORDS, hidden_size=UNITS), dtype=np.float64)
    for name, value in model.params.items():
        if value.ndim > 1:
            model.params[name] = DEVIATION * stream(seed, f"film {name}").standard_normal(value.shape)
    return model


def arriving_norms(cell: str, seed: int) -> Array:
    """(128,) ||dE_128/da_k|| for k = 128, 127, ..., 1; all other losses are left out."""
    ids = stream(seed, "film words").integers(0, WORDS, STEPS + 1)
    only_last = np.zeros(STEPS)
    only_last[-1] = 1
    flow = gradient_flow(small_network(cell, seed), ids[:-1], ids[1:], loss_weights=only_last[:, None])
    return flow.delta_norms[-1, ::-1]


def reach(norms: Array) -> float:
    """Steps back until 1 % is left, log-linearly between two steps; all of them where more is."""
    below = np.flatnonzero(norms <= LEFT * norms[0])
    if not len(below):
        return float(len(norms) - 1)
    k = int(below[0])
    before, after = math.log(norms[k - 1]), math.log(norms[k])
    return k - 1 + (before - math.log(LEFT * norms[0])) / (before - after)


def trial(settings: Settings, seed: int, texts: Sequence[Path] = ()) -> Trial:
    """How far the gradient of the last loss reaches, and its norm at every step."""
    norms = arriving_norms(settings["cell"], seed)
    return Trial({settings["row"]: reach(norms)}, {"norms": norms.tolist()})


EXPERIMENT = Experiment(
    name="gradient-film",
    title="Gradient film",
    claim="With small random weights the error of step 128 is gone after a few steps back in a plain network, and "
    "reaches much further in an LSTM.",
    source="a film shown in many courses; the reason is in Hochreiter & Schmidhuber 1997",
    measures="steps back until 1 % of the gradient is left",
    rule="",
    settings={RNN: {"row": RNN, "cell": "tanh"}, LSTM: {"row": LSTM, "cell": "lstm"}},
    seeds=5,
    trial=trial,
    picture=Picture("norms", ("steps back", "norm of the gradient"), log=True),
)
