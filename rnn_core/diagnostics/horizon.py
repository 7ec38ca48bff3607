"""How far back the gradient reaches: its decay over the lag, beside what the weights promise and what they allow.

Three curves are often confused (Pascanu, Mikolov & Bengio 2013, section 2): rho(W)^j, where a linear network ends up;
(||W||_2 max phi')^j, which no network exceeds; and the product of the norms that the steps of this very text have,
which lies between the truth and the latter. A bound above 1 does not mean explosion.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from rnn_core.arithmetic import arithmetic
from rnn_core.arrays import Array
from rnn_core.diagnostics import html
from rnn_core.diagnostics.flow import GradientFlow, as_columns, delta_norms_of, half_life, in_double
from rnn_core.diagnostics.jacobian import delta_step_norms, gradient_step_norms
from rnn_core.diagnostics.norms import safe_log, vector_norm
from rnn_core.nn.bptt import LagStep, lag_steps
from rnn_core.nn.network import Network, Trace
from rnn_core.nn.parameters import layer_suffix

QUANTILES = (0.1, 0.5, 0.9)


@dataclass(frozen=True, eq=False)
class Horizon:
    """Relative decay over the lag j = 0, 1, ... (lags,); every array is NaN where no loss reaches back so far.

    low, median, high   10 %, 50 %, 90 % quantile of ||delta_{t,t-j}|| / ||delta_{t,t}|| over the losses of the probe
    state_median        median of ||dE_t/d state_{t-j}|| / ||dE_t/d state_t||, the joint state of all layers ([h | c])
    pairs               how many losses each lag has
    data_bound          median over the same losses of the product of the steps' norms: bounds `median` for
                        simple cells, `state_median` for gated ones (whose deltas have a gate's slope of their own);
                        None: not asked for
    fixed_bound         (||W||_2 max phi')^j; None for gated cells, whose carry path has no such bound
    radius_power        rho(W)^j; None for gated cells
    half_life           lag in words at which `median` first falls to 1/2; None: not within the probe
    """

    low: Array
    median: Array
    high: Array
    state_median: Array
    pairs: Array
    data_bound: Array | None
    fixed_bound: Array | None
    radius_power: Array | None
    half_life: float | None

    @property
    def lags(self) -> Array:
        return np.arange(len(self.median))

    def _repr_html_(self) -> str:
        shown = html.few(len(self.median))
        columns = {
            "steps back": shown,
            "10 %": self.low[shown],
            "left of the gradient (median)": self.median[shown],
            "90 %": self.high[shown],
        }
        return html.table(f"Horizon: half-life {html.steps(self.half_life, len(self.median) - 1)}.", columns)


@arithmetic()
def horizon(
    model: Network,
    inputs: Array,
    targets: Array,
    mask: Array | None = None,
    bounds: bool = True,
    longest: int | None = None,
    loss_weights: Array | None = None,
) -> Horizon:
    """inputs, targets, mask, loss_weights (T, B) of a probe batch -> Horizon over lags 0 .. min(T - 1, longest).

    Every loss of the batch goes back at once, lag by lag, and nothing but two lengths a loss is kept: memory grows
    with T B H, not T^2. `bounds=False` leaves the three comparison curves out, for the film of a running training.
    """
    batch = as_columns(model, inputs, targets, mask, loss_weights)
    trace = in_double(model).forward(batch.inputs)
    # The softmax over all the words, most of the work, in the network's own precision: it only says with which dE/dh
    # each walk begins.
    rounded = trace._replace(hidden=trace.hidden.astype(model.dtype))
    _, d_hidden, _ = model.output_gradients(rounded, batch.targets, batch.counted)
    steps = lag_steps(trace.layers, d_hidden.astype(np.float64), longest)
    return _summary(model, trace, batch.counted, steps, step_factors(trace) if bounds else None)


@arithmetic()
def horizon_of_flow(model: Network, flow: GradientFlow, bounds: bool = True) -> Horizon:
    """The same for a text whose gradient flow is there already."""
    factors = None
    if bounds:
        factors = step_factors(flow.trace) if model.cell.gated else flow.delta_step_norms[:-1]
    return _summary(model, flow.trace, flow.mask, flow.lag_steps, factors)


@arithmetic()
def horizon_of_trace(model: Network, trace: Trace, d_hidden: Array, longest: int | None = None) -> Horizon:
    """The same from what each loss sends into the top layer's h_t, d_hidden (T, B, H), whatever the loss is made of;
    over lags 0 .. `longest`, without the comparison curves. Where nothing is sent there is no loss.
    """
    return _summary(model, trace, (d_hidden != 0).any(axis=-1), lag_steps(trace.layers, d_hidden, longest), None)


def _summary(model: Network, trace: Trace, mask: Array, steps: Iterable[LagStep], factors: Array | None) -> Horizon:
    """`factors`: see `step_factors`; None: no comparison curves."""
    decay, state_decay = [], []
    for step in steps:
        reached = mask[step.lag :]
        deltas = np.where(reached, delta_norms_of(trace, step), np.nan)
        states = np.where(reached, vector_norm(np.concatenate(step.d_states, axis=-1)), np.nan)
        if step.lag == 0:
            own_deltas, own_states = deltas, states
        decay.append(_relative(deltas, own_deltas[step.lag :]))
        state_decay.append(_relative(states, own_states[step.lag :]))
    low, median, high = np.array([_quantiles(values) for values in decay]).T
    state_median = np.array([_quantiles(values)[1] for values in state_decay])
    lags = np.arange(len(decay))
    data_bound = fixed_bound = radius_power = None
    if factors is not None:
        data_bound = np.array([_quantiles(values)[1] for values in data_bounds(factors, mask, len(decay))])
        factor, radius = fixed_step_bound(model), spectral_radius(model)
        fixed_bound = None if factor is None else np.float64(factor) ** lags
        radius_power = None if radius is None else np.float64(radius) ** lags
    pairs = np.array([int(np.isfinite(values).sum()) for values in decay])
    return Horizon(low, median, high, state_median, pairs, data_bound, fixed_bound, radius_power, half_life(median))


def _relative(lengths: Array, own: Array) -> Array:
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return np.where(own > 0, lengths / own, np.nan)


def _quantiles(values: Array) -> Array:
    """The quantiles of what is a number; NaN where nothing is."""
    known = values[~np.isnan(values)]
    if not len(known):
        return np.full(len(QUANTILES), np.nan)
    # As `np.quantile`, whose care for other cases takes longer than all the rest of a running training's picture.
    known = np.sort(known)
    places = np.array(QUANTILES) * (len(known) - 1)
    below = places.astype(int)
    above = np.minimum(below + 1, len(known) - 1)
    return known[below] * (1 - (places - below)) + known[above] * (places - below)


def step_factors(trace: Trace) -> Array:
    """(T - 1, B), row k: what the step from position k + 1 back to k can at most do. All layers jointly.

    Plain cells: ||M_k||_2, which bounds ||delta_{t,k}|| / ||delta_{t,k+1}|| (`delta_step_norms`); gated cells:
    ||N_k||_2, which bounds the same ratio of the joint state's gradient (`gradient_step_norms`).
    """
    if trace.layers[0].cell.gated:
        return gradient_step_norms(trace)
    return delta_step_norms(trace)[:-1]


@arithmetic()
def data_bounds(factors: Array, mask: Array, lags: int) -> list[Array]:
    """Per lag j (T - j, B), row k: the product of the `step_factors` from k + j back to k; NaN for padding."""
    logs = safe_log(factors)
    total = np.zeros(mask.shape)
    bounds = []
    for lag in range(lags):
        bounds.append(np.where(mask[lag:], np.exp(total), np.nan))
        # One step further: row k of lag j + 1 reaches from k + j + 1 back to k.
        total = total[1:] + logs[: len(total) - 1]
    return bounds


def fixed_step_bound(model: Network) -> float | None:
    """max phi' ||W||_2, which no step's gain on the delta exceeds (Pascanu, Mikolov & Bengio 2013, eq. 6, with max
    phi' = 1 for tanh and ReLU, 1/4 for sigmoid). None for gated cells.

    Several layers: the norm of the small matrix of the layers' bounds, which also holds what comes down through U2, U3.
    """
    steepest = model.cell.steepest_slope
    if steepest is None:
        return None
    layers = model.config.layers
    # reach[l, m]: how long a delta in layer l a unit of dE/dh of layer m >= l makes, at most.
    reach = np.zeros((layers, layers))
    for depth in range(layers - 1, -1, -1):
        reach[depth, depth] = steepest
        if depth + 1 < layers:
            U = model.params["U" + layer_suffix(depth + 1)]
            reach[depth] += steepest * _matrix_norm(U) * reach[depth + 1]
    recurrent = [_matrix_norm(model.params["W" + layer_suffix(depth)]) for depth in range(layers)]
    return _matrix_norm(reach * np.array(recurrent))


def spectral_radius(model: Network) -> float | None:
    """rho(W), the largest |eigenvalue|, of all layers (their joint W is block-triangular). None for gated cells."""
    if model.cell.gated:
        return None
    matrices = [model.params["W" + layer_suffix(depth)] for depth in range(model.config.layers)]
    return max(float(np.abs(np.linalg.eigvals(W.astype(np.float64))).max()) for W in matrices)


def _matrix_norm(matrix: Array) -> float:
    return float(np.linalg.norm(matrix.astype(np.float64), 2))


@dataclass(frozen=True, eq=False)
class RowDecay:
    """One row of the triangle, from its own word back: lag j = 0 .. t.

    norms         ||delta_{t,t-j}||, E_t in nats
    fixed_bound   ||delta_{t,t}|| (max phi' ||W||_2)^j; None for gated cells
    data_bound    ||delta_{t,t}|| times the norms of the steps in between; None for gated cells
    """

    norms: Array
    fixed_bound: Array | None
    data_bound: Array | None


@arithmetic()
def row_decay(model: Network, flow: GradientFlow, t: int, sequence: int = 0) -> RowDecay:
    """The gradient of the loss at position t (0-based) on its way back, beside its bounds."""
    norms = flow.delta_norms if flow.delta_norms.ndim == 2 else flow.delta_norms[..., sequence]
    row = norms[t, t::-1]
    factor = fixed_step_bound(model)
    if factor is None:
        return RowDecay(row, None, None)
    steps = flow.delta_step_norms[:t, sequence][::-1]
    fixed = row[0] * np.float64(factor) ** np.arange(t + 1)
    data = row[0] * np.exp(np.concatenate([[0.0], np.cumsum(safe_log(steps))]))
    return RowDecay(row, fixed, data)


def triangle(flow: GradientFlow, relative: bool = False, sequence: int = 0) -> Array:
    """(T, T) ||delta_{t,k}||, row t the loss, column k the source, NaN above the diagonal; `relative`: each row divided
    by its own ||delta_{t,t}||.
    """
    norms = flow.delta_norms if flow.delta_norms.ndim == 2 else flow.delta_norms[..., sequence]
    return _relative(norms, np.diagonal(norms)[:, None]) if relative else norms
