"""Runs side by side: their curves in few points, runs that differ in the seed alone as one."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from dashboard.services import measurements, racing, run_curves, story
from dashboard.services.differences import has_text, labels, settings_but_seed
from dashboard.services.run_curves import POINTS
from rnn_core.errors import UserError
from rnn_core.runs import Run, RunConfig

Floats = npt.NDArray[np.float64]
Quantity = Literal["validation", "training", "metric", "gradient", "half-life"]
Axis = Literal["steps", "tokens", "seconds"]

LAST_POINTS = 6
"""The last training loss is the mean of so many of an outline's points: the last 2 % of a training."""


@dataclass(frozen=True)
class Line:
    """One curve: of a run, or of runs that differ in the seed alone (y: their median, low and high: their extremes).

    x, y, low, high: (points,). `least`: which of y are lower bounds, because what is measured lies beyond.
    """

    label: str
    runs: tuple[Run, ...]
    x: Floats
    y: Floats
    low: Floats | None = None
    high: Floats | None = None
    least: npt.NDArray[np.bool_] | None = None

    @property
    def last(self) -> float:
        """What it comes to in the end."""
        return float(self.y[-1])


def kind(run_id: str, config: RunConfig) -> str:
    """Which page made a run: "story", "race", or "" where somebody set it up."""
    if racing.race_of(run_id) is not None:
        return "race"
    return "" if story.recognise(config) is None else "story"


def readable(runs: Sequence[Run]) -> tuple[list[Run], list[UserError]]:
    """Those whose history can be read, and why that of others cannot: one that is damaged hides no other."""
    found, problems = [], []
    for run in runs:
        try:
            for read in (run_curves.outline, run_curves.validations, run_curves.half_lives):
                read(run)
        except UserError as error:
            problems.append(error)
        else:
            found.append(run)
    return found, problems


def lines(runs: Sequence[Run], quantity: Quantity, axis: Axis, *, bits: bool, seeds: bool) -> list[Line]:
    """A curve for each run that has one, or with `seeds` for each group of runs that differ in the seed alone; the
    lowest last validation loss comes first, whatever is shown. Losses are in nats per token, or in bits per character.
    """
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:  # SQLite reads without Python's lock
        curves = list(pool.map(lambda run: _curve(run, quantity, axis, bits), runs))
        validation = list(pool.map(_final_loss, runs))
    groups: dict[object, list[Line]] = {}
    for place in np.argsort(validation, kind="stable"):
        if len(curves[place].x):
            groups.setdefault(settings_but_seed(runs[place]) if seeds else place, []).append(curves[place])
    found = [line for group in groups.values() for line in _together(group)]
    names = labels([line.runs[0] for line in found], [line.label for line in found])
    return [replace(line, label=name) for line, name in zip(found, names, strict=True)]


def _curve(run: Run, quantity: Quantity, axis: Axis, bits: bool) -> Line:
    outline = run_curves.outline(run)
    steps, least = outline["step"], None
    if quantity == "training":
        y = outline["loss_nats"]
    elif quantity == "gradient":
        y = outline["gradient_norm"]
        steps, y = steps[y > 0], y[y > 0]  # for a logarithmic axis
    elif quantity in ("validation", "metric"):
        found = run_curves.validations(run) if quantity == "validation" else run_curves.metrics(run)
        steps, y = np.array([*found], dtype=float), np.array([*found.values()], dtype=float)
    else:
        reaches = run_curves.half_lives(run)
        steps = np.array([*reaches], dtype=float)
        y = np.array([value for value, _ in reaches.values()], dtype=float)
        least = np.array([beyond for _, beyond in reaches.values()], dtype=bool)
    if bits and has_text(run) and quantity in ("training", "validation"):
        y = y / (math.log(2) * measurements.characters_per_token(str(run.folder)))
    if axis == "steps" or not len(steps):
        x = steps.astype(float)
    else:
        along = outline["tokens" if axis == "tokens" else "elapsed_seconds"]
        x = np.interp(steps, [0, *outline["step"]], [0, *along])
    return Line(run.config.name, (run,), x, y, least=least)


def _together(group: list[Line]) -> list[Line]:
    """Runs that differ in the seed alone as one line, over what all of them have of the axis. Runs that share a
    seed, or no part of the axis, stay apart.
    """
    start, end = max(line.x[0] for line in group), min(line.x[-1] for line in group)
    seeds = {run.config.training.seed for line in group for run in line.runs}
    # A seed that is there twice would count twice.
    if len(group) == 1 or len(seeds) < len(group) or start > end:
        return group
    places = np.unique(np.concatenate([line.x for line in group]))
    places = places[(places >= start) & (places <= end)]
    places = places[np.unique(np.linspace(0, len(places) - 1, POINTS).astype(int))]
    values = np.array([np.interp(places, line.x, line.y) for line in group])
    # Between two points of which one is a lower bound the curve is one too: interpolated, it is above 0 there.
    beyond = [np.interp(places, line.x, line.least) > 0 for line in group if line.least is not None]
    return [
        Line(
            _common_name([line.label for line in group]),
            tuple(run for line in group for run in line.runs),
            places,
            np.median(values, axis=0),
            values.min(axis=0),
            values.max(axis=0),
            np.any(beyond, axis=0) if beyond else None,
        )
    ]


def _common_name(names: Sequence[str]) -> str:
    """What the names of runs begin with, as far as it says something; else the first of them."""
    return os.path.commonprefix(list(names)).rstrip(" ,·-_(#0123456789") or names[0]


def _final_loss(run: Run) -> float:
    """The last validation loss, else the last training loss, in nats; inf where there is neither."""
    validations, training = run_curves.validations(run), run_curves.outline(run)["loss_nats"]
    if validations:
        return list(validations.values())[-1]
    return float(training[-LAST_POINTS:].mean()) if len(training) else math.inf
