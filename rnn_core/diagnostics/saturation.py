"""Where the units work: on the steep part of their curve, where gradients pass, or on the flat ends, where they die."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from rnn_core.arrays import Array
from rnn_core.nn.activations import ACTIVATIONS
from rnn_core.nn.cells import Signal
from rnn_core.nn.network import Trace

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
HISTOGRAM_EDGES = np.linspace(-6.0, 6.0, 49)


def signals(trace: Trace, layer: int = -1) -> dict[str, Signal]:
    """Everything in a layer that goes through an activation and can saturate there, with the pre-activation that it was
    given, (T, B, H).

    Plain cells: "state". LSTM: gates "output", "input", "forget", the "candidate" g, and "cell", the tanh(c) that the
    output gate lets out. GRU: gates "reset", "update" and the "candidate" n. minGRU: its gate "update".
    """
    of_layer = trace.layers[layer]
    before, after = of_layer.blocks[:, :-1], of_layer.blocks[:, 1:]
    return of_layer.cell.signals(of_layer.cache, before, after, of_layer.weights)


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


def saturation(trace: Trace, layer: int = -1, mask: Array | None = None) -> dict[str, SignalStatistics]:
    """Statistics of every one of a layer's `signals` (default the top layer) over a trace.

    `mask` (T, B) is False for padding. What the saturation does to a step as a whole is `step_norms`: for LSTM the norm
    of the joint [h | c] Jacobian, since h alone misleads.
    """
    mask = np.ones(trace.shape, bool) if mask is None else mask
    return {name: _statistics(signal, mask) for name, signal in signals(trace, layer).items()}


def saturated_shares(trace: Trace, layer: int = -1) -> dict[str, float]:
    """{signal: share of its values, over units, steps and sequences, that are saturated, low or high}."""
    return {name: float(sum(end.mean() for end in _ends(signal))) for name, signal in signals(trace, layer).items()}


def _ends(signal: Signal) -> tuple[Array, Array]:
    """Where the signal is saturated low, and where high."""
    phi = ACTIVATIONS[signal.phi]
    return signal.value <= phi.low + phi.margin, signal.value > phi.high - phi.margin


def _statistics(signal: Signal, mask: Array) -> SignalStatistics:
    left, right = _ends(signal)
    pre = np.clip(signal.pre[mask], HISTOGRAM_EDGES[0], HISTOGRAM_EDGES[-1])
    return SignalStatistics(
        signal.phi,
        _quantiles_by_step(signal.value, mask),
        _quantiles_by_step(signal.slope, mask),
        _mean_by_step(left, mask),
        _mean_by_step(right, mask),
        left[mask].mean(axis=0),
        right[mask].mean(axis=0),
        np.histogram(pre, HISTOGRAM_EDGES)[0],
    )


def _quantiles_by_step(values: Array, mask: Array) -> Array:
    if mask.all():
        flat: Array = np.quantile(values.reshape(len(values), -1), QUANTILES, axis=1)
        return flat.T
    nothing = np.full(len(QUANTILES), np.nan)
    return np.array([np.quantile(v[k], QUANTILES) if k.any() else nothing for v, k in zip(values, mask, strict=True)])


def _mean_by_step(chosen: Array, mask: Array) -> Array:
    return np.array([c[k].mean() if k.any() else np.nan for c, k in zip(chosen, mask, strict=True)])


class ActivationCurve(NamedTuple):
    """a (P,), phi(a) and phi'(a): what the histograms are laid under."""

    pre: Array
    value: Array
    slope: Array


def activation_curve(phi: str, points: int = 121) -> ActivationCurve:
    """An activation (a key of ACTIVATIONS) over the histogram's range."""
    pre = np.linspace(HISTOGRAM_EDGES[0], HISTOGRAM_EDGES[-1], points)
    value = ACTIVATIONS[phi].function(pre)
    return ActivationCurve(pre, value, ACTIVATIONS[phi].slope_from_value(value))
