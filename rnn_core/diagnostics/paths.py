"""By which way a gradient goes back: what W does and what phi' does, and in gated cells the carry beside the hidden
path.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rnn_core.arithmetic import arithmetic
from rnn_core.arrays import Array
from rnn_core.diagnostics import html
from rnn_core.diagnostics.flow import GradientFlow, median_by_lag, relative_decay
from rnn_core.diagnostics.norms import safe_log, vector_norm
from rnn_core.nn.bptt import LayerTrace
from rnn_core.nn.cells import merge_gates, split_gates


@arithmetic()
def path_contributions(layer: LayerTrace, d_state: Array, positions: slice, sequence: int) -> dict[str, Array]:
    """d_state (P, S) = dE/d state_k at these positions -> {path: (P, S)}, the vectors that add up to dE/d state_{k-1}.

    LSTM: "carry" d_c * f, and the hidden path through W by gate: "output", "input", "forget", "candidate". GRU: "carry"
    d_h * z, "reset", "update", "candidate". minGRU: "carry" d_h * (1 - z) alone. Plain cells: "hidden" alone.
    """
    slopes = layer.slopes[:, positions, sequence]
    paths = layer.cell.paths(split_gates(d_state, layer.hidden_size), slopes, layer.weights)
    return {name: merge_gates(blocks) for name, blocks in paths.items()}


@dataclass(frozen=True, eq=False)
class WhereLost:
    """Where the gradient of one loss E_t gains and loses length on its way back: n = t steps, from t-1 down to 0.

    quantity   "delta": ||delta_{t,k}||, plain cells; "state": ||dE_t/d state_k|| of the joint state, gated cells
    positions  (n,) t-1, ..., 0: where each step arrives
    log_norms  (n + 1,) ln of the length at t, t-1, ..., 0
    parts      {name: (n,)} changes of the logarithm; for every step they add up to the difference of its two log_norms
    shares     {path: (n,)} gated cells: <path's vector, sum> / ||sum||^2, which add up to 1; negative: the path works
               against the others. Empty for plain cells
    """

    quantity: str
    positions: Array
    log_norms: Array
    parts: dict[str, Array]
    shares: dict[str, Array]

    def _repr_html_(self) -> str:
        shown = html.few(len(self.positions))
        lengths = np.exp(self.log_norms[1:] - self.log_norms[0])
        columns = {
            "arrives at position": self.positions[shown],
            "left of the gradient": lengths[shown],
            **{f"factor of {name} in this step": np.exp(part[shown]) for name, part in self.parts.items()},
        }
        start = len(self.positions)
        return html.table(f"The gradient of the loss at position {start} on its way back.", columns)


@arithmetic()
def where_lost(flow: GradientFlow, t: int, sequence: int = 0) -> WhereLost:
    """Split each backward step of the loss at position t (0-based), exactly. All layers jointly.

    Plain cells: ln||delta_k|| - ln||delta_{k+1}|| is the sum of
        "W"      ln(||delta_{k+1} W|| / ||delta_{k+1}||)              the gain by the recurrent weights
        "above"  ln(||dE/ds_k|| / ||delta_{k+1} W||)                  what comes down from upper layers (if there are)
        "phi'"   ln(||dE/ds_k * phi'(a_k)|| / ||dE/ds_k||)            the damping by the slope
    Gated cells: the joint state's dE/ds_{k-1} = carry + hidden is split in that order,
        "carry"  ln(||carry|| / ||dE/ds_k||)                          what the carry path alone would leave
        "hidden" ln(||carry + hidden|| / ||carry||)                   what the path through W adds or cancels, if there
                                                                      is a W
        "above"  as before
    and `shares` says which gate's path the result lies along. Where a length is 0 its logarithm is -inf and the parts
    from there on are nan.
    """
    layers = flow.trace.layers
    lags = range(t + 1)
    steps = flow.lag_steps
    states = [np.stack([steps[j].d_states[d][t - j, sequence] for j in lags]) for d in range(len(layers))]
    if not layers[0].cell.gated:
        deltas = [
            np.stack([steps[j].d_preactivations[d][0, t - j, sequence] for j in lags]) for d in range(len(layers))
        ]
        through_W = [delta[:-1] @ layer.weights.W for delta, layer in zip(deltas, layers, strict=True)]
        length = _log_length(deltas)
        arriving, complete = _log_length(through_W), _log_length(states)[1:]
        parts = {"W": arriving - length[:-1], "above": complete - arriving, "phi'": length[1:] - complete}
        quantity, shares = "delta", {}
    else:
        # Row 0 is position t; the paths are asked of positions 1 .. t, which hand on to 0 .. t-1.
        ways = [
            path_contributions(layer, state[:-1][::-1], slice(1, t + 1), sequence)
            for layer, state in zip(layers, states, strict=True)
        ]
        vectors = {name: np.concatenate([way[name][::-1] for way in ways], axis=1) for name in ways[0]}
        total = np.sum(list(vectors.values()), axis=0)
        length = _log_length(states)
        carried, arriving = safe_log(vector_norm(vectors["carry"])), safe_log(vector_norm(total))
        parts = {"carry": carried - length[:-1], "hidden": arriving - carried, "above": length[1:] - arriving}
        scale = np.where(np.isfinite(arriving), np.exp(arriving), 1.0)[:, None]
        direction = total / scale
        shares = {name: np.einsum("ns,ns->n", part / scale, direction) for name, part in vectors.items()}
        quantity = "state"
        if not layers[0].cell.recurrent_gates:
            del parts["hidden"]
    if len(layers) == 1:
        del parts["above"]
    return WhereLost(quantity, np.arange(t - 1, -1, -1), length, parts, shares)


def _log_length(parts: list[Array]) -> Array:
    return safe_log(vector_norm(np.concatenate(parts, axis=-1)))


@dataclass(frozen=True, eq=False)
class TwoPaths:
    """The gradient along the carry path and by every other way, for one layer and sequence.

    total, carry, rest  (T, T), row t the loss, column k: ||dE_t/dc_k|| (LSTM; dE_t/dh_k for GRUs) in all, by the carry
                        alone, and by everything else (which adds to the carry as a vector, not as a length); NaN above
                        the diagonal
    lag_total, lag_carry, lag_rest  (T,) medians over the losses of each divided by its ||dE_t/dc_t||
    keep                (T, H) what the carry keeps of itself in a step: f (LSTM), z (GRU), 1 - z (minGRU)
    gates               {name: (T, H)} values of the gates, 0 to 1; of the candidate -1 to 1 (minGRU: any)
    gate_means          {name: (T,)}
    """

    total: Array
    carry: Array
    rest: Array
    lag_total: Array
    lag_carry: Array
    lag_rest: Array
    keep: Array
    gates: dict[str, Array]
    gate_means: dict[str, Array]


@arithmetic()
def two_paths(flow: GradientFlow, layer: int = -1, sequence: int = 0) -> TwoPaths:
    """LSTM: dE_t/dc_k (c's own part and what it does through h_k = o tanh(c_k)) is f_{k+1} ... f_t dE_t/dc_t, the
    constant error carousel of Hochreiter & Schmidhuber (1997), plus all that went through h and W at least once. GRU:
    the same for h with the update gates z (minGRU: with 1 - z). For a lower layer the rest also holds what upper layers
    hand down.

    Raises ValueError for the plain cells, which have one path only.
    """
    of_layer = flow.trace.layers[layer]
    cell, size, steps = of_layer.cell, of_layer.hidden_size, len(flow.lag_steps)
    if not cell.gated:
        raise ValueError("a plain cell has no carry path: all of its gradient goes through W")
    slopes = of_layer.slopes[:, :, sequence]
    gates, keep = cell.gate_values(of_layer.cache[:, :, sequence]), cell.carry_factor(slopes)
    total, carry, rest = (np.full((steps, steps), np.nan) for _ in range(3))
    carried = np.empty((0, size))
    for step in flow.lag_steps:
        here = steps - step.lag
        gradient = cell.carry_gradient(step.d_blocks[layer][:, :, sequence], slopes[:, :here])
        carried = gradient if step.lag == 0 else (carried * keep[: here + 1])[1:]
        t = np.arange(step.lag, steps)
        reached = flow.mask[t, sequence]
        for matrix, vectors in ((total, gradient), (carry, carried), (rest, gradient - carried)):
            matrix[t, t - step.lag] = np.where(reached, vector_norm(vectors), np.nan)
    own = np.diagonal(total)
    lag_total, lag_carry, lag_rest = (median_by_lag(relative_decay(matrix, own)) for matrix in (total, carry, rest))
    means = {name: values.mean(axis=1) for name, values in gates.items()}
    return TwoPaths(total, carry, rest, lag_total, lag_carry, lag_rest, keep, gates, means)
