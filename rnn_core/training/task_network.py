"""The network that a task needs: what it reads and gives is the task's, the rest is free."""

from __future__ import annotations

import dataclasses
from typing import Any

from rnn_core.config import ModelConfig, NetworkConfig
from rnn_core.data.tasks import Task
from rnn_core.errors import SettingsError


def network_config(task: Task, model: ModelConfig | None = None) -> NetworkConfig:
    """`model` (default: the default one) with inputs, outputs and loss as the task has them. Raises SettingsError."""
    given = dataclasses.asdict(model or ModelConfig())
    config = NetworkConfig(**{**given, **_of_task(task)})
    config.validate()
    return config


def check_fits(task: Task, config: ModelConfig) -> None:
    """Raises SettingsError where a network of this shape cannot do the task."""
    for name, wanted in _of_task(task).items():
        if getattr(config, name, None) != wanted:
            raise SettingsError(
                f"the task {task.label} needs a network with {name} {wanted}, and this one has "
                f"{getattr(config, name, None)}; make its config with network_config(task)."
            )


def _of_task(task: Task) -> dict[str, Any]:
    return {
        # Where vectors go in there are no ids; the least that a config can say then.
        "vocabulary_size": task.symbols or 2,
        "input_size": task.input_size,
        "outputs": task.outputs,
        "loss": task.loss,
    }
