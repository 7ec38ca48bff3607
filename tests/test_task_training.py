"""Training on a task: the same loop, the task's own metric."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from tiny_runs import tiny_corpus

from rnn_core.config import ModelConfig, TrainingSettings
from rnn_core.data.tasks import TASKS, Adding, Agreement, Latching, PrefixParity, Task, TemporalOrder
from rnn_core.errors import SettingsError
from rnn_core.nn.network import Network
from rnn_core.randomness import stream
from rnn_core.training import (
    Event,
    Finished,
    HorizonMeasured,
    StepDone,
    TaskSource,
    TrainingState,
    Validated,
    evaluate_task,
    network_config,
    new_model,
    new_network,
    train,
)

BY_THE_CLOCK = {"elapsed_seconds", "tokens_per_second"}


def quiet(**values: Any) -> TrainingSettings:
    usual = {"horizon_every_seconds": None, "batch_size": 8, "schedule": "constant", "steps": 4}
    return TrainingSettings(**{**usual, **values})


def network_for(task: Task, settings: TrainingSettings, **model: Any) -> Network:
    return new_network(network_config(task, ModelConfig(**{"hidden_size": 8, **model})), settings)


def record(events: list[Event]) -> list[dict[str, Any]]:
    return [{key: value for key, value in event.to_json().items() if key not in BY_THE_CLOCK} for event in events]


@pytest.mark.parametrize("name", TASKS)
def test_every_task_is_trained_on_and_tells_its_own_metric(name: str) -> None:
    task = TASKS[name]()
    settings = quiet(horizon_every_seconds=0.0)
    network = network_for(task, settings)
    events = list(train(network, TaskSource(task, validation_sequences=150), settings))
    first, last = (event for event in events if isinstance(event, Validated))
    assert (first.step, last.step) == (0, 4)
    assert first.metric is not None
    # Nothing is known yet: what an untrained network says is not clearly better than what looks at nothing.
    assert first.metric > 0.8 * task.baseline
    assert math.isnan(first.perplexity) == (task.loss == "squared_error")
    steps = [event for event in events if isinstance(event, StepDone)]
    assert [step.tokens for step in steps] == [task.batch(8, 0, step).loss_weights.sum() for step in range(4)]
    assert any(isinstance(event, HorizonMeasured) and event.median for event in events)
    end = events[-1]
    assert isinstance(end, Finished)
    assert end.valid_metric == last.metric == evaluate_task(network, task, 150).metric


def test_a_step_costs_what_the_answers_that_count_cost_before_the_update() -> None:
    task, settings = Agreement(), quiet(steps=2)
    network, expected = network_for(task, settings), math.nan
    for event in train(network, task, settings):
        if isinstance(event, StepDone):
            assert event.loss_nats == pytest.approx(expected, rel=1e-6)
        batch = task.batch(8, settings.seed, event.step)
        expected = network.loss(batch.inputs, batch.targets, batch.mask, batch.loss_weights)


def test_the_metric_is_counted_one_sequence_at_a_time() -> None:
    task = Agreement()
    network = network_for(task, quiet())
    found = evaluate_task(network, task, 130)
    wrong: dict[int, list[bool]] = {}
    for part, count in enumerate((100, 30)):
        batch = task.draw(count, stream(0, "task agreement validation", part))
        assert batch.groups is not None
        for column in range(count):
            words = batch.inputs[batch.mask[:, column], column]
            outputs, _ = network.outputs(words[:, None])
            answer = int(outputs[-1, 0].argmax())
            wrong.setdefault(int(batch.groups[column]), []).append(answer != batch.targets[len(words) - 1, column])
    assert found.sequences == 130
    assert found.metric == pytest.approx(np.mean(np.concatenate(list(wrong.values()))))
    assert found.by_group == pytest.approx({group: np.mean(errors) for group, errors in wrong.items()})
    assert found.baseline == task.baseline


def test_a_squared_error_is_its_own_metric() -> None:
    found = evaluate_task(network_for(Adding(steps=6), quiet()), Adding(steps=6), 50)
    assert found.metric == pytest.approx(found.loss, rel=1e-5)


@pytest.mark.parametrize("task", [TemporalOrder(steps=12), Adding(steps=8)], ids=lambda task: task.name)
def test_a_training_on_a_task_that_was_left_anywhere_goes_on_to_the_same_bits(task: Task) -> None:
    settings = quiet(steps=7, validate_every=3, optimizer="adam")
    source = TaskSource(task, validation_sequences=20)
    whole = network_for(task, settings)
    expected = record(list(train(whole, source, settings)))
    for stop in range(1, len(expected)):
        network, plan = network_for(task, settings), source.plan(settings)
        state = TrainingState.fresh(network, settings, plan)
        events = train(network, source, settings, state)
        done = [next(events) for _ in range(stop)]
        arrays, counters = {name: value.copy() for name, value in state.arrays().items()}, state.to_json()
        again = Network(network.config, params={name: value.copy() for name, value in network.params.items()})
        resumed = TrainingState.fresh(again, settings, plan)
        resumed.load(arrays, counters, plan)
        rest = list(train(again, TaskSource(task, validation_sequences=20), settings, resumed))
        kinds = ("validated", "step_done", "finished")
        told = [event for event in record(done + rest) if event["kind"] in kinds]
        assert told == [event for event in expected if event["kind"] in kinds]
        assert all(np.array_equal(again.params[name], whole.params[name]) for name in whole.params)


def test_a_training_ends_when_a_validation_is_good_enough_and_stays_ended() -> None:
    task = Latching(steps=6)
    settings = quiet(steps=400, validate_every=20, stop_below=0.01, learning_rate=0.01)
    network = network_for(task, settings)
    source = TaskSource(task, validation_sequences=100)
    state = TrainingState.fresh(network, settings, source.plan(settings))
    events = list(train(network, source, settings, state))
    metrics = [event.metric for event in events if isinstance(event, Validated) and event.metric is not None]
    assert metrics[-1] < 0.01 <= min(metrics[:-1])
    assert state.step < 400
    again = list(train(network, source, settings, state))
    assert not any(isinstance(event, StepDone) for event in again)
    assert isinstance(again[-1], Finished)


def test_a_text_is_good_enough_by_its_loss() -> None:
    corpus = tiny_corpus()
    settings = quiet(epochs=4, steps=None, stop_below=100.0, sample_every_seconds=None)
    model = new_model(ModelConfig(hidden_size=4, vocabulary_size=len(corpus.vocabulary)), settings)
    assert [event.step for event in train(model, corpus, settings)][-1] == 0


def test_omega_is_trained_with_on_a_task() -> None:
    task = TemporalOrder(steps=12)
    plain, with_omega = (network_for(task, quiet(omega=omega)) for omega in (0.0, 2.0))
    list(train(plain, TaskSource(task, 10), quiet()))
    list(train(with_omega, TaskSource(task, 10), quiet(omega=2.0)))
    assert not np.array_equal(plain.params["W"], with_omega.params["W"])
    assert np.array_equal(plain.params["V"].shape, with_omega.params["V"].shape)


def test_what_does_not_fit_together_is_refused() -> None:
    settings = quiet()
    parity = network_for(PrefixParity(), settings)
    with pytest.raises(SettingsError, match="needs a network with"):
        train(parity, TemporalOrder(), settings)
    with pytest.raises(SettingsError, match="LanguageModel"):
        train(parity, tiny_corpus(), settings)
    with pytest.raises(SettingsError, match="one by one"):
        train(parity, PrefixParity(), quiet(batching="stream"))
    for count in (0, -1):
        with pytest.raises(SettingsError, match="at least 1"):
            TaskSource(PrefixParity(), count)
        with pytest.raises(SettingsError, match="at least 1"):
            evaluate_task(parity, PrefixParity(), count)
    with pytest.raises(SettingsError, match="embedding"):
        network_config(Adding(), ModelConfig(embedding_size=8))
