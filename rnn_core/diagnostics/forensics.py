"""Which sentence of a batch made the gradient's norm jump, and over which lag."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from rnn_core.arrays import Array
from rnn_core.diagnostics.flow import as_columns, gradient_flow, in_double
from rnn_core.diagnostics.norms import arithmetic
from rnn_core.nn.gradients import Gradient, Gradients, Occurrences, RowGradient, squared_norm, to_dense
from rnn_core.nn.language_model import LanguageModel, Trace


@dataclass(frozen=True, eq=False)
class ClipForensics:
    """The gradient of a batch, g = sum_b g_b, taken apart by sentence; all parameters, mean loss in nats per token.

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
def clip_forensics(
    model: LanguageModel, inputs: Array, targets: Array, mask: Array | None = None, truncate: int | None = None
) -> ClipForensics:
    """A batch (T, B) of training, without its dropout -> who is to blame for its gradient's norm.

    Each sentence goes through the code that trains, alone; `truncate` as in training.
    """
    inputs, targets, mask = as_columns(inputs, targets, mask)
    model = in_double(model)
    lengths = mask.sum(axis=0)
    trace = model.forward(inputs)
    whole = model.backward(trace, targets, mask, truncate).gradients
    squared = sum(squared_norm(gradient) for gradient in whole.values())
    # Looked into once per sentence: multiplied out once.
    known: Gradients = {name: g if isinstance(g, RowGradient) else to_dense(g) for name, g in whole.items()}
    norms, inner = np.zeros(len(lengths)), np.zeros(len(lengths))
    for column, length in enumerate(lengths):
        part = _column(trace, column, int(length))
        own = slice(column, column + 1)
        gradients = model.backward(part, targets[:length, own], mask[:length, own], truncate).gradients
        weight = length / lengths.sum()
        norms[column] = weight * np.sqrt(sum(squared_norm(gradient) for gradient in gradients.values()))
        inner[column] = weight * sum(_inner(gradients[name], known[name]) for name in gradients)
    shares = inner / squared if squared > 0 else np.zeros_like(inner)
    return ClipForensics(float(np.sqrt(squared)), norms, shares, lengths)


def sentence_lag_norms(
    model: LanguageModel, inputs: Array, targets: Array, mask: Array | None = None, sentence: int = 0
) -> Array:
    """||G_j|| over the lags of one sentence of the batch, as its part of the batch's mean gradient of W: (T_b,)."""
    inputs, targets, mask = as_columns(inputs, targets, mask)
    length = int(mask[:, sentence].sum())
    flow = gradient_flow(model, inputs[:length, sentence], targets[:length, sentence])
    return flow.lag_gradient_norms * (length / mask.sum())


def _column(trace: Trace, column: int, length: int) -> Trace:
    """One sequence's own part of a batch's trace."""
    own = slice(column, column + 1)
    return trace._replace(
        words=Occurrences(trace.inputs[:length, own]),
        layers=[
            dataclasses.replace(layer, cache=layer.cache[:, :length, own], blocks=layer.blocks[:, : length + 1, own])
            for layer in trace.layers
        ],
        hidden=trace.hidden[:length, own],
    )


def _inner(gradient: Gradient, whole: Gradient) -> float:
    """<gradient, whole>, where the rows of a row gradient are among those of the whole."""
    if isinstance(gradient, RowGradient):
        if isinstance(whole, RowGradient):
            return float(np.vdot(gradient.values, whole.values[np.searchsorted(whole.rows, gradient.rows)]))
        return float(np.vdot(gradient.values, to_dense(whole)[gradient.rows]))
    return float(np.vdot(gradient, to_dense(whole)))
