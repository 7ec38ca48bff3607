"""Training on a text or a task, as a stream of events; evaluation; generation of text."""

from rnn_core.training.copying import LEAST, WrittenCopies, written_copies
from rnn_core.training.evaluation import (
    VALIDATION_SEQUENCES,
    Evaluation,
    TaskEvaluation,
    evaluate,
    evaluate_stream,
    evaluate_task,
    perplexity,
)
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
from rnn_core.training.loop import new_model, new_network, train
from rnn_core.training.plan import Plan, batch_of_step, epoch_batches, goes_on_exactly
from rnn_core.training.probe import PROBE_SENTENCES, PROBE_STEPS, measured_horizon, probe_batch, task_probe
from rnn_core.training.source import CorpusSource, Source, TaskSource, source_of
from rnn_core.training.state import STEERABLE, TrainingState, check_change, state_arrays
from rnn_core.training.task_network import network_config

__all__ = [
    "LEAST",
    "WrittenCopies",
    "written_copies",
    "PROBE_SENTENCES",
    "PROBE_STEPS",
    "STEERABLE",
    "VALIDATION_SEQUENCES",
    "ClippingChanged",
    "CorpusSource",
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
    "Source",
    "StepDone",
    "TaskEvaluation",
    "TaskSource",
    "TrainingState",
    "TruncationChanged",
    "Validated",
    "Validating",
    "batch_of_step",
    "check_change",
    "epoch_batches",
    "evaluate",
    "evaluate_stream",
    "evaluate_task",
    "generate",
    "goes_on_exactly",
    "measured_horizon",
    "network_config",
    "new_model",
    "new_network",
    "next_word_odds",
    "perplexity",
    "probe_batch",
    "read_prompt",
    "sentences_of",
    "source_of",
    "state_arrays",
    "task_probe",
    "train",
]
