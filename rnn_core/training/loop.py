"""The training loop, as a stream of events: whoever iterates decides what to do with them, and when to go on.

    for event in train(model, corpus, settings, state):
        ...

The loop is a small machine over `TrainingState`. Between any two events the state holds everything that the future
depends on, so whoever stores the weights and the state at that moment can go on later, bit for bit, as if nothing had
happened: validation that was due is then still due, half an epoch is half an epoch. Samples and horizons come by the
clock and change nothing; they are left out of that promise.
"""

from __future__ import annotations

import dataclasses
import math
import re
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from rnn_core.arrays import Array
from rnn_core.config import ModelConfig, SamplingSettings, TrainingSettings, check_together
from rnn_core.data import Batch, PreparedCorpus, batches, stream_batches
from rnn_core.diagnostics import horizon, recurrent_spectrum
from rnn_core.errors import CheckpointError, CorpusError
from rnn_core.nn.cells import make_cell
from rnn_core.nn.language_model import LanguageModel, parameter_shapes
from rnn_core.optim.clipping import clip_by_global_norm, clip_by_value, global_norm
from rnn_core.optim.optimizers import OPTIMIZERS, Optimizer, make_optimizer
from rnn_core.optim.schedules import Constant, make_schedule
from rnn_core.parallel.data_parallel import DataParallel
from rnn_core.randomness import stream
from rnn_core.training.evaluation import evaluate_in_parts, perplexity
from rnn_core.training.sampling import generate, sentences_of

# An epoch of fewer steps than twice this is validated at its end only; a longer one up to four times.
STEPS_BETWEEN_VALIDATIONS = 1000

# The probe for the horizon: so many sentences, no longer than so many steps.
PROBE_SENTENCES = 8
PROBE_STEPS = 40
# Pictures may cost so much of the training's time.
HORIZON_SHARE = 0.04
SAMPLING_SHARE = 0.04


# --- events ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Event:
    """Something that happened after `step` training steps."""

    step: int

    kind: ClassVar[str]
    """The class's name in small letters: StepDone is "step_done"."""

    def __init_subclass__(cls) -> None:
        cls.kind = re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()

    def to_json(self) -> dict[str, Any]:
        """The fields; numbers that JSON has no word for (inf, nan) become null."""
        return {"kind": self.kind, **_without_infinities(dataclasses.asdict(self))}


@dataclass(frozen=True)
class Started(Event):
    """The first event: how long the way is."""

    total_steps: int
    steps_per_epoch: int
    parameters: int


@dataclass(frozen=True)
class StepDone(Event):
    """One update. tokens: predicted ones in this batch; epoch: completed ones, so 0 during the first."""

    epoch: int
    tokens: int
    loss_nats: float  # mean over the tokens, before the update
    gradient_norm: float  # of all parameters together, before clipping
    clipped_norm: float  # and after
    learning_rate: float
    tokens_per_second: float  # over about the last second
    elapsed_seconds: float  # of training, validating and measuring, since the run began


@dataclass(frozen=True)
class Validating(Event):
    """A validation is going on; it may be left at any time, and is then done anew."""

    fraction: float


@dataclass(frozen=True)
class Validated(Event):
    epoch: int
    loss_nats: float
    perplexity: float


@dataclass(frozen=True)
class EpochDone(Event):
    epoch: int  # completed epochs, this one included
    loss_nats: float  # mean over the epoch's tokens, each before the update it caused
    elapsed_seconds: float


@dataclass(frozen=True)
class LearningRateChanged(Event):
    old: float
    new: float
    why: str


@dataclass(frozen=True)
class Sampled(Event):
    text: str
    temperature: float


@dataclass(frozen=True)
class HorizonMeasured(Event):
    """||delta_{t,t-j}|| / ||delta_{t,t}|| over lag j = 0, 1, ... for a probe batch that is always the same."""

    median: tuple[float, ...]
    low: tuple[float, ...]  # 10 % of the losses lie below
    high: tuple[float, ...]  # 90 % of the losses lie below
    half_life: float | None  # in steps; None: longer than the probe
    radii: tuple[float, ...] = ()  # spectral radius of each block of W, in the order of `recurrent_spectrum`
    norms: tuple[float, ...] = ()  # and its norm ||.||_2

    @classmethod
    def from_json(cls, event: Mapping[str, Any]) -> HorizonMeasured:
        """The event as `Run.events` gives it; null, which stands for what is not finite, becomes nan."""

        def numbers(name: str) -> tuple[float, ...]:
            return tuple(math.nan if value is None else float(value) for value in event.get(name, ()))

        median, low, high, radii, norms = map(numbers, ("median", "low", "high", "radii", "norms"))
        return cls(int(event["step"]), median, low, high, event.get("half_life"), radii, norms)


@dataclass(frozen=True)
class Diverged(Event):
    """The loss or the gradient after step `step` is not finite; no update was made from it; the training is over."""

    cause: str
    loss_nats: float
    gradient_norm: float


@dataclass(frozen=True)
class Finished(Event):
    epoch: int
    train_loss_nats: float | None
    valid_loss_nats: float | None
    elapsed_seconds: float


def _without_infinities(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_infinities(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_infinities(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


# --- the state -------------------------------------------------------------------------------------------------------


@dataclass
class TrainingState:
    """Everything, besides the weights, that the rest of a training depends on. Its owner is `train`; others store it.

    `carried` is the stream's state at the edge of the last chunk, (B, S) for each layer; empty for batches of
    sentences.
    """

    optimizer: Optimizer
    schedule: Constant
    carried: list[Array] = field(default_factory=list)
    step: int = 0
    epoch: int = 0  # completed
    position: int = 0  # batches done in the current epoch
    epoch_loss_nats: float = 0.0  # sum over the tokens of the current epoch
    epoch_tokens: int = 0
    last_epoch_loss_nats: float | None = None  # mean
    validated_step: int = -1  # the step that has been validated
    valid_loss_nats: float | None = None
    unheard_loss_nats: float | None = None  # validated, but the schedule has yet to hear of it
    elapsed_seconds: float = 0.0

    COUNTERS: ClassVar[dict[str, tuple[type, ...]]] = {
        "step": (int,),
        "epoch": (int,),
        "position": (int,),
        "epoch_loss_nats": (float,),
        "epoch_tokens": (int,),
        "last_epoch_loss_nats": (float, type(None)),
        "validated_step": (int,),
        "valid_loss_nats": (float, type(None)),
        "unheard_loss_nats": (float, type(None)),
        "elapsed_seconds": (float,),
    }

    @classmethod
    def fresh(cls, model: LanguageModel, settings: TrainingSettings, plan: Plan) -> TrainingState:
        """The state before the first step."""
        optimizer = make_optimizer(settings.optimizer, model.params, settings.weight_decay)
        schedule = make_schedule(
            settings.schedule, settings.initial_learning_rate, plan.total_steps, settings.warmup_steps
        )
        carried = model.initial_state(plan.columns) if plan.columns else []
        return cls(optimizer, schedule, carried)

    @property
    def learning_rate(self) -> float:
        """Of the next step."""
        return self.schedule.learning_rate(self.step)

    def set_learning_rate(self, rate: float, why: str) -> LearningRateChanged:
        """Turn the dial by hand, between two events. A schedule goes on from there: a cosine is scaled as a whole."""
        old, rate = self.learning_rate, float(rate)
        self.schedule.rate = rate if old in (0.0, self.schedule.rate) else self.schedule.rate * (rate / old)
        return LearningRateChanged(self.step, old, self.learning_rate, why)

    @property
    def train_loss_nats(self) -> float | None:
        """Mean over the current epoch so far, or, between two epochs, over the last."""
        return self.epoch_loss_nats / self.epoch_tokens if self.epoch_tokens else self.last_epoch_loss_nats

    def arrays(self) -> dict[str, Array]:
        """The arrays a checkpoint needs besides the weights; see `array_shapes`."""
        optimizer = {f"optimizer/{name}": value for name, value in self.optimizer.state.items()}
        return optimizer | {f"carried/{layer}": value for layer, value in enumerate(self.carried)}

    def to_json(self) -> dict[str, Any]:
        """The counters."""
        return {name: getattr(self, name) for name in self.COUNTERS} | {"schedule": self.schedule.state}

    def load(self, arrays: Mapping[str, Array], counters: dict[str, Any], plan: Plan) -> None:
        """Take over what `arrays` and `to_json` gave. Raises CheckpointError where the counters make no sense."""
        for name, kinds in self.COUNTERS.items():
            value = counters.get(name, getattr(self, name))
            sensible = type(value) in kinds and (value is None or (math.isfinite(value) and value >= -1))
            if not sensible:
                raise CheckpointError(f"the checkpoint's counter {name!r} makes no sense.")
            setattr(self, name, value)
        if self.step != self.epoch * plan.steps_per_epoch + self.position or self.position > plan.steps_per_epoch:
            raise CheckpointError("the checkpoint's position in the corpus makes no sense.")
        schedule = counters.get("schedule")
        expected = self.schedule.state
        if (
            not isinstance(schedule, dict)
            or schedule.keys() != expected.keys()
            or not all(value is None or (type(value) is float and math.isfinite(value)) for value in schedule.values())
            or schedule["rate"] is None
        ):
            raise CheckpointError("the checkpoint's learning-rate schedule makes no sense.")
        self.schedule.state = schedule
        prefix = "optimizer/"
        self.optimizer.load_state(
            {name.removeprefix(prefix): value for name, value in arrays.items() if name.startswith(prefix)}
        )
        self.carried = [arrays[f"carried/{layer}"].copy() for layer in range(len(self.carried))]


# --- the way from the first step to the last -------------------------------------------------------------------------


@dataclass(frozen=True)
class Plan:
    """How many steps, and when to look: a function of the settings and the size of the corpus alone.

    columns: B of the stream's carried state, 0 for batches of sentences.
    """

    steps_per_epoch: int
    total_steps: int
    validate_every: int
    columns: int

    @classmethod
    def of(cls, settings: TrainingSettings, sentences: int, tokens: int) -> Plan:
        """For a corpus of so many training sentences with so many predicted tokens. Raises CorpusError for none."""
        if not sentences or not tokens:
            raise CorpusError("the corpus has no sentence to train on; give a longer text.")
        columns = 0
        if settings.batching == "stream":
            columns = min(settings.batch_size, tokens)
            steps_per_epoch = math.ceil(math.ceil(tokens / columns) / settings.sequence_length)
        else:
            steps_per_epoch = math.ceil(sentences / settings.batch_size)
        total_steps = settings.steps
        if total_steps is None:
            assert settings.epochs is not None  # `validate` has seen to it
            total_steps = settings.epochs * steps_per_epoch
        chosen = max(STEPS_BETWEEN_VALIDATIONS, math.ceil(steps_per_epoch / 4))
        return cls(steps_per_epoch, total_steps, settings.validate_every or chosen, columns)

    @classmethod
    def for_corpus(cls, settings: TrainingSettings, corpus: PreparedCorpus) -> Plan:
        return cls.of(settings, len(corpus.train), sum(map(len, corpus.train)) - len(corpus.train))

    def validation_due(self, state: TrainingState) -> bool:
        if state.validated_step == state.step:
            return False
        return state.step in (0, self.total_steps) or self.validates_after(state.position)

    def validates_after(self, position: int) -> bool:
        """Whether a validation follows so many batches of an epoch, wherever the training ends."""
        # Close to the end of an epoch a validation would say what the one at the end says.
        inside = position % self.validate_every == 0 and 2 * (self.steps_per_epoch - position) >= self.validate_every
        return position == self.steps_per_epoch or inside


def goes_on_exactly(settings: TrainingSettings, plan: Plan) -> bool:
    """Whether a training that is over and gets a later end becomes, bit for bit, the one that had that end at first."""
    if settings.schedule == "halve":
        # It hears of the validation at the end, which the longer training may not have come by.
        position = plan.total_steps % plan.steps_per_epoch
        return position == 0 or plan.validates_after(position)
    return settings.schedule == "constant"  # A cosine is as long as the training.


def state_arrays(
    model: ModelConfig, settings: TrainingSettings, plan: Plan
) -> dict[str, tuple[type[np.generic], tuple[int, ...]]]:
    """Type and shape of every array in `TrainingState.arrays()`, from the settings alone and without making one."""
    shapes = parameter_shapes(model)
    arrays: dict[str, tuple[type[np.generic], tuple[int, ...]]] = {"optimizer/updates": (np.int64, ())}
    for moment in OPTIMIZERS[settings.optimizer].moments:
        arrays |= {f"optimizer/{moment}/{name}": (np.float32, shape) for name, shape in shapes.items()}
    if plan.columns:
        width = model.hidden_size * make_cell(model.cell, model.gru_reset).state_blocks
        arrays |= {f"carried/{layer}": (np.float32, (plan.columns, width)) for layer in range(model.layers)}
    return arrays


def epoch_batches(corpus: PreparedCorpus, settings: TrainingSettings, epoch: int) -> list[Batch]:
    """The batches of an epoch (from 0) in the order in which they are trained on; always the same for the same seed."""
    rng = stream(settings.seed, "shuffle", epoch)
    if settings.batching == "stream":
        return stream_batches(corpus.train, settings.batch_size, settings.sequence_length, rng)
    return batches(corpus.train, settings.batch_size, rng)


def batch_of_step(corpus: PreparedCorpus, settings: TrainingSettings, step: int) -> Batch:
    """The batch that step number `step` (from 1, as in the metrics) trains on: which sentences caused that spike?"""
    epoch, position = divmod(step - 1, Plan.for_corpus(settings, corpus).steps_per_epoch)
    return epoch_batches(corpus, settings, epoch)[position]


def new_model(config: ModelConfig, settings: TrainingSettings) -> LanguageModel:
    """A fresh network, float32, from the stream "init" of the settings' seed."""
    return LanguageModel(config, rng=stream(settings.seed, "init"), dtype=np.float32)


# --- the loop --------------------------------------------------------------------------------------------------------


def train(
    model: LanguageModel,
    corpus: PreparedCorpus,
    settings: TrainingSettings,
    state: TrainingState | None = None,
) -> Iterator[Event]:
    """Train `model` in place, from `state` (default: from the start), until the settings' last step.

    Events: Started; StepDone for each step; Validating and Validated before the first step, inside long epochs, and at
    the end of each; EpochDone; LearningRateChanged; Sampled and HorizonMeasured by the clock; at the end Finished or
    Diverged. Raises SettingsError and CorpusError before the first event.
    """
    check_together(model.config, settings)
    plan = Plan.for_corpus(settings, corpus)
    if state is None:
        state = TrainingState.fresh(model, settings, plan)
    return _Trainer(model, corpus, settings, plan, state).events()


class _Trainer:
    def __init__(
        self,
        model: LanguageModel,
        corpus: PreparedCorpus,
        settings: TrainingSettings,
        plan: Plan,
        state: TrainingState,
    ) -> None:
        self.model, self.corpus, self.settings, self.plan, self.state = model, corpus, settings, plan, state
        self.data_parallel = DataParallel(model)
        self.batches: tuple[int, list[Batch]] = (-1, [])  # of which epoch
        self.speed = _Speed()
        self.norms: list[float] = []  # the last few gradient norms, to tell why a training diverged

    def events(self) -> Iterator[Event]:
        with self.data_parallel:
            yield from self.until_the_end()

    def until_the_end(self) -> Iterator[Event]:
        state, plan, settings = self.state, self.plan, self.settings
        yield Started(state.step, plan.total_steps, plan.steps_per_epoch, self.model.parameter_count)
        pictures = [
            _Picture(self.sample, settings.sample_every_seconds, SAMPLING_SHARE),
            _Picture(self.measure_horizon, settings.horizon_every_seconds, HORIZON_SHARE),
        ]
        while True:
            if plan.validation_due(state):
                diverged: Diverged | None = yield from self.validate()
                if diverged is not None:
                    yield diverged
                    return
            if state.unheard_loss_nats is not None:
                changed = self.tell_schedule(state.unheard_loss_nats)
                if changed is not None:
                    yield changed
            if state.position == plan.steps_per_epoch:
                yield self.close_epoch()
            if state.step >= plan.total_steps:
                diverged = self.check_last_update()
                if diverged is not None:
                    yield diverged
                    return
                for picture in pictures:  # of the weights that stay, however long ago the last ones were
                    if picture.wanted:
                        yield self.timed(picture.take)
                yield Finished(
                    state.step,
                    state.epoch,
                    state.train_loss_nats,
                    state.valid_loss_nats,
                    state.elapsed_seconds,
                )
                return
            for picture in pictures:
                if picture.due():
                    yield self.timed(picture.take)
            event = self.timed(self.step)
            yield event
            if isinstance(event, Diverged):
                return

    def timed(self, work: Callable[[], Event]) -> Event:
        started = time.perf_counter()
        event = work()
        self.state.elapsed_seconds += time.perf_counter() - started
        return event

    def step(self) -> Event:
        """One update. The state changes only once the gradient is known to be finite."""
        model, settings, state = self.model, self.settings, self.state
        started = time.perf_counter()
        if self.batches[0] != state.epoch:
            self.batches = (state.epoch, epoch_batches(self.corpus, settings, state.epoch))
        batch = self.batches[1][state.position]
        tokens = int(np.count_nonzero(batch.mask))
        dropout_rng = stream(settings.seed, "dropout", state.step) if model.config.dropout else None
        learning_rate = state.learning_rate
        # An overflow is no accident here but what the next lines look for.
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            loss_nats, gradients, carried = self.data_parallel.training_gradients(
                batch.inputs,
                batch.targets,
                batch.mask,
                settings.truncate,
                state=state.carried or None,
                dropout_rng=dropout_rng,
                omega=settings.omega,
            )
            if settings.clip is not None and settings.clip_mode == "norm":
                norm, factor = clip_by_global_norm(gradients, settings.clip)
                clipped_norm = norm * factor
            else:
                norm, factor = global_norm(gradients), 1.0
                clipped_norm = norm
                if settings.clip is not None and math.isfinite(norm):
                    gradients = clip_by_value(gradients, settings.clip)
                    clipped_norm = global_norm(gradients)
            if not (math.isfinite(loss_nats) and math.isfinite(norm)):
                return Diverged(state.step, self.why_diverged(loss_nats, learning_rate), loss_nats, norm)
            if tokens:  # Without a token there is no loss, and an optimizer's moments must not fade for it.
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
            self.speed.after(tokens, seconds),
            state.elapsed_seconds + seconds,
        )

    def validate(self) -> Generator[Event, None, Diverged | None]:
        """The loss on the validation sentences. Nothing is remembered before the whole of it is known."""
        state = self.state
        tokens = sum(map(len, self.corpus.valid)) - len(self.corpus.valid)
        loss_nats = None
        parts = evaluate_in_parts(self.model, self.corpus.valid)
        while True:
            started = time.perf_counter()
            with np.errstate(over="ignore", invalid="ignore"):
                result = next(parts, None)
            state.elapsed_seconds += time.perf_counter() - started
            if result is None:
                break
            loss_nats = result.loss_nats
            yield Validating(state.step, result.tokens / tokens)
        if loss_nats is not None and not math.isfinite(loss_nats):
            cause = self.why_diverged(loss_nats, state.learning_rate)
            return Diverged(state.step, cause, loss_nats, math.nan)
        state.validated_step = state.step
        if loss_nats is not None:
            state.valid_loss_nats = state.unheard_loss_nats = loss_nats
            yield Validated(state.step, state.epoch, loss_nats, perplexity(loss_nats))
        return None

    def tell_schedule(self, loss_nats: float) -> LearningRateChanged | None:
        state = self.state
        old = state.learning_rate
        changed = state.schedule.validated(loss_nats)
        state.unheard_loss_nats = None
        if not changed:
            return None
        return LearningRateChanged(state.step, old, state.learning_rate, "the validation loss rose")

    def close_epoch(self) -> EpochDone:
        state = self.state
        loss_nats = state.epoch_loss_nats / max(state.epoch_tokens, 1)
        state.epoch += 1
        state.last_epoch_loss_nats = loss_nats
        state.position, state.epoch_loss_nats, state.epoch_tokens = 0, 0.0, 0
        # The next epoch reads the text in another order: nothing that came before belongs to it.
        state.carried = [np.zeros_like(layer) for layer in state.carried]
        return EpochDone(state.step, state.epoch, loss_nats, state.elapsed_seconds)

    def sample(self) -> Event:
        """A sentence at temperature 1, from a stream of random numbers that belongs to this step's samples alone."""
        settings = SamplingSettings(max_tokens=120 if self.corpus.vocabulary.unit == "char" else 30)
        seed = int(stream(self.settings.seed, "sample", self.state.step).integers(2**62))
        with np.errstate(over="ignore", invalid="ignore"):
            tokens = list(generate(self.model, self.corpus.vocabulary, settings=settings, seed=seed))
        text = " ".join(sentences_of(tokens, self.corpus.vocabulary.unit))
        return Sampled(self.state.step, text, settings.temperature)

    def measure_horizon(self) -> Event:
        return measured_horizon(self.model, self.corpus, self.state.step)

    def check_last_update(self) -> Diverged | None:
        """No step comes after the last one, to find out what its update did."""
        if all(np.isfinite(value).all() for value in self.model.params.values()):
            return None
        cause = self.why_diverged(math.nan, self.state.learning_rate)
        return Diverged(self.state.step, cause, math.nan, math.nan)

    def why_diverged(self, loss_nats: float, learning_rate: float) -> str:
        """One sentence: what is not finite, and what most likely brought it about."""
        what = "the gradient" if math.isfinite(loss_nats) else "the loss"
        broken = [name for name, value in self.model.params.items() if not np.isfinite(value).all()]
        if broken:
            what += f" is not finite because the update before drove {broken[0]} beyond what a float32 holds"
            cure = f"the learning rate of {learning_rate:g} is far too high; lower it"
        else:
            largest = max((float(np.abs(value).max()) for value in self.model.params.values()), default=0.0)
            what += f" is not finite, with weights up to {largest:.3g}"
            if self.settings.clip is None:
                cure = "the gradient exploded; switch clipping on (5 is usual), or lower the learning rate"
            else:
                cure = f"lower the learning rate of {learning_rate:g}, or clip more tightly than {self.settings.clip:g}"
        if self.norms:
            what += (
                f"; the gradient norms of the last steps were {', '.join(f'{norm:.3g}' for norm in self.norms[-3:])}"
            )
        return f"{what}. Most likely {cure}."


def probe_batch(corpus: PreparedCorpus) -> Batch:
    """The sentences on which the horizon is measured: always the same, the longest that are not too long."""
    sentences = [sentence[: PROBE_STEPS + 1] for sentence in (corpus.valid or corpus.train)]
    longest = sorted(range(len(sentences)), key=lambda index: (-len(sentences[index]), index))[:PROBE_SENTENCES]
    return batches([sentences[index] for index in longest], PROBE_SENTENCES, None)[0]


def measured_horizon(model: LanguageModel, corpus: PreparedCorpus, step: int) -> HorizonMeasured:
    """The horizon of these weights, which are of step `step`, on the probe batch of the corpus."""
    if not all(np.isfinite(value).all() for value in model.params.values()):
        return HorizonMeasured(step, (), (), (), None)  # the next step is about to say why
    batch = probe_batch(corpus)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        reach = horizon(model, batch.inputs, batch.targets, batch.mask, bounds=False)
        measured = np.isfinite(reach.median)
        blocks = recurrent_spectrum(model)
    return HorizonMeasured(
        step,
        _short(reach.median[measured]),
        _short(reach.low[measured]),
        _short(reach.high[measured]),
        reach.half_life,
        _short(block.radius for block in blocks),
        _short(block.norm for block in blocks),
    )


def _short(curve: Iterable[float]) -> tuple[float, ...]:
    """Four digits are more than a chart can show."""
    return tuple(float(f"{value:.4g}") for value in curve)


class _Speed:
    """Tokens per second over about the last second: sums that fade by half in that time."""

    def __init__(self) -> None:
        self.tokens = self.seconds = 0.0

    def after(self, tokens: int, seconds: float) -> float:
        fade = 0.5**seconds
        self.tokens = self.tokens * fade + tokens
        self.seconds = self.seconds * fade + seconds
        return self.tokens / max(self.seconds, 1e-9)


class _Picture:
    """Something that is shown now and then, and may take no more than its `share` of the time."""

    def __init__(self, make: Callable[[], Event], every_seconds: float | None, share: float) -> None:
        self.make, self.every_seconds, self.share = make, every_seconds, share
        self.next_time = time.perf_counter()

    @property
    def wanted(self) -> bool:
        return self.every_seconds is not None

    def due(self) -> bool:
        return self.wanted and time.perf_counter() >= self.next_time

    def take(self) -> Event:
        started = time.perf_counter()
        event = self.make()
        ended = time.perf_counter()
        assert self.every_seconds is not None
        self.next_time = ended + max(self.every_seconds, (ended - started) / self.share)
        return event
