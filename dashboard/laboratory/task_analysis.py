"""What the pictures are of where a network learns a task: one of its sequences in the place of a sentence."""

from __future__ import annotations

from functools import cached_property, lru_cache

import numpy as np

from dashboard.laboratory.sentence_analysis import SentenceAnalysis
from dashboard.services import library, measurements, network
from dashboard.services.network import LoadedNetwork
from rnn_core import diagnostics
from rnn_core.data.tasks import Task, TaskBatch
from rnn_core.diagnostics import GradientFlow
from rnn_core.runs import Run

MOST_STEPS = 100
"""Of a longer sequence the triangle's cells are too small to see, and the numbers behind it too many."""


class TaskAnalysis(SentenceAnalysis):
    """One sequence of a task in one network. targets: the answers; "" where none is asked."""

    def __init__(self, run: Run, loaded: LoadedNetwork, number: int, task: Task, batch: TaskBatch) -> None:
        self._begin(run, loaded)
        self.number = number
        self.sources, self.targets = task.input_names(batch, 0), task.target_names(batch, 0)
        self.words = tuple(self.sources)
        self.inputs, self.answers, self.weights = batch.inputs, batch.targets, batch.loss_weights
        self.asked = np.flatnonzero(batch.loss_weights[:, 0]).tolist()

    @property
    def unknown(self) -> list[bool]:
        return [False] * (len(self.sources) + 1)

    @property
    def reads_words(self) -> bool:
        return not self.model.inputs.input_shape

    @cached_property
    def flow(self) -> GradientFlow:
        return diagnostics.gradient_flow(self.model, self.inputs, self.answers, loss_weights=self.weights)

    def target(self, t: int) -> int:
        return int(self.answers[t, 0])


@lru_cache(maxsize=6)
def _analyse(folder: str, step: int, number: int) -> TaskAnalysis:
    task, batch = measurements.task_sequence(folder, number)
    return TaskAnalysis(library.shared_run(folder), network.of_any(folder, step), number, task, batch)


def analyse_task(run: Run, step: int, number: int) -> TaskAnalysis:
    """Sequence `number` of the task in the network as it was after `step` steps. RunError where those weights are
    gone.
    """
    return _analyse(str(run.folder), step, number)
