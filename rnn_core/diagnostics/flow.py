"""The gradient of every loss with respect to every earlier step, kept apart: what all the other pictures read.

Symbols: E_t loss at step t in nats, a_k pre-activation (what arrives with word k plus W s_{k-1}), delta_{t,k} =
dE_t/da_k.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np

from rnn_core.arithmetic import arithmetic
from rnn_core.arrays import Array
from rnn_core.diagnostics import html
from rnn_core.diagnostics.jacobian import delta_step_norms, step_norms
from rnn_core.diagnostics.norms import block_norm, precise, vector_norm
from rnn_core.nn.batch import Batch
from rnn_core.nn.bptt import LagStep, per_loss_bptt
from rnn_core.nn.cells import merge_gates
from rnn_core.nn.gradients import Gradients, to_dense
from rnn_core.nn.network import Network, Trace
from rnn_core.nn.parameters import layer_of

AnyNetwork = TypeVar("AnyNetwork", bound=Network)


def in_double(model: AnyNetwork) -> AnyNetwork:
    """The same network computing in float64: norms far below float32's smallest square (1e-23) stay exact.

    A table that is only looked up (one-hot U, an embedding that is not tied) stays as it is, and the same array: its
    few rows widen exactly when they are used.
    """
    tables = model.inputs.tables - ({"E"} if model.config.tied else set())
    params = {
        name: value if name in tables else value.astype(np.float64, copy=False) for name, value in model.params.items()
    }
    return type(model)(model.config, params=params)


class DenseGradients(Mapping[str, Array]):
    """dE/dtheta of the mean loss, float64, every one in the shape of its parameter; made dense when asked for."""

    def __init__(self, gradients: Gradients) -> None:
        self._gradients = gradients

    def __iter__(self) -> Iterator[str]:
        return iter(self._gradients)

    def __len__(self) -> int:
        return len(self._gradients)

    def __getitem__(self, name: str) -> Array:
        return to_dense(self._gradients[name])


class LagGradients(Mapping[str, Array]):
    """{name: (lags, *shape)}: G_j, the part of dE/dtheta in which the loss lies j steps after the use of theta.

    Scaled like `loss_and_gradients` (mean over the losses that count), so that the sum over j is that gradient. Has
    every parameter inside the recurrence (U, W, b, b_n of each layer). Computed when asked for: a whole stack can be
    large, one-hot U's above all; `at` gives a single lag.
    """

    def __init__(self, model: Network, trace: Trace, lag_steps: list[LagStep], weights: Array) -> None:
        """weights (T, B): what each loss is multiplied by in the mean."""
        self._model, self._trace, self._lag_steps, self._weights = model, trace, lag_steps, weights
        self._names = [name for name in model.params if layer_of(name)[0] in ("U", "W", "b", "b_n")]
        self._known: dict[str, Array] = {}

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __getitem__(self, name: str) -> Array:
        if name not in self._names:
            raise KeyError(name)
        if name not in self._known:
            self._known[name] = np.stack([self.at(name, lag) for lag in range(len(self._lag_steps))])
        return self._known[name]

    def at(self, name: str, lag: int) -> Array:
        """G_lag of one parameter, in its shape."""
        kind, depth = layer_of(name)
        layer, step = self._trace.layers[depth], self._lag_steps[lag]
        d_preactivation = step.d_preactivations[depth] * self._weights[lag:, :, None]
        here = slice(0, d_preactivation.shape[1])
        if kind != "U":
            return layer.weight_gradients(d_preactivation, here)[kind]
        d_projection = layer.cell.input_part(d_preactivation)
        if depth:
            below = self._trace.layers[depth - 1].hidden[here]
            return np.einsum("tbi,tbo->io", below, merge_gates(d_projection))
        model = self._model
        read = model.inputs.prepare(self._trace.inputs[here], model.dtype)
        by_position = d_projection.reshape(len(d_projection), -1, layer.hidden_size)
        return to_dense(model.inputs.gradients(model.params, read, None, by_position)["U"])


@dataclass(frozen=True, eq=False, repr=False)
class GradientFlow:
    """Where each loss's gradient goes.

    delta_norms  (T, T), row t the loss, column k the source: ||delta_{t,k}||, E_t in nats, one loss at a time; NaN for
                 k > t and where no loss counts. (T, T, B) for a batch of more than one sequence. With several layers
                 the norm is over all of them.
    lag_gradients  {name: (lags, *shape)}: see LagGradients.
    gradients    {name: dE/dtheta} of the mean loss: what the lag gradients add up to.
    losses_nats  (T, B) E_t (in nats, if it is a cross-entropy), 0 where no loss counts.
    mask         (T, B) bool, False where no loss counts: for padding, and where its weight is 0.
    trace, lag_steps  the forward pass and the walk back of each loss, for the other diagnostics.
    """

    delta_norms: Array
    lag_gradients: LagGradients
    gradients: Mapping[str, Array]
    losses_nats: Array
    mask: Array
    trace: Trace
    lag_steps: list[LagStep]

    @cached_property
    def lag_gradient_norms(self) -> Array:
        """||G_j|| of the `recurrent` matrices, of all layers together, (T,)."""
        lags = range(len(self.lag_steps))
        norms = [[vector_norm(self.lag_gradients.at(name, lag).ravel()) for name in self.recurrent] for lag in lags]
        return vector_norm(np.array(norms))

    @cached_property
    def full_gradient_norm(self) -> float:
        """||dE/dW|| of the `recurrent` matrices, all layers together."""
        return float(vector_norm(np.array([vector_norm(self.gradients[name].ravel()) for name in self.recurrent])))

    @cached_property
    def step_norms(self) -> Array:
        """||J_t||_2 of every step's joint state Jacobian, (T, B): see `jacobian.step_norms`."""
        return step_norms(self.trace)

    @cached_property
    def delta_step_norms(self) -> Array:
        """The same for the step from delta to delta, (T, B); plain cells only: see `jacobian.delta_step_norms`."""
        return delta_step_norms(self.trace)

    @property
    def recurrent(self) -> list[str]:
        """The names of the recurrent matrices: W, and W2, ... of deeper layers.

        Of a cell without W (minGRU): U, U2, ..., through which all that it learns about earlier words goes.
        """
        by_kind = {kind: [name for name in self.lag_gradients if layer_of(name)[0] == kind] for kind in ("W", "U")}
        return by_kind["W"] or by_kind["U"]

    @cached_property
    def relative_decay(self) -> Array:
        """(lags, pairs): ||delta_{t,t-j}|| / ||delta_{t,t}|| for lag j of every loss (t, sequence); NaN where it has no
        such lag.
        """
        return relative_decay(self.delta_norms)

    @cached_property
    def half_life(self) -> float | None:
        """Lag in words at which the median relative decay first falls to 1/2; None: not within this text."""
        return half_life(median_by_lag(self.relative_decay))

    def __repr__(self) -> str:
        steps, batch = self.losses_nats.shape
        return f"GradientFlow({steps} steps, {batch} sequences, half_life={self.half_life})"

    def _repr_html_(self) -> str:
        (steps, batch), left = self.losses_nats.shape, median_by_lag(self.relative_decay)
        shown = html.few(len(left))
        sentence = (
            f"Gradient flow of {steps} steps, {batch} sequence{'' if batch == 1 else 's'}: half-life "
            f"{html.steps(self.half_life, len(left) - 1)}, norm of the recurrent gradient "
            f"{html.number(self.full_gradient_norm)}."
        )
        return html.table(sentence, {"steps back": shown, "left of the gradient (median)": left[shown]})


@arithmetic()
def gradient_flow(
    model: Network, inputs: Array, targets: Array, mask: Array | None = None, loss_weights: Array | None = None
) -> GradientFlow:
    """inputs, targets (T,) or (T, B) ids (or what else the network reads and gives), mask, loss_weights (T, B) ->
    GradientFlow. Memory grows with T^2 B G H.

    The walk is `per_loss_bptt` in float64: delta_{t,k-1} from delta_{t,k} for all t at once (Werbos 1990; Pascanu,
    Mikolov & Bengio 2013, eq. 3-5). The mask may only cut off the end of each sequence (padding behind the text).
    Raises ValueError otherwise, and for a batch that cannot be.

    >>> from rnn_core import LanguageModel, ModelConfig, gradient_flow
    >>> model = LanguageModel(ModelConfig(vocabulary_size=6, hidden_size=4))
    >>> ids = np.array([1, 3, 4, 5, 2])
    >>> flow = gradient_flow(model, ids[:-1], ids[1:])
    >>> flow.delta_norms.shape  # a row for each loss, a column for each step that it is sent back to
    (4, 4)
    >>> np.allclose(flow.lag_gradients["W"].sum(axis=0), flow.gradients["W"])
    True
    """
    batch = as_columns(model, inputs, targets, mask, loss_weights)
    model = in_double(model)
    trace = model.forward(batch.inputs)
    found = model.backward(trace, batch.targets, batch.counted, batch.loss_weights)
    losses = model.losses_of(trace, batch.targets, batch.counted)
    return flow_of(model, trace, losses, found.d_hidden, batch.weights_of_mean, DenseGradients(found.gradients))


def flow_of(
    model: Network, trace: Trace, losses: Array, d_hidden: Array, weights: Array, gradients: Mapping[str, Array]
) -> GradientFlow:
    """The flow of a forward pass in float64 whose losses (T, B) are known, wherever they come from.

    weights (T, B): what each loss is multiplied by in the mean; d_hidden (T, B, H), gradients: of that mean. What
    arrives at a parameter outside the recurrence is not asked.
    """
    counted = weights > 0
    # Each loss itself is 1 / its weight times as long as its part of the mean.
    own = np.divide(1.0, weights, out=np.zeros(weights.shape), where=counted)
    lag_steps = per_loss_bptt(trace.layers, d_hidden * own[..., None])
    norms = _delta_norms(trace, lag_steps, counted)
    return GradientFlow(
        delta_norms=norms[..., 0] if trace.shape[1] == 1 else norms,
        lag_gradients=LagGradients(model, trace, lag_steps, weights),
        gradients=gradients,
        losses_nats=losses,
        mask=counted,
        trace=trace,
        lag_steps=lag_steps,
    )


def in_columns(model: Network, inputs: Array) -> Array:
    """One sequence, or several side by side -> (T, B, ...)."""
    inputs = np.asarray(inputs)
    return inputs[:, None] if inputs.ndim == 1 + len(model.inputs.input_shape) else inputs


def as_columns(
    model: Network,
    inputs: Array,
    targets: Array,
    mask: Array | None = None,
    loss_weights: Array | None = None,
) -> Batch:
    """The batch that the diagnostics take: inputs (T, ...) of one sequence or (T, B, ...) of several, targets, mask and
    loss_weights (T,) or (T, B). Raises ValueError where shapes do not fit or a mask is more than padding behind each.
    """
    if np.ndim(inputs) == 1 + len(model.inputs.input_shape):
        targets = np.asarray(targets)[:, None]
        mask, loss_weights = (
            None if given is None else np.reshape(given, (len(inputs), 1)) for given in (mask, loss_weights)
        )
    batch = model.batch(in_columns(model, inputs), targets, mask, loss_weights)
    if batch.order is not None:
        raise ValueError("here the mask must be padding behind each sequence")
    return batch


def _delta_norms(trace: Trace, lag_steps: list[LagStep], counted: Array) -> Array:
    """(T, T, B)."""
    steps = len(counted)
    losses, sources = np.tril_indices(steps)
    norms = np.full((steps, *counted.shape), np.nan)
    norms[losses, sources] = _norms_by_lag(trace, lag_steps)[losses - sources, sources]
    return np.where(counted[:, None], norms, np.nan)


def _norms_by_lag(trace: Trace, lag_steps: list[LagStep]) -> Array:
    """`delta_norms_of` of all lags, (T, T, B): row j is lag j, and 1 where a position has no such lag."""
    # The squares of all blocks first, and the rest once: forty lags of a small network wait for Python, not for sums.
    shape = (len(lag_steps), *trace.shape)
    squares = [np.ones((layer.cell.d_preactivation_blocks, *shape)) for layer in trace.layers]
    for step in lag_steps:
        for out, deltas in zip(squares, step.d_preactivations, strict=True):
            np.vecdot(deltas, deltas, out=out[:, step.lag, : deltas.shape[1]])
    parts = [layer.cell.input_part(by_block) for layer, by_block in zip(trace.layers, squares, strict=True)]
    total = np.add.reduce([np.add.reduce(part) for part in parts])
    if precise(total):
        return np.sqrt(total)
    norms = np.ones(shape)
    for step in lag_steps:
        norms[step.lag, : shape[1] - step.lag] = delta_norms_of(trace, step)
    return norms


def delta_norms_of(trace: Trace, step: LagStep) -> Array:
    """||delta_{k+j,k}|| of lag j, all layers together, (T-j, B) for k = 0 .. T-1-j."""
    deltas = [
        layer.cell.input_part(d_preactivation)
        for layer, d_preactivation in zip(trace.layers, step.d_preactivations, strict=True)
    ]
    return block_norm(deltas)


@arithmetic()
def relative_decay(norms: Array, own: Array | None = None) -> Array:
    """norms (T, T) or (T, T, B), row t, column k <= t -> (T, T*B): row j is lag j = t - k, one column per loss.

    Each is divided by `own` (T,) or (T, B), default the diagonal ||delta_{t,t}||; NaN where there is no such lag or the
    divisor is 0.
    """
    steps = len(norms)
    norms = norms.reshape(steps, steps, -1)
    own = norms[np.arange(steps), np.arange(steps)] if own is None else own.reshape(steps, -1)
    own = np.where(own > 0, own, np.nan)
    decay = np.full((steps, steps, norms.shape[-1]), np.nan)
    for lag in range(steps):
        losses = np.arange(lag, steps)
        decay[lag, losses] = norms[losses, losses - lag] / own[losses]
    return decay.reshape(steps, -1)


def median_by_lag(decay: Array) -> Array:
    """(lags, pairs) -> (lags,) median over the losses that reach back so far; NaN where none does."""
    return np.array([np.median(row[np.isfinite(row)]) if np.isfinite(row).any() else np.nan for row in decay])


def half_life(curve: Array) -> float | None:
    """First lag at which a decay curve (lags,), 1 at lag 0, is down to 1/2, log-linearly between lags; None: never."""
    below = np.flatnonzero(curve <= 0.5)
    if not len(below):
        return None
    lag = int(below[0])
    if lag == 0 or curve[lag] <= 0:
        return float(lag)
    before, after = np.log(curve[lag - 1]), np.log(curve[lag])
    return float(lag - 1 + (before - np.log(0.5)) / (before - after))
