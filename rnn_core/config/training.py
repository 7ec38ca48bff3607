"""How to train."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

from rnn_core.config.choices import CELLS, OPTIMIZERS, SCHEDULES
from rnn_core.config.fields import check_json_fields, require
from rnn_core.config.model import ModelConfig

CLIP_MODES = ("norm", "value")
BATCHINGS = ("sentences", "stream")


@dataclass(frozen=True)
class TrainingSettings:
    """How to train. `validate` refuses what makes no sense, with the reason.

    batch_size      sentences (or columns of the stream) side by side
    batching        "sentences": each from a fresh state | "stream": one text in chunks, the state carried over
    sequence_length steps in a chunk of the stream
    truncate        K: each loss reaches back at most K steps (the tutorial's rule); None: full BPTT
    optimizer       sgd | momentum | nesterov | rmsprop | adam | adamw
    learning_rate   None: the optimizer's default
    schedule        constant | halve (when the validation loss rises: the tutorial's rule) | cosine
    warmup_steps    of the cosine
    clip            limit of clipping; None: off
    clip_mode       "norm": of all gradients together | "value": of each number
    weight_decay    lambda of lambda/2 ||theta||^2; with adamw of the decoupled decay
    omega           strength of the vanishing-gradient regulariser (Pascanu, Mikolov & Bengio 2013)
    epochs, steps   when to stop; where both are given, steps decides
    seed            of initialisation, order, dropout and samples
    validate_every  steps between validations inside an epoch; None: chosen by its length. Each epoch ends with one

    sample_every_seconds, horizon_every_seconds: pauses between pictures, which never change the training; None: none.
    checkpoint_every_seconds: how much a kill may cost.
    """

    batch_size: int = 32
    batching: str = "sentences"
    sequence_length: int = 35
    truncate: int | None = None
    optimizer: str = "adam"
    learning_rate: float | None = None
    schedule: str = "halve"
    warmup_steps: int = 0
    clip: float | None = 5.0
    clip_mode: str = "norm"
    weight_decay: float = 0.0
    omega: float = 0.0
    epochs: int | None = 10
    steps: int | None = None
    seed: int = 0
    validate_every: int | None = None
    sample_every_seconds: float | None = 5.0
    horizon_every_seconds: float | None = 2.0
    checkpoint_every_seconds: float = 10.0

    def validate(self) -> None:
        """Raises SettingsError with the reason and the way out."""
        require(1 <= self.batch_size <= 65536, "the batch size must be from 1 to 65,536.")
        require(self.batching in BATCHINGS, f"batching is one of {', '.join(BATCHINGS)}, not {self.batching!r}.")
        require(1 <= self.sequence_length <= 65536, "the sequence length must be from 1 to 65,536 steps.")
        require(
            self.truncate is None or 0 <= self.truncate <= 65536,
            "truncation keeps 0 to 65,536 steps; leave it out for full back-propagation.",
        )
        require(
            self.optimizer in OPTIMIZERS,
            f"optimizer {self.optimizer!r} is not known; choose one of {', '.join(OPTIMIZERS)}.",
        )
        require(
            self.learning_rate is None or _positive(self.learning_rate),
            "the learning rate must be a number above 0.",
        )
        require(
            self.schedule in SCHEDULES,
            f"schedule {self.schedule!r} is not known; choose one of {', '.join(SCHEDULES)}.",
        )
        require(0 <= self.warmup_steps < 2**53, "the warm-up takes 0 steps or more.")
        require(
            self.warmup_steps == 0 or self.schedule == "cosine",
            "only the cosine schedule warms up; choose it, or leave the warm-up at 0.",
        )
        require(
            self.clip is None or _positive(self.clip),
            "the limit of clipping must be a number above 0, or none for no clipping.",
        )
        require(
            self.clip_mode in CLIP_MODES,
            f"clipping is by {' or by '.join(CLIP_MODES)}, not {self.clip_mode!r}.",
        )
        require(
            math.isfinite(self.weight_decay) and self.weight_decay >= 0,
            "weight decay must be 0 or a number above 0.",
        )
        require(
            self.optimizer != "adamw" or self.weight_decay > 0,
            "AdamW without weight decay is Adam; set a weight decay (0.01 is usual), or choose adam.",
        )
        require(
            math.isfinite(self.omega) and self.omega >= 0,
            "the strength of omega must be 0 or a number above 0.",
        )
        require(
            self.epochs is not None or self.steps is not None,
            "say when to stop: give a number of epochs or of steps.",
        )
        require(self.epochs is None or 1 <= self.epochs < 2**31, "train for at least 1 epoch.")
        require(self.steps is None or 1 <= self.steps < 2**53, "train for at least 1 step.")
        require(0 <= self.seed < 2**63, "the seed is a whole number from 0 to 9,223,372,036,854,775,807.")
        require(self.validate_every is None or self.validate_every >= 1, "validate every 1 step or more.")
        for seconds in (self.sample_every_seconds, self.horizon_every_seconds, self.checkpoint_every_seconds):
            require(seconds is None or (math.isfinite(seconds) and seconds >= 0), "pauses take 0 seconds or more.")

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> TrainingSettings:
        """Strict: unknown keys and wrong types raise SettingsError; missing keys take their defaults."""
        settings = cls(**check_json_fields(cls, values))
        settings.validate()
        return settings

    @property
    def initial_learning_rate(self) -> float:
        return (
            OPTIMIZERS[self.optimizer].defaults["learning_rate"] if self.learning_rate is None else self.learning_rate
        )


def check_omega(config: ModelConfig, truncate: int | None) -> None:
    """Raises SettingsError where the regulariser Omega is not defined, with the reason."""
    require(
        config.cell in CELLS.having("omega"),
        "Omega is defined for the plain recurrent network, whose Jacobian is diag(phi') W; an LSTM or GRU has gates.",
    )
    require(
        truncate is None, "Omega needs the whole error signal dE/ds; use full back-propagation instead of truncation."
    )
    require(not config.variational, "Omega does not know of dropped recurrent units; use ordinary dropout with it.")


def check_together(model: ModelConfig, training: TrainingSettings) -> None:
    """Raises SettingsError where a network and a way to train make no sense together, or one of them does not alone."""
    model.validate()
    training.validate()
    if training.omega:
        check_omega(model, training.truncate)


def _positive(value: float) -> bool:
    return math.isfinite(value) and value > 0
