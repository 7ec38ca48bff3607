"""Where the units work: on the steep part of their curve, where gradients pass, or on the flat ends, where they die."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from rnn_core.arrays import Array
from rnn_core.diagnostics.jacobian import GATE_NAMES
from rnn_core.nn.activations import ACTIVATIONS
from rnn_core.nn.cells import LSTMCell, SimpleCell
from rnn_core.nn.language_model import Trace

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
# A gate is saturated beyond these (Karpathy, Johnson & Fei-Fei 2015, section 4.2); a tanh beyond -0.9 and 0.9.
LOW, HIGH = 0.1, 0.9
HISTOGRAM_EDGES = np.linspace(-6.0, 6.0, 49)


class Signal(NamedTuple):
    """phi: tanh | relu | sigmoid; pre a and value phi(a), both (T, B, H)."""

    phi: str
    pre: Array
    value: Array

    @property
    def slope(self) -> Array:
        """phi'(a)."""
        return ACTIVATIONS[self.phi].slope_from_value(self.value)


def signals(trace: Trace, layer: int = -1) -> dict[str, Signal]:
    """Everything in a layer that goes through an activation, with the pre-activation a that it was given.

    Simple cells: "state". LSTM: gates "output", "input", "forget", the "candidate" g, and "cell", the tanh(c) that the
    output gate lets out. GRU: gates "reset", "update" and the "candidate" n.
    """
    of_layer = trace.layers[layer]
    cell, kept = of_layer.cell, of_layer.kept
    before, after = of_layer.states[:-1], of_layer.states[1:]
    if isinstance(cell, SimpleCell):
        return {"state": Signal(cell.name, kept[0] + of_layer.weights.through(of_layer.weights.seen(before))[0], after)}
    size = of_layer.hidden_size
    found = {}
    for name, value in zip(GATE_NAMES[cell.name], kept, strict=False):
        if name == "candidate":
            found[name] = Signal("tanh", _atanh(value), value)
        else:
            # sigmoid(a) = (1 + tanh(a / 2)) / 2
            found[name] = Signal("sigmoid", 2 * _atanh(2 * value - 1), value)
    if isinstance(cell, LSTMCell):
        c = after[..., size:]
        found["cell"] = Signal("tanh", c, np.tanh(c))
    return found


def _atanh(value: Array) -> Array:
    """The cell keeps a gate's value, not its pre-activation; one of exactly 1 came from beyond 18."""
    with np.errstate(divide="ignore"):
        return np.arctanh(value)


@dataclass(frozen=True, eq=False)
class SignalStatistics:
    """Over the units (and sequences) at each time step; NaN where a step is padding throughout.

    values, slopes      (T, 5) quantiles 5, 25, 50, 75, 95 % of phi(a) and of phi'(a)
    left, right         (T,) fraction saturated low and high: gates below 0.1 and above 0.9, tanh below -0.9 and above
                        0.9; ReLU: left is the fraction at 0, right is 0
    unit_left, unit_right  (H,) the same fractions for each unit over all steps (Karpathy et al. 2015, figure 3)
    histogram           counts of a between `HISTOGRAM_EDGES`, whose end bins take what lies outside: what the curve of
                        phi is drawn over
    """

    phi: str
    values: Array
    slopes: Array
    left: Array
    right: Array
    unit_left: Array
    unit_right: Array
    histogram: Array


def saturation(trace: Trace, layer: int = -1, live: Array | None = None) -> dict[str, SignalStatistics]:
    """Statistics of every one of a layer's `signals` (default the top layer) over a trace.

    `live` (T, B) is False for padding. What the saturation does to a step as a whole is `step_norms`: for LSTM the norm
    of the joint [h | c] Jacobian, since h alone misleads.
    """
    live = np.ones(trace.inputs.shape, bool) if live is None else live
    return {name: _statistics(signal, live) for name, signal in signals(trace, layer).items()}


def _statistics(signal: Signal, live: Array) -> SignalStatistics:
    if signal.phi == "relu":
        left, right = signal.value <= 0, np.zeros(signal.value.shape, bool)
    else:
        low, high = (LOW, HIGH) if signal.phi == "sigmoid" else (-HIGH, HIGH)
        left, right = signal.value < low, signal.value > high
    pre = np.clip(signal.pre[live], HISTOGRAM_EDGES[0], HISTOGRAM_EDGES[-1])
    return SignalStatistics(
        signal.phi,
        _quantiles_by_step(signal.value, live),
        _quantiles_by_step(signal.slope, live),
        _mean_by_step(left, live),
        _mean_by_step(right, live),
        left[live].mean(axis=0),
        right[live].mean(axis=0),
        np.histogram(pre, HISTOGRAM_EDGES)[0],
    )


def _quantiles_by_step(values: Array, live: Array) -> Array:
    if live.all():
        flat: Array = np.quantile(values.reshape(len(values), -1), QUANTILES, axis=1)
        return flat.T
    nothing = np.full(len(QUANTILES), np.nan)
    return np.array([np.quantile(v[k], QUANTILES) if k.any() else nothing for v, k in zip(values, live, strict=True)])


def _mean_by_step(chosen: Array, live: Array) -> Array:
    return np.array([c[k].mean() if k.any() else np.nan for c, k in zip(chosen, live, strict=True)])


class ActivationCurve(NamedTuple):
    """a (P,), phi(a) and phi'(a): what the histograms are laid under."""

    pre: Array
    value: Array
    slope: Array


def activation_curve(phi: str, points: int = 121) -> ActivationCurve:
    """tanh, relu or sigmoid over the histogram's range."""
    pre = np.linspace(HISTOGRAM_EDGES[0], HISTOGRAM_EDGES[-1], points)
    value = ACTIVATIONS[phi].function(pre)
    return ActivationCurve(pre, value, ACTIVATIONS[phi].slope_from_value(value))
