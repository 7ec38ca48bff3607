"""The points of a sweep, how each stands, and their ranking over the seeds."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

ENDED = ("finished", "diverged")
"""States of a point that is not trained again."""


@dataclass(frozen=True)
class Point:
    """One training of a sweep. settings: the values of the settings that are swept over."""

    settings: Mapping[str, Any]
    seed: int

    @property
    def name(self) -> str:
        """The name of its folder, which follows from its settings and seed alone."""
        values = json.dumps([sorted(self.settings.items()), self.seed])
        return f"point-{hashlib.sha256(values.encode()).hexdigest()[:16]}"

    @property
    def label(self) -> str:
        """For people: "hidden_size 50, clip none, seed 0"."""
        parts = [f"{name} {'none' if value is None else value}" for name, value in self.settings.items()]
        return ", ".join([*parts, f"seed {self.seed}"])


@dataclass(frozen=True)
class PointResult:
    """How a point stands.

    state    as a run's; "waiting" where it has not begun, "failed" also for settings that make no sense
    metric   a task's; None for a text, and before the first validation
    message  why it failed or diverged
    """

    point: Point
    state: str
    step: int = 0
    total_steps: int | None = None
    train_loss_nats: float | None = None
    valid_loss_nats: float | None = None
    metric: float | None = None
    message: str = ""

    @property
    def measured(self) -> float | None:
        """What the points are compared by, the smaller the better: a task's metric, else the validation loss."""
        return None if self.state != "finished" else self.valid_loss_nats if self.metric is None else self.metric

    @property
    def rank(self) -> tuple[float, float]:
        """Smaller is better: by what is measured, and where that is the same (no error at all) by the loss."""
        measured, loss = self.measured, self.valid_loss_nats
        return math.inf if measured is None else measured, math.inf if loss is None else loss

    @property
    def fraction(self) -> float:
        """How much of it is done."""
        if self.state in (*ENDED, "failed"):
            return 1.0
        return self.step / self.total_steps if self.total_steps else 0.0


@dataclass(frozen=True)
class Band:
    """One combination of settings over its seeds, as far as they are finished; failed: how many have failed."""

    settings: Mapping[str, Any]
    seeds: int
    mean: float
    low: float
    high: float
    failed: int


def bands(results: Sequence[PointResult]) -> list[Band]:
    """The best first, by the mean over the seeds, and of equals by the least loss; combinations of which no seed has
    finished are left out.
    """
    found: list[tuple[float, float, Band]] = []
    for _, group in itertools.groupby(sorted(results, key=_combination), key=_combination):
        points = list(group)
        values = [result.measured for result in points if result.measured is not None]
        failed = sum(result.state in ("failed", "diverged") for result in points)
        if values:
            mean = sum(values) / len(values)
            band = Band(points[0].point.settings, len(values), mean, min(values), max(values), failed)
            found.append((mean, min(result.rank for result in points)[1], band))
    return [band for _, _, band in sorted(found, key=lambda one: one[:2])]


def _combination(result: PointResult) -> str:
    return json.dumps(list(result.point.settings.items()))
