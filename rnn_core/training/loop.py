"""The training loop, as a stream of events: the caller decides what to do with them, and when to go on.

    for event in train(model, corpus, settings, state):
        ...
    for event in train(network, task, settings):  # network: new_network(network_config(task), settings)
        ...

The loop reads and changes a `TrainingState`. Between any two events the state holds everything that the future depends
on: a training that goes on from the weights and the state of that moment is the same, bit for bit, as one that was
never interrupted: a validation that was due is still due, and an epoch goes on in its middle. Samples and horizons
come by the clock and change nothing; they are left out of that promise.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Iterator

import numpy as np

from rnn_core.config import ModelConfig, NetworkConfig, TrainingSettings, check
from rnn_core.data import PreparedCorpus
from rnn_core.data.tasks import Task
from rnn_core.nn.gradients import Gradients
from rnn_core.nn.language_model import LanguageModel
from rnn_core.nn.network import Network
from rnn_core.optim.clipping import clip_by_global_norm, clip_by_value, global_norm
from rnn_core.parallel import DataParallel
from rnn_core.randomness import stream
from rnn_core.training.divergence import explained_divergence
from rnn_core.training.evaluation import perplexity
from rnn_core.training.events import (
    Diverged,
    EpochDone,
    Event,
    Finished,
    LearningRateChanged,
    ProcessLost,
    Sampled,
    Started,
    StepDone,
    Validated,
    Validating,
)
from rnn_core.training.plan import Plan
from rnn_core.training.probe import measured_horizon
from rnn_core.training.source import Source, source_of
from rnn_core.training.state import TrainingState
from rnn_core.training.timing import Periodic, Throughput

# How much of the training's time samples and horizons may take.
HORIZON_SHARE = 0.04
SAMPLING_SHARE = 0.04


def new_model(config: ModelConfig, settings: TrainingSettings) -> LanguageModel:
    """A fresh network, float32, from the stream "init" of the settings' seed."""
    return LanguageModel(config, rng=stream(settings.seed, "init"), dtype=np.float32)


def new_network(config: NetworkConfig, settings: TrainingSettings) -> Network:
    """As `new_model`, for a task: see `network_config`."""
    return Network(config, rng=stream(settings.seed, "init"), dtype=np.float32)


def train(
    model: Network,
    data: PreparedCorpus | Task | Source,
    settings: TrainingSettings,
    state: TrainingState | None = None,
) -> Iterator[Event]:
    """Train `model` in place, from `state` (default: from the start), until the settings' last step, or until it is as
    good as `stop_below` asks.

    data: a text, for a LanguageModel; or a task, for a `Network` of its shape (`network_config`). A task gives the same
    events, and its metric with each Validated; its validation sequences are the same for all seeds, and a
    `TaskSource(task, validation_sequences=10_000)` says how many. An epoch of a task is 500 batches of its stream.

    Events: Started; StepDone for each step; Validating and Validated before the first step, inside long epochs, and at
    the end of each; EpochDone; LearningRateChanged; ProcessLost; Sampled and HorizonMeasured by the clock; at the end
    Finished or Diverged. Between two events the caller may change what `STEERABLE` names, by `state.change`. Raises
    SettingsError and CorpusError before the first event.
    """
    check(model.config, settings)
    source = source_of(data)
    source.check(model)
    plan = source.plan(settings)
    if state is None:
        state = TrainingState.fresh(model, settings, plan)
    return _Trainer(model, source, settings, plan, state).events()


class _Trainer:
    def __init__(
        self,
        model: Network,
        source: Source,
        settings: TrainingSettings,
        plan: Plan,
        state: TrainingState,
    ) -> None:
        self.model, self.source, self.settings, self.plan, self.state = model, source, settings, plan, state
        self.data_parallel = DataParallel(model)
        self.throughput = Throughput()
        self.norms: list[float] = []  # the last few gradient norms, to tell why a training diverged

    def events(self) -> Iterator[Event]:
        with self.data_parallel:
            yield Started(self.state.step, self.plan.total_steps, self.plan.steps_per_epoch, self.model.parameter_count)
            yield from self.steps()

    def steps(self) -> Iterator[Event]:
        """All steps that are left. The order of what may be due after each is part of what a checkpoint relies on."""
        state, plan, settings = self.state, self.plan, self.settings
        reports = [Periodic(self.measure_horizon, settings.horizon_every_seconds, HORIZON_SHARE)]
        if self.source.generates_text:
            reports.insert(0, Periodic(self.sample, settings.sample_every_seconds, SAMPLING_SHARE))
        while True:
            if state.validated_step != state.step and plan.validates_at(state.step, state.position):
                diverged = yield from self.validate()
                if diverged is not None:
                    yield diverged
                    return
            if state.pending_validation_loss is not None:
                changed = self.update_schedule(state.pending_validation_loss)
                if changed is not None:
                    yield changed
            if state.position == plan.steps_per_epoch:
                yield self.close_epoch()
            if state.step >= plan.total_steps or state.solved(settings):
                yield from self.finish(reports)
                return
            for report in reports:
                if report.due():
                    yield self.timed(report.make)
            alone = self.data_parallel.lost_worker
            event = self.timed(self.step)
            yield event
            if isinstance(event, Diverged):
                return
            if self.data_parallel.lost_worker and not alone:
                yield ProcessLost(event.step)

    def timed(self, work: Callable[[], Event]) -> Event:
        """work(), whose time counts as the training's."""
        started = time.perf_counter()
        event = work()
        self.state.elapsed_seconds += time.perf_counter() - started
        return event

    def step(self) -> Event:
        """One update. The state changes only once the gradient is known to be finite."""
        model, settings, state = self.model, self.settings, self.state
        started = time.perf_counter()
        batch = self.source.batch(settings, state.epoch, state.position)
        tokens = int(np.count_nonzero(batch.mask if batch.loss_weights is None else batch.loss_weights))
        dropout_rng = stream(settings.seed, "dropout", state.step) if model.config.dropout else None
        learning_rate = state.learning_rate
        # No warning of an overflow: the next lines look for one.
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            loss_nats, gradients, carried = self.data_parallel.training_gradients(
                batch.inputs,
                batch.targets,
                batch.mask,
                state.truncate,
                state=state.carried or None,
                dropout_rng=dropout_rng,
                omega=settings.omega,
                loss_weights=batch.loss_weights,
            )
            weight = max(tokens, 1) if settings.loss_reduction == "sum" else 1
            gradients, factor, norm, clipped_norm = _clipped(gradients, state.clip, settings.clip_mode, weight)
            if not (math.isfinite(loss_nats) and math.isfinite(norm)):
                return Diverged(state.step, self.why_diverged(loss_nats), loss_nats, norm)
            if tokens:  # Without a token there is no loss, and an update would only decay the optimizer's moments.
                state.optimizer.update(model.params, gradients, learning_rate, scale=factor)
        if state.carried:
            state.carried = carried
        state.step += 1
        state.position += 1
        state.epoch_loss_nats += loss_nats * tokens
        state.epoch_tokens += tokens
        self.norms = [*self.norms[-9:], norm]
        seconds = time.perf_counter() - started
        return StepDone(
            state.step,
            state.epoch,
            tokens,
            loss_nats,
            norm,
            clipped_norm,
            learning_rate,
            self.throughput.after(tokens, seconds),
            state.elapsed_seconds + seconds,
        )

    def validate(self) -> Generator[Event, None, Diverged | None]:
        """The loss on the validation set. The state changes only once the whole of it is known."""
        state = self.state
        loss_nats = metric = None
        parts = self.source.validation(self.model)
        while True:
            started = time.perf_counter()
            with np.errstate(over="ignore", invalid="ignore"):
                result = next(parts, None)
            state.elapsed_seconds += time.perf_counter() - started
            if result is None:
                break
            loss_nats, metric = result.loss_nats, result.metric
            yield Validating(state.step, result.fraction)
        if loss_nats is not None and not math.isfinite(loss_nats):
            cause = self.why_diverged(loss_nats)
            return Diverged(state.step, cause, loss_nats, math.nan)
        state.validated_step = state.step
        if loss_nats is not None:
            state.valid_loss_nats = state.pending_validation_loss = loss_nats
            state.valid_metric = metric
            in_nats = self.model.loss_function.in_nats
            yield Validated(state.step, state.epoch, loss_nats, perplexity(loss_nats) if in_nats else math.nan, metric)
        return None

    def update_schedule(self, validation_loss: float) -> LearningRateChanged | None:
        """Give the schedule a validation loss (nats)."""
        state = self.state
        old = state.learning_rate
        changed = state.schedule.after_validation(validation_loss)
        state.pending_validation_loss = None
        if not changed:
            return None
        return LearningRateChanged(state.step, old, state.learning_rate, "the validation loss rose")

    def close_epoch(self) -> EpochDone:
        state = self.state
        loss_nats = state.epoch_loss_nats / max(state.epoch_tokens, 1)
        state.epoch += 1
        state.last_epoch_loss_nats = loss_nats
        state.position, state.epoch_loss_nats, state.epoch_tokens = 0, 0.0, 0
        # The next epoch reads the text in another order, so its first chunk does not follow on the last one.
        state.carried = [np.zeros_like(layer) for layer in state.carried]
        return EpochDone(state.step, state.epoch, loss_nats, state.elapsed_seconds)

    def finish(self, reports: list[Periodic]) -> Iterator[Event]:
        """The end of a training that has made all its steps: what the last update did, and what the network can do."""
        state = self.state
        if not all(np.isfinite(value).all() for value in self.model.params.values()):
            # No further step follows, whose loss would show it.
            yield Diverged(state.step, self.why_diverged(math.nan), math.nan, math.nan)
            return
        for report in reports:
            if report.wanted:
                yield self.timed(report.make)
        yield Finished(
            state.step,
            state.epoch,
            state.train_loss_nats,
            state.valid_loss_nats,
            state.elapsed_seconds,
            state.valid_metric,
        )

    def sample(self) -> Event:
        """A sentence, from a stream of random numbers that belongs to this step's samples alone."""
        seed = int(stream(self.settings.seed, "sample", self.state.step).integers(2**62))
        return Sampled(self.state.step, *self.source.sample(self.model, seed))

    def measure_horizon(self) -> Event:
        return measured_horizon(self.model, self.source.probe(), self.state.step)

    def why_diverged(self, loss_nats: float) -> str:
        return explained_divergence(loss_nats, self.model.params, self.norms, self.state.learning_rate, self.state.clip)


def _clipped(
    gradients: Gradients, limit: float | None, mode: str, weight: int
) -> tuple[Gradients, float, float, float]:
    """-> the gradients, the factor that the optimizer is to multiply them by, and their global norm before and after
    clipping.

    weight: what the gradients are to be multiplied by before they are clipped, 1 or more: the number of tokens, where
    the gradient is that of the summed loss. It goes into the factor, which saves a pass over them.
    """
    if limit is not None and mode == "norm":
        norm, factor = clip_by_global_norm(gradients, limit / weight)
        return gradients, factor * weight, norm * weight, norm * factor * weight
    norm = clipped_norm = global_norm(gradients)
    if limit is not None and math.isfinite(norm):
        gradients = clip_by_value(gradients, limit / weight)
        clipped_norm = global_norm(gradients)
    return gradients, weight, norm * weight, clipped_norm * weight
