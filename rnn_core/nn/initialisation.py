"""How a matrix starts: the initialisers of the literature, each a function of a size and a random generator."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from rnn_core.arrays import Array
from rnn_core.config.choices import EMBEDDING_INITIALISATIONS, INITIALISATIONS, Choice


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


_RECURRENT: dict[str, tuple[Choice, Callable[[int, float, np.random.Generator], Array]]] = {
    "uniform": (Choice("uniform ±1/√H"), lambda size, _, rng: uniform((size, size), size, rng)),
    "glorot": (Choice("Glorot"), lambda size, _, rng: glorot(size, rng)),
    "orthogonal": (Choice("orthogonal", {"init_scale": "Gain"}), orthogonal),
    "identity": (Choice("identity (IRNN)", {"init_scale": "Scale"}), lambda size, scale, _: identity(size, scale)),
    "spectral": (Choice("given spectral radius", {"init_scale": "Spectral radius"}), with_spectral_radius),
}
_EMBEDDING: dict[str, tuple[Choice, Callable[[tuple[int, int], np.random.Generator], Array]]] = {
    # A word vector is read by one position at a time: what it is summed over is its own length.
    "uniform": (Choice("uniform ±1/√D"), lambda shape, rng: uniform(shape, shape[1], rng)),
    "small_normal": (Choice("normal, N(0, 0.3²)"), lambda shape, rng: 0.3 * rng.standard_normal(shape)),
    "normal": (Choice("normal, N(0, 1)"), lambda shape, rng: rng.standard_normal(shape)),
}
for _name, (_choice, _matrix) in _RECURRENT.items():
    INITIALISATIONS.register(_name, _choice)
for _name, (_choice, _vectors) in _EMBEDDING.items():
    EMBEDDING_INITIALISATIONS.register(_name, _choice)


def recurrent_block(kind: str, size: int, scale: float, rng: np.random.Generator) -> Array:
    """One (size, size) block of W. `kind` is a value of `ModelConfig.init`; `scale` is its gain, scale or radius.

    Raises ValueError for another kind.
    """
    if kind not in _RECURRENT:
        raise ValueError(f"unknown initialisation {kind!r}")
    return _RECURRENT[kind][1](size, scale, rng)


def embedding(kind: str, shape: tuple[int, int], rng: np.random.Generator) -> Array:
    """Word vectors (N, D). `kind` is a value of `ModelConfig.embedding_init`; ValueError for another."""
    if kind not in _EMBEDDING:
        raise ValueError(f"unknown initialisation {kind!r}")
    return _EMBEDDING[kind][1](shape, rng)
