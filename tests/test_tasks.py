"""The literature's problems: each generator against a second, slow statement of its definition."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest

from rnn_core.data.tasks import (
    TASKS,
    Adding,
    Agreement,
    CopyMemory,
    Latching,
    PrefixParity,
    Task,
    TaskBatch,
    TemporalOrder,
    read_number_prediction,
)
from rnn_core.data.tasks.agreement import PLURAL, number_prediction_batch
from rnn_core.errors import CorpusError, SettingsError

MANY = 4000


@pytest.fixture(params=sorted(TASKS))
def task(request: pytest.FixtureRequest) -> Task:
    return TASKS[request.param]()


def counted(batch: TaskBatch, column: int) -> list[int]:
    return np.flatnonzero(batch.loss_weights[:, column]).tolist()


def test_a_batch_depends_on_seed_and_step_alone(task: Task) -> None:
    first, again = task.batch(3, seed=5, step=7), task.batch(3, seed=5, step=7)
    for field in dataclasses.fields(TaskBatch):
        np.testing.assert_array_equal(getattr(first, field.name), getattr(again, field.name))
    stream = task.batches(3, seed=5)
    for _ in range(8):
        seventh = next(stream)
    np.testing.assert_array_equal(seventh.inputs, first.inputs)
    assert not all(np.array_equal(first.inputs, task.batch(3, 5, step).inputs) for step in range(4))


def test_shapes_and_ranges_are_as_the_task_says(task: Task) -> None:
    batch = task.batch(5, seed=0, step=0)
    steps = len(batch.inputs)
    assert batch.mask.shape == batch.loss_weights.shape == (steps, 5)
    assert (batch.loss_weights.sum(axis=0) >= 1).all()
    assert not (batch.loss_weights[~batch.mask]).any()
    if task.symbols is None:
        assert batch.inputs.shape == (steps, 5, task.input_size)
    else:
        assert batch.inputs.shape == (steps, 5)
        assert task.input_size is None
        assert 0 <= batch.inputs.min() <= batch.inputs.max() < task.symbols
    if task.loss == "cross_entropy":
        assert 0 <= batch.targets.min() <= batch.targets.max() < task.outputs
    else:
        assert batch.targets.shape == (steps, 5, task.outputs)


def test_the_baseline_is_what_the_best_constant_answer_gets(task: Task) -> None:
    """Among all answers that depend on nothing but the step, found from many sequences."""
    batch = task.batch(MANY, seed=1, step=0)
    if isinstance(task, Agreement):  # its sequences differ in length: the step of the answer is not the same for all
        last = batch.targets.sum(axis=0)
        assert abs(min(last.mean(), 1 - last.mean()) - task.baseline) < 5 * 0.5 / math.sqrt(MANY)
        return
    if task.loss == "cross_entropy":
        counts = np.stack([(batch.targets == answer).mean(axis=1) for answer in range(task.outputs)])
        errors = 1 - counts.max(axis=0)
    else:
        errors = batch.targets.var(axis=1).sum(axis=-1)
    found = np.average(errors, weights=batch.loss_weights[:, 0])
    assert abs(found - task.baseline) < 5 * 0.5 / math.sqrt(MANY)


def test_the_metric_counts_only_the_steps_that_are_asked(task: Task) -> None:
    batch = task.batch(6, seed=2, step=0)
    if task.loss == "cross_entropy":
        right = np.eye(task.outputs)[batch.targets]
    else:
        right = batch.targets.copy()
    assert task.metric(right, batch) == 0
    elsewhere = right + np.where(batch.loss_weights[..., None] == 0, np.arange(task.outputs, 0, -1) * 9.0, 0)
    assert task.metric(elsewhere, batch) == 0
    assert task.metric(-right, batch) > 0


def test_temporal_order_is_the_order_of_its_two_symbols() -> None:
    task = TemporalOrder(steps=37)
    batch = task.batch(MANY, seed=3, step=0)
    firsts, seconds = set(), set()
    for column in range(MANY):
        places = [step for step in range(37) if batch.inputs[step, column] >= 4]
        assert len(places) == 2
        first, second = places
        firsts.add(first)
        seconds.add(second)
        order = "".join("AB"[batch.inputs[place, column] - 4] for place in places)
        assert batch.targets[-1, column] == ["AA", "AB", "BA", "BB"].index(order)
        assert counted(batch, column) == [36]
    assert firsts == set(range(3, 8))  # 37/10 .. 2*37/10
    assert seconds == set(range(14, 19))  # 4*37/10 .. 5*37/10


@pytest.mark.parametrize("steps", [2, 7, 20])
def test_adding_asks_for_the_sum_of_one_marked_number_from_each_half(steps: int) -> None:
    batch = Adding(steps=steps).batch(500, seed=4, step=0)
    for column in range(500):
        values, markers = batch.inputs[:, column].T
        first, second = np.flatnonzero(markers)
        assert first < steps // 2 <= second
        assert markers[[first, second]].tolist() == [1, 1]
        assert 0 <= values.min() <= values.max() <= 1
        assert batch.targets[-1, column, 0] == values[first] + values[second]
        assert counted(batch, column) == [steps - 1]


def test_adding_by_the_other_convention_has_its_markers_early() -> None:
    batch = Adding(steps=60, markers="early").batch(2000, seed=4, step=0)
    pairs = set()
    for column in range(2000):
        values, markers = batch.inputs[:, column].T
        places = np.flatnonzero(markers)
        assert len(places) == 2
        assert places[0] < 10
        assert places[1] < 30
        assert -1 <= values.min() < 0 < values.max() <= 1
        assert batch.targets[-1, column, 0] == pytest.approx(0.5 + values[places].sum() / 4)
        pairs.add(tuple(places))
    assert len(pairs) > 200


def test_copy_memory_is_written_out() -> None:
    task = CopyMemory(delay=4, length=3, alphabet=5)
    batch = task.batch(50, seed=5, step=0)
    for column in range(50):
        heard = batch.inputs[:3, column].tolist()
        assert batch.inputs[:, column].tolist() == [*heard, 5, 5, 5, 6, 5, 5, 5]
        assert batch.targets[:, column].tolist() == [5] * 7 + heard
        assert counted(batch, column) == list(range(10))
    assert task.baseline_loss_nats == pytest.approx(3 * math.log(5) / 10)


def test_parity_is_counted_one_bit_at_a_time() -> None:
    batch = PrefixParity(steps=9).batch(40, seed=6, step=0)
    for column in range(40):
        odd = False
        for step in range(9):
            odd ^= bool(batch.inputs[step, column])
            assert batch.targets[step, column] == odd
        assert counted(batch, column) == list(range(9))


def test_latching_gives_its_bit_first_and_noise_after() -> None:
    task = Latching(steps=30, signal_steps=4, noise=0.3)
    batch = task.batch(500, seed=7, step=0)
    signs = np.where(batch.targets[-1] == 1, 1.0, -1.0)
    np.testing.assert_array_equal(batch.inputs[:4, :, 0], np.broadcast_to(signs, (4, 500)))
    noise = batch.inputs[4:, :, 0]
    assert abs(noise.mean()) < 0.02
    assert abs(noise.std() - 0.3) < 0.02
    assert abs(np.corrcoef(noise.mean(axis=0), signs)[0, 1]) < 0.2


def test_agreement_is_with_the_subject_and_attractors_are_counted() -> None:
    task = Agreement(most_nouns=3)
    batch = task.batch(MANY, seed=8, step=0)
    words, nouns = np.array(task.vocabulary), {word for word in task.vocabulary if f"{word}s" in task.vocabulary}
    assert batch.groups is not None
    for column in range(MANY):
        sentence = words[batch.inputs[batch.mask[:, column], column]].tolist()
        numbers = [word not in nouns for word in sentence if word in nouns or word.removesuffix("s") in nouns]
        (asked,) = counted(batch, column)
        assert asked == len(sentence) - 1
        assert batch.targets[asked, column] == numbers[0]
        assert batch.groups[column] == sum(number != numbers[0] for number in numbers[1:])
        assert sentence[-1] in nouns or sentence[-1].removesuffix("s") in nouns
    by_count = [batch.targets.max(axis=0)[batch.groups == count].mean() for count in range(3)]
    assert all(abs(share - 0.5) < 0.07 for share in by_count)  # the number of attractors says nothing


def test_linzens_files_are_read_and_a_line_that_does_not_fit_is_named(tmp_path: Path) -> None:
    file = tmp_path / "numpred.val"
    file.write_text("VBP\tthe keys to the cabinet\nVBZ\tthe man\n")
    sentences = read_number_prediction(file, attractors=1)
    assert sentences[0] == (("the", "keys", "to", "the", "cabinet"), PLURAL, 1)
    batch = number_prediction_batch(sentences, {"the": 0, "man": 1}, unknown=2)
    assert batch.inputs.T.tolist() == [[0, 2, 2, 0, 2], [0, 1, 0, 0, 0]]
    assert batch.targets.T.tolist() == [[0, 0, 0, 0, 1], [0, 0, 0, 0, 0]]
    assert [counted(batch, column) for column in (0, 1)] == [[4], [1]]
    with pytest.raises(CorpusError, match="keys"):
        number_prediction_batch(sentences, {"the": 0})
    for wrong in ("VBP\tthe man\nNN\tthe man\n", "VBP the man\n", "VBP\t \n", ""):
        file.write_text(wrong)
        with pytest.raises(CorpusError, match=r"line \d|no sentences"):
            read_number_prediction(file)
    with pytest.raises(CorpusError, match="cannot be read"):
        read_number_prediction(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        (TemporalOrder, {"steps": 9}),
        (Adding, {"steps": 1}),
        (Adding, {"markers": "late"}),
        (CopyMemory, {"delay": 0}),
        (CopyMemory, {"length": 0}),
        (CopyMemory, {"alphabet": 1}),
        (PrefixParity, {"steps": 0}),
        (Latching, {"signal_steps": 0}),
        (Latching, {"noise": math.nan}),
        (Agreement, {"most_nouns": -1}),
        (Agreement, {"attractor_probability": 1.5}),
    ],
)
def test_a_task_that_makes_no_sense_is_refused(kind: type[Task], settings: dict[str, object]) -> None:
    with pytest.raises(SettingsError):
        kind(**settings)


def test_an_empty_batch_is_refused(task: Task) -> None:
    with pytest.raises(SettingsError, match="at least 1"):
        task.batch(0, seed=0, step=0)
