"""Activations with their derivatives, and a stable log-softmax.

Everything here is analytic where its mathematics is: it also takes complex arrays, so that a gradient can be checked by
the complex-step method (Squire & Trapp 1998), which needs the forward pass to carry an imaginary part of 1e-30
unharmed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from rnn_core.arrays import Array


def tanh(pre: Array, out: Array | None = None) -> Array:
    """The hyperbolic tangent, also of complex arrays."""
    return np.tanh(pre, out=out)


def sigmoid(pre: Array, out: Array | None = None) -> Array:
    """1 / (1 + exp(-a)), written as (1 + tanh(a / 2)) / 2: the same function, and no exponential can overflow."""
    out = np.multiply(pre, 0.5, out=out)
    np.tanh(out, out=out)
    out += 1.0
    out *= 0.5
    return out


def relu(pre: Array, out: Array | None = None) -> Array:
    """max(a, 0); of complex arrays, a where its real part is above 0."""
    return np.multiply(pre, np.real(pre) > 0, out=out)


def gate_activations(pre: Array, sigmoids: int) -> None:
    """pre (K, ..., H), in place: the first blocks, `sigmoids` of them, go through a sigmoid, the others through tanh.

    With the argument halved, sigmoid(a) = (1 + tanh(a / 2)) / 2 shares one call of tanh with the candidates.
    """
    gates = pre[:sigmoids]
    gates *= 0.5
    np.tanh(pre, out=pre)
    gates += 1
    gates *= 0.5


def tanh_slope(value: Array, out: Array, times: Array) -> None:
    """out = (1 - value^2) times: the slope of tanh where it has this value, times another factor."""
    np.multiply(value, value, out=out)
    np.subtract(1, out, out=out)
    out *= times


def sigmoid_slope(value: Array, out: Array, times: Array) -> None:
    """out = value (1 - value) times: the same for the sigmoid."""
    np.subtract(1, value, out=out)
    out *= value
    out *= times


@dataclass(frozen=True)
class Activation:
    """phi and what is asked of it.

    slope_from_value  phi', written in terms of phi's own value
    steepest_slope    the largest value of phi'
    low, high         the bounds of phi; inf where it has none
    kink              phi reaches its bound and stays there, with a kink: ReLU at 0
    """

    function: Callable[..., Array]
    slope_from_value: Callable[[Array], Array]
    steepest_slope: float
    low: float
    high: float
    kink: bool = False

    @property
    def margin(self) -> float:
        """A value that is nearer than this to a bound is saturated: a gate below 0.1 or above 0.9 (Karpathy, Johnson &
        Fei-Fei 2015, section 4.2), a tanh beyond -0.9 and 0.9, a ReLU at 0.
        """
        return 0.0 if self.kink else 0.1


ACTIVATIONS: dict[str, Activation] = {
    "tanh": Activation(tanh, lambda value: 1 - value * value, 1.0, -1.0, 1.0),
    "relu": Activation(relu, lambda value: (np.real(value) > 0).astype(value.dtype), 1.0, 0.0, np.inf, kink=True),
    "sigmoid": Activation(sigmoid, lambda value: value * (1 - value), 0.25, 0.0, 1.0),
}


def log_softmax(logits: Array) -> Array:
    """log p along the last axis; the largest logit is taken out first, so that nothing overflows."""
    shifted = logits - np.max(np.real(logits), axis=-1, keepdims=True)
    return shifted - np.log(np.sum(np.exp(shifted), axis=-1, keepdims=True))
