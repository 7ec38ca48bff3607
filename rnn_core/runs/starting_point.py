"""Where a worker begins: network and state of the newest whole checkpoint, or fresh ones, and the end to reach."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

from rnn_core.config import NetworkConfig, TrainingSettings, check
from rnn_core.errors import SettingsError
from rnn_core.nn.network import Network
from rnn_core.runs.checkpoints import Checkpoint
from rnn_core.runs.layout import network_of
from rnn_core.runs.run import Run
from rnn_core.training import TrainingState, new_model, new_network


class StartingPoint(NamedTuple):
    """settings: the run's own, with the new end if there is one; checkpoint: None where the training is new."""

    model: Network
    state: TrainingState
    settings: TrainingSettings
    total_steps: int
    checkpoint: Checkpoint | None


def starting_point(run: Run, epochs: int | None = None, steps: int | None = None) -> StartingPoint:
    """Where the training of this run begins or goes on; it writes nothing.

    epochs, steps: a new end, counted from the very beginning. Raises SettingsError where that makes no sense or is
    passed already, RunError where the run has checkpoints and none is whole.
    """
    config, settings = run.config, run.config.training
    if steps is not None:
        settings = dataclasses.replace(settings, steps=steps)
    elif epochs is not None:
        settings = dataclasses.replace(settings, epochs=epochs, steps=None)
    check(config.model, settings)
    plan = config.plan(settings)
    checkpoint = run.load_checkpoint()
    model: Network
    if checkpoint is None:
        if isinstance(config.model, NetworkConfig):
            model = new_network(config.model, settings)
        else:
            model = new_model(config.model, settings)
        state = TrainingState.fresh(model, settings, plan)
    else:
        model = network_of(config, checkpoint.arrays)
        state = TrainingState.fresh(model, settings, plan)
        state.load(checkpoint.arrays, checkpoint.state.get("training", {}), plan)
    if plan.total_steps < state.step:
        raise SettingsError(
            f"this run has {state.step} steps ({state.epoch} epochs) behind it already, and the end is "
            "counted from the beginning; ask for more."
        )
    return StartingPoint(model, state, settings, plan.total_steps, checkpoint)
