"""Small random networks, batches and states, for checks that try every number in them."""

from __future__ import annotations

from typing import NamedTuple, TypeVar

import numpy as np

from rnn_core.arrays import Array
from rnn_core.config import ModelConfig, NetworkConfig
from rnn_core.nn.language_model import LanguageModel
from rnn_core.nn.network import Network, State

AnyNetwork = TypeVar("AnyNetwork", bound=Network)


class SmallBatch(NamedTuple):
    """inputs, targets (T, B) ids; mask (T, B) bool or None."""

    inputs: Array
    targets: Array
    mask: Array | None


def small_batch(
    vocabulary_size: int = 5, steps: int = 5, batch: int = 3, *, mask: str | None = None, seed: int = 0
) -> SmallBatch:
    """Random ids. `mask`: None | "behind" (padding at the end of each sequence) | "anywhere" (before, between, behind).

    Every masked batch has at least one full-length sequence and one that is shorter.
    """
    rng = np.random.default_rng(seed)
    inputs, targets = rng.integers(0, vocabulary_size, (2, steps, batch))
    if mask is None:
        return SmallBatch(inputs, targets, None)
    lengths = np.maximum(1, steps - 2 * np.arange(batch))
    present = np.arange(steps)[:, None] < lengths
    if mask == "anywhere":
        present = np.stack([rng.permutation(column) for column in present.T], axis=1)
        present[0, 1:] = False  # so that padding stands in front, too
    return SmallBatch(inputs, targets, present)


def small_model(config: ModelConfig, seed: int = 0) -> LanguageModel:
    """A float64 model in which every parameter, biases too, is drawn from a normal distribution of deviation 1/2.

    So no parameter is zero and no two are equal, which could hide a mistake in their gradients.
    """
    return _randomised(LanguageModel(config, dtype=np.float64), seed)


def small_network(config: NetworkConfig, seed: int = 0) -> Network:
    """The same for a network that is no language model."""
    return _randomised(Network(config, dtype=np.float64), seed)


def _randomised(model: AnyNetwork, seed: int) -> AnyNetwork:
    rng = np.random.default_rng(seed)
    for value in model.params.values():
        value[...] = 0.5 * rng.standard_normal(value.shape)
    return model


def small_state(model: Network, batch: int, seed: int = 0) -> State:
    """A state that is not zero, as after an earlier chunk: one (B, S) array per layer, normal, deviation 1/2."""
    rng = np.random.default_rng(seed)
    return [0.5 * rng.standard_normal(part.shape) for part in model.initial_state(batch)]
