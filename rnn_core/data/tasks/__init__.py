"""The synthetic problems of the literature on long dependencies: each an endless, seeded stream of batches.

A task says what goes in (ids or vectors), what should come out (classes or numbers) and at which steps that counts. It
knows nothing of networks; `TASKS` lists all of them by name, and a new one is a new file and a line here.
"""

from rnn_core.data.tasks.adding import Adding
from rnn_core.data.tasks.agreement import Agreement, NumberPrediction, read_number_prediction
from rnn_core.data.tasks.base import Task, TaskBatch
from rnn_core.data.tasks.copy_memory import CopyMemory
from rnn_core.data.tasks.latching import Latching
from rnn_core.data.tasks.prefix_parity import PrefixParity
from rnn_core.data.tasks.temporal_order import TemporalOrder

TASKS: dict[str, type[Task]] = {
    task.name: task for task in (TemporalOrder, Adding, CopyMemory, PrefixParity, Agreement, Latching)
}

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
    "read_number_prediction",
]
