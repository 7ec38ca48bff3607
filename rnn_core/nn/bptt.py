"""The walks: forward through time, and the three ways back.

A cell is a step and the reverse of that step; everything here only decides in which order the steps are taken.

| walk             | order                                                              | cost               |
|------------------|--------------------------------------------------------------------|--------------------|
| `forward`        | t = 1 .. T on (B, H) slices                                        | T steps            |
| `bptt`           | t = T .. 1, dE_t/ds_t joining on the way (Werbos 1990)             | T reverse steps    |
| `truncated_bptt` | every loss walks back at once, at most K steps (the tutorial's truncation) | K + 1 lag steps |
| `per_loss_bptt`  | the same to the end, each loss kept apart                          | T lag steps        |

In lag step j all T - j losses E_t that reach back that far stand at position t - j, and one `step_back` on a
(T - j, B, H) block takes them all one step further. Parameter gradients are linear in the deltas, so training adds up
the deltas that belong to one position and multiplies once; the diagnostics look at them one by one. They are the same
numbers.

Nothing here knows of words: a walk needs cells, weights, input projections and dE_t/dh_t.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from rnn_core.arrays import Array
from rnn_core.nn.cells import ALL, Cell, Weights, merge_gates, split_gates
from rnn_core.threads import CACHED_NUMBERS, matmul


@dataclass(eq=False)
class LayerTrace:
    """What one layer did over T steps: the record that every walk back reads.

    cache (cache_blocks, T, B, H), blocks (state_blocks, T+1, B, H) with the initial state first. `input_weights` is the
    matrix U (H, G*H) through which a deeper layer reads the one below it, `input_mask` the dropout mask on that way
    (both None for the first layer, whose input belongs to the network).
    """

    cell: Cell
    weights: Weights
    cache: Array
    blocks: Array
    input_weights: Array | None = None
    input_mask: Array | None = None

    @property
    def hidden_size(self) -> int:
        return int(self.blocks.shape[-1])

    @property
    def hidden(self) -> Array:
        """h_1 .. h_T, (T, B, H): what the layer shows to the one above."""
        return self.blocks[0, 1:]

    @cached_property
    def states(self) -> Array:
        """(T+1, B, S), S = state_blocks * H: the state as one vector, [h | c] for LSTM."""
        return merge_gates(self.blocks)

    @cached_property
    def slopes(self) -> Array:
        """Partial derivatives of every step, (slope_blocks, T, B, H): see the cell."""
        return self.slopes_at(ALL)

    def slopes_at(self, positions: slice) -> Array:
        """The same for some steps."""
        cache = self.cache[:, positions]
        before, after = self.blocks[:, :-1][:, positions], self.blocks[:, 1:][:, positions]
        slopes = np.empty((self.cell.slope_blocks, *cache.shape[1:]), cache.dtype)
        self.cell.slopes(cache, before, after, self.weights, slopes)
        return slopes

    def weight_gradients(self, d_preactivation: Array, positions: slice = ALL) -> dict[str, Array]:
        """Gradients of W, b and b_n, as far as the cell has them, from the deltas (·, P, B, H) of these positions."""
        before = self.blocks[:, :-1][:, positions]
        return self.cell.weight_gradients(d_preactivation, self.cache[:, positions], before, self.weights)

    def input_gradient(self, d_preactivation: Array, positions: slice = ALL) -> Array:
        """Gradient (P, B, H) with respect to the hidden state of the layer below at these positions."""
        assert self.input_weights is not None
        deltas = self.cell.input_part(d_preactivation)
        by_gate = split_gates(self.input_weights, self.hidden_size).swapaxes(1, 2)
        d_input = matmul(deltas.reshape(len(deltas), -1, self.hidden_size), by_gate).sum(axis=0)
        d_input = d_input.reshape(*deltas.shape[1:-1], len(self.input_weights))
        if self.input_mask is None:
            return d_input
        mask = self.input_mask
        return d_input * (mask if mask.shape[0] == 1 else mask[positions])


def forward(cell: Cell, weights: Weights, cache: Array, initial: Array) -> Array:
    """cache (·, T, B, H) holding the input projection, initial (B, S) -> states (state_blocks, T+1, B, H). Fills
    `cache` on the way.
    """
    _, steps, batch, size = cache.shape
    states = np.empty((cell.state_blocks, steps + 1, batch, size), cache.dtype)
    states[:, 0] = split_gates(initial, size)
    for t in range(steps):
        cell.step(cache[:, t], states[:, t], weights, states[:, t + 1])
    return states


def bptt(stack: list[LayerTrace], d_hidden: Array, d_states: list[Array] | None = None) -> list[Array]:
    """Full BPTT. d_hidden (T, B, H) = dE_t/dh_t of the top layer, each loss's own part -> d_preactivation (·, T, B, H)
    for every layer.

    The total over all losses: d_preactivation[:, t] holds sum over t' >= t of dE_t'/da_t. Where `d_states` is given,
    one (T, B, S) array per layer, it is filled with dE/ds_t, which the regulariser Omega needs.
    """
    found: list[Array] = []
    for depth in range(len(stack) - 1, -1, -1):
        layer = stack[depth]
        d_preactivation = np.empty((layer.cell.d_preactivation_blocks, *layer.cache.shape[1:]), layer.cache.dtype)
        _walk_back(layer, d_hidden, d_preactivation, None if d_states is None else d_states[depth])
        found.insert(0, d_preactivation)
        if layer.input_weights is not None:
            d_hidden = layer.input_gradient(d_preactivation)
    return found


def _walk_back(layer: LayerTrace, d_hidden: Array, d_preactivation: Array, d_states: Array | None) -> None:
    """One layer's part of `bptt`: fills d_preactivation (·, T, B, H), and d_states (T, B, S) where it is wanted."""
    _, steps, batch, size = layer.cache.shape
    # The slopes of a few steps at a time: they are still in the processor's cache when the walk comes to them.
    stretch = max(1, CACHED_NUMBERS // max(1, batch * size * layer.cell.slope_blocks))
    d_state = np.zeros_like(layer.blocks[:, 0])
    for end in range(steps, 0, -stretch):
        start = max(0, end - stretch)
        slopes = layer.slopes_at(slice(start, end))
        for t in range(end - 1, start - 1, -1):
            d_state[0] += d_hidden[t]
            if d_states is not None:
                d_states[t] = merge_gates(d_state)
            d_state = layer.cell.step_back(d_state, slopes[:, t - start], layer.weights, d_preactivation[:, t])


@dataclass(eq=False)
class LagStep:
    """Step j of the walk in which all losses go back together; for every layer, positions k = 0 .. T-1-j, loss t = k +
    j.

    d_preactivations[l] (·, T-j, B, H): gradient of E_{k+j} with respect to the pre-activations at k; d_blocks[l]
    (state_blocks, T-j, B, H): to the state.
    """

    lag: int
    d_preactivations: list[Array]
    d_blocks: list[Array]

    @cached_property
    def d_states(self) -> list[Array]:
        """(T-j, B, S) for every layer: the same as `d_blocks` with the state as one vector."""
        return [merge_gates(blocks) for blocks in self.d_blocks]


def lag_steps(stack: list[LayerTrace], d_hidden: Array, last: int | None = None) -> Iterator[LagStep]:
    """Walk all losses back at once, lag 0 to `last` (default T - 1). d_hidden (T, B, H) as in `bptt`."""
    steps = len(d_hidden)
    last = steps - 1 if last is None else min(last, steps - 1)
    d_blocks = [np.zeros_like(layer.blocks[:, 1:]) for layer in stack]
    d_blocks[-1][0] += d_hidden
    for lag in range(last + 1):
        here = slice(0, steps - lag)
        d_preactivations: list[Array] = [np.empty(0)] * len(stack)
        before: list[Array] = [np.empty(0)] * len(stack)
        for depth in range(len(stack) - 1, -1, -1):
            layer, d_state = stack[depth], d_blocks[depth]
            d_preactivation = np.empty((layer.cell.d_preactivation_blocks, *d_state.shape[1:]), d_state.dtype)
            before[depth] = layer.cell.step_back(d_state, layer.slopes[:, here], layer.weights, d_preactivation)
            d_preactivations[depth] = d_preactivation
            if depth:
                # From a layer to the one below it no time passes: that belongs to the same lag step.
                d_blocks[depth - 1][0] += layer.input_gradient(d_preactivation, here)
        yield LagStep(lag, d_preactivations, d_blocks)
        # Position k passes its gradient to position k - 1; nothing stands before the first.
        d_blocks = [gradient[:, 1:] for gradient in before]


def truncated_bptt(stack: list[LayerTrace], d_hidden: Array, window: int) -> list[Array]:
    """Truncated BPTT, K = `window` steps per loss: each E_t reaches back at most K steps, K + 1 terms (the tutorial's
    `bptt_truncate`). Returns d_preactivation (·, T, B, H) for every layer, summed over the losses that reach each
    position.
    """
    totals: list[Array] = []
    for step in lag_steps(stack, d_hidden, window):
        if step.lag == 0:
            totals = step.d_preactivations
            continue
        for total, d_preactivation in zip(totals, step.d_preactivations, strict=True):
            total[:, : d_preactivation.shape[1]] += d_preactivation
    return totals


def per_loss_bptt(stack: list[LayerTrace], d_hidden: Array) -> list[LagStep]:
    """Every delta_{t,k} of every layer, kept apart: T lag steps of at most T positions. Memory T^2 B (blocks) H."""
    return list(lag_steps(stack, d_hidden))
