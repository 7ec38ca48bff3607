"""Softmax cross-entropy over a large vocabulary, in blocks that fit the cache and never all exist.

For R positions, H hidden units and N words the logits are R x N numbers; with N = 8000 they, not the network, are where
time and memory go. So a block of a few hundred rows is computed, turned into its loss and its gradient in place, used
for the two products that need it, and overwritten by the next. Threads share each block word by word: every thread has
its own words, that is rows of V and of V's gradient, and waits for the others once a block, to add up the totals of the
softmax.

    o_t = V s_t + c;   p_t = softmax(o_t);   E_t = -log p_t[y_t];   dE_t/do_t = p_t - onehot(y_t)
"""

from __future__ import annotations

from threading import Barrier
from typing import NamedTuple

import numpy as np

from rnn_core.arrays import Array
from rnn_core.nn.activations import log_softmax
from rnn_core.parallel.threads import even_slice, run_parallel, threads_for

# Bytes of logits that exist at a time. Smaller blocks make thin matrix products, and a larger share of adding up dV.
BLOCK_BYTES = 12 * 1024 * 1024
# Between its inverse and this, a row's sum of exponentials loses nothing to overflow or underflow, in float32 either.
SAFE_TOTAL = 1e15
# The bias is a factor of the exponentials up to exp of this.
LARGEST_BIAS_OF_A_FACTOR = 20.0
# From so many words on the threads share them. Of fewer (characters, say) each would have too few for its products.
MANY_WORDS = 512
# BLAS multiplies small matrices where they lie, and copies larger ones into a layout of its own first. For a handful of
# positions (one sentence) the copy of V takes as long as the product. So that is cut into small ones of so many
# multiplications each, unless they had fewer words than this.
SMALL_PRODUCT, LEAST_WORDS = 500_000, 64


class OutputGradients(NamedTuple):
    """losses (R,) per position, unweighted; gradients of the weighted sum of losses: d_hidden (R, H), V, and c where
    there is a c.
    """

    losses: Array
    d_hidden: Array
    V: Array
    c: Array | None


def logits(hidden: Array, V: Array, c: Array | None) -> Array:
    """hidden (..., H) -> o (..., N)."""
    product = hidden @ V.T
    return product if c is None else product + c


def row_blocks(positions: int, words: int, itemsize: int) -> list[slice]:
    """Equal blocks of rows, each with at most BLOCK_BYTES of logits (or one row)."""
    blocks = max(1, -(-positions * words * itemsize // BLOCK_BYTES))
    blocks = min(blocks, max(1, positions))
    return [even_slice(positions, block, blocks) for block in range(blocks)]


def losses(hidden: Array, targets: Array, V: Array, c: Array | None) -> Array:
    """hidden (R, H), targets (R,) ids -> E (R,) in nats. Analytic: also takes complex arrays."""
    loss = np.empty(len(hidden), hidden.dtype)
    for rows in row_blocks(len(hidden), len(V), hidden.dtype.itemsize):
        log_p = log_softmax(logits(hidden[rows], V, c))
        loss[rows] = -np.take_along_axis(log_p, targets[rows, None], axis=1)[:, 0]
    return loss


def losses_and_gradients(hidden: Array, targets: Array, weights: Array, V: Array, c: Array | None) -> OutputGradients:
    """hidden (R, H), targets (R,), weights (R,) -> losses and the gradients of sum_r weights_r E_r."""
    with np.errstate(over="ignore", invalid="ignore"):  # What overflows shows in the total.
        total, result = _softmax_gradients(hidden, targets, weights, V, c, shift=None)
        if np.all((total > 1 / SAFE_TOTAL) & (total < SAFE_TOTAL)):
            return result
        # Some row's exponentials are too large or too small: subtract each row's largest logit first.
        return _softmax_gradients(hidden, targets, weights, V, c, shift=largest_logits(hidden, V, c))[1]


def largest_logits(hidden: Array, V: Array, c: Array | None) -> Array:
    """(R, H) -> (R,)."""
    blocks = row_blocks(len(hidden), len(V), hidden.dtype.itemsize)
    return np.concatenate([logits(hidden[rows], V, c).max(axis=1) for rows in blocks])


def _words_by_positions(block: Array, hidden: Array, out: Array) -> None:
    """out (W, H) = block (W, R) @ hidden (R, H): V's gradient, or a block's part of it."""
    words = _words_of_a_piece(hidden)
    if not words:
        np.matmul(block, hidden, out=out)
        return
    cut = len(block) // words * words
    np.matmul(_in_pieces(block[:cut], words), hidden, out=_in_pieces(out[:cut], words))
    np.matmul(block[cut:], hidden, out=out[cut:])


def _positions_by_words(block: Array, V: Array, out: Array) -> None:
    """out (R, H) = block^T V, block (W, R), V (W, H): for the gradient of the hidden state."""
    words = _words_of_a_piece(out)
    if not words:
        np.matmul(block.T, V, out=out)
        return
    cut = len(block) // words * words
    np.matmul(block[cut:].T, V[cut:], out=out)
    out += np.matmul(_in_pieces(block[:cut], words).swapaxes(1, 2), _in_pieces(V[:cut], words)).sum(axis=0)


def _words_of_a_piece(by_position: Array) -> int:
    """How many words make a small product with such a matrix (R, H); 0: leave the product whole."""
    words = SMALL_PRODUCT // by_position.size if by_position.size else 0
    return words if words >= LEAST_WORDS else 0


def _in_pieces(array: Array, rows: int) -> Array:
    return array.reshape(-1, rows, array.shape[-1])


class _SharedBuffers(NamedTuple):
    """What P threads that share the words see in common; each writes to a part of its own.

    target_logits (R,); totals (P, R): each thread's sum of exp(o) over its words; weighted_V (P, R, H): its sum of
    exp(o_n) V_n; d_V (N, H), d_c (N,) or None: rows of its words.
    """

    target_logits: Array
    totals: Array
    weighted_V: Array
    d_V: Array
    d_c: Array | None


def _softmax_gradients(
    hidden: Array, targets: Array, weights: Array, V: Array, c: Array | None, shift: Array | None
) -> tuple[Array, OutputGradients]:
    """Each row's total, the sum of exp(o - shift) over the words, and the result. `shift` (R,); None: 0."""
    positions, words, dtype = len(hidden), len(V), hidden.dtype
    threads = min(words, threads_for(6 * positions * V.size)) if words >= MANY_WORDS else 1
    buffers = _SharedBuffers(
        target_logits=np.empty(positions, dtype),
        totals=np.empty((threads, positions), dtype),
        weighted_V=np.empty((threads, *hidden.shape), dtype),
        d_V=np.empty_like(V),
        d_c=None if c is None else np.empty_like(c),
    )
    barrier = Barrier(threads)

    def work(thread: int) -> None:
        _softmax_of_words(thread, buffers, hidden, targets, weights, V, c, shift, barrier)

    run_parallel(work, threads, barrier)
    total = buffers.totals.sum(axis=0)
    d_hidden = buffers.weighted_V.sum(axis=0)
    d_hidden /= total[:, None]
    d_hidden -= V[targets]
    d_hidden *= weights[:, None]
    return total, OutputGradients(np.log(total) - buffers.target_logits, d_hidden, buffers.d_V, buffers.d_c)


def _softmax_of_words(
    thread: int,
    buffers: _SharedBuffers,
    hidden: Array,
    targets: Array,
    weights: Array,
    V: Array,
    c: Array | None,
    shift: Array | None,
    barrier: Barrier,
) -> None:
    """One thread's words: their part of the totals and of the gradient of the hidden states, and their rows of d_V and
    d_c.

    With e = exp(o), dE/do = (e - total * onehot) / total: the division is left to the small factors of its products.
    So is the bias, where that is less to do: exp(V s + c) = exp(V s) exp(c).
    """
    own = even_slice(len(V), thread, len(buffers.totals))
    own_V, bias = V[own], None if c is None else c[own]
    d_V, d_c = buffers.d_V[own], None
    if buffers.d_c is not None:
        d_c = buffers.d_c[own]
        d_c[...] = 0
    factor, weighted_V = np.ones(len(own_V), V.dtype), own_V
    if bias is not None and shift is None and _bias_as_factor(bias, hidden):
        factor, bias = np.exp(bias), None
        weighted_V = own_V * factor[:, None]
    blocks = row_blocks(len(hidden), len(V), V.itemsize)
    longest = max(block.stop - block.start for block in blocks)
    logits_buffer = np.empty(len(own_V) * longest, V.dtype)
    product = np.empty_like(own_V) if len(blocks) > 1 else None
    for rows in blocks:
        hidden_rows = hidden[rows]
        # The positions whose target is among these words.
        mine = np.flatnonzero((own.start <= targets[rows]) & (targets[rows] < own.stop))
        target = targets[rows][mine] - own.start
        # Words down, positions across: the product reads V as it lies, and sums run along the memory.
        block = logits_buffer[: len(own_V) * len(hidden_rows)].reshape(len(own_V), -1)
        np.matmul(own_V, hidden_rows.T, out=block)
        if bias is not None:
            block += bias[:, None]
        if shift is not None:
            block -= shift[rows]
        buffers.target_logits[rows][mine] = block[target, mine] + np.log(factor[target])
        np.exp(block, out=block)
        np.matmul(factor, block, out=buffers.totals[thread, rows])
        _positions_by_words(block, weighted_V, out=buffers.weighted_V[thread, rows])
        barrier.wait()  # until every thread's part of these rows' totals is there
        total = buffers.totals[:, rows].sum(axis=0)
        block[target, mine] -= total[mine] / factor[target]
        scale = weights[rows] / total
        scaled = hidden_rows * scale[:, None]
        if rows.start == 0:
            _words_by_positions(block, scaled, out=d_V)
        else:
            d_V += np.matmul(block, scaled, out=product)
        if d_c is not None:
            d_c += block @ scale
    if weighted_V is not own_V:
        d_V *= factor[:, None]
        if d_c is not None:
            d_c *= factor


def _bias_as_factor(bias: Array, hidden: Array) -> bool:
    """Whether to multiply by exp(c) instead of adding c: where that is less to do, and c is so moderate that what
    counts in exp(o + c) keeps its digits in exp(o).
    """
    return factor_is_less_to_do(*hidden.shape) and bool(np.all(np.abs(bias) <= LARGEST_BIAS_OF_A_FACTOR))


def factor_is_less_to_do(positions: int, hidden_size: int) -> bool:
    """Whether exp(c), as a factor, multiplies fewer numbers (V's, and its gradient's) than there are logits."""
    return positions > 2 * hidden_size
