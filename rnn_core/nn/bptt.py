"""The walks: forward through time, and the three ways back.

A cell is a step and the reverse of that step; everything here only decides in which order the steps are taken.

| walk        | order                                                              | cost               |
|-------------|--------------------------------------------------------------------|--------------------|
| `forward`   | t = 1 .. T on (B, H) slices                                        | T steps            |
| `full`      | t = T .. 1, dE_t/ds_t joining on the way (Werbos 1990)             | T reverse steps    |
| `windowed`  | every loss walks back at once, at most K steps (the tutorial's truncation) | K + 1 rounds |
| `itemised`  | the same rounds to the end, each loss kept apart                   | T rounds           |

In round j all T - j losses E_t that reach back that far stand at position t - j, and one `step_back` on a (T - j, B, H)
block takes them all one step further. Parameter gradients are linear in the deltas, so training adds up the deltas that
belong to one position and multiplies once; the diagnostics look at them one by one. They are the same numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from rnn_core.arrays import Array
from rnn_core.nn.cells import ALL, Cell, Weights, merge_gates, split_gates
from rnn_core.parallel.threads import CACHED_NUMBERS, even_slice, matmul, run_parallel, thread_count

# Floating-point operations of one step's recurrent product above which two threads, each with half of the sequences,
# gain more on the way back than they lose by waiting for each other at Python's lock. (Forward, with more and shorter
# calls a step, they never do.)
WORTH_SHARING_A_STEP = 4_500_000


@dataclass(eq=False)
class LayerTrace:
    """What one layer did over T steps: the record that every walk back reads.

    kept (kept_blocks, T, B, H), blocks (state_blocks, T+1, B, H) with the initial state first. `from_below` is the
    matrix U (H, G*H) through which a deeper layer hears the one below it, `mask_below` the dropout mask on that way
    (both None for the first layer, whose input side belongs to the model).
    """

    cell: Cell
    weights: Weights
    kept: Array
    blocks: Array
    from_below: Array | None = None
    mask_below: Array | None = None

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
        """Local partial derivatives of every step, (·, T, B, H): see the cell."""
        return self.slopes_at(ALL)

    def slopes_at(self, positions: slice, sequences: slice = ALL) -> Array:
        """The same for some steps and sequences."""
        kept, weights = self.kept[:, positions, sequences], self.weights.of_sequences(sequences)
        before, after = self.blocks[:, :-1][:, positions, sequences], self.blocks[:, 1:][:, positions, sequences]
        slopes = np.empty((self.cell.slope_blocks, *kept.shape[1:]), kept.dtype)
        self.cell.slopes(kept, before, after, weights, slopes)
        return slopes

    def weight_gradients(self, local: Array, positions: slice = ALL) -> dict[str, Array]:
        """Gradients of W, b (and b_n) from `local` deltas (·, P, B, H) that belong to these positions."""
        before = self.blocks[:, :-1][:, positions]
        return self.cell.weight_gradients(local, self.kept[:, positions], before, self.weights)

    def gradient_below(self, local: Array, positions: slice = ALL) -> Array:
        """Gradient with respect to the hidden state of the layer below at these positions."""
        assert self.from_below is not None
        d_drive = self.cell.drive_part(local)
        by_gate = split_gates(self.from_below, self.hidden_size).swapaxes(1, 2)
        d_input = matmul(d_drive.reshape(len(d_drive), -1, self.hidden_size), by_gate).sum(axis=0)
        d_input = d_input.reshape(*d_drive.shape[1:-1], -1)
        if self.mask_below is None:
            return d_input
        mask = self.mask_below
        return d_input * (mask if mask.shape[0] == 1 else mask[positions])


def forward(cell: Cell, weights: Weights, kept: Array, initial: Array) -> Array:
    """kept (·, T, B, H) holding the drive, initial (B, S) -> states (state_blocks, T+1, B, H). Fills `kept` on the
    way.
    """
    _, steps, batch, size = kept.shape
    states = np.empty((cell.state_blocks, steps + 1, batch, size), kept.dtype)
    states[:, 0] = split_gates(initial, size)
    for t in range(steps):
        cell.step(kept[:, t], states[:, t], weights, states[:, t + 1])
    return states


def full(stack: list[LayerTrace], d_hidden: Array, d_states: list[Array] | None = None) -> list[Array]:
    """Full BPTT. d_hidden (T, B, H) = dE_t/dh_t of the top layer, each loss's own part -> local (·, T, B, H) for every
    layer.

    The total over all losses: local[:, t] holds sum over t' >= t of dE_t'/da_t. Where `d_states` is given, one
    (T, B, S) array per layer, it is filled with dE/ds_t, which the regulariser Omega needs.
    """
    locals_: list[Array] = []
    for depth in range(len(stack) - 1, -1, -1):
        layer = stack[depth]
        local = np.empty((layer.cell.local_blocks, *layer.kept.shape[1:]), layer.kept.dtype)
        _walk_back(layer, d_hidden, local, None if d_states is None else d_states[depth])
        locals_.insert(0, local)
        if layer.from_below is not None:
            d_hidden = layer.gradient_below(local)
    return locals_


def _walk_back(layer: LayerTrace, d_hidden: Array, local: Array, d_states: Array | None) -> None:
    """One layer's part of `full`: fills local (·, T, B, H), and d_states (T, B, S) where it is wanted."""
    _, steps, batch, size = layer.kept.shape
    # The slopes of a few steps at a time: they are still in the cache when the walk comes to them.
    stretch = max(1, CACHED_NUMBERS // (batch * size * layer.cell.slope_blocks))
    worth_it = 2 * batch * layer.weights.W.size >= WORTH_SHARING_A_STEP
    threads = min(thread_count(), batch) if worth_it else 1

    def walk(thread: int) -> None:
        own = even_slice(batch, thread, threads)
        weights = layer.weights.of_sequences(own)
        d_state = np.zeros_like(layer.blocks[:, 0, own])
        for end in range(steps, 0, -stretch):
            start = max(0, end - stretch)
            slopes = layer.slopes_at(slice(start, end), own)
            for t in range(end - 1, start - 1, -1):
                d_state[0] += d_hidden[t, own]
                if d_states is not None:
                    d_states[t, own] = merge_gates(d_state)
                d_state = layer.cell.step_back(d_state, slopes[:, t - start], weights, local[:, t, own])

    run_parallel(walk, threads)


@dataclass(eq=False)
class Round:
    """Round j of the walk in which all losses go back together; for every layer, positions k = 0 .. T-1-j, loss t = k +
    j.

    local[l] (·, T-j, B, H): gradient of E_{k+j} with respect to the pre-activations at k; d_blocks[l] (state_blocks,
    T-j, B, H): to the state.
    """

    lag: int
    local: list[Array]
    d_blocks: list[Array]

    @cached_property
    def d_state(self) -> list[Array]:
        """(T-j, B, S) for every layer: the same with the state as one vector."""
        return [merge_gates(blocks) for blocks in self.d_blocks]


def rounds(stack: list[LayerTrace], d_hidden: Array, last: int | None = None) -> Iterator[Round]:
    """Walk all losses back at once, lag 0 to `last` (default T - 1). d_hidden (T, B, H) as in `full`."""
    steps = len(d_hidden)
    last = steps - 1 if last is None else min(last, steps - 1)
    d_states = [np.zeros_like(layer.blocks[:, 1:]) for layer in stack]
    d_states[-1][0] += d_hidden
    for lag in range(last + 1):
        here = slice(0, steps - lag)
        locals_: list[Array] = [np.empty(0)] * len(stack)
        before: list[Array] = [np.empty(0)] * len(stack)
        for depth in range(len(stack) - 1, -1, -1):
            layer, d_state = stack[depth], d_states[depth]
            local = np.empty((layer.cell.local_blocks, *d_state.shape[1:]), d_state.dtype)
            before[depth] = layer.cell.step_back(d_state, layer.slopes[:, here], layer.weights, local)
            locals_[depth] = local
            if depth:
                # The layer below hears of the same loss at the same moment, within the same round.
                d_states[depth - 1][0] += layer.gradient_below(local, here)
        yield Round(lag, locals_, d_states)
        # Position k hands its gradient to position k - 1; the first position has nobody before it.
        d_states = [gradient[:, 1:] for gradient in before]


def windowed(stack: list[LayerTrace], d_hidden: Array, window: int) -> list[Array]:
    """Truncated BPTT, K = `window` steps per loss: each E_t reaches back at most K steps, K + 1 terms (the tutorial's
    `bptt_truncate`). Returns local (·, T, B, H) for every layer, summed over the losses that reach each position.
    """
    totals: list[Array] = []
    for item in rounds(stack, d_hidden, window):
        if item.lag == 0:
            totals = item.local
            continue
        for total, local in zip(totals, item.local, strict=True):
            total[:, : local.shape[1]] += local
    return totals


def itemised(stack: list[LayerTrace], d_hidden: Array) -> list[Round]:
    """Every delta_{t,k} of every layer, kept apart: T rounds of at most T positions. Memory T^2 B local_blocks H."""
    return list(rounds(stack, d_hidden))
