"""What does a network lose without one of its units? (Lakretz et al. 2019: "The emergence of number and syntax units in
LSTM language models", section 4.1.)
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from rnn_core.arrays import Array
from rnn_core.diagnostics.text_walk import text_losses
from rnn_core.nn.language_model import LanguageModel
from rnn_core.nn.parameters import layer_suffix


def without_unit(model: LanguageModel, layer: int, number: int) -> LanguageModel:
    """The same network with this unit's h clamped to 0 at every step (to 0, not to its mean: as Lakretz et al. do).

    A unit whose h is always 0 is one that nobody reads, so it is done to the weights that read it: its column of W, and
    its row of U of the layer above, or its column of V. Whatever signal of a unit is looked at, this is its ablation: c
    and the gates of an LSTM's unit act on others through its h alone.
    """
    params = dict(model.params)
    config = model.config
    if config.tied:
        # Its column of V goes, and that of the embedding stays.
        config = dataclasses.replace(config, tied=False)
        params["V"] = model.output_matrix
    reads: list[tuple[str, tuple[slice | int, ...]]] = [("W" + layer_suffix(layer), (slice(None), number))]
    if layer == config.layers - 1:
        reads.append(("V", (slice(None), number)))
    else:
        reads.append(("U" + layer_suffix(layer + 1), (number,)))
    for name, part in reads:
        if name in params:  # no gate of a minGRU reads the state
            params[name] = params[name].copy()
            params[name][part] = 0
    return LanguageModel(config, params=params)


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
    """
    losses = text_losses(model, sentences, carried) if losses is None else losses
    cost = text_losses(without_unit(model, *unit), sentences, carried) - losses
    means = [float(cost[where].mean()) if where.any() else float("nan") for where in (ends, ~ends)]
    return AblationCost(means[0], means[1], int(ends.sum()), int((~ends).sum()), cost)
