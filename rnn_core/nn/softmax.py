"""Softmax cross-entropy over a large vocabulary, in blocks that fit the cache and never all exist.

For R positions, H hidden units and N words the logits are R x N numbers; with N = 8000 they, not the network, are where
time and memory go. So a block of a few hundred rows is computed, turned into its loss and its gradient in place, used
for the two products that need it, and overwritten by the next. Threads share each block word by word: every thread has
its own words, that is rows of V and of V's gradient, and once a block needs the others' totals of the softmax.

    o_t = V s_t + c;   p_t = softmax(o_t);   E_t = -log p_t[y_t];   dE_t/do_t = p_t - onehot(y_t)
"""

from __future__ import annotations

from itertools import chain
from threading import Event
from typing import NamedTuple

import numpy as np

from rnn_core.arrays import Array
from rnn_core.nn.activations import log_softmax
from rnn_core.threads import even_slice, run_parallel, threads_for

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


class _SharedSoftmax(NamedTuple):
    """What P threads that share the words see in common; each writes to a part of its own.

    Given: hidden (R, H), targets (R,), weights (R,), V (N, H), and shift (R,) or None. The bias is added to the logits,
    `bias` (N,), or it multiplies their exponentials, `factor` (N,): exp(V s + c) = exp(V s) exp(c); what it is not is
    None. `blocks` of rows.

    Found: target_logits (R,); totals (P, R): each thread's sum of exp(o) over its words, complete for block k once
    totals_ready[k][thread] is set; weighted_V (P, R, H): its sum of exp(o_n) V_n; d_V (N, H), d_c (N,) or None: rows of
    its words.
    """

    hidden: Array
    targets: Array
    weights: Array
    V: Array
    bias: Array | None
    factor: Array | None
    shift: Array | None
    blocks: list[slice]
    target_logits: Array
    totals: Array
    totals_ready: list[list[Event]]
    weighted_V: Array
    d_V: Array
    d_c: Array | None


def _softmax_gradients(
    hidden: Array, targets: Array, weights: Array, V: Array, c: Array | None, shift: Array | None
) -> tuple[Array, OutputGradients]:
    """Each row's total, the sum of exp(o - shift) over the words, and the result. `shift` (R,); None: 0."""
    positions, words, dtype = len(hidden), len(V), hidden.dtype
    threads = min(words, threads_for(6 * positions * V.size)) if words >= MANY_WORDS else 1
    bias, factor = c, None
    if c is not None and shift is None and _bias_as_factor(c, hidden):
        bias, factor = None, np.exp(c)
    blocks = row_blocks(positions, words, V.itemsize)
    ready = [[Event() for _ in range(threads)] for _ in blocks]
    shared = _SharedSoftmax(
        hidden,
        targets,
        weights,
        V,
        bias,
        factor,
        shift,
        blocks,
        target_logits=np.empty(positions, dtype),
        totals=np.empty((threads, positions), dtype),
        totals_ready=ready,
        weighted_V=np.empty((threads, *hidden.shape), dtype),
        d_V=np.empty_like(V),
        d_c=None if c is None else np.empty_like(c),
    )
    run_parallel(lambda thread: _softmax_of_words(thread, shared), threads, awaited=list(chain(*ready)))
    total = shared.totals.sum(axis=0)
    d_hidden = shared.weighted_V.sum(axis=0)
    d_hidden /= total[:, None]
    d_hidden -= V[targets]
    d_hidden *= weights[:, None]
    return total, OutputGradients(np.log(total) - shared.target_logits, d_hidden, shared.d_V, shared.d_c)


def _softmax_of_words(thread: int, shared: _SharedSoftmax) -> None:
    """One thread's words: their part of the totals and of the gradient of the hidden states, and their rows of d_V and
    d_c.

    With e = exp(o), dE/do = (e - total * onehot) / total: the division is left to the small factors of its products.
    So is the bias, where it is a factor.

    Between two long operations the threads compete for Python's global lock, and one that sleeps is woken late: there
    is little to do here for each block, and it waits for the others' totals only where it needs them.
    """
    own = even_slice(len(shared.V), thread, len(shared.totals))
    V, d_V, d_c = shared.V[own], shared.d_V[own], None
    if shared.d_c is not None:
        d_c = shared.d_c[own]
        d_c[...] = 0
    if shared.factor is None:
        factor, weighted_V = np.ones(len(V), V.dtype), V
    else:
        factor = shared.factor[own]
        weighted_V = V * factor[:, None]
    longest = max(rows.stop - rows.start for rows in shared.blocks)
    logits_buffer = np.empty(len(V) * longest, V.dtype)
    product = np.empty_like(V) if len(shared.blocks) > 1 else None
    for rows, totals_ready in zip(shared.blocks, shared.totals_ready, strict=True):
        hidden, targets = shared.hidden[rows], shared.targets[rows]
        # The positions whose target is among these words.
        mine = np.flatnonzero((own.start <= targets) & (targets < own.stop))
        target = targets[mine] - own.start
        # Words down, positions across: the product reads V as it lies, and sums run along the memory.
        block = logits_buffer[: len(V) * len(hidden)].reshape(len(V), -1)
        np.matmul(V, hidden.T, out=block)
        if shared.bias is not None:
            block += shared.bias[own, None]
        if shared.shift is not None:
            block -= shared.shift[rows]
        shared.target_logits[rows][mine] = block[target, mine] + np.log(factor[target])
        np.exp(block, out=block)
        np.matmul(factor, block, out=shared.totals[thread, rows])
        totals_ready[thread].set()
        _positions_by_words(block, weighted_V, out=shared.weighted_V[thread, rows])
        for event in totals_ready:
            event.wait()
        total = shared.totals[:, rows].sum(axis=0)
        block[target, mine] -= total[mine] / factor[target]
        scale = shared.weights[rows] / total
        scaled = hidden * scale[:, None]
        if rows.start == 0:
            _words_by_positions(block, scaled, out=d_V)
        else:
            d_V += np.matmul(block, scaled, out=product)
        if d_c is not None:
            d_c += block @ scale
    if shared.factor is not None:
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
