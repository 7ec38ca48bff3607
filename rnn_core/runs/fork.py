"""A fork: a new run that goes on from a stored moment of another, with other settings.

Everything up to that moment is copied: words, text, curves, events, snapshots. With no setting changed a fork of a
checkpoint goes on bit for bit as its parent did. Of a moment between two checkpoints only the weights were kept; there
the optimizer's running averages, and the state that a stream carries on, begin anew (`ForkedFrom.exact` is False).
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from rnn_core.config import TrainingSettings, check, settings_of
from rnn_core.errors import CheckpointError, RunError, SettingsError
from rnn_core.runs import checkpoints, database, files, layout, snapshots
from rnn_core.runs.checkpoints import Checkpoint
from rnn_core.runs.creation import staged
from rnn_core.runs.history_writer import HistoryWriter
from rnn_core.runs.reading import opened
from rnn_core.runs.run import Run
from rnn_core.runs.run_config import ForkedFrom, RunConfig, clean_name, write_config
from rnn_core.training import (
    STEERABLE,
    EpochDone,
    Event,
    LearningRateChanged,
    Plan,
    TrainingState,
    Validated,
    check_change,
)

CHANGEABLE = (*STEERABLE, "schedule", "weight_decay", "omega", "dropout", "epochs", "steps")
"""What a fork may change: settings on which neither the shape of an array nor the history of the parent depends."""

BY_FORK = "set by the fork"
"""Why a setting changed, in the event that says so."""

TRIES = 5
"""A parent that is being trained may rename or delete a checkpoint while it is being read."""


def fork_run(
    source: str | Path,
    folder: str | Path,
    *,
    step: int | None = None,
    name: str | None = None,
    changes: Mapping[str, Any] = MappingProxyType({}),
) -> Run:
    """Make a run in `folder` that goes on from `source` as it was after `step` steps; it appears whole or not at all.

    step     one of `source.moments()`; None: the newest checkpoint
    changes  settings of `CHANGEABLE` with their new values; a change of learning rate, clipping or truncation is an
             event at that step, as if it had been made by hand there

    The parent may be training meanwhile. Raises RunError where there is no such moment or the folder is in use, and
    SettingsError where a setting cannot have its value, or nothing would be left to train.
    """
    parent = Run.open(source)
    for setting in changes:
        if setting not in CHANGEABLE:
            raise SettingsError(
                f"a fork cannot change {setting!r}; it can change {', '.join(CHANGEABLE)}. For others, begin a new run."
            )
    checkpoint, exact = _moment(parent, step)
    config = _changed(parent, checkpoint.step, exact, name, changes)
    state, plan = _state(parent, config, checkpoint)
    if plan.total_steps <= state.step:
        raise SettingsError(
            f"after {state.step:,} steps nothing is left to train, and the end is counted from the beginning; "
            "ask for more epochs or steps, or fork at an earlier moment."
        )
    with staged(Path(folder)) as place:
        write_config(place, config)
        for file in () if config.task is not None else (layout.VOCABULARY_FILE, layout.CORPUS_FILE):
            _copy(parent.folder / file, place / file)
        for taken in [taken for taken in snapshots.steps(parent.folder) if taken <= state.step]:
            with contextlib.suppress(RunError):  # gone by now: a parent that is being trained thins them
                _copy(snapshots.path_of(parent.folder, taken), snapshots.path_of(place, taken))
        database.copy_detached(parent.folder, place / database.FILE, "forked.")
        _write_history_and_checkpoint(place, parent, config, checkpoint, state, plan, changes)
        (place / "lock").touch(mode=files.PRIVATE)
    return Run.open(folder)


def _moment(parent: Run, step: int | None) -> tuple[Checkpoint, bool]:
    """The checkpoint of a moment, and whether it is a whole one, not weights alone. Raises RunError."""
    for _ in range(TRIES):
        if step is not None and step not in parent.checkpoint_steps():
            break
        with contextlib.suppress(CheckpointError):
            checkpoint = parent.load_checkpoint(step)
            if checkpoint is not None and step is None and checkpoint.rejected:
                raise RunError(
                    f"the newest state cannot be read ({checkpoint.rejected[0]}) Say at which step to fork: the newest "
                    f"that can is {checkpoint.step:,}."
                )
            if checkpoint is not None and step in (None, checkpoint.step):
                return checkpoint, True
    if step is None or step not in parent.moments():
        which = "no weights yet" if step is None else f"no weights of step {step:,}"
        raise RunError(f"this run has {which}; fork it at one of {', '.join(map(str, parent.moments())) or 'none'}.")
    params = parent.load_network(step).model.params
    return Checkpoint(step, layout.named_parameters(params), {}, snapshots.path_of(parent.folder, step)), False


def _changed(parent: Run, step: int, exact: bool, name: str | None, changes: Mapping[str, Any]) -> RunConfig:
    """The fork's config.json. The settings in STEERABLE stay as the parent had them: their change is an event."""
    before = parent.config
    changes = {setting: value for setting, value in changes.items() if setting not in STEERABLE}
    if changes.get("epochs") is not None and changes.get("steps") is None:
        changes["steps"] = None
    of_training = {setting: value for setting, value in changes.items() if setting in settings_of(TrainingSettings)}
    of_model = {setting: value for setting, value in changes.items() if setting not in of_training}
    model = dataclasses.replace(before.model, **of_model)
    training = dataclasses.replace(before.training, **of_training)
    check(model, training)
    return dataclasses.replace(
        before,
        name=clean_name(name or f"{before.name}, forked at step {step:,}"),
        created=time.time(),
        model=model,
        training=training,
        forked=ForkedFrom(parent.id, step, exact),
    )


def _state(parent: Run, config: RunConfig, checkpoint: Checkpoint) -> tuple[TrainingState, Plan]:
    """Where the training of a fork stands, before what is steered is changed. Raises CheckpointError."""
    before = parent.config
    model = layout.network_of(before, checkpoint.arrays)
    plan_before, plan = before.plan(), config.plan()
    state = TrainingState.fresh(model, before.training, plan_before)
    if checkpoint.state:
        state.load(checkpoint.arrays, checkpoint.state.get("training", {}), plan_before)
    else:
        _replay_history(state, parent, checkpoint.step, plan_before)
    if config.training.schedule != before.training.schedule or plan.total_steps != plan_before.total_steps:
        rate = state.learning_rate
        schedule = TrainingState.fresh(model, config.training, plan).schedule
        if schedule.state.keys() == state.schedule.state.keys():
            schedule.state = state.schedule.state
        state.schedule = schedule
        if config.training.schedule != before.training.schedule:
            state.learning_rate = rate
    return state, plan


def _replay_history(state: TrainingState, parent: Run, step: int, plan: Plan) -> None:
    """Set what the parent's history says of a moment of which only the weights were kept."""
    state.epoch, state.position = divmod(step, plan.steps_per_epoch)
    rows = parent.metrics()
    past = rows["step"] <= step
    current = past & (rows["step"] > state.epoch * plan.steps_per_epoch)
    state.epoch_tokens = int(rows["tokens"][current].sum())
    state.epoch_loss_nats = float((rows["loss_nats"] * rows["tokens"])[current].sum())
    if past.any():
        state.elapsed_seconds = float(rows["elapsed_seconds"][past][-1])
    training = parent.training_at(step + 1)
    state.clip, state.truncate = training.clip, training.truncate
    for event in parent.recorded(Validated, EpochDone, LearningRateChanged).values():
        if event.step > step:
            break
        state.step = event.step
        if isinstance(event, Validated):
            state.validated_step, state.valid_loss_nats, state.valid_metric = event.step, event.loss_nats, event.metric
            state.schedule.after_validation(event.loss_nats)
        elif isinstance(event, EpochDone):
            state.last_epoch_loss_nats = event.loss_nats
        elif isinstance(event, LearningRateChanged) and event.new != state.learning_rate:
            state.learning_rate = event.new
    state.step = step


def _write_history_and_checkpoint(
    place: Path,
    parent: Run,
    config: RunConfig,
    checkpoint: Checkpoint,
    state: TrainingState,
    plan: Plan,
    changes: Mapping[str, Any],
) -> None:
    """The parent's history up to the moment of the fork, the changes of settings as events there, and a checkpoint."""
    history = HistoryWriter(place)
    with contextlib.closing(history):
        position = checkpoint.state.get("history") or {"event_id": _newest_event(parent, state.step)}
        history.restore(state.step, position, time.time())
        for setting in STEERABLE:
            if setting in changes:
                check_change(config.model, config.training, setting, changes[setting])
                event = state.change(setting, changes[setting], BY_FORK)
                if event is not None:
                    history.record(event)
        status = {
            "state": "stopped",
            "message": f"forked at step {state.step:,}.",
            "step": state.step,
            "total_steps": plan.total_steps,
            "epoch": state.epoch,
            "train_loss_nats": state.train_loss_nats,
            "valid_loss_nats": state.valid_loss_nats,
            "checkpoint_step": state.step,
        }
        history.commit(status, durable=True)
        params = layout.parameters_of(checkpoint.arrays)
        stored = layout.checkpoint_state(state, history.pending(), parent.digest())
        # The parent's number of threads: its bits depend on it, and a worker with another number says so in an event.
        stored |= {"threads": checkpoint.state["threads"]} if "threads" in checkpoint.state else {}
        checkpoints.save(place, state.step, layout.checkpoint_arrays(params, state), stored, None)


def _newest_event(parent: Run, step: int) -> int:
    return max((number for number, event in parent.recorded(Event).items() if event.step <= step), default=0)


def _copy(source: Path, target: Path) -> None:
    """A regular file, no link."""
    with opened(source) as descriptor, open(descriptor, "rb", closefd=False) as origin:
        copy = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, files.PRIVATE)
        with open(copy, "wb") as file:
            shutil.copyfileobj(origin, file, files.CHUNK_BYTES)
            file.flush()
            os.fsync(file.fileno())
