"""The synthetic problems of the literature on long dependencies: each an endless, seeded stream of batches.

A task says what goes in (ids or vectors), what should come out (classes or numbers) and at which steps that counts. It
knows nothing of networks; `TASKS` lists all of them by name, and a new one is a new file and a line here.
"""

from rnn_core.config.choices import TASKS as TASK_CHOICES
from rnn_core.config.choices import Choice
from rnn_core.config.task import TaskSettings
from rnn_core.data.tasks.adding import Adding
from rnn_core.data.tasks.agreement import Agreement, NumberPrediction, read_number_prediction
from rnn_core.data.tasks.base import Task, TaskBatch, setting_names
from rnn_core.data.tasks.copy_memory import CopyMemory
from rnn_core.data.tasks.latching import Latching
from rnn_core.data.tasks.prefix_parity import PrefixParity
from rnn_core.data.tasks.temporal_order import TemporalOrder

TASKS: dict[str, type[Task]] = {
    task.name: task for task in (TemporalOrder, Adding, CopyMemory, PrefixParity, Agreement, Latching)
}

# Register each as a choice of the setting `task`.
for _kind in TASKS.values():
    TASK_CHOICES.register(_kind.name, Choice(_kind.label, dict.fromkeys(setting_names(_kind).values(), "")))


def make_task(settings: TaskSettings) -> Task:
    """The task of these settings. Raises SettingsError where they make no sense."""
    settings.validate()
    kind = TASKS[settings.task]
    return kind(**{field: getattr(settings, name) for field, name in setting_names(kind).items()})


__all__ = [
    "TASKS",
    "Adding",
    "Agreement",
    "CopyMemory",
    "Latching",
    "NumberPrediction",
    "PrefixParity",
    "Task",
    "TaskBatch",
    "TemporalOrder",
    "make_task",
    "read_number_prediction",
]
