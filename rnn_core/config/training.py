"""The settings of a training."""

from __future__ import annotations

from dataclasses import dataclass

from rnn_core.config.choices import OPTIMIZERS, SCHEDULES, Choice, Choices
from rnn_core.config.fields import (
    BATCHES,
    OPTIMIZER,
    PACE,
    REGULARIZATION,
    START,
    Need,
    Settings,
    setting,
)

BATCHINGS = Choices(
    {
        "sentences": Choice("sentence by sentence"),
        "stream": Choice("one continuous stream", {"sequence_length": ""}),
    }
)
REDUCTIONS = Choices({"mean": Choice("mean over its tokens"), "sum": Choice("sum over its tokens")})
CLIP_MODES = Choices({"norm": Choice("global norm"), "value": Choice("each value")})

_PAUSE_REFUSAL = "pauses take 0 seconds or more."


@dataclass(frozen=True)
class TrainingSettings(Settings):
    """How to train. `validate` refuses what makes no sense, with the reason."""

    batch_size: int = setting(
        32,
        label="Sentences in a batch",
        help="Sentences (or columns of the stream) side by side in one step. More are faster per word and make "
        "smoother, fewer steps.",
        group=BATCHES,
        flag="--batch",
        low=1,
        high=65536,
        refusal="the batch size must be from 1 to 65,536.",
    )
    batching: str = setting(
        "sentences",
        label="Reading",
        help="Sentence by sentence starts each with an empty state; a stream is cut into chunks and carries the state "
        "on from one to the next.",
        group=BATCHES,
        flag="--batching",
        choices=BATCHINGS,
        refusal="batching is one of {choices}, not {value!r}.",
    )
    sequence_length: int = setting(
        35,
        label="Words in a chunk",
        help="Steps in a chunk of the stream. The gradient stops at a chunk's edge, the state goes on.",
        group=BATCHES,
        flag="--sequence-length",
        low=1,
        high=65536,
        refusal="the sequence length must be from 1 to 65,536 steps.",
        only_with="batching",
    )
    shuffle: bool = setting(
        True,
        label="Shuffle",
        help="An order of the sentences drawn anew for each epoch; without, that of the text, as in the tutorial.",
        group=BATCHES,
        flag="--no-shuffle",
    )
    loss_reduction: str = setting(
        "mean",
        label="Loss of a batch",
        help="What the gradient is of: the mean over a batch's tokens, or their sum, as in the tutorial.",
        group=BATCHES,
        flag="--loss-reduction",
        choices=REDUCTIONS,
        refusal="the loss of a batch is the {choices} over its tokens, not {value!r}.",
    )
    truncate: int | None = setting(
        None,
        label="Truncation",
        help="K: each loss sends its gradient at most K steps back. The tutorial uses 4; full: to the start.",
        group=OPTIMIZER,
        basic=True,
        flag="--truncate",
        low=0,
        high=65536,
        none="full",
        refusal="truncation keeps 0 to 65,536 steps; leave it out for full back-propagation.",
    )
    optimizer: str = setting(
        "adam",
        label="Optimizer",
        help="Turns gradients into steps. Adam adapts the step of each weight; SGD is the tutorial's.",
        group=OPTIMIZER,
        flag="--optimizer",
        choices=OPTIMIZERS,
        refusal="optimizer {value!r} is not known; choose one of {choices}.",
        needs=(
            Need(
                ("weight_decay",),
                lambda given: given.optimizer != "adamw" or given.weight_decay > 0,
                "AdamW without weight decay is Adam; set a weight decay (0.01 is usual), or choose adam.",
            ),
        ),
    )
    learning_rate: float | None = setting(
        None,
        label="Learning rate",
        help="The size of a step. Too large and the loss jumps or explodes, too small and nothing happens.",
        group=OPTIMIZER,
        basic=True,
        flag="--learning-rate",
        above=0,
        none="default",
        step=0.001,
        refusal="the learning rate must be a number above 0.",
    )
    schedule: str = setting(
        "halve",
        label="Schedule",
        help="How the learning rate changes over time. The tutorial halves it whenever the validation loss rises.",
        group=OPTIMIZER,
        flag="--schedule",
        choices=SCHEDULES,
        refusal="schedule {value!r} is not known; choose one of {choices}.",
    )
    warmup_steps: int = setting(
        0,
        label="Warm-up, in steps",
        help="Steps over which the learning rate rises from zero, before the cosine.",
        group=OPTIMIZER,
        flag="--warmup-steps",
        low=0,
        high=2**53 - 1,
        refusal="the warm-up takes 0 steps or more.",
        only_with="schedule",
        refusal_if_unused="only the {labels} schedule warms up; choose it, or leave the warm-up at 0.",
    )
    clip: float | None = setting(
        5.0,
        label="Clip at",
        help="Limits the gradient before it is used, so that an exploding one does not ruin the weights.",
        group=OPTIMIZER,
        flag="--clip",
        above=0,
        none="none",
        step=0.5,
        refusal="the limit of clipping must be a number above 0, or none for no clipping.",
    )
    clip_mode: str = setting(
        "norm",
        label="Clipping",
        help="What is limited: the norm of all gradients together, or each number by itself.",
        group=OPTIMIZER,
        flag="--clip-mode",
        choices=CLIP_MODES,
        only_with="clip",
        refusal="clipping is by norm or by value, not {value!r}.",
    )
    weight_decay: float = setting(
        0.0,
        label="Weight decay",
        help="lambda of lambda/2 ||theta||^2, which pulls all weights towards zero a little at each step; with "
        "AdamW, lambda of the decoupled decay.",
        group=REGULARIZATION,
        flag="--weight-decay",
        low=0,
        step=0.0001,
        refusal="weight decay must be 0 or a number above 0.",
    )
    omega: float = setting(
        0.0,
        label="Ω, the vanishing-gradient regularizer",
        help="Penalizes gradients that fade or grow on their way back (Pascanu, Mikolov & Bengio 2013).",
        group=REGULARIZATION,
        flag="--omega",
        low=0,
        step=0.1,
        refusal="the strength of omega must be 0 or a number above 0.",
        only_with="cell",
        refusal_if_unused="Omega is defined for the plain recurrent network, whose Jacobian is diag(phi') W; a cell "
        "with gates has another.",
        needs=(
            Need(
                ("truncate",),
                lambda given: given.truncate is None,
                "Omega needs the whole error signal dE/ds; use full back-propagation instead of truncation.",
            ),
            Need(
                ("loss_reduction",),
                lambda given: given.loss_reduction == "mean",
                "Omega is weighed against the mean loss; use that instead of the sum.",
            ),
            Need(
                ("variational",),
                lambda given: not given.variational,
                "Omega has no term for the units that variational dropout drops; use ordinary dropout with it.",
            ),
        ),
    )
    epochs: int | None = setting(
        10,
        label="Epochs",
        help="How often the whole text is read.",
        group=OPTIMIZER,
        basic=True,
        flag="--epochs",
        low=1,
        high=2**31 - 1,
        refusal="train for at least 1 epoch.",
        needs=(
            Need(
                ("steps",),
                lambda given: given.epochs is not None or given.steps is not None,
                "say when to stop: give a number of epochs or of steps.",
            ),
        ),
    )
    steps: int | None = setting(
        None,
        label="Steps",
        help="How many steps to train, instead of epochs. A step is one batch.",
        group=OPTIMIZER,
        flag="--steps",
        low=1,
        high=2**53 - 1,
        step=100,
        refusal="train for at least 1 step.",
        excludes=("epochs",),
    )
    stop_below: float | None = setting(
        None,
        label="Stop below",
        help="Ends the training as soon as a validation falls below this: the error of a task, the loss of a text.",
        group=OPTIMIZER,
        flag="--stop-below",
        above=0,
        none="never",
        step=0.01,
        refusal="a training that is to stop when it is good enough needs a number above 0, or never.",
    )
    seed: int = setting(
        0,
        label="Seed",
        help="Decides first weights, order, dropout and which sentences are held out. Same seed, same machine: the "
        "same run, to the bit.",
        group=START,
        flag="--seed",
        low=0,
        high=2**63 - 1,
        refusal="the seed must be a whole number from 0 to 9,223,372,036,854,775,807.",
    )
    validate_every: int | None = setting(
        None,
        label="Steps between validations",
        help="Inside an epoch, which always ends with one; left out, it is chosen by the epoch's length.",
        group=PACE,
        flag="--validate-every",
        low=1,
        refusal="validate every 1 step or more.",
    )
    sample_every_seconds: float | None = setting(
        5.0,
        label="Seconds between samples",
        help="Pause between two sentences that the network writes while it trains, which change nothing.",
        group=PACE,
        flag="--sample-every-seconds",
        low=0,
        none="never",
        refusal=_PAUSE_REFUSAL,
    )
    horizon_every_seconds: float | None = setting(
        2.0,
        label="Seconds between horizons",
        help="Pause between two measurements of how far the gradient reaches, which change nothing.",
        group=PACE,
        flag="--horizon-every-seconds",
        low=0,
        none="never",
        refusal=_PAUSE_REFUSAL,
    )
    checkpoint_every_seconds: float = setting(
        10.0,
        label="Seconds between checkpoints",
        help="At most this much training is lost if its process is killed.",
        group=PACE,
        flag="--checkpoint-every-seconds",
        low=0,
        refusal=_PAUSE_REFUSAL,
    )

    @property
    def initial_learning_rate(self) -> float:
        """The given learning rate, or else the optimizer's own."""
        if self.learning_rate is not None:
            return self.learning_rate
        return OPTIMIZERS[self.optimizer].defaults["learning_rate"]
