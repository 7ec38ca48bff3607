"""Every setting, declared once: of the text or task, the network, its training, and of drawing words from it."""

from rnn_core.config.choices import (
    CELLS,
    EMBEDDING_INITIALISATIONS,
    INITIALISATIONS,
    OPTIMIZERS,
    SCHEDULES,
    TASKS,
    Choice,
    Choices,
)
from rnn_core.config.fields import Settings, check, in_vain, problems, settings_of
from rnn_core.config.model import ModelConfig
from rnn_core.config.network import LOSSES, NetworkConfig
from rnn_core.config.sampling import SamplingSettings
from rnn_core.config.task import TASK_DEFAULTS, TaskSettings
from rnn_core.config.text import SENTENCES, UNITS, TextSettings
from rnn_core.config.training import BATCHINGS, CLIP_MODES, TrainingSettings, check_together

__all__ = [
    "BATCHINGS",
    "CELLS",
    "CLIP_MODES",
    "EMBEDDING_INITIALISATIONS",
    "INITIALISATIONS",
    "LOSSES",
    "OPTIMIZERS",
    "SCHEDULES",
    "SENTENCES",
    "TASKS",
    "TASK_DEFAULTS",
    "UNITS",
    "Choice",
    "Choices",
    "ModelConfig",
    "NetworkConfig",
    "SamplingSettings",
    "Settings",
    "TaskSettings",
    "TextSettings",
    "TrainingSettings",
    "check",
    "check_together",
    "in_vain",
    "problems",
    "settings_of",
]
