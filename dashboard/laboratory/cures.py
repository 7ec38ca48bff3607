"""The verdict's remedies: what of a run's settings to change, by what its numbers say, to have the gradient arrive."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from rnn_core.config import ModelConfig, TrainingSettings
from rnn_core.diagnostics import Verdict
from rnn_core.errors import SettingsError
from rnn_core.runs import RunConfig

CLIP = 1.0
FORGET_BIAS = 3.0
"""With it a fresh LSTM's cell keeps half of a gradient over some fourteen steps: ln 2 / -ln sigmoid(3)."""

_DEFAULT_W: Mapping[str, Any] = {"init": "uniform", "init_scale": 1.0, "chrono": None}
"""Undoes the run's own initialisation, which may not suit another cell."""


@dataclass(frozen=True)
class Cure:
    """What to train instead. label: on the button; why: one sentence, from the numbers that speak for it."""

    label: str
    why: str
    model: ModelConfig
    training: TrainingSettings


def cures(found: Verdict, config: RunConfig, steps: int) -> list[Cure]:
    """The remedies of this verdict, the most promising first; `steps`: how long the text is.

    Only what makes sense together is offered, and only what changes something.
    """
    offered = []
    for label, why, model, training in _ideas(found, config, steps):
        try:
            of_model, of_training = replace(config.model, **model), replace(config.training, **training)
            of_model.validate()
            of_training.validate()
        except SettingsError:
            continue
        if (of_model, of_training) != (config.model, config.training):
            offered.append(Cure(label, why, of_model, of_training))
    return offered


def after_divergence(config: RunConfig) -> list[Cure]:
    """What to change of a training whose loss or gradient was no longer finite."""
    model, training = config.model, config.training
    offered = []
    if training.clip is None:
        why = "The same network, text and seed, with the gradient's norm held down."
        offered.append(Cure(f"Clip at {CLIP:g}", why, model, replace(training, clip=CLIP, clip_mode="norm")))
    slower = training.initial_learning_rate / 10
    why = f"The same network, text and seed, with a learning rate of {slower:g}."
    offered.append(Cure("A tenth of the learning rate", why, model, replace(training, learning_rate=slower)))
    return offered


def _ideas(found: Verdict, config: RunConfig, steps: int) -> Iterator[tuple[str, str, dict[str, Any], dict[str, Any]]]:
    """(label, why, changes of the model, changes of the training)."""
    truncate = config.training.truncate
    if found.fate == "explodes":
        if config.training.clip is None:
            why = "Clipping keeps the direction of a gradient and bounds its length (Pascanu, Mikolov & Bengio 2013)."
            yield f"Clip at {CLIP:g}", why, {}, {"clip": CLIP, "clip_mode": "norm"}
        why = "An orthogonal W neither stretches nor shrinks what passes through it (Saxe, McClelland & Ganguli 2014)."
        yield "Orthogonal W", why, {**_DEFAULT_W, "init": "orthogonal"}, {}
        return
    if truncate is not None and truncate < steps:
        why = f"This training lets no loss look back more than {truncate} steps."
        yield "Look back all the way", why, {}, {"truncate": None}
    if found.fate == "lasts":
        return
    if "carry" in found.parts:
        why = "Gates that start open for as long as the text is keep what they carry (Tallec & Ollivier 2018)."
        yield "Gates that start open", why, {"chrono": max(3, steps), "bias": True}, {}  # 3: the least that it takes
        return
    why = "The cell of an LSTM carries a gradient around W and φ′ (Hochreiter & Schmidhuber 1997)."
    gates = {**_DEFAULT_W, "cell": "lstm", "forget_bias": FORGET_BIAS, "bias": True}
    yield "An LSTM", why, gates, {"omega": 0.0}
    if found.parts.get("W", 1.0) < 1:
        why = "W itself shrinks what passes; an orthogonal one does not (Saxe, McClelland & Ganguli 2014)."
        yield "Orthogonal W", why, {**_DEFAULT_W, "init": "orthogonal"}, {}
    why = "The slope of a ReLU is 1 where it is open, and W starts as the identity (Le, Jaitly & Hinton 2015)."
    yield (
        "ReLU, W = I",
        why,
        {**_DEFAULT_W, "cell": "relu", "init": "identity"},
        {"clip": CLIP, "clip_mode": "norm"},
    )
