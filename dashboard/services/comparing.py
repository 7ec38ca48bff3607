"""Runs side by side: their curves in few points, runs that differ in the seed alone as one, and what else differs.

Nothing here is read step by step: `Run.outline` lets SQLite make 300 points of a training, and what was read of a
history is kept for as long as its file stays the same. So fifty runs of 20,000 steps are there within a second.
"""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import compress
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from dashboard.services import measurements, racing, story
from dashboard.services.history import CHANGES
from rnn_core.config import ModelConfig, TaskSettings, TextSettings, TrainingSettings
from rnn_core.config.fields import Setting, settings_of, unused_settings
from rnn_core.errors import UserError
from rnn_core.runs import Run, RunConfig
from rnn_core.runs.database import FILE
from rnn_core.training import BY_HAND, HorizonMeasured, Validated

Floats = npt.NDArray[np.float64]
Quantity = Literal["validation", "training", "metric", "gradient", "half-life"]
Axis = Literal["steps", "tokens", "seconds"]

POINTS = 300
LAST_POINTS = 6
"""Over so many of them, two hundredths of a training, its last training loss is a mean."""

MOST = 60
"""Runs beside each other."""


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
            for read in (_outline, _validations, _half_lives):
                read(run)
        except UserError as error:
            problems.append(error)
        else:
            found.append(run)
    return found, problems


# --- curves -----------------------------------------------------------------------------------------------------------


def lines(runs: Sequence[Run], quantity: Quantity, axis: Axis, *, bits: bool, seeds: bool) -> list[Line]:
    """A curve for each run that has one, or with `seeds` for each group of runs that differ in the seed alone; what
    loses least in validation comes first, whatever is shown. Losses are in nats per token, or in bits per character.
    """
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:  # SQLite reads without Python's lock
        curves = list(pool.map(lambda run: _curve(run, quantity, axis, bits), runs))
        validation = list(pool.map(_final_loss, runs))
    groups: dict[object, list[Line]] = {}
    for place in np.argsort(validation, kind="stable"):
        if len(curves[place].x):
            groups.setdefault(_settings_but_seed(runs[place]) if seeds else place, []).append(curves[place])
    found = [line for group in groups.values() for line in _together(group)]
    names = labels([line.runs[0] for line in found], [line.label for line in found])
    return [replace(line, label=name) for line, name in zip(found, names, strict=True)]


def _curve(run: Run, quantity: Quantity, axis: Axis, bits: bool) -> Line:
    outline = _outline(run)
    steps, least = outline["step"], None
    if quantity == "training":
        y = outline["loss_nats"]
    elif quantity == "gradient":
        y = outline["gradient_norm"]
        steps, y = steps[y > 0], y[y > 0]  # for a logarithmic axis
    elif quantity in ("validation", "metric"):
        found = _validations(run) if quantity == "validation" else _metrics(run)
        steps, y = np.array([*found], dtype=float), np.array([*found.values()], dtype=float)
    else:
        reaches = _half_lives(run)
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
    """Runs that differ in the seed alone as one line, over what all of them have of the axis; others as they are."""
    start, end = max(line.x[0] for line in group), min(line.x[-1] for line in group)
    seeds = {run.config.training.seed for line in group for run in line.runs}
    if len(group) == 1 or len(seeds) < len(group) or start > end:
        return group
    places = np.unique(np.concatenate([line.x for line in group]))
    places = places[(places >= start) & (places <= end)]
    places = places[np.unique(np.linspace(0, len(places) - 1, POINTS).astype(int))]
    values = np.array([np.interp(places, line.x, line.y) for line in group])
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
    validations, training = _validations(run), _outline(run)["loss_nats"]
    if validations:
        return list(validations.values())[-1]
    return float(training[-LAST_POINTS:].mean()) if len(training) else math.inf


# --- what was read of a history, for as long as it stays as it is -----------------------------------------------------


def _stamp(run: Run) -> tuple[int, ...]:
    """Changes with the history. (Whoever reads it makes an empty log beside it, which says nothing.)"""
    facts: list[int] = []
    for path in (run.folder / FILE, run.folder / f"{FILE}-wal"):
        with contextlib.suppress(OSError):
            found = path.lstat()
            facts += [found.st_mtime_ns, found.st_size] if found.st_size else []
    return tuple(facts)


def _outline(run: Run) -> Mapping[str, npt.NDArray[Any]]:
    return _read_outline(str(run.folder), _stamp(run))


def _validations(run: Run) -> Mapping[int, float]:
    return _read_validations(str(run.folder), _stamp(run))[0]


def _metrics(run: Run) -> Mapping[int, float]:
    return _read_validations(str(run.folder), _stamp(run))[2]


def _half_lives(run: Run) -> Mapping[int, tuple[float, bool]]:
    return _read_half_lives(str(run.folder), _stamp(run))


def _steered(run: Run) -> tuple[tuple[int, str, Any], ...]:
    """Nothing is known of a damaged history, whose run still has a name."""
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
    """The validation loss in nats, by step; what somebody changed on the way: step, kind, new value; and the metric of
    a task, by step.
    """
    events = Run.open(folder).events(kinds=[Validated.kind, *CHANGES])
    validated = [event for event in events if event["kind"] == Validated.kind]
    losses = {event["step"]: float(event["loss_nats"]) for event in validated}
    metrics = {event["step"]: float(event["metric"]) for event in validated if event.get("metric") is not None}
    changes = [event for event in events if event.get("why") == BY_HAND]
    return _few(losses), tuple((event["step"], event["kind"], event["new"]) for event in changes), _few(metrics)


@lru_cache(maxsize=4 * MOST)
def _read_half_lives(folder: str, _: tuple[int, ...]) -> Mapping[int, tuple[float, bool]]:
    """By step, how many tokens back half of the gradient is left, and whether it is at least that: the probe ended."""
    found = {}
    for event in Run.open(folder).events(kinds=[HorizonMeasured.kind]):
        half_life, reach = event["half_life"], len(event["median"]) - 1
        found[event["step"]] = (float(reach), True) if half_life is None else (float(half_life), False)
    return _few(found)


def _few(found: dict[int, Any]) -> dict[int, Any]:
    """At most POINTS of them, the last among them."""
    steps = list(found)
    if len(steps) <= POINTS:
        return found
    return {steps[place]: found[steps[place]] for place in np.linspace(0, len(steps) - 1, POINTS).astype(int)}


# --- settings ---------------------------------------------------------------------------------------------------------


def has_text(run: Run) -> bool:
    """Whether its loss is one of words or characters that are known here, and not of a task or of another program."""
    return run.config.task is None and not run.config.monitored


def same_text(runs: Sequence[Run]) -> bool:
    """Whether these runs lose on the same tokens, so that their losses in nats per token compare."""
    return len({(run.config.text.unit, run.config.model.vocabulary_size, _read(run)) for run in runs}) <= 1


def _read(run: Run) -> tuple[object, ...]:
    """What a run is trained on."""
    facts = run.config.corpus
    return facts.name, facts.train_tokens, facts.valid_tokens, facts.unigram_nats, run.config.task


def _settings_but_seed(run: Run) -> object:
    config = run.config
    return config.model, replace(config.training, seed=0), config.text, _read(run), config.forked, _steered(run)


_CLASSES = {"model": ModelConfig, "training": TrainingSettings, "text": TextSettings, "task": TaskSettings}


def differing(runs: Sequence[Run]) -> dict[str, list[str]]:
    """The settings in which these runs differ, by the name that the screen has for each -> a value for each run, "–"
    where it has no effect.
    """
    idle = [unused_settings(run.config.model, run.config.training) for run in runs]
    columns = {"corpus": [run.config.corpus.name for run in runs]}
    labels_so_far: set[str] = set()
    for part, settings_class in _CLASSES.items():
        for name, setting in settings_of(settings_class).items():
            label = setting.label if setting.label not in labels_so_far else f"{setting.label} ({part})"
            labels_so_far.add(label)
            in_effect = [name not in unused_settings for unused_settings in idle]
            values = [_shown(getattr(getattr(run.config, part), name, None), setting) for run in runs]
            if len(set(compress(values, in_effect))) > 1:
                columns[label] = [value if there else "–" for value, there in zip(values, in_effect, strict=True)]
    steered = [
        ", ".join(
            f"{CHANGES[kind][0]} {CHANGES[kind][1] if new is None else new} after step {step:,}"
            for step, kind, new in _steered(run)
        )
        for run in runs
    ]
    columns["changed on the way"] = [text or "–" for text in steered]
    return {label: values for label, values in columns.items() if len(set(values)) > 1}


def _shown(value: Any, setting: Setting) -> str:
    if value is None:
        return setting.none or "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return setting.choices[value].label if setting.choices is not None else str(value)


def labels(runs: Sequence[Run], names: Sequence[str] | None = None) -> list[str]:
    """A name for each run that no other has: its own, with what tells it from others of that name. `names` in its
    place are those of runs that differ in the seed, which then tells nothing.
    """
    differences = differing(runs)
    if names is None:
        names = [run.config.name for run in runs]
    else:
        differences.pop(settings_of(TrainingSettings)["seed"].label, None)
    found: list[str] = []
    for place, name in enumerate(names):
        label = name
        if names.count(name) > 1:
            told = [f"{what.lower()} {values[place]}" for what, values in differences.items()]
            label = f"{name}, {', '.join(told[:2])}" if told else name
        count = 2
        unique = label
        while unique in found:
            unique, count = f"{label} ({count})", count + 1
        found.append(unique)
    return found
