"""A batch cut into shards, one for each process that shares it, and their results."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from rnn_core.arrays import Array
from rnn_core.nn.gradients import Gradients, RowGradient
from rnn_core.nn.network import Network, State
from rnn_core.threads import limited_threads, one_blas_thread, thread_count


class Shard(NamedTuple):
    """Some of a batch's sequences: the arguments of `Network.training_gradients`, and what belongs to it.

    weight: the shard's part of the whole batch's losses, by which its loss and gradients count; threads: that the
    process may use.
    """

    inputs: Array
    targets: Array
    mask: Array | None
    truncate: int | None
    state: State | None
    dropout_rng: np.random.Generator | None
    loss_weights: Array | None
    weight: float
    threads: int

    def gradients(self, model: Network) -> tuple[float, Gradients, State]:
        """The weighted loss (nats) and gradients, and the state after the last step."""
        with limited_threads(self.threads), one_blas_thread():
            loss_nats, gradients, state = model.training_gradients(
                self.inputs,
                self.targets,
                self.mask,
                self.truncate,
                self.state,
                self.dropout_rng,
                loss_weights=self.loss_weights,
            )
        for gradient in gradients.values():
            values = gradient.values if isinstance(gradient, RowGradient) else gradient
            values *= self.weight
        return self.weight * loss_nats, gradients, state


class ShardResult(NamedTuple):
    """A worker's answer; the gradients' values lie in its shared buffers.

    rows: for each gradient that is zero but in some rows, which these are; None for a dense one.
    """

    loss_nats: float
    rows: dict[str, Array | None]
    state: State


def split(
    parts: int,
    inputs: Array,
    targets: Array,
    mask: Array | None,
    truncate: int | None,
    state: State | None,
    dropout_rng: np.random.Generator | None,
    loss_weights: Array | None = None,
) -> list[Shard]:
    """Shard k has the columns k, k + parts, ...: neighbours are alike in length, so all have about as much to do."""
    generators = [None] * parts if dropout_rng is None else dropout_rng.spawn(parts)
    counted = np.ones(inputs.shape[:2]) if mask is None else np.asarray(mask).astype(bool).astype(float)
    if loss_weights is not None:
        counted = counted * loss_weights
    total = counted.sum()
    shards = []
    for part, generator in enumerate(generators):
        own = slice(part, None, parts)
        shards.append(
            Shard(
                inputs[:, own],
                targets[:, own],
                None if mask is None else mask[:, own],
                truncate,
                None if state is None else [layer[own] for layer in state],
                generator,
                None if loss_weights is None else loss_weights[:, own],
                weight=float(counted[:, own].sum() / total) if total else 0.0,
                threads=max(1, thread_count() // parts),
            )
        )
    return shards


def join_states(own: State, results: list[ShardResult]) -> State:
    """The reverse of `split` for the states: (B, S) for each layer."""
    joined = []
    for layers in zip(own, *(result.state for result in results), strict=True):
        whole = np.empty((sum(map(len, layers)), layers[0].shape[1]), layers[0].dtype)
        for part, layer in enumerate(layers):
            whole[part :: len(layers)] = layer
        joined.append(whole)
    return joined
