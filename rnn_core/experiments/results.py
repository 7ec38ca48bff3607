"""The result of an experiment as a file: every trial with its computing time, the date, and the versions used."""

from __future__ import annotations

import json
import os
import platform
import shlex
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import metadata, resources
from pathlib import Path
from typing import Any

from rnn_core.errors import RunError
from rnn_core.experiments.base import Experiment, Row, Trial
from rnn_core.runs.files import atomic_write
from rnn_core.runs.reading import read_bytes

FILE = "result.json"
PID = "pid"
LIMIT_BYTES = 64 * 2**20

UNREADABLE = (RunError, ValueError, KeyError, TypeError, AttributeError, RecursionError)
"""What reading a result raises where its file is damaged, or was written by something else."""

VERDICTS = {True: "reproduced", False: "NOT reproduced", None: "nothing published to compare with"}


@dataclass(frozen=True)
class Finished:
    """One trial that has ended: in which setting, with which seed, after how many seconds of computing."""

    setting: str
    seed: int
    seconds: float
    trial: Trial


@dataclass
class Result:
    """The trials of an experiment that have ended; `seeds`: how many it is to have; `text`: the names of the files that
    it read, joined by ", ".
    """

    experiment: Experiment
    seeds: int
    text: str = ""
    machine: str = ""
    date: str = field(default_factory=lambda: time.strftime("%Y-%m-%d"))
    versions: Mapping[str, str] = field(default_factory=lambda: _versions())
    finished: list[Finished] = field(default_factory=list)

    @property
    def minutes(self) -> float:
        """Of computing, over all trials."""
        return sum(trial.seconds for trial in self.finished) / 60

    @property
    def total(self) -> int:
        """How many trials it has when it is whole."""
        return self.seeds * len(self.experiment.settings)

    @property
    def whole(self) -> bool:
        """Whether nothing is left to do."""
        return len(self.finished) == self.total

    @property
    def rows(self) -> list[Row]:
        """In the order of the declaration, whatever order the trials ended in."""
        order = {name: place for place, name in enumerate(self.experiment.settings)}
        ended = sorted(self.finished, key=lambda trial: (order[trial.setting], trial.seed))
        return self.experiment.rows((trial.seed, trial.trial) for trial in ended)

    @property
    def reproduced(self) -> bool | None:
        """The verdict, once the result is whole; None before, and where nothing is published."""
        return self.experiment.verdict(self.rows) if self.whole else None

    def trials_of(self, setting: str) -> list[Trial]:
        """By seed."""
        return [
            ended.trial for ended in sorted(self.finished, key=lambda ended: ended.seed) if ended.setting == setting
        ]

    @property
    def command(self) -> str:
        """What repeats it, in a shell's quotes."""
        seeds = [] if self.seeds == self.experiment.seeds else ["--seeds", str(self.seeds)]
        texts = ["--corpus", *self.text.split(", ")] if self.text else []
        return shlex.join(["see-bptt", "reproduce", self.experiment.name, *seeds, *texts])

    @property
    def facts(self) -> str:
        """How much computing it was, where and when."""
        on = f" on {self.machine}" if self.machine else ""
        seeds = "1 seed" if self.seeds == 1 else f"{self.seeds} seeds"
        return f"{seeds}, {self.minutes:.1f} minutes of computing{on}, {self.date}"

    def to_json(self) -> dict[str, Any]:
        """All of it."""
        return {
            "experiment": self.experiment.name,
            "settings": self.experiment.settings,
            "seeds": self.seeds,
            "text": self.text,
            "machine": self.machine,
            "date": self.date,
            "versions": dict(self.versions),
            "minutes": round(self.minutes, 3),
            "trials": [
                {
                    "setting": ended.setting,
                    "seed": ended.seed,
                    "seconds": round(ended.seconds, 3),
                    "measured": dict(ended.trial.measured),
                    "curves": {name: list(curve) for name, curve in ended.trial.curves.items()},
                }
                for ended in self.finished
            ],
        }

    def save(self, folder: Path) -> None:
        """Into the folder, whole or not at all. Raises OSError."""
        atomic_write(folder / FILE, [json.dumps(self.to_json(), ensure_ascii=False).encode()], 0o644)


def load(experiment: Experiment, path: Path) -> Result | None:
    """The result in this file; None where there is none. Raises RunError where it is not of this experiment as it is
    declared now.
    """
    if not os.path.lexists(path):
        return None
    try:
        return _of_json(experiment, _read(path))
    except UNREADABLE:
        raise RunError(
            f"{path} is no result of this version's experiment {experiment.name}; choose another folder, or delete it."
        ) from None


def load_any(experiments: Mapping[str, Experiment], path: Path) -> Result:
    """The result in this file, of the one of `experiments` that it names. Raises RunError where there is none."""
    try:
        values = _read(path)
        return _of_json(experiments[values["experiment"]], values)
    except UNREADABLE:
        raise RunError(f"{path} is the result of no experiment of this version; `reproduce list` names them.") from None


def shipped(experiment: Experiment) -> Result | None:
    """The last full result, which comes with the package; None where there is none."""
    ours = resources.files("rnn_core.experiments") / "results" / f"{experiment.name}.json"
    return _of_json(experiment, json.loads(ours.read_bytes())) if ours.is_file() else None


def process_of(folder: Path) -> int | None:
    """The process that computes, or last computed, the result in this folder; None where nothing says so."""
    try:
        pid = int(read_bytes(folder / PID, 20))
    except (RunError, ValueError):
        return None
    return pid if pid > 1 else None  # to a signal, 0 and numbers below are not one process but many


def _read(path: Path) -> Any:
    # Not the strict JSON of runs: a loss that has diverged is stored as NaN.
    return json.loads(read_bytes(path, LIMIT_BYTES))


def _of_json(experiment: Experiment, values: Any) -> Result:
    """Raises ValueError, KeyError, TypeError or AttributeError."""
    settings = json.loads(json.dumps(experiment.settings))  # as JSON gives them back: a tuple is a list there
    if values["experiment"] != experiment.name or values["settings"] != settings:
        raise ValueError("of other settings")
    finished = [_trial_of_json(entry) for entry in values["trials"]]
    known = {(ended.setting, ended.seed) for ended in finished}
    if len(known) < len(finished) or not {setting for setting, _ in known} <= set(experiment.settings):
        raise ValueError("trials that are not of it")
    seeds = _whole(values["seeds"])
    if any(ended.seed >= seeds for ended in finished):
        raise ValueError("more seeds than it has")
    text, machine, date = (_text(values[name]) for name in ("text", "machine", "date"))
    versions = {_text(name): _text(version) for name, version in values["versions"].items()}
    return Result(experiment, seeds, text, machine, date, versions, finished)


def _trial_of_json(entry: Any) -> Finished:
    measured = {_text(row): None if value is None else _number(value) for row, value in entry["measured"].items()}
    curves = {_text(name): [_number(value) for value in curve] for name, curve in entry["curves"].items()}
    return Finished(_text(entry["setting"]), _whole(entry["seed"]), _number(entry["seconds"]), Trial(measured, curves))


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("no text")
    return value


def _number(value: object) -> float:
    if type(value) not in (int, float):
        raise TypeError("no number")
    return value  # type: ignore[return-value]


def _whole(value: object) -> int:
    if type(value) is not int or value < 0:
        raise ValueError("no number from 0 up")
    return value


def _versions() -> dict[str, str]:
    return {
        "python": platform.python_version(),
        "numpy": metadata.version("numpy"),
        "see-bptt": metadata.version("see-bptt"),
    }
