"""Training, as a stream of events that the caller iterates over; evaluation; generation of text."""

from rnn_core.training.evaluation import Evaluation, evaluate, evaluate_stream, perplexity
from rnn_core.training.events import (
    ClippingChanged,
    Diverged,
    EpochDone,
    Event,
    Finished,
    HorizonMeasured,
    LearningRateChanged,
    ProcessLost,
    Sampled,
    Started,
    StepDone,
    TruncationChanged,
    Validated,
    Validating,
)
from rnn_core.training.generation import SampledToken, generate, next_word_odds, read_prompt, sentences_of
from rnn_core.training.loop import new_model, train
from rnn_core.training.plan import Plan, batch_of_step, epoch_batches, goes_on_exactly
from rnn_core.training.probe import PROBE_SENTENCES, PROBE_STEPS, measured_horizon, probe_batch
from rnn_core.training.state import STEERABLE, TrainingState, check_change, state_arrays

__all__ = [
    "PROBE_SENTENCES",
    "PROBE_STEPS",
    "STEERABLE",
    "ClippingChanged",
    "Diverged",
    "EpochDone",
    "Evaluation",
    "Event",
    "Finished",
    "HorizonMeasured",
    "LearningRateChanged",
    "Plan",
    "ProcessLost",
    "Sampled",
    "SampledToken",
    "Started",
    "StepDone",
    "TrainingState",
    "TruncationChanged",
    "Validated",
    "Validating",
    "batch_of_step",
    "check_change",
    "epoch_batches",
    "evaluate",
    "evaluate_stream",
    "generate",
    "goes_on_exactly",
    "measured_horizon",
    "new_model",
    "next_word_odds",
    "perplexity",
    "probe_batch",
    "read_prompt",
    "sentences_of",
    "state_arrays",
    "train",
]
