"""Forget bias: how far back an LSTM's gradient reaches, by the bias that its forget gates start with.

Where the weights are small, dE/dc loses the factor sigma(bias) a step, so that half of it is gone after
ln 2 / -ln sigma(bias) steps.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rnn_core.arrays import Array
from rnn_core.config import ModelConfig
from rnn_core.diagnostics import half_life
from rnn_core.experiments.base import Experiment, Settings, Trial
from rnn_core.nn.bptt import lag_steps
from rnn_core.nn.language_model import LanguageModel
from rnn_core.randomness import stream

BIASES = (0, 1, 2, 3, 5)
STEPS, UNITS, WORDS = 400, 50, 50
WEIGHTS = {"small": 0.01, "usual": 1.0}
"""What the first weights are multiplied by."""


def closed_form(bias: float) -> float:
    """The half-life in steps of a gradient that loses sigma(bias) a step."""
    return math.log(2) / math.log1p(math.exp(-bias))


def cell_gradient(bias: float, scale: float, seed: int, steps: int = STEPS) -> Array:
    """||dE/dc_{T-j}|| for j = 1, 2, ... of the last loss, whose dE/dh_T is drawn at random; `WEIGHTS` says of scale."""
    config = ModelConfig(cell="lstm", vocabulary_size=WORDS, hidden_size=UNITS, forget_bias=float(bias))
    model = LanguageModel(config, rng=stream(seed, "init"), dtype=np.float64)
    for name in ("U", "W"):
        model.params[name] = scale * model.params[name]
    trace = model.forward(stream(seed, "words").integers(0, WORDS, (steps, 1)))
    d_hidden = np.zeros((steps, 1, UNITS))
    d_hidden[-1] = stream(seed, "error").standard_normal((1, UNITS))
    # At lag 0 the loss acts through h alone.
    norms = [np.linalg.norm(step.d_blocks[0][1, -1]) for step in lag_steps(trace.layers, d_hidden)]
    return np.array(norms[1:])


def trial(settings: Settings, seed: int, texts: Sequence[Path] = ()) -> Trial:
    """The half-life of dE/dc; None where more than half is left after all steps."""
    norms = cell_gradient(settings["bias"], settings["scale"], seed)
    return Trial({settings["row"]: half_life(norms / norms[0])})


def row_name(bias: int, weights: str) -> str:
    """The row of one bias."""
    return f"bias {bias}, {weights} weights"


EXPERIMENT = Experiment(
    name="forget-bias",
    title="Forget bias",
    claim="The bias that the forget gates start with sets how far back an LSTM can learn, so it should start at 1 or "
    "above.",
    source="Jozefowicz, Zaremba & Sutskever 2015",
    measures="steps back after which half of dE/dc is left",
    rule="",
    settings={
        row_name(bias, weights): {"row": row_name(bias, weights), "bias": bias, "scale": scale}
        for weights, scale in WEIGHTS.items()
        for bias in BIASES
    },
    seeds=5,
    trial=trial,
)
