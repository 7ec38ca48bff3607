"""Makes runs and starts their trainings: a network alone, a race, a fork, one that goes on for longer.

On a hosted server only what its caps allow is made. What cannot be started leaves no folder behind.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from dashboard import hosting
from dashboard.hosting import Caps
from dashboard.services import library, racing, worker
from rnn_core import runs
from rnn_core.config import ModelConfig, TaskSettings, TextSettings, TrainingSettings
from rnn_core.data import PreparedCorpus
from rnn_core.data.tasks import make_task
from rnn_core.errors import UserError
from rnn_core.runs import Run


def begin(name: str, corpus: PreparedCorpus, text: TextSettings, model: ModelConfig, training: TrainingSettings) -> str:
    """Make a run of these settings and start its training -> its id. UserError with the reason where that fails; no
    folder is left then.
    """
    run_id = runs.new_run_id()
    _begin({run_id: (name, model)}, corpus, text, training)
    return run_id


def begin_task(name: str, task: TaskSettings, model: ModelConfig, training: TrainingSettings) -> str:
    """As `begin`, on a task in the place of a text."""
    run_id = runs.new_run_id()
    _begin({run_id: (name, model)}, task, TextSettings(), training)
    return run_id


def begin_race(
    entrants: Mapping[str, ModelConfig],
    data: PreparedCorpus | TaskSettings,
    text: TextSettings,
    training: TrainingSettings,
) -> str:
    """Make a run for each of these networks, by name, and start them side by side -> the id of the race."""
    race_id = racing.new_race_id()
    lanes = {racing.lane_id(race_id, place): entrant for place, entrant in enumerate(entrants.items(), 1)}
    _begin(lanes, data, text, training)
    return race_id


def _begin(
    entrants: Mapping[str, tuple[str, ModelConfig]],
    data: PreparedCorpus | TaskSettings,
    text: TextSettings,
    training: TrainingSettings,
) -> None:
    """Make runs, given as {id: (name, network)}, that share one process, and start it. All of them, or none."""
    root = library.root()
    with _admission() as caps:
        if caps is not None:
            for _, model in entrants.values():
                on = make_task(data) if isinstance(data, TaskSettings) else data
                hosting.check_training(on, model, training, caps, len(entrants))
            hosting.check_run_count(root, library.visitor(), caps, len(entrants))
            hosting.check_room(root, library.visitor(), caps)
        made: list[Run] = []
        try:
            for run_id, (name, model) in entrants.items():
                if isinstance(data, TaskSettings):
                    made.append(runs.create_task_run(root / run_id, name, data, model, training))
                else:
                    made.append(runs.create_run(root / run_id, name, data, model, training, text))
                if caps is not None:
                    hosting.set_owner(made[-1].folder, library.visitor())
            worker.start(*made)
        except UserError:
            for run in made:
                with contextlib.suppress(UserError):
                    runs.delete_run(run.folder)
            raise


def fork(run: Run, step: int, changes: Mapping[str, Any]) -> str:
    """Make a run that goes on from a stored moment of this one with other settings, and start it -> its id. UserError
    with the reason where that fails; no folder is left then.
    """
    library.check_mine(run)
    root, run_id = library.root(), runs.new_run_id()
    with _admission() as caps:
        if caps is not None:
            hosting.check_run_count(root, library.visitor(), caps)
            hosting.check_room(root, library.visitor(), caps)
        made = runs.fork_run(run.folder, root / run_id, step=step, changes=changes)
        try:
            if caps is not None:
                hosting.check_training(made.data(), made.config.model, made.config.training, caps)
                hosting.set_owner(made.folder, library.visitor())
            worker.start(made)
        except UserError:
            with contextlib.suppress(UserError):
                runs.delete_run(made.folder)
            raise
    return run_id


def go_further(more: int, *together: Run) -> None:
    """Train finished runs for so many epochs more, or steps if that is what their length is counted in. UserError with
    the reason where that is not possible; they stay as long as they were then.
    """
    for run in together:
        library.check_mine(run)
    with _admission() as caps:
        if caps is not None:
            for run in together:
                longer = longer_by(run.config.training, more)
                hosting.check_training(run.data(), run.config.model, longer, caps, len(together))
            hosting.check_room(library.root(), library.visitor(), caps)
        lengthened: list[Run] = []
        try:
            for run in together:
                lengthened.append(runs.lengthen_run(run.folder, longer_by(run.config.training, more)))
            worker.wait_for_end(lengthened)
            worker.start(*lengthened)
        except UserError:
            for run in together[: len(lengthened)]:
                with contextlib.suppress(UserError):
                    runs.lengthen_run(run.folder, run.config.training)
            raise


def longer_by(training: TrainingSettings, more: int) -> TrainingSettings:
    """The settings of a training with its end so many epochs, or steps, later."""
    if training.steps is not None:
        return dataclasses.replace(training, steps=training.steps + more)
    assert training.epochs is not None  # one of the two is the end
    return dataclasses.replace(training, epochs=training.epochs + more)


@contextlib.contextmanager
def _admission() -> Iterator[Caps | None]:
    """The caps of this server. On a hosted one no other tab of this visitor begins anything until the block has ended:
    what was counted in it still holds when it is acted on.
    """
    caps = hosting.current_caps()
    if caps is None:
        yield None
        return
    with hosting.one_at_a_time(library.root(), library.visitor()):
        yield caps
