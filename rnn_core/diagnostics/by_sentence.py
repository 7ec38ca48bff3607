"""Which sentence of a batch made the gradient's norm jump, and over which lag."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from rnn_core.arithmetic import arithmetic
from rnn_core.arrays import Array
from rnn_core.diagnostics.flow import as_columns, gradient_flow, in_double
from rnn_core.nn.gradients import Gradient, Gradients, RowGradient, squared_norm, to_dense
from rnn_core.nn.network import Network, Trace


@dataclass(frozen=True, eq=False)
class GradientBySentence:
    """The gradient of a batch, g = sum_b g_b, taken apart by sentence; all parameters, mean loss.

    total_norm  ||g||, what clipping compares with its limit
    norms       (B,) ||g_b||, sentence b's part, which is already divided by the tokens of the whole batch
    shares      (B,) <g_b, g> / ||g||^2, which add up to 1: how much of the jump is this sentence's
    tokens      (B,) its tokens
    worst       the sentence with the largest share
    """

    total_norm: float
    norms: Array
    shares: Array
    tokens: Array

    @property
    def worst(self) -> int:
        return int(np.argmax(self.shares))


@arithmetic()
def gradient_by_sentence(
    model: Network,
    inputs: Array,
    targets: Array,
    mask: Array | None = None,
    truncate: int | None = None,
    loss_weights: Array | None = None,
) -> GradientBySentence:
    """A batch (T, B) of training, without its dropout -> which sentence is behind its gradient's norm.

    Each sentence goes through the code that trains, alone; `truncate` as in training. A sentence whose losses do not
    count has no part in the gradient.
    """
    batch = as_columns(model, inputs, targets, mask, loss_weights)
    model = in_double(model)
    trace = model.forward(batch.inputs)
    whole = model.backward(trace, batch.targets, batch.counted, batch.loss_weights, truncate).gradients
    squared = sum(squared_norm(gradient) for gradient in whole.values())
    # Looked into once per sentence: multiplied out once.
    known: Gradients = {name: g if isinstance(g, RowGradient) else to_dense(g) for name, g in whole.items()}
    norms, inner = np.zeros(len(batch.lengths)), np.zeros(len(batch.lengths))
    part_of_mean = batch.weights_of_mean.sum(axis=0)
    for column in np.flatnonzero(part_of_mean):
        own = slice(batch.lengths[column]), slice(column, column + 1)
        weights = None if batch.loss_weights is None else batch.loss_weights[own]
        part = _column(model, trace, *own)
        gradients = model.backward(part, batch.targets[own], batch.counted[own], weights, truncate).gradients
        norms[column] = part_of_mean[column] * np.sqrt(sum(squared_norm(gradient) for gradient in gradients.values()))
        inner[column] = part_of_mean[column] * sum(_inner(gradients[name], known[name]) for name in gradients)
    shares = inner / squared if squared > 0 else np.zeros_like(inner)
    return GradientBySentence(float(np.sqrt(squared)), norms, shares, batch.lengths)


def sentence_lag_norms(
    model: Network,
    inputs: Array,
    targets: Array,
    mask: Array | None = None,
    sentence: int = 0,
    loss_weights: Array | None = None,
) -> Array:
    """||G_j|| over the lags of one sentence of the batch, as its part of the batch's mean gradient of W: (T_b,)."""
    batch = as_columns(model, inputs, targets, mask, loss_weights)
    own = slice(batch.lengths[sentence]), slice(sentence, sentence + 1)
    if not batch.lengths[sentence]:
        return np.zeros(0)
    weights = None if batch.loss_weights is None else batch.loss_weights[own]
    flow = gradient_flow(model, batch.inputs[own], batch.targets[own], loss_weights=weights)
    return flow.lag_gradient_norms * batch.weights_of_mean[:, sentence].sum()


def _column(model: Network, trace: Trace, steps: slice, own: slice) -> Trace:
    """One sequence's own part of a batch's trace."""
    inputs = trace.inputs[steps, own]
    return trace._replace(
        inputs=inputs,
        prepared=model.inputs.prepare(inputs, model.dtype),
        layers=[
            dataclasses.replace(layer, cache=layer.cache[:, steps, own], blocks=layer.blocks[:, : steps.stop + 1, own])
            for layer in trace.layers
        ],
        hidden=trace.hidden[steps, own],
    )


def _inner(gradient: Gradient, whole: Gradient) -> float:
    """<gradient, whole>, where the rows of a row gradient are among those of the whole."""
    if isinstance(gradient, RowGradient):
        if isinstance(whole, RowGradient):
            return float(np.vdot(gradient.values, whole.values[np.searchsorted(whole.rows, gradient.rows)]))
        return float(np.vdot(gradient.values, to_dense(whole)[gradient.rows]))
    return float(np.vdot(gradient, to_dense(whole)))
