"""Softmax cross-entropy over a large vocabulary, in blocks of rows that fit the cache.

For R positions, H hidden units and N words the logits are R x N numbers; with N = 8000 they, not the network, are where
time and memory go. So they never all exist: a block of a few rows is computed, turned into its loss and its gradient in
place, used for the two products that need it, and overwritten by the next. Blocks know nothing of each other, so each
thread takes its share.

    o_t = V s_t + c;   p_t = softmax(o_t);   E_t = -log p_t[y_t];   dE_t/do_t = p_t - onehot(y_t)
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from rnn_core.gradients import Gradient, ProductGradient
from rnn_core.numerics import Array, log_softmax
from rnn_core.threads import one_blas_thread, run_side_by_side, thread_count

# About what one core's share of the cache holds; larger blocks fall out of it, smaller ones make thin matrix products.
BLOCK_BYTES = 4 * 1024 * 1024


class OutputGradients(NamedTuple):
    """loss_nats (R,) per position, unweighted; d_hidden (R, H), V and c of the weighted sum of losses."""

    loss_nats: Array
    d_hidden: Array
    V: Gradient
    c: Array


def losses(hidden: Array, targets: Array, V: Array, c: Array | None) -> Array:
    """hidden (R, H), targets (R,) ids -> E (R,) in nats. Analytic: also takes complex arrays."""
    loss = np.empty(len(hidden), hidden.dtype)
    rows_per_block = max(1, BLOCK_BYTES // (V.shape[0] * hidden.dtype.itemsize))
    for start in range(0, len(hidden), rows_per_block):
        rows = slice(start, start + rows_per_block)
        log_p = log_softmax(logits(hidden[rows], V, c))
        loss[rows] = -np.take_along_axis(log_p, targets[rows, None], axis=1)[:, 0]
    return loss


def logits(hidden: Array, V: Array, c: Array | None) -> Array:
    """hidden (..., H) -> o (..., N)."""
    product = hidden @ V.T
    return product if c is None else product + c


def losses_and_gradients(hidden: Array, targets: Array, weights: Array, V: Array, c: Array | None) -> OutputGradients:
    """hidden (R, H), targets (R,), weights (R,) -> losses and the gradients of sum_r weights_r E_r."""
    positions, words = len(hidden), len(V)
    hidden = np.ascontiguousarray(hidden)
    rows_per_block = max(1, BLOCK_BYTES // (words * hidden.dtype.itemsize))
    blocks = -(-positions // rows_per_block)
    threads = min(thread_count(), max(1, blocks))
    if blocks > 1:
        # Every thread gets as many blocks as the others.
        blocks = -(-blocks // threads) * threads
    edges = [positions * k // max(blocks, 1) for k in range(blocks + 1)]
    spans = [slice(a, b) for a, b in zip(edges[:-1], edges[1:], strict=True)]
    loss, d_hidden = np.empty(positions, hidden.dtype), np.empty_like(hidden)

    def work(share: list[slice]) -> tuple[Gradient, Array]:
        return _share(share, hidden, targets, weights, V, c, loss, d_hidden)

    if blocks <= 1:
        d_V, d_c = work(spans)
        return OutputGradients(loss, d_hidden, d_V, d_c)
    with one_blas_thread():
        results = run_side_by_side([lambda k=k: work(spans[k::threads]) for k in range(threads)])
    d_V, d_c = results[0]
    assert isinstance(d_V, np.ndarray)
    for other_V, other_c in results[1:]:
        d_V += other_V
        d_c += other_c
    return OutputGradients(loss, d_hidden, d_V, d_c)


def _share(
    spans: list[slice],
    hidden: Array,
    targets: Array,
    weights: Array,
    V: Array,
    c: Array | None,
    loss: Array,
    d_hidden: Array,
) -> tuple[Gradient, Array]:
    """One thread's blocks, one after another in the same buffers; fills its rows of `loss` and `d_hidden`."""
    words = len(V)
    longest = max((span.stop - span.start for span in spans), default=0)
    buffer = np.empty((longest, words), hidden.dtype)
    d_c = np.zeros(words, hidden.dtype)
    d_V: Array | None = None
    product = np.empty_like(V) if len(spans) > 1 else None
    for span in spans:
        rows = np.arange(span.stop - span.start)
        target, weight, own_hidden = targets[span], weights[span], hidden[span]
        block = np.matmul(own_hidden, V.T, out=buffer[: len(rows)])
        if c is not None:
            block += c
        block -= block.max(axis=1, keepdims=True)
        of_target = block[rows, target]
        np.exp(block, out=block)
        total = block.sum(axis=1)
        loss[span] = np.log(total) - of_target
        # With e = exp(o), dE/do = (e - total * onehot) / total: the division is left to each product's small factor.
        block[rows, target] -= total
        scale = (weight / total)[:, None]
        np.matmul(block, V, out=d_hidden[span])
        d_hidden[span] *= scale
        d_c += (scale.T @ block)[0]
        scaled_hidden = own_hidden * scale
        if len(spans) == 1 and loss.size == len(rows):
            return ProductGradient(block, scaled_hidden), d_c
        if d_V is None:
            d_V = block.T @ scaled_hidden
        else:
            d_V += np.matmul(block.T, scaled_hidden, out=product)
    return (np.zeros_like(V) if d_V is None else d_V), d_c
