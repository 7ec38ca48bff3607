"""The outline of a run's history, grown by what is new: bounded memory however long the training."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from dashboard.charts.thinning import thin
from rnn_core.runs import Run
from rnn_core.runs.events import WorkerStarted
from rnn_core.training import STEERABLE, Event, HorizonMeasured, Sampled, SettingChanged, Validated

ROWS_A_READ = 50_000
MOST = 20_000
"""Points kept of a series before its outline is thinned to half of that; charts thin further."""

SAMPLES = 50
CHANGES = {
    "learning_rate": ("learning rate", "", "lr"),
    "clip": ("clipping", "off", "clip"),
    "truncate": ("truncation", "none", "K"),
}
"""What each of `STEERABLE` is called in a table, how that calls None, and what the setting is called in a chart."""

HORIZONS = 800
"""Measured horizons kept before every second one is given up."""


class Change(NamedTuple):
    """A setting that became `new` after `step` steps. text: "clipping 5 → off"; label: "clip off"; setting: "clip"."""

    step: int
    text: str
    why: str
    label: str
    setting: str
    new: Any


@dataclass
class Series:
    """values (n,) over steps (n,); spikes survive the thinning."""

    steps: npt.NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    values: npt.NDArray[np.float64] = field(default_factory=lambda: np.empty(0))

    def append(self, steps: npt.NDArray[Any], values: npt.NDArray[Any]) -> None:
        self.steps = np.concatenate([self.steps, steps.astype(float)])
        self.values = np.concatenate([self.values, values.astype(float)])
        if len(self.steps) > MOST:
            kept = thin(self.values, MOST // 2)
            self.steps, self.values = self.steps[kept], self.values[kept]


@dataclass
class History:
    """What one visitor has read of one run so far. `update` reads only the rows that are new."""

    run: Run
    loss: Series = field(default_factory=Series)
    norm_before: Series = field(default_factory=Series)
    norm_after: Series = field(default_factory=Series)
    clock: Series = field(default_factory=Series)
    validation: dict[int, float] = field(default_factory=dict)
    metric: dict[int, float] = field(default_factory=dict)  # of a task, after each validation
    samples: list[tuple[int, str]] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    horizons: dict[int, HorizonMeasured] = field(default_factory=dict)
    latest: dict[str, float] = field(default_factory=dict)
    _last_step: int = 0
    _last_event: int = 0

    def update(self) -> None:
        """Read on from where the last reading ended. Raises RunError where the run is gone or damaged."""
        events = self.run.recorded(Event, after_id=self._last_event)
        if any(isinstance(event, WorkerStarted) and event.step < self._last_step for event in events.values()):
            # A killed training went on from its checkpoint: what came after that was taken back.
            vars(self).update(vars(type(self)(self.run)))
            events = self.run.recorded(Event)
        for self._last_event, event in events.items():
            self._note(event)
        while True:
            rows = self.run.metrics(after_step=self._last_step, limit=ROWS_A_READ)
            steps = rows["step"]
            if len(steps):
                self.loss.append(steps, rows["loss_nats"])
                self.norm_before.append(steps, rows["gradient_norm"])
                self.norm_after.append(steps, rows["clipped_norm"])
                self.clock.append(steps, rows["elapsed_seconds"])
                self.latest = {name: float(column[-1]) for name, column in rows.items()}
                self._last_step = int(steps[-1])
            if len(steps) < ROWS_A_READ:
                break

    @property
    def clip_limits(self) -> list[tuple[int, float | None]]:
        """(step, norm): after this step the gradient was clipped at this norm (None: not at all); [] where a training
        does not clip by the norm.
        """
        training = self.run.config.training
        changed = [(change.step, change.new) for change in self.changes if change.setting == "clip"]
        return [(0, training.clip), *changed] if training.clip_mode == "norm" else []

    def steered(self, step: float = math.inf) -> dict[str, Any]:
        """What each of `STEERABLE` was set to last, after so many steps: by the settings, by hand or by the schedule.
        (A cosine moves the learning rate at every step, and says so of none.)
        """
        training = self.run.config.training
        begun = {setting: getattr(training, setting) for setting in STEERABLE}
        begun["learning_rate"] = training.initial_learning_rate
        return begun | {change.setting: change.new for change in self.changes if change.step <= step}

    def recent_loss(self) -> float | None:
        """Mean training loss in nats over the last 2 % of what is kept, at least 10 steps; None before the first."""
        recent = self.loss.values[-max(10, len(self.loss.values) // 50) :]
        return float(recent.mean()) if len(recent) else None

    def seconds_left(self, total_steps: int) -> float | None:
        """Time until `total_steps` at the pace of the last steps; None while that is unknown."""
        steps, seconds = self.clock.steps[-200:], self.clock.values[-200:]
        if len(steps) < 2 or steps[-1] <= steps[0] or seconds[-1] <= seconds[0]:
            return None
        return float((total_steps - steps[-1]) * (seconds[-1] - seconds[0]) / (steps[-1] - steps[0]))

    def _note(self, event: Event) -> None:
        if isinstance(event, Validated):
            self.validation[event.step] = event.loss_nats
            if event.metric is not None:
                self.metric[event.step] = event.metric
        elif isinstance(event, Sampled):
            self.samples = [*self.samples[1 - SAMPLES :], (event.step, event.text)]
        elif isinstance(event, HorizonMeasured):
            if len(self.horizons) >= HORIZONS:
                self.horizons = dict(list(self.horizons.items())[::2])
            self.horizons[event.step] = event
        elif isinstance(event, SettingChanged):
            name, none, short = CHANGES[event.setting]
            old, new = (none if value is None else f"{value:.4g}" for value in (event.old, event.new))
            text, label = f"{name} {old} → {new}", f"{short} {new}"
            self.changes.append(Change(event.step, text, event.why, label, event.setting, event.new))
