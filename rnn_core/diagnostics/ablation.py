"""What does a network lose without one of its units? (Lakretz et al. 2019: "The emergence of number and syntax units in
LSTM language models", section 4.1.)
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from rnn_core.arrays import Array
from rnn_core.diagnostics.text_walk import Unit, text_losses, unit_series
from rnn_core.nn.cells import Cell, Weights
from rnn_core.nn.language_model import LanguageModel
from rnn_core.nn.network import Network

AnyNetwork = TypeVar("AnyNetwork", bound=Network)


def without_unit(model: AnyNetwork, layer: int, number: int, value: float) -> AnyNetwork:
    """The same network, with h of this unit set to `value` after every step, before anybody reads it.

    Whatever signal of a unit is looked at, this is its ablation: c and the gates of an LSTM's unit act on others
    through its h alone. Nothing is copied; the parameters are shared with `model`.
    """
    twin, clamped = copy.copy(model), _clamped(model.cell, number, value)
    twin.cell_of = lambda depth: clamped if depth == layer else model.cell  # type: ignore[method-assign]
    return twin


def _clamped(cell: Cell, number: int, value: float) -> Cell:
    def step(cache: Array, before: Array, weights: Weights, after: Array) -> None:
        cell.step(cache, before, weights, after)
        after[0][..., number] = value

    twin = copy.copy(cell)
    twin.step = step  # type: ignore[method-assign]
    return twin


@dataclass(frozen=True, eq=False)
class AblationCost:
    """What the loss rises by without a unit, in nats for each prediction: where the feature ends, and elsewhere.

    at_ends    mean over the predictions for which a unit that follows the feature is good (`text_features.ends`)
    elsewhere  mean over all others
    ends, others  how many of each
    cost       (n,) of every prediction
    """

    at_ends: float
    elsewhere: float
    ends: int
    others: int
    cost: Array


def ablation_cost(
    model: LanguageModel,
    sentences: Sequence[Array],
    carried: bool,
    unit: tuple[int, int],
    ends: Array,
    losses: Array | None = None,
) -> AblationCost:
    """unit: layer and number; ends (n,) bool; losses: those of the whole network, where they are known. The text is
    read as in `text_parts`. A mean over nothing is nan.

    The unit's h is clamped to its mean over this text: a constant tells nothing. (Lakretz et al. clamp to 0. That may
    be far from whatever the network has ever read there, and then costs something everywhere for that reason alone.)
    """
    losses = text_losses(model, sentences, carried) if losses is None else losses
    mean = unit_series(model, sentences, carried, [Unit(unit[0], "h", unit[1])]).mean(dtype=np.float64)
    cost = text_losses(without_unit(model, *unit, float(mean)), sentences, carried) - losses
    means = [float(cost[where].mean()) if where.any() else float("nan") for where in (ends, ~ends)]
    return AblationCost(means[0], means[1], int(ends.sum()), int((~ends).sum()), cost)
