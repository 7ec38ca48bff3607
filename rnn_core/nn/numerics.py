"""Activations with their derivatives, a stable log-softmax, and the initialisers of a recurrent matrix.

Everything here is analytic where its mathematics is: it also takes complex arrays, so that a gradient can be checked by
the complex-step method (Squire & Trapp 1998), which needs the forward pass to carry an imaginary part of 1e-30
unharmed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def tanh(pre: Array, out: Array | None = None) -> Array:
    return np.tanh(pre, out=out)


def sigmoid(pre: Array, out: Array | None = None) -> Array:
    """1 / (1 + exp(-a)), written as (1 + tanh(a / 2)) / 2: the same function, and no exponential can overflow."""
    out = np.multiply(pre, 0.5, out=out)
    np.tanh(out, out=out)
    out += 1.0
    out *= 0.5
    return out


def relu(pre: Array, out: Array | None = None) -> Array:
    return np.multiply(pre, np.real(pre) > 0, out=out)


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
    """phi, its derivative written in terms of phi's own value, and the largest value that derivative takes."""

    function: Callable[..., Array]
    slope_from_value: Callable[[Array], Array]
    steepest_slope: float


ACTIVATIONS: dict[str, Activation] = {
    "tanh": Activation(tanh, lambda value: 1 - value * value, 1.0),
    "relu": Activation(relu, lambda value: (np.real(value) > 0).astype(value.dtype), 1.0),
    "sigmoid": Activation(sigmoid, lambda value: value * (1 - value), 0.25),
}


def log_softmax(logits: Array) -> Array:
    """log p along the last axis; the largest logit is taken out first, so that nothing overflows."""
    shifted = logits - np.max(np.real(logits), axis=-1, keepdims=True)
    return shifted - np.log(np.sum(np.exp(shifted), axis=-1, keepdims=True))


def uniform(shape: tuple[int, ...], inputs: int, rng: np.random.Generator) -> Array:
    """Uniform in +-1/sqrt(inputs), the tutorial's rule; `inputs` is the number of incoming connections."""
    bound = 1 / np.sqrt(inputs)
    return rng.uniform(-bound, bound, shape)


def glorot(size: int, rng: np.random.Generator) -> Array:
    """Uniform in +-sqrt(6 / (fan_in + fan_out)) (Glorot & Bengio 2010, eq. 16), square matrix (size, size)."""
    bound = np.sqrt(6 / (size + size))
    return rng.uniform(-bound, bound, (size, size))


def orthogonal(size: int, gain: float, rng: np.random.Generator) -> Array:
    """gain * Q with Q uniform over the orthogonal matrices (Saxe et al. 2014; sign convention of Mezzadri 2007)."""
    q, r = np.linalg.qr(rng.standard_normal((size, size)))
    # QR alone favours some rotations; the signs of R's diagonal make Q uniform.
    return gain * (q * np.sign(np.diagonal(r)))


def identity(size: int, scale: float) -> Array:
    """scale * I, the IRNN's start (Le, Jaitly & Hinton 2015)."""
    return scale * np.eye(size)


def with_spectral_radius(size: int, radius: float, rng: np.random.Generator) -> Array:
    """Gaussian matrix rescaled so that its largest |eigenvalue| is `radius` (echo-state practice, Jaeger 2001)."""
    matrix = rng.standard_normal((size, size)) / np.sqrt(size)
    return matrix * (radius / np.max(np.abs(np.linalg.eigvals(matrix))))


def recurrent_block(kind: str, size: int, scale: float, rng: np.random.Generator) -> Array:
    """One (size, size) block of W. `kind` is a value of `ModelConfig.init`; `scale` is its gain, scale or radius."""
    if kind == "uniform":
        return uniform((size, size), size, rng)
    if kind == "glorot":
        return glorot(size, rng)
    if kind == "orthogonal":
        return orthogonal(size, scale, rng)
    if kind == "identity":
        return identity(size, scale)
    if kind == "spectral":
        return with_spectral_radius(size, scale, rng)
    raise ValueError(f"unknown initialisation {kind!r}")
