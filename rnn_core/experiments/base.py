"""What an experiment of the literature declares: its claim and source, its settings, and what counts as reproduced."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Settings = Mapping[str, Any]


@dataclass(frozen=True)
class Trial:
    """What one seed gave in one of the settings.

    measured  a number for each row of the result, by its name; None: beyond what could be measured
    curves    by name: series for a picture, such as the loss by epoch
    """

    measured: Mapping[str, float | None]
    curves: Mapping[str, Sequence[float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Row:
    """One number of ours, the mean over the seeds, beside the one published; None: there is none."""

    setting: str
    seeds: int
    measured: float | None
    published: float | None


@dataclass(frozen=True)
class Picture:
    """A trial's curve as a report draws it, a line for each seed.

    y, x       names of `Trial.curves`; without x it is counted from 0
    titles     of the axes, x first
    log        whether the y axis is logarithmic
    names      {setting: label at its line's end}; settings without one are drawn faint. Empty: each setting's own name
    published  what was published, over the same x
    """

    y: str
    titles: tuple[str, str]
    x: str = ""
    log: bool = False
    names: Mapping[str, str] = field(default_factory=dict)
    published: Sequence[float] = ()


@dataclass(frozen=True)
class Experiment:
    """One claim, and how it is put to the test.

    name, title   for the command line and links; for people
    claim         one sentence
    source        paper, with page, figure or section
    measures      what a row's number is, with its unit
    rule          what counts as reproduced, said before anything is run; "" where no number or claim can be checked
    settings      by name, the arguments of `trial`
    seeds         how many; the seeds are 0, 1, …
    trial         (settings, seed, texts) -> Trial: a function of these alone. `texts`: files, where `reads` names some
    published     by the name of a row, a number that the source states
    reproduced    the rule; None: nothing is published to compare with
    reads         what text files it takes; "" where it reads none
    picture       what a report draws; None: its rows say all
    """

    name: str
    title: str
    claim: str
    source: str
    measures: str
    rule: str
    settings: Mapping[str, Settings]
    seeds: int
    trial: Callable[[Settings, int, Sequence[Path]], Trial]
    published: Mapping[str, float] = field(default_factory=dict)
    reproduced: Callable[[Sequence[Row]], bool] | None = None
    reads: str = ""
    picture: Picture | None = None

    def rows(self, trials: Iterable[tuple[int, Trial]]) -> list[Row]:
        """(seed, trial) pairs of any settings -> a row for each name, in the order in which the names appear."""
        found: dict[str, list[float | None]] = {}
        for _, trial in trials:
            for name, value in trial.measured.items():
                found.setdefault(name, []).append(value)
        return [Row(name, len(values), _mean(values), self.published.get(name)) for name, values in found.items()]

    def verdict(self, rows: Sequence[Row]) -> bool | None:
        """Whether the claim came out by the rule; None where there is nothing to compare with, or nothing measured."""
        return self.reproduced(rows) if self.reproduced is not None and rows else None


def measured(rows: Sequence[Row], setting: str) -> float:
    """The number of one row; nan where it is missing, with which every comparison is false."""
    value = next((row.measured for row in rows if row.setting == setting), None)
    return math.nan if value is None else value


def _mean(values: Sequence[float | None]) -> float | None:
    """The mean; None where one is None: with one number beyond measuring, the mean is beyond it too."""
    known = [value for value in values if value is not None]
    return math.fsum(known) / len(known) if len(known) == len(values) else None
