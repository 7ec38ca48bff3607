"""Softmax cross-entropy over a large vocabulary, in blocks that fit the cache and never all exist.

For R positions, H hidden units and N words the logits are R x N numbers; with N = 8000 they, not the network, are where
time and memory go. So a block of a few hundred rows is computed, turned into its loss and its gradient in place, used
for the two products that need it, and overwritten by the next. The threads share each block word by word: every thread
has its own words, its rows of V and of V's gradient, and meets the others only to agree on a row's total. (Few
words and many positions are shared by position: each thread then has a small gradient of V to add.)

    o_t = V s_t + c;   p_t = softmax(o_t);   E_t = -log p_t[y_t];   dE_t/do_t = p_t - onehot(y_t)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np

from rnn_core.arrays import Array
from rnn_core.nn.activations import log_softmax
from rnn_core.parallel.threads import Meeting, even_slice, run_parallel, threads_for

# Bytes of logits that exist at a time. Smaller blocks make thin matrix products, and a larger share of adding up dV.
BLOCK_BYTES = 12 * 1024 * 1024
# Between its inverse and this, a row's sum of exponentials loses nothing to overflow or underflow, in float32 either.
SAFE_TOTAL = 1e15
# The bias is a factor of the exponentials up to exp of this.
LARGEST_BIAS_OF_A_FACTOR = 20.0
# Below so many words (characters, say) the threads share the positions: shares of the words would be thin.
FEW_WORDS = 512
# BLAS multiplies small matrices where they lie, and copies larger ones into a layout of its own first. For a handful of
# positions (one sentence) the copy of V takes as long as the product. So that is cut into small ones of so many
# multiplications each, unless they had fewer words than this.
SMALL_PRODUCT, LEAST_WORDS = 500_000, 64


class OutputGradients(NamedTuple):
    """loss_nats (R,) per position, unweighted; gradients of the weighted sum of losses: d_hidden (R, H), V, and c where
    there is a c.
    """

    loss_nats: Array
    d_hidden: Array
    V: Array
    c: Array | None


# hidden, targets, weights, V, c: as `losses_and_gradients` takes them.
Softmax = Callable[[Array, Array, Array, Array, Array | None], OutputGradients]


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
        total, result = _on_threads(hidden, targets, weights, V, c, None)
        if _plain_exponentials_do(total):
            return result
        return _on_threads(hidden, targets, weights, V, c, largest_logits(hidden, V, c))[1]


def _plain_exponentials_do(total: Array) -> bool:
    """Whether no row's sum is too large or too small; otherwise each row's largest logit is to be taken out first."""
    return bool(np.all((total > 1 / SAFE_TOTAL) & (total < SAFE_TOTAL)))


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


class Common(NamedTuple):
    """What everyone who shares the softmax of R positions over N words sees; parts write to places of their own.

    Given: hidden (R, H), targets (R,), weights (R,). Found: of_target (R,) the target's logit; by each of P parts, over
    its words, totals (P, R) of e = exp(o) and weighted (P, R, H) = sum_n e_n V_n; d_V (N, H), and d_c (N,) where there
    is a c.
    """

    hidden: Array
    targets: Array
    weights: Array
    of_target: Array
    totals: Array
    weighted: Array
    d_V: Array
    d_c: Array | None


class Meets(Protocol):
    """Where those who share something wait until all have come."""

    def wait(self) -> None: ...


def _on_threads(
    hidden: Array, targets: Array, weights: Array, V: Array, c: Array | None, shift: Array | None
) -> tuple[Array, OutputGradients]:
    """Every row's sum of exp(o - shift), and the rest; shared among the threads by words, or by positions."""
    positions, size = hidden.shape
    words = len(V)
    threads = threads_for(6 * positions * words * size)
    if words >= min(FEW_WORDS, positions) or threads == 1:
        return _by_words(hidden, targets, weights, V, c, shift, min(threads, words))
    shares: dict[int, tuple[Array, OutputGradients]] = {}

    def work(thread: int) -> None:
        own = even_slice(positions, thread, threads)
        own_shift = None if shift is None else shift[own]
        shares[thread] = _by_words(hidden[own], targets[own], weights[own], V, c, own_shift, 1)

    run_parallel(work, threads)
    totals, results = zip(*(shares[thread] for thread in range(threads)), strict=True)
    loss, d_hidden, d_V, d_c = zip(*results, strict=True)
    gradients = np.concatenate(d_hidden), sum(d_V), None if c is None else sum(d_c)
    return np.concatenate(totals), OutputGradients(np.concatenate(loss), *gradients)


def _by_words(
    hidden: Array, targets: Array, weights: Array, V: Array, c: Array | None, shift: Array | None, threads: int
) -> tuple[Array, OutputGradients]:
    """The same; every thread has words of its own."""
    positions, dtype = len(hidden), hidden.dtype
    common = Common(
        hidden,
        targets,
        weights,
        of_target=np.empty(positions, dtype),
        totals=np.empty((threads, positions), dtype),
        weighted=np.empty((threads, *hidden.shape), dtype),
        d_V=np.empty_like(V),
        d_c=None if c is None else np.empty_like(c),
    )
    meeting = Meeting(threads)
    run_parallel(lambda thread: _part(thread, common, V, c, shift, meeting), threads, meeting)
    return common.totals.sum(axis=0), _result(common, slice(None), V)


def part_of_losses_and_gradients(
    part: int, common: Common, own: slice, V: Array, c: Array | None, meeting: Meets
) -> OutputGradients:
    """As `losses_and_gradients`, called by each of several processes with its number: together they fill `common`.

    What is returned is for these positions, `own`; the gradients of V and c are whole once all processes have returned.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        _part(part, common, V, c, None, meeting)
        if not _plain_exponentials_do(common.totals.sum(axis=0)):  # All see the same, and go the same way.
            shift = largest_logits(common.hidden, V, c)
            meeting.wait()
            _part(part, common, V, c, shift, meeting)
    return _result(common, own, V)


def _part(part: int, common: Common, V: Array, c: Array | None, shift: Array | None, meeting: Meets) -> None:
    """One part's words: their share of the totals, of the gradient of the hidden state, and their rows of d_V and d_c.

    With e = exp(o), dE/do = (e - total * onehot) / total: the division is left to the small factors of its products.
    So is the bias, where that is less to do: exp(V s + c) = exp(V s) exp(c).
    """
    own = even_slice(len(V), part, len(common.totals))
    own_V, bias = V[own], None if c is None else c[own]
    d_V, d_c = common.d_V[own], None
    if common.d_c is not None:
        d_c = common.d_c[own]
        d_c[...] = 0
    factor, weighted_V = np.ones(len(own_V), V.dtype), own_V
    if bias is not None and shift is None and _does_as_a_factor(bias, common.hidden):
        factor, bias = np.exp(bias), None
        weighted_V = own_V * factor[:, None]
    blocks = row_blocks(len(common.hidden), len(V), V.itemsize)
    longest = max(block.stop - block.start for block in blocks)
    buffer = np.empty(len(own_V) * longest, V.dtype)
    product = np.empty_like(own_V) if len(blocks) > 1 else None
    for rows in blocks:
        hidden, targets = common.hidden[rows], common.targets[rows]
        # The positions whose target is among these words.
        mine = np.flatnonzero((own.start <= targets) & (targets < own.stop))
        target = targets[mine] - own.start
        # Words down, positions across: the product reads V as it lies, and sums run along the memory.
        block = buffer[: len(own_V) * len(hidden)].reshape(len(own_V), -1)
        np.matmul(own_V, hidden.T, out=block)
        if bias is not None:
            block += bias[:, None]
        if shift is not None:
            block -= shift[rows]
        common.of_target[rows][mine] = block[target, mine] + np.log(factor[target])
        np.exp(block, out=block)
        np.matmul(factor, block, out=common.totals[part, rows])
        _positions_by_words(block, weighted_V, out=common.weighted[part, rows])
        meeting.wait()
        total = common.totals[:, rows].sum(axis=0)
        block[target, mine] -= total[mine] / factor[target]
        scale = common.weights[rows] / total
        scaled = hidden * scale[:, None]
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


def _does_as_a_factor(bias: Array, hidden: Array) -> bool:
    """Whether that is less to do, and the bias so moderate that what counts in exp(o + bias) keeps its digits in
    exp(o).
    """
    return factor_is_less_to_do(*hidden.shape) and bool(np.all(np.abs(bias) <= LARGEST_BIAS_OF_A_FACTOR))


def factor_is_less_to_do(positions: int, hidden_size: int) -> bool:
    """Whether exp(c), as a factor, multiplies fewer numbers, V's and its gradient's, than there are logits."""
    return positions > 2 * hidden_size


def _result(common: Common, own: slice, V: Array) -> OutputGradients:
    """Losses and d_hidden of these positions, from what all parts have found."""
    total = common.totals[:, own].sum(axis=0)
    d_hidden = common.weighted[:, own].sum(axis=0)
    d_hidden /= total[:, None]
    d_hidden -= V[common.targets[own]]
    d_hidden *= common.weights[own, None]
    return OutputGradients(np.log(total) - common.of_target[own], d_hidden, common.d_V, common.d_c)
