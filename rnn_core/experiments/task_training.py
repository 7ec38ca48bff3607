"""Training on a task, as experiments need it: the error over the updates, and whether the task was solved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rnn_core.config import TrainingSettings
from rnn_core.nn.network import Network
from rnn_core.training import Diverged, TaskSource, Validated, train


@dataclass(frozen=True)
class ErrorCurve:
    """The task's metric (`errors`) after so many `updates`; solved: it fell below `stop_below`, without diverging."""

    updates: list[int]
    errors: list[float]
    solved: bool

    @property
    def curves(self) -> Mapping[str, Sequence[float]]:
        """For `Trial.curves`."""
        return {"updates": self.updates, "errors": self.errors}


def learn_task(network: Network, source: TaskSource, settings: TrainingSettings) -> ErrorCurve:
    """Train to the end, or until the metric is below `settings.stop_below`."""
    updates: list[int] = []
    errors: list[float] = []
    diverged = False
    for event in train(network, source, settings):
        if isinstance(event, Validated):
            assert event.metric is not None  # of a task there is one
            updates.append(event.step)
            errors.append(event.metric)
        diverged = diverged or isinstance(event, Diverged)
    below = settings.stop_below
    return ErrorCurve(updates, errors, not diverged and below is not None and bool(errors) and errors[-1] < below)
