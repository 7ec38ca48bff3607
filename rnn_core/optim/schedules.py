"""Learning-rate schedules: constant, halve when the validation loss rises (the tutorial's), cosine with warm-up.

A schedule gives the learning rate of each update, and may change it after a validation. `state` is a plain dict of
numbers, for the checkpoint. `rate` is what the schedule starts from; a person may set it while the training runs.
"""

from __future__ import annotations

import math
from typing import Self

from rnn_core.config import Choice, choices
from rnn_core.errors import SettingsError

State = dict[str, float | None]


class Schedule:
    """A constant learning rate; the base of the others.

    label               for people
    settings            names of settings that have an effect with this schedule, and not with all
    reads_validations   whether a validation may change the rate
    depends_on_the_end  whether the rates depend on how many updates the whole training has
    """

    label = "constant"
    settings: tuple[str, ...] = ()
    reads_validations = False
    depends_on_the_end = False

    def __init__(self, rate: float) -> None:
        self.rate = rate

    @classmethod
    def make(cls, rate: float, total_steps: int, warmup_steps: int) -> Self:
        """For a training of `total_steps` updates, the first `warmup_steps` of which warm up."""
        return cls(rate)

    def learning_rate(self, step: int) -> float:
        """The learning rate of update number `step`, counted from 0."""
        return self.rate

    def after_validation(self, loss_nats: float) -> bool:
        """Take a validation loss into account. True where it changed the rate."""
        return False

    @property
    def state(self) -> State:
        return {"rate": self.rate}

    @state.setter
    def state(self, values: State) -> None:
        rate = values["rate"]
        assert rate is not None
        self.rate = rate


class HalveOnPlateau(Schedule):
    """The tutorial's rule (`train_with_sgd`): whenever the loss is higher than the time before, eta is halved."""

    label = "halve when validation gets worse"
    reads_validations = True

    def __init__(self, rate: float) -> None:
        super().__init__(rate)
        self.last_loss: float | None = None

    def after_validation(self, loss_nats: float) -> bool:
        rose = self.last_loss is not None and loss_nats > self.last_loss
        self.last_loss = loss_nats
        if rose:
            self.rate /= 2
        return rose

    @property
    def state(self) -> State:
        return {"rate": self.rate, "last_loss": self.last_loss}

    @state.setter
    def state(self, values: State) -> None:
        rate = values["rate"]
        assert rate is not None
        self.rate, self.last_loss = rate, values["last_loss"]


class CosineWithWarmup(Schedule):
    """Linear from 0 over `warmup_steps`, then half a cosine down to 0 at `total_steps` (Loshchilov & Hutter 2017, eq.
    5).
    """

    label = "cosine"
    settings = ("warmup_steps",)
    depends_on_the_end = True

    def __init__(self, rate: float, total_steps: int, warmup_steps: int) -> None:
        super().__init__(rate)
        self.total_steps, self.warmup_steps = total_steps, warmup_steps

    @classmethod
    def make(cls, rate: float, total_steps: int, warmup_steps: int) -> Self:
        return cls(rate, total_steps, warmup_steps)

    def learning_rate(self, step: int) -> float:
        if step < self.warmup_steps:
            return self.rate * (step + 1) / self.warmup_steps
        done = (step - self.warmup_steps) / max(1, self.total_steps - self.warmup_steps)
        return self.rate * (1 + math.cos(math.pi * min(1.0, done))) / 2


SCHEDULES: dict[str, type[Schedule]] = {
    "constant": Schedule,
    "halve": HalveOnPlateau,
    "cosine": CosineWithWarmup,
}
# Register each as a choice of the setting `schedule`.
for _name, _schedule in SCHEDULES.items():
    choices.SCHEDULES.register(_name, Choice(_schedule.label, dict.fromkeys(_schedule.settings, "")))


def make_schedule(name: str, rate: float, total_steps: int, warmup_steps: int = 0) -> Schedule:
    """The schedule called `name` (a key of SCHEDULES). The cosine alone uses `total_steps`, the updates of the whole
    training, and `warmup_steps`. Raises SettingsError for a name that is not known.
    """
    if name not in SCHEDULES:
        raise SettingsError(f"schedule {name!r} is not known; choose one of {', '.join(SCHEDULES)}.")
    return SCHEDULES[name].make(rate, total_steps, warmup_steps)
