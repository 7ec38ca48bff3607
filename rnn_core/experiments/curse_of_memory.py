"""The curse of memory: the longer one unit remembers, the more its state changes with its own parameter.

h_t = lambda h_{t-1} + x_t,   x_t ~ N(0, 1) independent
E h^2 = 1 / (1 - lambda^2),   E (dh/dlambda)^2 = (1 + lambda^2) / (1 - lambda^2)^3
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rnn_core.experiments.base import Experiment, Row, Settings, Trial
from rnn_core.randomness import stream

LAMBDAS = (0.0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99)
SEQUENCES = 4000
SETTLED = 20
"""Time constants 1 / (1 - lambda) until the state is what it is in the long run: what is missing is below 1e-8."""
TOLERANCE = 0.1


def state_power(decay: float) -> float:
    """E h^2 in the long run."""
    return 1 / (1 - decay**2)


def sensitivity(decay: float) -> float:
    """E (dh/dlambda)^2 in the long run."""
    return (1 + decay**2) / (1 - decay**2) ** 3


def simulate(decay: float, seed: int, sequences: int = SEQUENCES) -> tuple[float, float]:
    """Mean h^2 and mean (dh/dlambda)^2 of the last state over so many sequences of white noise."""
    rng = stream(seed, "curse of memory")
    h, d_h = np.zeros(sequences), np.zeros(sequences)
    for _ in range(int(np.ceil(SETTLED / (1 - decay)))):
        d_h = h + decay * d_h  # d/dlambda of the next line
        h = decay * h + rng.standard_normal(sequences)
    return float(np.mean(h**2)), float(np.mean(d_h**2))


def trial(settings: Settings, seed: int, texts: Sequence[Path] = ()) -> Trial:
    """Both means for one lambda."""
    power, sensitive = simulate(settings["lambda"], seed)
    return Trial({_row("h²", settings["lambda"]): power, _row("(dh/dλ)²", settings["lambda"]): sensitive})


def _row(what: str, decay: float) -> str:
    return f"{what}, λ = {decay:g}"


def _reproduced(rows: Sequence[Row]) -> bool:
    return all(
        row.measured is not None
        and row.published is not None
        and abs(row.measured - row.published) <= TOLERANCE * row.published
        for row in rows
    )


EXPERIMENT = Experiment(
    name="curse-of-memory",
    title="Curse of memory",
    claim="The longer a linear unit remembers, the more sensitive its state is to its own parameter, although no "
    "gradient explodes.",
    source="Zucchet & Orvieto 2024, section 2.2 and figure 1",
    measures="mean over sequences of white noise, beside the closed form",
    rule="Every mean is within 10 % of 1/(1−λ²) and (1+λ²)/(1−λ²)³.",
    settings={f"λ = {decay:g}": {"lambda": decay} for decay in LAMBDAS},
    seeds=5,
    trial=trial,
    published={
        _row(what, decay): form(decay)
        for decay in LAMBDAS
        for what, form in (("h²", state_power), ("(dh/dλ)²", sensitivity))
    },
    reproduced=_reproduced,
)
