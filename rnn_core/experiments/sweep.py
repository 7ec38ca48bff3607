"""A sweep: the same training for every combination of some settings, and for several seeds. A folder of runs.

    DIR/sweep.json         what is swept over, and on what
    DIR/point-<digest>/    a run's folder for each point
    DIR/stop               somebody asks the sweep to stop

What has ended is not done again, and what was killed goes on from its checkpoint, because every point is a run and its
folder's name follows from its settings. So a sweep can also be enlarged by more values or seeds.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rnn_core.config import ModelConfig, TaskSettings, TextSettings, TrainingSettings, check, settings_of
from rnn_core.config.fields import is_finite
from rnn_core.data import PreparedCorpus
from rnn_core.data.tasks import make_task
from rnn_core.errors import RunError, SettingsError
from rnn_core.experiments.grid import Grid, find_setting
from rnn_core.experiments.points import ENDED, Point, PointResult
from rnn_core.runs import Run, check_output_folder, create_run, create_task_run, memory
from rnn_core.runs.files import PRIVATE, atomic_write
from rnn_core.runs.paths import is_run
from rnn_core.runs.reading import read_json
from rnn_core.runs.strict_json import json_bytes
from rnn_core.training import Validated, network_config

FILE, STOP = "sweep.json", "stop"
SCHEMA = 1
LIMIT_BYTES = 2**20
MOST_POINTS = 10_000


@dataclass(frozen=True)
class Sweep:
    """What is swept over: every combination of the values in `grid`, with each of so many seeds.

    model, training, task  the settings of every point, but for those in `grid`; task None: a text is trained on
    text, corpus           how that text was read, and a digest of its words and sentences
    beside                 the runs lie beside the sweep's folder, where an app that lists runs finds them

    Raises SettingsError for a grid that makes no sense.
    """

    grid: Grid
    seeds: int
    model: ModelConfig
    training: TrainingSettings
    task: TaskSettings | None = None
    text: TextSettings = field(default_factory=TextSettings)
    corpus: str = ""
    beside: bool = False

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
        # To Python's own types: 1, 1.0 and NumPy's 1.0 are one value, and must not become two points.
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
        """Every point, seed by seed, so that every combination has a first result early."""
        combinations = [dict(zip(self.grid, values, strict=True)) for values in itertools.product(*self.grid.values())]
        return [Point(values, seed) for seed in range(self.seeds) for values in combinations]

    def settings(self, point: Point) -> tuple[TaskSettings | None, ModelConfig, TrainingSettings]:
        """The settings of one point. Raises SettingsError where they make no sense."""
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

    def run_folder(self, folder: Path, point: Point) -> Path:
        """The folder of a point's run, where `folder` is the sweep's."""
        return folder.parent / f"{folder.name}-{point.name}" if self.beside else folder / point.name

    def create_run(self, run_folder: Path, point: Point, data: PreparedCorpus | None) -> Run:
        """Make the run of a point in this folder; data: the corpus, None where there is a task.

        Raises SettingsError for settings that make no sense, RunError where the folder is in use or cannot be written.
        """
        task, model, training = self.settings(point)
        if task is not None:
            return create_task_run(run_folder, point.label, task, model, training)
        assert data is not None
        return create_run(run_folder, point.label, data, model, training, self.text)

    def open_run(self, run_folder: Path, point: Point) -> Run:
        """The run of a point in this folder. Raises RunError, also where the run there has other settings: its results
        would count as this point's.
        """
        run = Run.open(run_folder)
        task, model, training = self.settings(point)
        # Its end may differ: `resume --epochs` or `--steps` lets a run train for longer.
        training = dataclasses.replace(training, epochs=run.config.training.epochs, steps=run.config.training.steps)
        if (run.config.task, run.config.model, run.config.training) != (task, model, training):
            raise RunError(f"the run in {run_folder} has other settings than this point; move it to another folder.")
        return run

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

    def unfinished(self, folder: Path) -> list[Point]:
        """The points that are still to do, those first that have been begun."""
        left = [result for result in self.results(folder) if result.state not in ENDED]
        return [result.point for result in sorted(left, key=lambda result: result.state == "waiting")]

    def result(self, folder: Path, point: Point) -> PointResult:
        """How one point stands."""
        run_folder = self.run_folder(folder, point)
        try:
            if not is_run(run_folder):
                self.settings(point)  # raises where they make no sense
                return PointResult(point, "waiting")
            run = self.open_run(run_folder, point)
            status = run.status()
            validated = [*run.recorded(Validated).values()]
        except (SettingsError, RunError) as error:
            return PointResult(point, "failed", message=str(error))
        metric = validated[-1].metric if validated else None
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
    (folder / STOP).touch(mode=PRIVATE)


def _changed(settings: Any, values: Mapping[str, Any]) -> Any:
    """Settings with those of `values` that their class has."""
    known = settings_of(type(settings))
    return dataclasses.replace(settings, **{name: value for name, value in values.items() if name in known})
