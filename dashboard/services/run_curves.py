"""What curves beside each other need of a run's history, read once for as long as its file stays as it is.

Nothing is read step by step: `Run.outline` lets SQLite make POINTS points of a training. So fifty runs of 20,000 steps
are there within a second.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from rnn_core.errors import UserError
from rnn_core.runs import Run
from rnn_core.runs.database import FILE
from rnn_core.training import BY_HAND, HorizonMeasured, SettingChanged, Validated

POINTS = 300
MOST = 60
"""Runs beside each other."""


def _stamp(run: Run) -> tuple[int, ...]:
    """Changes with the history. (Whoever reads it makes an empty log beside it, which says nothing.)"""
    facts: list[int] = []
    for path in (run.folder / FILE, run.folder / f"{FILE}-wal"):
        with contextlib.suppress(OSError):
            found = path.lstat()
            facts += [found.st_mtime_ns, found.st_size] if found.st_size else []
    return tuple(facts)


def outline(run: Run) -> Mapping[str, npt.NDArray[Any]]:
    """Up to POINTS of the columns of its metrics, from the first step to the last."""
    return _read_outline(str(run.folder), _stamp(run))


def validations(run: Run) -> Mapping[int, float]:
    """The validation loss in nats, by step."""
    return _read_validations(str(run.folder), _stamp(run))[0]


def metrics(run: Run) -> Mapping[int, float]:
    """The metric of a task, by step."""
    return _read_validations(str(run.folder), _stamp(run))[2]


def half_lives(run: Run) -> Mapping[int, tuple[float, bool]]:
    """By step, how many tokens back half of the gradient is left, and whether it is at least that: the probe ended."""
    return _read_half_lives(str(run.folder), _stamp(run))


def steered(run: Run) -> tuple[tuple[int, str, Any], ...]:
    """What was changed by hand: step, setting, new value. Of a damaged history, whose run has a name, nothing."""
    with contextlib.suppress(UserError):
        return _read_validations(str(run.folder), _stamp(run))[1]
    return ()


@lru_cache(maxsize=4 * MOST)
def _read_outline(folder: str, _: tuple[int, ...]) -> Mapping[str, npt.NDArray[Any]]:
    return Run.open(folder).outline(POINTS)


@lru_cache(maxsize=4 * MOST)
def _read_validations(
    folder: str, _: tuple[int, ...]
) -> tuple[Mapping[int, float], tuple[tuple[int, str, Any], ...], Mapping[int, float]]:
    """The validation loss in nats, by step; what was changed by hand: step, setting, new value; and the metric
    of a task, by step.
    """
    losses, metrics, by_hand = {}, {}, list[tuple[int, str, Any]]()
    for event in Run.open(folder).recorded(Validated, SettingChanged).values():
        if isinstance(event, Validated):
            losses[event.step] = event.loss_nats
            if event.metric is not None:
                metrics[event.step] = event.metric
        elif isinstance(event, SettingChanged) and event.why == BY_HAND:
            by_hand.append((event.step, event.setting, event.new))
    return _few(losses), tuple(by_hand), _few(metrics)


@lru_cache(maxsize=4 * MOST)
def _read_half_lives(folder: str, _: tuple[int, ...]) -> Mapping[int, tuple[float, bool]]:
    found = {}
    for event in Run.open(folder).recorded(HorizonMeasured).values():
        reach = float(len(event.median) - 1)
        found[event.step] = (reach, True) if event.half_life is None else (event.half_life, False)
    return _few(found)


def _few(found: dict[int, Any]) -> dict[int, Any]:
    """At most POINTS of them, the last among them."""
    steps = list(found)
    if len(steps) <= POINTS:
        return found
    return {steps[place]: found[steps[place]] for place in np.linspace(0, len(steps) - 1, POINTS).astype(int)}
