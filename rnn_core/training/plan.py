"""What is fixed before the first step: how many steps there are, on which batch each trains, when to validate.

All of it is a function of the settings and the corpus (or task) alone, so that a training can go on from any step.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from rnn_core.config import TrainingSettings
from rnn_core.data import Batch, PreparedCorpus, batches, predicted_tokens, stream_batches
from rnn_core.errors import CorpusError, SettingsError
from rnn_core.optim.schedules import SCHEDULES
from rnn_core.randomness import stream

# An epoch of fewer steps than twice this is validated at its end only; a longer one up to four times.
STEPS_BETWEEN_VALIDATIONS = 1000

STEPS_OF_A_TASK = 500
"""A task's stream has no end; so many of its batches are called an epoch, at whose end it is validated."""


@dataclass(frozen=True)
class Plan:
    """How many steps a training has, and after which of them it is validated.

    columns: B of the stream's state, which is carried from chunk to chunk; 0 for batches of sentences.
    """

    steps_per_epoch: int
    total_steps: int
    validate_every: int
    columns: int

    @classmethod
    def of(cls, settings: TrainingSettings, sentences: int, tokens: int) -> Plan:
        """For a corpus of so many training sentences with so many predicted tokens; for none, a plan of no step."""
        if not sentences or not tokens:
            return cls(0, 0, STEPS_BETWEEN_VALIDATIONS, 0)
        columns = 0
        if settings.batching == "stream":
            columns = min(settings.batch_size, tokens)
            steps_per_epoch = math.ceil(math.ceil(tokens / columns) / settings.sequence_length)
        else:
            steps_per_epoch = math.ceil(sentences / settings.batch_size)
        total_steps = settings.steps
        if total_steps is None:
            assert settings.epochs is not None  # `TrainingSettings.validate` has seen to it
            total_steps = settings.epochs * steps_per_epoch
        by_length = max(STEPS_BETWEEN_VALIDATIONS, math.ceil(steps_per_epoch / 4))
        return cls(steps_per_epoch, total_steps, settings.validate_every or by_length, columns)

    @classmethod
    def for_corpus(cls, settings: TrainingSettings, corpus: PreparedCorpus) -> Plan:
        """For the training sentences of a corpus. Raises CorpusError where there are none."""
        if not corpus.train:
            raise CorpusError("there is no sentence to train on here; begin a run on a text.")
        return cls.of(settings, len(corpus.train), predicted_tokens(corpus.train))

    @classmethod
    def for_task(cls, settings: TrainingSettings) -> Plan:
        """For the stream of a task. Raises SettingsError where it is to carry a state on: its sequences are apart."""
        if settings.batching == "stream":
            raise SettingsError("the sequences of a task have nothing to do with each other; read them one by one.")
        steps = settings.steps if settings.steps is not None else (settings.epochs or 0) * STEPS_OF_A_TASK
        return cls(STEPS_OF_A_TASK, steps, settings.validate_every or STEPS_OF_A_TASK, 0)

    def validates_at(self, step: int, position: int) -> bool:
        """Whether to validate when `step` steps are done, `position` of them in the current epoch."""
        return step in (0, self.total_steps) or self.validates_inside(position)

    def validates_inside(self, position: int) -> bool:
        """Whether to validate after so many batches of an epoch, wherever the training ends."""
        # Close to the end of an epoch a validation would say what the one at the end says.
        inside = position % self.validate_every == 0 and 2 * (self.steps_per_epoch - position) >= self.validate_every
        return position == self.steps_per_epoch or inside


def goes_on_exactly(settings: TrainingSettings, plan: Plan) -> bool:
    """Whether a training that ended and gets a later end becomes, bit for bit, the one that had that end at first."""
    schedule = SCHEDULES[settings.schedule]
    if schedule.reads_validations:
        # It was given the validation loss at the end, which the longer training may not have measured.
        position = plan.total_steps % plan.steps_per_epoch
        if position and not plan.validates_inside(position):
            return False
    return not schedule.depends_on_the_end


def epoch_batches(corpus: PreparedCorpus, settings: TrainingSettings, epoch: int) -> list[Batch]:
    """The batches of an epoch (from 0) in the order in which they are trained on; always the same for the same seed."""
    rng = stream(settings.seed, "shuffle", epoch) if settings.shuffle else None
    if settings.batching == "stream":
        return stream_batches(corpus.train, settings.batch_size, settings.sequence_length, rng)
    return batches(corpus.train, settings.batch_size, rng, in_order=not settings.shuffle)


def batch_of_step(corpus: PreparedCorpus, settings: TrainingSettings, step: int) -> Batch:
    """The batch that step number `step` (from 1, as in the metrics) trains on: which sentences caused that spike?"""
    epoch, position = divmod(step - 1, Plan.for_corpus(settings, corpus).steps_per_epoch)
    return epoch_batches(corpus, settings, epoch)[position]
