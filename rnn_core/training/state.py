"""Everything, besides the weights, that the rest of a training depends on: what a checkpoint has to hold."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rnn_core.arrays import Array
from rnn_core.config import ModelConfig, TrainingSettings, check, settings_of
from rnn_core.errors import CheckpointError, SettingsError
from rnn_core.nn.cells import cell_of
from rnn_core.nn.network import Network
from rnn_core.nn.parameters import parameter_shapes
from rnn_core.optim.optimizers import OPTIMIZERS, Optimizer, make_optimizer
from rnn_core.optim.schedules import Schedule, make_schedule
from rnn_core.training.events import ClippingChanged, LearningRateChanged, SettingChanged, TruncationChanged
from rnn_core.training.plan import Plan

STEERABLE: dict[str, type[SettingChanged]] = {
    event.setting: event for event in (LearningRateChanged, ClippingChanged, TruncationChanged)
}
"""The settings that can be changed between two steps of a training, each with the event that says so."""


@dataclass
class TrainingState:
    """Where a training stands. `train` changes it, step by step; between two events anyone may store it.

    `carried` is the stream's state at the edge of the last chunk, (B, S) for each layer; empty for batches of
    sentences. `clip` and `truncate` begin as the settings have them and can be changed on the way.
    """

    optimizer: Optimizer
    schedule: Schedule
    carried: list[Array] = field(default_factory=list)
    clip: float | None = None
    truncate: int | None = None
    step: int = 0
    epoch: int = 0  # completed
    position: int = 0  # batches done in the current epoch
    epoch_loss_nats: float = 0.0  # sum over the tokens of the current epoch
    epoch_tokens: int = 0
    last_epoch_loss_nats: float | None = None  # mean
    validated_step: int = -1  # the last step after which a validation ended
    valid_loss_nats: float | None = None
    valid_metric: float | None = None  # a task's
    pending_validation_loss: float | None = None  # nats; measured, and not yet given to the schedule
    elapsed_seconds: float = 0.0

    @classmethod
    def fresh(cls, model: Network, settings: TrainingSettings, plan: Plan) -> TrainingState:
        """The state before the first step."""
        optimizer = make_optimizer(settings.optimizer, model.params, settings.weight_decay)
        schedule = make_schedule(
            settings.schedule, settings.initial_learning_rate, plan.total_steps, settings.warmup_steps
        )
        carried = model.initial_state(plan.columns) if plan.columns else []
        clip = None if settings.clip is None else float(settings.clip)
        return cls(optimizer, schedule, carried, clip, settings.truncate)

    @property
    def learning_rate(self) -> float:
        """Of the next step."""
        return self.schedule.learning_rate(self.step)

    @learning_rate.setter
    def learning_rate(self, rate: float) -> None:
        """The schedule goes on from the new rate: a cosine is scaled as a whole."""
        old = self.learning_rate
        self.schedule.rate = rate if old in (0.0, self.schedule.rate) else self.schedule.rate * (rate / old)

    def solved(self, settings: TrainingSettings) -> bool:
        """Whether the last validation was as good as `stop_below` asks: by its metric, or for a text by its loss."""
        reached = self.valid_loss_nats if self.valid_metric is None else self.valid_metric
        return settings.stop_below is not None and reached is not None and reached < settings.stop_below

    @property
    def train_loss_nats(self) -> float | None:
        """Mean over the current epoch so far, or, between two epochs, over the last."""
        return self.epoch_loss_nats / self.epoch_tokens if self.epoch_tokens else self.last_epoch_loss_nats

    # -- Changed by hand ----------------------------------------------------------------------------------------------

    def change(self, setting: str, value: Any, why: str) -> SettingChanged | None:
        """Change one of `STEERABLE` from the next step on; None where it has this value already.

        The value is one that `check_change` lets pass. Raises ValueError for a setting that cannot be changed.
        """
        if setting not in STEERABLE:
            raise ValueError(f"{setting!r} cannot be changed during a training; {', '.join(STEERABLE)} can")
        old = getattr(self, setting)
        # A schedule may have rounded the rate that it was given before.
        if value == old or (setting == "learning_rate" and math.isclose(value, old, rel_tol=1e-9)):
            return None
        setattr(self, setting, None if value is None else settings_of(TrainingSettings)[setting].kind(value))
        return STEERABLE[setting](self.step, old, getattr(self, setting), why)

    # -- Stored -------------------------------------------------------------------------------------------------------

    def arrays(self) -> dict[str, Array]:
        """The arrays a checkpoint needs besides the weights; see `state_arrays`."""
        optimizer = {f"optimizer/{name}": value for name, value in self.optimizer.state.items()}
        return optimizer | {f"carried/{layer}": value for layer, value in enumerate(self.carried)}

    def to_json(self) -> dict[str, Any]:
        """The counters, under their names in a checkpoint, and the schedule."""
        counters = {_stored_name(name): getattr(self, name) for name in _counters()}
        return counters | {"schedule": self.schedule.state}

    def load(self, arrays: Mapping[str, Array], counters: Mapping[str, Any], plan: Plan) -> None:
        """Take over what `arrays` and `to_json` gave. Raises CheckpointError where the counters make no sense.

        A counter that is missing (the checkpoint is of an older version) stays as the settings have it.
        """
        if not isinstance(counters, dict):
            raise CheckpointError("the checkpoint's counters make no sense.")
        for name, kinds in _counters().items():
            value = counters.get(_stored_name(name), getattr(self, name))
            if not (type(value) in kinds and (value is None or (math.isfinite(value) and value >= -1))):
                raise CheckpointError(f"the checkpoint's counter {name!r} makes no sense.")
            setattr(self, name, value)
        if self.step != self.epoch * plan.steps_per_epoch + self.position or self.position > plan.steps_per_epoch:
            raise CheckpointError("the checkpoint's position in the corpus makes no sense.")
        if (self.clip is not None and self.clip <= 0) or (self.truncate is not None and self.truncate < 0):
            raise CheckpointError("the checkpoint's clipping or truncation makes no sense.")
        self.schedule.state = self._checked_schedule(counters.get("schedule"))
        prefix = "optimizer/"
        self.optimizer.load_state(
            {name.removeprefix(prefix): value for name, value in arrays.items() if name.startswith(prefix)}
        )
        self.carried = [arrays[f"carried/{layer}"].copy() for layer in range(len(self.carried))]

    def _checked_schedule(self, stored: Any) -> dict[str, float | None]:
        if (
            not isinstance(stored, dict)
            or stored.keys() != self.schedule.state.keys()
            or not all(value is None or (type(value) is float and math.isfinite(value)) for value in stored.values())
            or stored["rate"] is None
        ):
            raise CheckpointError("the checkpoint's learning-rate schedule makes no sense.")
        return stored


def _counters() -> dict[str, tuple[type, ...]]:
    """The fields of TrainingState that are plain numbers, and their types."""
    kinds: dict[str, tuple[type, ...]] = {
        "int": (int,),
        "float": (float,),
        "int | None": (int, type(None)),
        "float | None": (float, type(None)),
    }
    return {field.name: kinds[str(field.type)] for field in dataclasses.fields(TrainingState) if field.type in kinds}


def _stored_name(counter: str) -> str:
    """Checkpoints keep the name that the first version gave."""
    return "unheard_loss_nats" if counter == "pending_validation_loss" else counter


def check_change(model: ModelConfig, settings: TrainingSettings, setting: str, value: Any) -> None:
    """Raises SettingsError where one of `STEERABLE` cannot be changed to this value (which may come from JSON)."""
    if setting == "learning_rate" and value is None:
        raise SettingsError("the learning rate must be a number above 0.")
    check(model, TrainingSettings.from_json({**settings.to_json(), setting: value}))


def state_arrays(
    model: ModelConfig, settings: TrainingSettings, plan: Plan
) -> dict[str, tuple[type[np.generic], tuple[int, ...]]]:
    """Type and shape of every array in `TrainingState.arrays()`, from the settings alone and without making one."""
    shapes = parameter_shapes(model)
    arrays: dict[str, tuple[type[np.generic], tuple[int, ...]]] = {"optimizer/updates": (np.int64, ())}
    for moment in OPTIMIZERS[settings.optimizer].moments:
        arrays |= {f"optimizer/{moment}/{name}": (np.float32, shape) for name, shape in shapes.items()}
    if plan.columns:
        width = model.hidden_size * cell_of(model).state_blocks
        arrays |= {f"carried/{layer}": (np.float32, (plan.columns, width)) for layer in range(model.layers)}
    return arrays
