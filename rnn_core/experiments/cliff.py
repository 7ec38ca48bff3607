"""The cliff: the error surface of one recurrent unit, and a descent across its wall with and without clipping.

    x_t = w sigma(x_{t-1}) + b,   x_0 = 1/2,   E = (sigma(x_50) - 0.7)^2

Above w = 4 the unit can have two stable states. Where, as w or b changes, one of them ends, the fiftieth state jumps,
and the surface has a wall (Pascanu, Mikolov & Bengio 2013, figure 6).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rnn_core.arrays import Array
from rnn_core.experiments.base import Experiment, Row, Settings, Trial, measured
from rnn_core.nn.activations import sigmoid
from rnn_core.randomness import stream

STEPS, FIRST_STATE, TARGET = 50, 0.5, 0.7
W_RANGE, B_RANGE = (4.0, 7.0), (-3.5, -1.5)
LEARNING_RATE, CLIP, UPDATES = 0.3, 1.0, 200
ARRIVED = 0.01

FREE, CLIPPED = "without clipping", "clipped at 1"


def error_and_gradient(w: Array | float, b: Array | float) -> tuple[Array, Array, Array]:
    """E, dE/dw and dE/db of points of any one shape, by back-propagation through the fifty steps."""
    w, b = np.broadcast_arrays(np.asarray(w, float), np.asarray(b, float))
    states = [_sigmoid(np.full(w.shape, FIRST_STATE))]
    for _ in range(STEPS):
        states.append(_sigmoid(w * states[-1] + b))
    last = states[-1]
    error = (last - TARGET) ** 2
    delta = 2 * (last - TARGET) * last * (1 - last)  # dE/dx_t
    d_w, d_b = np.zeros(w.shape), np.zeros(w.shape)
    for before in reversed(states[:-1]):
        d_w += delta * before
        d_b += delta
        delta = delta * w * before * (1 - before)
    return error, d_w, d_b


def _sigmoid(x: Array | float) -> Array:
    return sigmoid(np.atleast_1d(x)).reshape(np.shape(x))  # NumPy's scalars cannot be written into


def surface(w: Array, b: Array) -> tuple[Array, Array]:
    """E and ||dE/d(w, b)|| over w (n,) and b (m,): (m, n) each."""
    error, d_w, d_b = error_and_gradient(w[None, :], b[:, None])
    return error, np.hypot(d_w, d_b)


@dataclass(frozen=True, eq=False)
class Descent:
    """w, b, errors (updates + 1,) on the way, the start first."""

    w: Array
    b: Array
    errors: Array

    @property
    def longest_step(self) -> float:
        """In the plane of w and b."""
        return float(np.hypot(np.diff(self.w), np.diff(self.b)).max())


def descend(w: float, b: float, clip: float | None, updates: int = UPDATES) -> Descent:
    """Gradient descent from a point; `clip`: the most that the gradient's norm may be, None: whatever it is."""
    path = np.empty((updates + 1, 3))
    for row in path:
        error, *slopes = error_and_gradient(w, b)
        row[:] = w, b, float(error)
        d_w, d_b = map(float, slopes)
        norm = np.hypot(d_w, d_b)
        factor = 1.0 if clip is None or norm <= clip else clip / norm
        w, b = w - LEARNING_RATE * factor * d_w, b - LEARNING_RATE * factor * d_b
    return Descent(*path.T)


def trial(settings: Settings, seed: int, texts: Sequence[Path] = ()) -> Trial:
    """A descent from a point drawn from the window: 1 or 0 for arrived at an error below 0.01."""
    rng = stream(seed, "cliff")
    descent = descend(rng.uniform(*W_RANGE), rng.uniform(*B_RANGE), settings["clip"])
    return Trial(
        {settings["row"]: float(descent.errors[-1] < ARRIVED)},
        {"longest step": [descent.longest_step], "last error": [float(descent.errors[-1])]},
    )


def _reproduced(rows: Sequence[Row]) -> bool:
    return measured(rows, CLIPPED) >= measured(rows, FREE) + 0.2


EXPERIMENT = Experiment(
    name="cliff",
    title="The cliff",
    claim="The error surface of one recurrent unit has a wall that throws a plain descent far away; clipped, it stays "
    "in the valley.",
    source="Pascanu, Mikolov & Bengio 2013, figure 6",
    measures="share of starts from which a descent arrives in the valley: an error below 0.01 after 200 updates",
    rule="Of the starts at least 20 points of 100 more arrive with clipping than without.",
    settings={FREE: {"row": FREE, "clip": None}, CLIPPED: {"row": CLIPPED, "clip": CLIP}},
    seeds=40,
    trial=trial,
    reproduced=_reproduced,
)
