"""A run of somebody else's training: what a PyTorch loop does, recorded where the dashboard shows it live."""

from __future__ import annotations

import contextlib
import math
import os
import time
import warnings
from collections import deque
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rnn_core.config import ModelConfig, TextSettings, TrainingSettings
from rnn_core.data import without_text
from rnn_core.data.vocabulary import SPECIALS
from rnn_core.errors import SettingsError, UserError
from rnn_core.interop.torch_flow import network_of
from rnn_core.interop.torch_probe import TorchProbe, find_recurrent
from rnn_core.runs.creation import create_run
from rnn_core.runs.events import WorkerStarted
from rnn_core.runs.history_writer import HistoryWriter
from rnn_core.runs.lock import locked
from rnn_core.runs.paths import new_run_id, runs_root
from rnn_core.runs.run import Run
from rnn_core.runs.status import State
from rnn_core.training import StepDone, Validated, perplexity

MEASURING_SHARE = 0.02
"""Of the time: where measuring takes longer, it comes less often than was asked for."""

COMMIT_SECONDS = 0.5
RATE_SECONDS = 1.0
"""Time over which the speed is taken."""

ONE_STEP = "the module reads one time step at a call, so there is no way back to be seen; give it whole sequences."


class Monitor:
    """Records a PyTorch training loop into a run's folder, which the dashboard shows beside its own runs.

        with Monitor(model, every=100, optimizer=optimizer) as monitor:
            for inputs, targets in batches:
                loss = criterion(model(inputs), targets)
                optimizer.zero_grad()
                loss.backward()
                norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
                monitor.step(loss, gradient_norm=norm)

    module     a torch.nn.RNN, LSTM or GRU, or a model with exactly one in it, on the CPU
    run        the new run's folder; default: one of its own in $SEE_BPTT_RUNS, or in ./runs
    every      steps between two measurements of the recurrent module: how far back its gradient goes (horizon,
               half-life), the spectrum of W, how many of its units are saturated
    name       what the dashboard calls it
    optimizer  where given, its learning rate is recorded as well

    Every step's loss and gradient norm are recorded. A measurement takes what the training computed in that step, the
    weights and inputs of the recurrent module and what arrives at its outputs, for 8 sequences and their last 40 steps
    at most; dropout between its layers is left out. It waits as long as measuring would take more than 2 % of the time.

    Raises SettingsError for a module that is not understood, RunError where the folder is in use. A disk that is full
    later ends the recording, with a warning, and not the training.
    """

    def __init__(
        self,
        module: Any,
        run: str | Path | None = None,
        every: int = 100,
        *,
        name: str = "",
        optimizer: Any = None,
    ) -> None:
        if every < 1:
            raise SettingsError(f"every is a number of steps from 1 up, not {every}.")
        self.module, self.every, self.optimizer = module, every, optimizer
        rnn = find_recurrent(module)
        self.run = _new_run(rnn, runs_root() / new_run_id() if run is None else Path(run), name)
        self.step_number = 0
        self._probe = TorchProbe(rnn)
        self._resources = contextlib.ExitStack()
        self._ended = False  # the recording; the training may go on
        self._next = 1  # the next step to be measured
        self._measuring_seconds = 0.0
        self._not_finite = 0  # steps left out
        self._losses: deque[float] = deque(maxlen=100)
        self._valid_loss_nats: float | None = None
        self._note = ""

    def __enter__(self) -> Self:
        self._resources.callback(self._probe.close)
        with self._resources:
            self._resources.enter_context(locked(self.run.folder))
            self._history = HistoryWriter(self.run.folder)
            self._resources.callback(self._history.close)
            self._history.restore(0, {}, time.time())
            self._history.record(WorkerStarted(0, os.getpid()))
            self._started = self._committed = time.monotonic()
            self._speed = _Speed(self._started)
            self._commit("running")
            self._resources = self._resources.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with self._resources:
            if kind is None:
                self._record(lambda: self._commit("finished"))
            else:
                self._note = f"its program ended with {kind.__name__}."
                self._record(lambda: self._commit("stopped"))

    def step(self, loss: Any, gradient_norm: Any = None) -> None:
        """One step of the training is done: call this once a step, after `backward` and before the next `zero_grad`.

        loss           of this step: a number or a tensor of one
        gradient_norm  before clipping: what `clip_grad_norm_` returned; default: of the gradients as they are now

        Raises SettingsError where there is no gradient and none is given.
        """
        after = _norm(self.module)
        if after is None:
            raise SettingsError("there is no gradient; call step after loss.backward() and before zero_grad().")
        before = after if gradient_norm is None else _number(gradient_norm)
        self.step_number += 1
        self._record(lambda: self._step_done(_number(loss), before, after))

    def validated(self, loss: Any) -> None:
        """The loss on what is not trained on, after the steps so far."""
        value = _number(loss)
        if math.isfinite(value):
            self._valid_loss_nats = value
            self._history.record(Validated(self.step_number, 0, value, perplexity(value)))

    # -- The recording ------------------------------------------------------------------------------------------------

    def _record(self, write: Callable[[], None]) -> None:
        """What goes wrong with the recording must not end the training."""
        if self._ended:
            return
        try:
            write()
        except UserError as problem:
            self._ended = True
            self._probe.armed = False
            warnings.warn(f"the training is no longer recorded: {problem}", RuntimeWarning, stacklevel=3)

    def _step_done(self, loss: float, before: float, after: float) -> None:
        now = time.monotonic()
        tokens, self._probe.positions = self._probe.positions, 0
        self._speed.add(tokens, now)
        if all(map(math.isfinite, (loss, before, after))):
            self._losses.append(loss)
            rate = 0.0 if self.optimizer is None else float(self.optimizer.param_groups[0]["lr"])
            self._history.record(
                StepDone(self.step_number, 0, tokens, loss, before, after, rate, self._speed.value, now - self._started)
            )
        else:
            self._not_finite += 1
        if self._probe.caught:
            self._measure()
        now = time.monotonic()
        if now - self._committed >= COMMIT_SECONDS:
            self._commit("running")
            self._committed = now
        # If the next measurement takes as long as the last one did.
        expected_seconds = self._measuring_seconds + self._probe.seconds
        affordable = expected_seconds <= MEASURING_SHARE * (now - self._started)
        self._probe.armed = self.step_number + 1 >= self._next and affordable

    def _measure(self) -> None:
        measured = self._probe.measure(self.step_number)
        self._measuring_seconds += self._probe.seconds
        if measured is not None:
            self._history.record(measured)
            self._next = self.step_number + self.every
            self._note = ONE_STEP if len(measured.median) < 2 else ""

    def _commit(self, state: State) -> None:
        notes = [self._note] if self._note else []
        if self._not_finite:
            steps = "1 step is" if self._not_finite == 1 else f"{self._not_finite:,} steps are"
            notes.append(f"{steps} left out: the loss or the gradient was not a number.")
        self._history.commit(
            {
                "state": state,
                "pid": os.getpid(),
                "heartbeat": time.time(),
                "step": self.step_number,
                "message": " ".join(notes),
                "train_loss_nats": sum(self._losses) / len(self._losses) if self._losses else None,
                "valid_loss_nats": self._valid_loss_nats,
                "tokens_per_second": self._speed.value,
            },
            durable=state != "running",
        )


class _Speed:
    """Positions per second, over about the last second."""

    def __init__(self, now: float) -> None:
        self.value = 0.0
        self._since, self._count = now, 0

    def add(self, count: int, now: float) -> None:
        self._count += count
        if now - self._since >= RATE_SECONDS or not self.value:
            self.value = self._count / max(now - self._since, 1e-9)
            if now - self._since >= RATE_SECONDS:
                self._since, self._count = now, 0


def _number(value: Any) -> float:
    return float(value.detach() if hasattr(value, "detach") else value)


def _norm(module: Any) -> float | None:
    """The norm of all gradients together; None where there is no gradient."""
    from torch.nn.utils import get_total_norm

    gradients = [parameter.grad for parameter in module.parameters() if parameter.grad is not None]
    return float(get_total_norm(gradients)) if gradients else None


def _new_run(rnn: Any, folder: Path, name: str) -> Run:
    """A run without weights, and with a vocabulary of one word, because it must have one."""
    words = (*SPECIALS, "–")
    network = network_of(rnn).config
    model = ModelConfig(
        cell=network.cell,
        vocabulary_size=len(words),
        hidden_size=network.hidden_size,
        embedding_size=rnn.input_size,
        layers=network.layers,
        bias=network.bias,
    )
    training, text = TrainingSettings(clip=None), TextSettings()
    corpus = without_text(words, text, "–")
    default_name = f"{rnn.mode.partition('_')[0]}, {rnn.hidden_size} units, monitored"
    return create_run(folder, name or default_name, corpus, model, training, text, monitored=True)
