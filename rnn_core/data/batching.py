"""Sentences of ids -> batches with a mask: sentence by sentence, or one continuous stream."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rnn_core.errors import SettingsError


@dataclass(frozen=True)
class Batch:
    """B sequences side by side, time-major. A position with mask False is padding: id 0 in and out, no loss."""

    inputs: np.ndarray  # (T, B) int32
    targets: np.ndarray  # (T, B) int32
    mask: np.ndarray  # (T, B) bool
    sentences: np.ndarray  # (B,) index into the list; in a stream, of the sentence at each column's top (-1: padding)
    loss_weights: None = None  # a TaskBatch has some; here every token's loss counts alike


def _check_batch_size(batch_size: int) -> None:
    if batch_size < 1:
        raise SettingsError("batch_size must be at least 1.")


def batches(
    sentences: Sequence[np.ndarray], batch_size: int, rng: np.random.Generator | None, in_order: bool = False
) -> list[Batch]:
    """Every sentence exactly once, beside others of similar length; inputs ids[:-1], targets ids[1:].

    A generator draws which sentences of one length share a batch, and the order of the batches; without one the
    order is by length, then by index, so that it is always the same. `in_order`: as they come, whatever their length.
    """
    _check_batch_size(batch_size)
    lengths = np.array([len(sentence) - 1 for sentence in sentences], dtype=np.int64)
    order = np.arange(len(sentences)) if rng is None else rng.permutation(len(sentences))
    if not in_order:
        order = order[np.argsort(lengths[order], kind="stable")]
    groups = [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
    if rng is not None:
        groups = [groups[number] for number in rng.permutation(len(groups))]
    return [_pad(sentences, group, lengths) for group in groups]


def _pad(sentences: Sequence[np.ndarray], group: np.ndarray, lengths: np.ndarray) -> Batch:
    shape = (int(lengths[group].max()), len(group))
    inputs, targets = np.zeros(shape, dtype=np.int32), np.zeros(shape, dtype=np.int32)
    for column, number in enumerate(group):
        ids = sentences[number]
        inputs[: len(ids) - 1, column] = ids[:-1]
        targets[: len(ids) - 1, column] = ids[1:]
    mask = np.arange(shape[0])[:, None] < lengths[group]
    return Batch(inputs, targets, mask, group)


def stream_batches(
    sentences: Sequence[np.ndarray],
    batch_size: int,
    sequence_length: int,
    rng: np.random.Generator | None,
) -> list[Batch]:
    """One continuous stream, cut in B columns that are read in chunks of `sequence_length`, the state carried
    from chunk to chunk.

    The stream is every sentence's inputs ids[:-1] one after the other (so <s> follows the last word of the
    sentence before), its targets every sentence's ids[1:]: the same predictions as in `batches`, each exactly
    once. `rng` draws the order of the sentences; None: as they come. B is batch_size, less where there are fewer
    tokens. Raises SettingsError for a batch size or sequence length below 1.
    """
    _check_batch_size(batch_size)
    if sequence_length < 1:
        raise SettingsError("sequence_length must be at least 1.")
    if not len(sentences):
        return []
    order = np.arange(len(sentences)) if rng is None else rng.permutation(len(sentences))
    inputs = np.concatenate([sentences[number][:-1] for number in order])
    targets = np.concatenate([sentences[number][1:] for number in order])
    starts = np.cumsum([0, *(len(sentences[number]) - 1 for number in order)]).tolist()

    # Columns differ by one position at most, so only the last row of the last chunk can have padding.
    width = min(batch_size, len(inputs))
    edges = len(inputs) * np.arange(width + 1) // width
    height = int(np.diff(edges).max())
    found = []
    for top in range(0, height, sequence_length):
        position = np.arange(top, min(top + sequence_length, height))[:, None] + edges[:-1]
        mask = position < edges[1:]
        inside = np.where(mask, position, 0)
        first = [
            int(order[bisect_right(starts, at) - 1]) if real else -1
            for at, real in zip(inside[0].tolist(), mask[0].tolist(), strict=True)
        ]
        found.append(
            Batch(
                np.where(mask, inputs[inside], 0).astype(np.int32),
                np.where(mask, targets[inside], 0).astype(np.int32),
                mask,
                np.array(first, dtype=np.int64),
            )
        )
    return found
