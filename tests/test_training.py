"""The loop: laws of learning, of stopping anywhere, and of pictures that change nothing."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_runs import tiny_corpus

from rnn_core.config import CELLS, ModelConfig, TextSettings, TrainingSettings, check
from rnn_core.config.presets import PRESETS
from rnn_core.data import Batch, PreparedCorpus, prepare_sentences
from rnn_core.errors import CorpusError, SettingsError
from rnn_core.nn.language_model import LanguageModel
from rnn_core.reference.tutorial import bptt
from rnn_core.training import (
    Diverged,
    EpochDone,
    Event,
    Finished,
    HorizonMeasured,
    LearningRateChanged,
    Plan,
    Sampled,
    Started,
    StepDone,
    TrainingState,
    Validated,
    Validating,
    batch_of_step,
    epoch_batches,
    evaluate,
    goes_on_exactly,
    new_model,
    state_arrays,
    train,
)

CORPUS = tiny_corpus()
QUIET = {"sample_every_seconds": None, "horizon_every_seconds": None, "batch_size": 8, "epochs": 2}
BY_THE_CLOCK = {"elapsed_seconds", "tokens_per_second"}


def quiet(**values: Any) -> TrainingSettings:
    return TrainingSettings(**{**QUIET, **values})


def config(corpus: PreparedCorpus = CORPUS, **values: Any) -> ModelConfig:
    return ModelConfig(**{"cell": "lstm", "hidden_size": 8, "vocabulary_size": len(corpus.vocabulary), **values})


def record(event: Event) -> dict[str, Any]:
    return {key: value for key, value in event.to_json().items() if key not in BY_THE_CLOCK}


def trained(
    training: TrainingSettings, corpus: PreparedCorpus = CORPUS, **model: Any
) -> tuple[LanguageModel, list[Event]]:
    network = new_model(config(corpus, **model), training)
    return network, list(train(network, corpus, training))


def same_weights(one: LanguageModel, other: LanguageModel) -> bool:
    return all(np.array_equal(one.params[name], other.params[name]) for name in one.params)


# --- learning ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cell", CELLS)
def test_an_untrained_network_is_as_good_as_knowing_nothing(cell: str) -> None:
    rng = np.random.default_rng(0)
    sentences = [[f"word{number}" for number in rng.integers(1000, size=8)] for _ in range(300)]
    corpus = prepare_sentences(sentences, "random words", TextSettings())
    _, events = trained(quiet(steps=1), corpus, cell=cell, hidden_size=32)
    first = next(event for event in events if isinstance(event, Validated))
    assert first.step == 0
    assert first.loss_nats == pytest.approx(math.log(len(corpus.vocabulary)), rel=0.02)


@pytest.mark.parametrize("cell", ["tanh", "lstm", "gru", "mingru"])
@pytest.mark.slow
def test_twenty_sentences_are_learnt_by_heart(cell: str) -> None:
    rng = np.random.default_rng(0)
    letters = [chr(97 + number) for number in range(26)]
    sentences = [[letters[index], *rng.choice(letters, 6)] for index in range(20)]
    corpus = prepare_sentences(sentences, "letters", TextSettings(validation_fraction=0.05))
    training = quiet(epochs=300, batch_size=19, learning_rate=0.02, schedule="constant")
    network, _ = trained(training, corpus, cell=cell, hidden_size=48)
    # The first letter is one of 19 and cannot be known; each of the 7 predictions after it can.
    unavoidable = math.log(len(corpus.train)) / 8
    assert evaluate(network, corpus.train).loss_nats == pytest.approx(unavoidable, abs=0.05)


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "nesterov", "rmsprop", "adam", "adamw"])
def test_every_optimizer_lowers_the_loss(optimizer: str) -> None:
    decay = {"weight_decay": 0.01} if optimizer == "adamw" else {}
    _, events = trained(quiet(epochs=6, optimizer=optimizer, **decay))
    losses = [event.loss_nats for event in events if isinstance(event, EpochDone)]
    assert losses[-1] < losses[0] - 0.05


@pytest.mark.parametrize("batching", ["sentences", "stream"])
def test_a_training_loss_is_what_the_batch_costs_before_the_update(batching: str) -> None:
    training = quiet(steps=1, batching=batching, sequence_length=5)
    network = new_model(config(), training)
    batch = batch_of_step(CORPUS, training, 1)
    expected = network.loss(batch.inputs, batch.targets, batch.mask)
    step = next(event for event in train(network, CORPUS, training) if isinstance(event, StepDone))
    assert step.loss_nats == pytest.approx(expected, rel=1e-6)
    assert step.tokens == batch.mask.sum()


def test_an_epoch_trains_on_every_token_once_and_reports_their_mean_loss() -> None:
    _, events = trained(quiet(epochs=2))
    tokens = sum(map(len, CORPUS.train)) - len(CORPUS.train)
    for epoch, done in enumerate(event for event in events if isinstance(event, EpochDone)):
        steps = [event for event in events if isinstance(event, StepDone) and event.epoch == epoch]
        assert sum(step.tokens for step in steps) == tokens
        mean = sum(step.loss_nats * step.tokens for step in steps) / tokens
        assert done.loss_nats == pytest.approx(mean)


def test_clipping_by_norm_bounds_the_norm_and_by_value_each_number() -> None:
    limit = 0.01
    _, by_norm = trained(quiet(steps=3, clip=limit))
    _, by_value = trained(quiet(steps=3, clip=limit, clip_mode="value"))
    _, off = trained(quiet(steps=3, clip=None))
    for event in by_norm:
        if isinstance(event, StepDone):
            assert event.gradient_norm > limit
            assert event.clipped_norm == pytest.approx(limit, rel=1e-3)
    values = [event for event in by_value if isinstance(event, StepDone)]
    assert all(limit < event.clipped_norm < event.gradient_norm for event in values)
    assert all(event.clipped_norm == event.gradient_norm for event in off if isinstance(event, StepDone))


def test_the_tutorials_preset_takes_the_steps_of_the_tutorials_own_code() -> None:
    """Its loops over one sentence after the other in the text's order, in float64, give the same weights."""
    preset = PRESETS["tutorial"]
    training = dataclasses.replace(preset.training, sample_every_seconds=None, horizon_every_seconds=None, epochs=1)
    network = new_model(dataclasses.replace(preset.model, vocabulary_size=len(CORPUS.vocabulary)), training)
    U, V, W = (network.params[name].astype(np.float64) for name in "UVW")
    U = U.T.copy()
    for sentence in CORPUS.train:
        step = bptt(sentence[:-1], sentence[1:], U, V, W, bptt_truncate=4)
        U, V, W = U - 0.005 * step.dU, V - 0.005 * step.dV, W - 0.005 * step.dW
    list(train(network, CORPUS, training))
    for name, value in {"U": U.T, "V": V, "W": W}.items():
        np.testing.assert_allclose(network.params[name], value, rtol=0, atol=1e-5, err_msg=name)


def test_the_gradient_of_the_summed_loss_is_that_of_the_mean_times_the_tokens_and_clipped_as_such() -> None:
    steps = {
        (reduction, clip): [
            event for event in trained(quiet(steps=2, clip=clip, **how))[1] if event.kind == "step_done"
        ]
        for reduction in ("mean", "sum")
        for clip in (None, 0.5)
        for how in [{"loss_reduction": reduction, "optimizer": "sgd", "learning_rate": 1e-9}]
    }
    for mean, summed in zip(steps["mean", None], steps["sum", None], strict=True):
        assert isinstance(mean, StepDone)
        assert isinstance(summed, StepDone)
        assert summed.loss_nats == pytest.approx(mean.loss_nats)
        assert summed.gradient_norm == pytest.approx(mean.gradient_norm * mean.tokens, rel=1e-4)
        assert summed.clipped_norm == summed.gradient_norm
    for summed in steps["sum", 0.5]:
        assert isinstance(summed, StepDone)
        assert summed.clipped_norm == pytest.approx(0.5, rel=1e-3)


def test_no_number_of_a_summed_gradient_that_is_clipped_by_value_is_beyond_the_limit() -> None:
    training = quiet(
        steps=1,
        loss_reduction="sum",
        optimizer="sgd",
        learning_rate=1.0,
        schedule="constant",
        clip=0.1,
        clip_mode="value",
    )
    before = new_model(config(), training)
    after, _ = trained(training)
    steps = np.concatenate([np.ravel(after.params[name] - before.params[name]) for name in after.params])
    assert np.abs(steps).max() == pytest.approx(0.1, rel=1e-4)


@pytest.mark.parametrize("batching", ["sentences", "stream"])
def test_without_shuffling_each_epoch_reads_the_text_in_its_order(batching: str) -> None:
    training = quiet(batching=batching, shuffle=False, batch_size=1, sequence_length=7)
    text = np.concatenate([sentence[1:] for sentence in CORPUS.train])
    for epoch in (0, 1):
        read = [batch.targets[batch.mask] for batch in epoch_batches(CORPUS, training, epoch)]
        np.testing.assert_array_equal(np.concatenate(read), text)


def test_omega_changes_the_training_of_w_and_not_the_reported_loss_of_a_step() -> None:
    plain, events = trained(quiet(steps=1), cell="tanh")
    asked, with_omega = trained(quiet(steps=1, omega=1.0), cell="tanh")
    losses = [[event.loss_nats for event in run if isinstance(event, StepDone)] for run in (events, with_omega)]
    assert losses[0] == losses[1]
    assert not np.array_equal(plain.params["W"], asked.params["W"])


# --- the learning rate ------------------------------------------------------------------------------------------------


def test_the_tutorials_rule_halves_the_rate_when_the_validation_loss_rises() -> None:
    # So high a rate makes the validation loss rise sooner or later.
    _, events = trained(quiet(epochs=12, optimizer="sgd", learning_rate=8.0, schedule="halve"))
    last, halvings = math.inf, 0
    for event, following in zip(events, events[1:], strict=False):
        if not isinstance(event, Validated):
            continue
        rose, last = event.loss_nats > last, event.loss_nats
        assert isinstance(following, LearningRateChanged) == rose
        if isinstance(following, LearningRateChanged):
            assert following.new == following.old / 2
            halvings += 1
    assert halvings >= 1


def test_the_rate_of_a_step_is_what_the_schedule_says() -> None:
    _, events = trained(quiet(steps=10, schedule="cosine", warmup_steps=4, learning_rate=0.01))
    rates = [event.learning_rate for event in events if isinstance(event, StepDone)]
    assert rates[:4] == pytest.approx([0.0025, 0.005, 0.0075, 0.01])
    assert rates[4:] == sorted(rates[4:], reverse=True)


@pytest.mark.parametrize("schedule", ["constant", "halve", "cosine"])
def test_a_rate_set_by_hand_is_the_rate_of_the_next_step(schedule: str) -> None:
    training = quiet(steps=6, schedule=schedule, learning_rate=0.01)
    network = new_model(config(), training)
    state = TrainingState.fresh(network, training, Plan.for_corpus(training, CORPUS))
    rates = []
    for event in train(network, CORPUS, training, state):
        if isinstance(event, StepDone):
            rates.append(event.learning_rate)
            if event.step == 3:
                changed = state.change("learning_rate", 0.5, "test")
                assert (changed.old, changed.new) == (pytest.approx(state_rate(rates, schedule)), pytest.approx(0.5))
    assert rates[3] == pytest.approx(0.5)


def state_rate(rates: list[float], schedule: str) -> float:
    """The rate that step 4 would have had."""
    return rates[-1] if schedule != "cosine" else 0.01 * (1 + math.cos(math.pi * 3 / 6)) / 2


# --- the same again ---------------------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_bits() -> None:
    one, events_of_one = trained(quiet(seed=3), dropout=0.2)
    other, events_of_other = trained(quiet(seed=3), dropout=0.2)
    assert same_weights(one, other)
    assert [record(event) for event in events_of_one] == [record(event) for event in events_of_other]
    assert not same_weights(one, trained(quiet(seed=4), dropout=0.2)[0])


def test_samples_and_horizons_never_change_the_training() -> None:
    without, _ = trained(quiet(epochs=3), dropout=0.2)
    pictures = quiet(epochs=3, sample_every_seconds=0.0, horizon_every_seconds=0.0)
    network, events = trained(pictures, dropout=0.2)
    assert any(isinstance(event, Sampled) and event.text for event in events)
    assert any(isinstance(event, HorizonMeasured) for event in events)
    assert same_weights(network, without)


def test_pictures_take_a_small_share_of_the_time() -> None:
    _, events = trained(quiet(epochs=40, sample_every_seconds=0.0, horizon_every_seconds=0.0))
    done = events[-1]
    assert isinstance(done, Finished)
    pictures = sum(isinstance(event, (Sampled, HorizonMeasured)) for event in events)
    steps = sum(isinstance(event, StepDone) for event in events)
    assert pictures < steps / 4


SHAPES = st.fixed_dictionaries(
    {
        "batching": st.sampled_from(["sentences", "stream"]),
        "schedule": st.sampled_from(["constant", "halve", "cosine"]),
        "optimizer": st.sampled_from(["sgd", "momentum", "rmsprop", "adam"]),
        "truncate": st.sampled_from([None, 2]),
        "validate_every": st.sampled_from([None, 2, 3]),
        "learning_rate": st.sampled_from([0.01, 1.0]),
    }
)


@settings(max_examples=25, deadline=None)
@given(shape=SHAPES, cell=st.sampled_from(["tanh", "lstm", "gru", "mingru"]), layers=st.integers(1, 2), data=st.data())
def test_a_training_can_be_stored_and_resumed_between_any_two_events(
    shape: dict[str, Any], cell: str, layers: int, data: st.DataObject
) -> None:
    training = quiet(epochs=2, batch_size=16, sequence_length=7, **shape)
    model = config(cell=cell, layers=layers, dropout=0.1)
    plan = Plan.for_corpus(training, CORPUS)
    left_alone, events = trained(training, cell=cell, layers=layers, dropout=0.1)
    stop = data.draw(st.integers(1, len(events) - 1))

    network = new_model(model, training)
    state = TrainingState.fresh(network, training, plan)
    stream = train(network, CORPUS, training, state)
    before = [next(stream) for _ in range(stop)]
    arrays = {name: value.copy() for name, value in state.arrays().items()}
    assert {name: (value.dtype, value.shape) for name, value in arrays.items()} == {
        name: (np.dtype(kind), shape) for name, (kind, shape) in state_arrays(model, training, plan).items()
    }
    counters = json.loads(json.dumps(state.to_json()))
    weights = {name: value.copy() for name, value in network.params.items()}
    list(stream)  # The first process may go on for a while before it is killed: what was stored is not touched.

    again = LanguageModel(model, params=weights)
    resumed = TrainingState.fresh(again, training, plan)
    resumed.load(arrays, counters, plan)
    after = list(train(again, CORPUS, training, resumed))
    assert same_weights(again, left_alone)
    told = [record(event) for event in before + after if not isinstance(event, (Started, Validating))]
    assert told == [record(event) for event in events if not isinstance(event, (Started, Validating))]


@settings(max_examples=25, deadline=None)
@given(shape=SHAPES, end=st.integers(1, 12), more=st.integers(1, 12))
def test_a_later_end_gives_the_bits_of_that_end_from_the_start_where_the_schedule_allows(
    shape: dict[str, Any], end: int, more: int
) -> None:
    short, long = (quiet(steps=steps, batch_size=16, sequence_length=7, **shape) for steps in (end, end + more))
    network = new_model(config(dropout=0.1), short)
    plan = Plan.for_corpus(short, CORPUS)
    state = TrainingState.fresh(network, short, plan)
    list(train(network, CORPUS, short, state))
    longer = TrainingState.fresh(network, long, Plan.for_corpus(long, CORPUS))
    longer.load(state.arrays(), state.to_json(), Plan.for_corpus(long, CORPUS))
    list(train(network, CORPUS, long, longer))
    at_once, _ = trained(long, dropout=0.1)
    if goes_on_exactly(short, plan):
        assert same_weights(network, at_once)
    else:
        assert short.schedule == "cosine" or not plan.validates_inside(end % plan.steps_per_epoch)


def test_a_later_end_bends_a_cosine_and_may_wake_the_rule_that_halves() -> None:
    for schedule, end, exact in (("constant", 5, True), ("halve", 8, True), ("halve", 5, False), ("cosine", 8, False)):
        training = quiet(schedule=schedule, steps=end, batch_size=7, learning_rate=1.0)
        plan = Plan.for_corpus(training, CORPUS)
        assert plan.steps_per_epoch == 8
        assert goes_on_exactly(training, plan) is exact


def test_the_last_pictures_are_of_the_weights_that_stay() -> None:
    _, events = trained(quiet(sample_every_seconds=1e6, horizon_every_seconds=1e6))
    end = events[-1]
    assert isinstance(end, Finished)
    for kind in (Sampled, HorizonMeasured):
        assert [event.step for event in events if isinstance(event, kind)] == [0, end.step]


# --- the way ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batching", ["sentences", "stream"])
@pytest.mark.parametrize("batch_size", [1, 7, 1000])
def test_the_plan_counts_the_steps_that_are_made(batching: str, batch_size: int) -> None:
    training = quiet(batching=batching, batch_size=batch_size, sequence_length=6)
    plan = Plan.for_corpus(training, CORPUS)
    assert plan.steps_per_epoch == len(epoch_batches(CORPUS, training, 0)) == len(epoch_batches(CORPUS, training, 1))
    assert plan.total_steps == 2 * plan.steps_per_epoch
    if batching == "stream":
        assert plan.columns == epoch_batches(CORPUS, training, 0)[0].inputs.shape[1]


def test_steps_win_over_epochs_and_the_end_is_validated() -> None:
    _, events = trained(quiet(epochs=2, steps=3))
    assert sum(isinstance(event, StepDone) for event in events) == 3
    validated = [event.step for event in events if isinstance(event, Validated)]
    assert validated == [0, 3]
    assert isinstance(events[0], Started)
    assert isinstance(events[-1], Finished)


def test_a_long_epoch_is_validated_on_the_way() -> None:
    _, events = trained(quiet(epochs=1, batch_size=2, validate_every=8))
    validated = [event.step for event in events if isinstance(event, Validated)]
    assert validated == [0, 8, 16, 27]  # 24 is so close to the end that it would say the same


def test_a_stream_carries_its_state_over_chunks_and_begins_each_epoch_anew() -> None:
    training = quiet(batching="stream", sequence_length=5, epochs=1, batch_size=4)
    network = new_model(config(), training)
    plan = Plan.for_corpus(training, CORPUS)
    state = TrainingState.fresh(network, training, plan)
    norms = []
    for event in train(network, CORPUS, training, state):
        if isinstance(event, (StepDone, EpochDone)):
            norms.append(float(np.abs(state.carried[0]).sum()))
    assert all(norm > 0 for norm in norms[:-1])
    assert norms[-1] == 0


def test_batch_of_step_is_the_batch_that_the_step_trained_on() -> None:
    training = quiet(epochs=3)
    _, events = trained(training)
    for event in events:
        if isinstance(event, StepDone):
            assert batch_of_step(CORPUS, training, event.step).mask.sum() == event.tokens


def test_a_corpus_without_validation_sentences_is_trained_without_validation() -> None:
    corpus = dataclasses.replace(CORPUS, valid=[])
    _, events = trained(quiet(epochs=1), corpus)
    assert not any(isinstance(event, Validated) for event in events)
    done = events[-1]
    assert isinstance(done, Finished)
    assert done.valid_loss_nats is None


def test_a_corpus_without_training_sentences_is_refused() -> None:
    with pytest.raises(CorpusError, match="begin a run on a text"):
        trained(quiet(), dataclasses.replace(CORPUS, train=[]))


def test_a_batch_without_a_token_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    ids = np.zeros((3, 2), np.int32)
    empty = Batch(ids, ids, np.zeros((3, 2), bool), np.arange(2))
    monkeypatch.setattr("rnn_core.training.source.epoch_batches", lambda *arguments: [empty] * 99)
    training = quiet(steps=2)
    network, events = trained(training)
    assert same_weights(network, new_model(config(), training))
    assert [event.tokens for event in events if isinstance(event, StepDone)] == [0, 0]


# --- when it goes wrong -----------------------------------------------------------------------------------------------


def test_an_explosion_stops_with_the_step_the_cause_and_finite_weights() -> None:
    training = quiet(epochs=50, optimizer="sgd", learning_rate=1e6, clip=None)
    network, events = trained(training, cell="relu", init="spectral", init_scale=3.0)
    last = events[-1]
    assert isinstance(last, Diverged)
    assert last.step == sum(isinstance(event, StepDone) for event in events)
    assert "switch clipping on" in last.cause or "far too high" in last.cause
    json.dumps(last.to_json(), allow_nan=False)


def test_an_update_that_would_be_made_from_a_broken_gradient_is_not_made(monkeypatch: pytest.MonkeyPatch) -> None:
    training = quiet(steps=5)
    real = LanguageModel.training_gradients
    calls = []

    def breaks(self: LanguageModel, *arguments: Any, **options: Any) -> Any:
        calls.append(1)
        loss, gradients, state = real(self, *arguments, **options)
        if len(calls) == 3:
            gradients["W"] = np.full_like(gradients["W"], np.inf)
        return loss, gradients, state

    two_steps, _ = trained(quiet(steps=2))
    monkeypatch.setattr(LanguageModel, "training_gradients", breaks)
    network, events = trained(training)
    last = events[-1]
    assert isinstance(last, Diverged)
    assert last.step == 2
    assert "gradient" in last.cause
    assert same_weights(network, two_steps)


def test_a_last_update_that_leaves_no_finite_weights_does_not_count_as_finished() -> None:
    _, events = trained(
        quiet(steps=1, optimizer="sgd", learning_rate=1e42, clip=None), dataclasses.replace(CORPUS, valid=[])
    )
    last = events[-1]
    assert isinstance(last, Diverged)
    assert "learning rate" in last.cause


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"batch_size": 0}, "batch size"),
        ({"batching": "rows"}, "batching"),
        ({"sequence_length": 0}, "sequence length"),
        ({"truncate": -1}, "truncation"),
        ({"optimizer": "magic"}, "not known"),
        ({"learning_rate": 0.0}, "learning rate"),
        ({"learning_rate": math.nan}, "learning rate"),
        ({"learning_rate": math.inf}, "learning rate"),
        ({"schedule": "sometimes"}, "not known"),
        ({"warmup_steps": 5}, "only the cosine"),
        ({"clip": 0.0}, "clipping"),
        ({"clip": -1.0}, "clipping"),
        ({"clip_mode": "hard"}, "clipping"),
        ({"weight_decay": -0.1}, "weight decay"),
        ({"optimizer": "adamw"}, "weight decay"),
        ({"omega": -1.0}, "omega"),
        ({"epochs": None}, "when to stop"),
        ({"epochs": 0}, "at least 1 epoch"),
        ({"steps": 0}, "at least 1 step"),
        ({"seed": -1}, "seed"),
        ({"validate_every": 0}, "validate"),
        ({"checkpoint_every_seconds": -1.0}, "pauses"),
    ],
)
def test_settings_that_make_no_sense_are_refused_with_the_reason(values: dict[str, Any], reason: str) -> None:
    with pytest.raises(SettingsError, match=reason):
        TrainingSettings(**values).validate()


def test_omega_is_refused_where_it_has_no_meaning() -> None:
    with pytest.raises(SettingsError):
        check(config(cell="lstm"), quiet(omega=1.0))


def test_settings_survive_json_and_unknown_ones_are_refused() -> None:
    training = quiet(truncate=4, learning_rate=0.1, clip=None)
    values = json.loads(json.dumps(training.to_json()))
    assert TrainingSettings.from_json(values) == training
    del values["omega"]  # as written by a version that had no such setting
    assert TrainingSettings.from_json(values) == training
    with pytest.raises(SettingsError, match="turbo"):
        TrainingSettings.from_json({**values, "turbo": True})
    with pytest.raises(SettingsError, match="batch_size"):
        TrainingSettings.from_json({**values, "batch_size": "many"})


def test_an_event_names_its_kind_and_speaks_json() -> None:
    _, events = trained(quiet(epochs=1, sample_every_seconds=0.0, horizon_every_seconds=0.0))
    told = "started step_done validating validated epoch_done sampled horizon_measured finished"
    assert {event.kind for event in events} == set(told.split())
    for event in events:
        values = json.loads(json.dumps(event.to_json(), allow_nan=False))
        assert values["kind"] == event.kind
        assert type(event).from_json({**values, "id": 7, "time": 0.5}) == event


def test_a_number_that_json_has_no_word_for_comes_back_as_nan() -> None:
    values = json.loads(json.dumps(Diverged(3, "too fast", math.inf, 2.0).to_json(), allow_nan=False))
    back = Diverged.from_json(values)
    assert (back.step, back.cause, back.gradient_norm) == (3, "too fast", 2.0)
    assert math.isnan(back.loss_nats)
    with pytest.raises(ValueError, match="gradient_norm of the wrong kind"):
        Diverged.from_json({**values, "gradient_norm": True})
    del values["cause"]
    with pytest.raises(ValueError, match="cause"):
        Diverged.from_json(values)


def test_a_state_stored_by_the_first_version_is_read() -> None:
    """It had no clipping and truncation of its own, and another name for a validation loss not yet acted upon."""
    training = quiet(clip=3, truncate=4)
    model, plan = new_model(config(), training), Plan.for_corpus(training, CORPUS)
    state = TrainingState.fresh(model, training, plan)
    stored = state.to_json()
    del stored["clip"], stored["truncate"]
    stored["unheard_loss_nats"] = 1.5
    later = TrainingState.fresh(model, training, plan)
    later.load(state.arrays(), json.loads(json.dumps(stored)), plan)
    assert (later.pending_validation_loss, later.clip, later.truncate) == (1.5, 3.0, 4)
    assert later.to_json()["unheard_loss_nats"] == 1.5


def test_the_horizon_begins_at_one_and_its_band_holds_the_median() -> None:
    _, events = trained(quiet(epochs=1, horizon_every_seconds=0.0))
    measured = [event for event in events if isinstance(event, HorizonMeasured)]
    for event in measured:
        assert event.median[0] == event.low[0] == event.high[0] == 1
        curves = zip(event.low, event.median, event.high, strict=True)
        assert all(low <= median <= high for low, median, high in curves)


def test_a_measured_horizon_comes_back_from_its_json_with_the_blocks_of_w_that_it_saw() -> None:
    network, events = trained(quiet(epochs=1, horizon_every_seconds=0.0))
    measured = next(event for event in events if isinstance(event, HorizonMeasured))
    assert HorizonMeasured.from_json(json.loads(json.dumps(measured.to_json()))) == measured
    fresh = new_model(config(), quiet(epochs=1))
    assert measured.step == 0
    assert len(measured.radii) == len(measured.norms) == 4
    blocks = fresh.params["W"].reshape(4, 8, 8)
    assert measured.norms == pytest.approx([np.linalg.norm(block, 2) for block in blocks], rel=1e-3)
    assert all(radius <= norm for radius, norm in zip(measured.radii, measured.norms, strict=True))


def test_an_explosion_is_told_as_such_even_if_the_horizon_is_measured_before_every_step(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("rnn_core.training.loop.HORIZON_SHARE", np.inf)
    wild = quiet(epochs=40, horizon_every_seconds=0.0, optimizer="sgd", learning_rate=1e30, clip=None)
    _, events = trained(wild, cell="relu")
    assert isinstance(events[-1], Diverged)
