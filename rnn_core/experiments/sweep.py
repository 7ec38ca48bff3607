"""A sweep: the same training for every combination of some settings, and for several seeds. A folder of runs.

    DIR/sweep.json         what is swept over, and on what
    DIR/point-<digest>/    a run's folder for each point
    DIR/stop               somebody asks the sweep to stop

What has ended is not done again, and what was killed goes on from its checkpoint, because every point is a run and its
folder's name follows from its settings. So a sweep can also be enlarged by more values or seeds.
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rnn_core.config import (
    ModelConfig,
    Settings,
    TaskSettings,
    TextSettings,
    TrainingSettings,
    check,
    settings_of,
)
from rnn_core.config.fields import Setting, is_finite
from rnn_core.data import PreparedCorpus
from rnn_core.data.tasks import make_task
from rnn_core.errors import RunError, SettingsError
from rnn_core.runs import Run, check_output_folder, create_run, create_task_run, memory
from rnn_core.runs.files import atomic_write
from rnn_core.runs.paths import is_run
from rnn_core.runs.reading import read_json
from rnn_core.runs.strict_json import json_bytes
from rnn_core.training import network_config

FILE, STOP = "sweep.json", "stop"
SCHEMA = 1
LIMIT_BYTES = 2**20
MOST_POINTS = 10_000
ENDED = ("finished", "diverged")

Grid = Mapping[str, Sequence[Any]]


@dataclass(frozen=True)
class Point:
    """One training of a sweep. settings: the values of what is swept over."""

    settings: Mapping[str, Any]
    seed: int

    @property
    def name(self) -> str:
        """Of its folder: the same for the same point, whatever else the sweep has."""
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
class Sweep:
    """What is swept over. The settings stand for every point but for what `grid` says; task: None for a text."""

    grid: Grid
    seeds: int
    model: ModelConfig
    training: TrainingSettings
    task: TaskSettings | None = None
    text: TextSettings = field(default_factory=TextSettings)
    corpus: str = ""  # a digest of the words and sentences
    beside: bool = False  # the runs stand beside the sweep's folder, where an app that lists runs finds them

    def __post_init__(self) -> None:
        if self.seeds < 1:
            raise SettingsError("a sweep needs at least 1 seed.")
        for name, values in self.grid.items():
            setting = find_setting(name, self.task is not None)
            if setting.name != name or not values:
                raise SettingsError(f"say which values {name} is to have: NAME=V1,V2,… .")
            for value in values:
                if not setting.fits(value) or (isinstance(value, float) and not is_finite(value)):
                    raise SettingsError(f"{name} cannot be {value!r}.")
        # 1, 1.0 and NumPy's 1.0 are one value, and one point.
        kinds = {name: find_setting(name, self.task is not None).kind for name in self.grid}
        grid = {
            name: tuple(None if value is None else kinds[name](value) for value in values)
            for name, values in self.grid.items()
        }
        for name, values in grid.items():
            if len(set(values)) < len(values):
                raise SettingsError(f"a value of {name} stands there twice; name each once.")
        object.__setattr__(self, "grid", grid)
        count = self.seeds * math.prod(map(len, grid.values()))  # before any of them is made
        if count > MOST_POINTS:
            raise SettingsError(f"this sweep has {count:,} points, and {MOST_POINTS:,} are the most.")

    @property
    def points(self) -> list[Point]:
        """All of them, seed by seed: so the first ones say something of all settings."""
        combinations = [dict(zip(self.grid, values, strict=True)) for values in itertools.product(*self.grid.values())]
        return [Point(values, seed) for seed in range(self.seeds) for values in combinations]

    def settings(self, point: Point) -> tuple[TaskSettings | None, ModelConfig, TrainingSettings]:
        """Of one point. Raises SettingsError where they make no sense."""
        task = None if self.task is None else _changed(self.task, point.settings)
        model, training = _changed(self.model, point.settings), _changed(self.training, point.settings)
        training = dataclasses.replace(training, seed=point.seed)
        if task is not None:
            model = network_config(make_task(task), model)
        check(model, training)
        return task, model, training

    def check(self, data: PreparedCorpus | None) -> None:
        """Raises SettingsError where no point makes sense, or one is too large for this machine's memory."""
        reasons = []
        for point in self.points:
            try:
                task, model, training = self.settings(point)
                if task is not None:
                    memory.check(make_task(task), model, training)
                elif data is not None:
                    memory.check(data, model, training)
            except SettingsError as error:
                reasons.append(error)
        if len(reasons) == len(self.points):
            raise reasons[0]

    def place(self, folder: Path, point: Point) -> Path:
        """Where the run of a point is, of a sweep in this folder."""
        return folder.parent / f"{folder.name}-{point.name}" if self.beside else folder / point.name

    def create(self, place: Path, point: Point, data: PreparedCorpus | None) -> Run:
        """Make the run's folder of a point. Raises SettingsError and RunError."""
        task, model, training = self.settings(point)
        if task is not None:
            return create_task_run(place, point.label, task, model, training)
        assert data is not None
        return create_run(place, point.label, data, model, training, self.text)

    def opened(self, place: Path, point: Point) -> Run:
        """The run in the folder of a point. Raises RunError, also where it is another one: whatever it has reached
        would be taken for what its folder's name says.
        """
        run = Run.open(place)
        task, model, training = self.settings(point)
        # Its end may have been moved, by who let it go on for longer.
        training = dataclasses.replace(training, epochs=run.config.training.epochs, steps=run.config.training.steps)
        if (run.config.task, run.config.model, run.config.training) != (task, model, training):
            raise RunError(f"the run in {place} has other settings than this point; move it to another folder.")
        return run

    # -- As a folder --------------------------------------------------------------------------------------------------

    def write(self, folder: Path) -> None:
        """Write sweep.json. Raises RunError where the folder holds another sweep: one that differs in more than the
        values and the seeds that are swept over.
        """
        check_output_folder(folder, FILE)
        if (folder / FILE).exists():
            before = Sweep.read(folder)
            if dataclasses.replace(before, grid={}, seeds=1) != dataclasses.replace(self, grid={}, seeds=1):
                raise RunError(
                    f"{folder} holds a sweep with other settings, or on something else; choose another folder, or "
                    "repeat its command."
                )
        elif folder.is_dir() and any(folder.iterdir()):
            raise RunError(f"{folder} is not empty; choose a new folder for the sweep.")
        values = {
            "schema": SCHEMA,
            "grid": {name: list(values) for name, values in self.grid.items()},
            "seeds": self.seeds,
            "model": self.model.to_json(),
            "training": self.training.to_json(),
            "task": None if self.task is None else self.task.to_json(),
            "text": self.text.to_json(),
            "corpus": self.corpus,
            "beside": self.beside,
        }
        try:
            folder.mkdir(parents=True, exist_ok=True)
            atomic_write(folder / FILE, [json_bytes(values)])
        except OSError as error:
            raise RunError(f"{folder} cannot be written: {error.strerror}.") from error

    @classmethod
    def read(cls, folder: Path) -> Sweep:
        """The sweep of a folder. Raises RunError."""
        if not (folder / FILE).exists():
            raise RunError(f"{folder} is not a sweep: it has no {FILE}.")
        values = read_json(folder / FILE, LIMIT_BYTES)
        try:
            for name, kind in (("schema", int), ("seeds", int), ("corpus", str), ("beside", bool)):
                if type(values[name]) is not kind:
                    raise ValueError(f"its {name!r} makes no sense")
            if values["schema"] > SCHEMA:
                raise RunError(f"{folder} was written by a newer version of this program; update it first.")
            return cls(
                values["grid"],
                values["seeds"],
                ModelConfig.from_json(values["model"]),
                TrainingSettings.from_json(values["training"]),
                None if values["task"] is None else TaskSettings.from_json(values["task"]),
                TextSettings.from_json(values["text"]),
                values["corpus"],
                values["beside"],
            )
        except (ValueError, SettingsError) as error:
            raise RunError(f"{FILE} is damaged: {str(error).removesuffix('.')}.") from None
        except (KeyError, TypeError, AttributeError):
            raise RunError(f"{FILE} is damaged: something is missing in it, or of another kind.") from None

    def results(self, folder: Path) -> Iterator[PointResult]:
        """How every point stands, as its folder says."""
        for point in self.points:
            yield self.result(folder, point)

    def result(self, folder: Path, point: Point) -> PointResult:
        """How one point stands."""
        place = self.place(folder, point)
        try:
            if not is_run(place):
                self.settings(point)
                return PointResult(point, "waiting")
            run = self.opened(place, point)
            status = run.status()
            validated = run.events(kinds=["validated"])
        except (SettingsError, RunError) as error:
            return PointResult(point, "failed", message=str(error))
        metric = validated[-1].get("metric") if validated else None
        return PointResult(
            point,
            status.state,
            status.step,
            status.total_steps,
            status.train_loss_nats,
            status.valid_loss_nats,
            metric,
            status.message,
        )


def ask_to_stop(folder: Path) -> None:
    """Ask the process that works on this sweep to stop, with a checkpoint of every point at work."""
    (folder / STOP).touch(mode=0o600)


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


def find_setting(name: str, of_task: bool) -> Setting:
    """The setting called so in Python ("hidden_size") or on the command line ("hidden"). Raises SettingsError."""
    classes: list[type[Settings]] = [ModelConfig, TrainingSettings, *([TaskSettings] if of_task else [])]
    for settings_class in classes:
        for setting in settings_of(settings_class).values():
            if name in (setting.name, setting.flag.removeprefix("--")) and setting.name not in _NOT_SWEPT:
                return setting
    raise SettingsError(
        f"there is no setting {name!r} to sweep over; `train --help` lists them. (Seeds are asked for by --seeds.)"
    )


def parse_grid(texts: Sequence[str], of_task: bool) -> dict[str, list[Any]]:
    """["hidden=50,100", "clip=none,1"] -> {"hidden_size": [50, 100], "clip": [None, 1.0]}. Raises SettingsError."""
    grid: dict[str, list[Any]] = {}
    for text in texts:
        name, _, values = text.partition("=")
        setting = find_setting(name.strip(), of_task)
        if setting.name in grid:
            raise SettingsError(f"{name} is there twice; give all its values at once.")
        grid[setting.name] = [_parse(setting, value.strip()) for value in values.split(",") if value.strip()]
    return grid


_NOT_SWEPT = ("seed", "vocabulary_size")
_YES_OR_NO = {"yes": True, "true": True, "no": False, "false": False}


def _parse(setting: Setting, text: str) -> Any:
    if setting.none and text in (setting.none, "none"):
        return None
    try:
        return _YES_OR_NO[text.lower()] if setting.kind is bool else setting.kind(text)
    except (ValueError, KeyError):
        kind = "yes or no" if setting.kind is bool else "a whole number" if setting.kind is int else "a number"
        raise SettingsError(f"{setting.name} cannot be {text!r}: it is {kind}.") from None


def _combination(result: PointResult) -> str:
    return json.dumps(list(result.point.settings.items()))


def _changed(settings: Any, values: Mapping[str, Any]) -> Any:
    """Settings with those of `values` that their class knows."""
    known = settings_of(type(settings))
    return dataclasses.replace(settings, **{name: value for name, value in values.items() if name in known})
