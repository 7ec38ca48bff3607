"""Every setting, declared once: of the text or task, the network, its training, and the drawing of words from it."""

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
from rnn_core.config.fields import Settings, check, problems, settings_of, unused_settings
from rnn_core.config.model import ModelConfig
from rnn_core.config.network import LOSSES, NetworkConfig
from rnn_core.config.sampling import SamplingSettings
from rnn_core.config.task import TASK_DEFAULTS, TaskSettings
from rnn_core.config.text import SENTENCES, UNITS, TextSettings
from rnn_core.config.training import BATCHINGS, CLIP_MODES, TrainingSettings

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
    "unused_settings",
    "problems",
    "settings_of",
]
