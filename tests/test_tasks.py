"""The literature's problems: each generator against a second, slow statement of its definition."""

from __future__ import annotations

import dataclasses
import math
import re
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


def likeliest(answers: np.ndarray) -> int:
    return int(np.bincount(answers).argmax())


def assert_evenly_drawn(values: np.ndarray | list[int], possible: range) -> None:
    """Each of the possible values as often as the others, to five standard deviations, and no other value."""
    counts, share = np.bincount(values, minlength=possible.stop), 1 / len(possible)
    assert counts[list(possible)].sum() == counts.sum() == len(values)
    assert abs(counts[list(possible)] - share * len(values)).max() <= 5 * math.sqrt(len(values) * share * (1 - share))


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


@pytest.mark.parametrize(
    "task",
    [
        TemporalOrder(),
        Adding(steps=7),
        Adding(steps=60, markers="early"),
        CopyMemory(),
        CopyMemory(delay=3, length=4, alphabet=3),
        PrefixParity(steps=9),
        Latching(),
        Latching(steps=3, signal_steps=3, noise=0),
        Agreement(),
    ],
    ids=str,
)
def test_the_baseline_is_what_the_best_answer_gets_that_does_not_look(task: Task) -> None:
    """Among all answers that depend on nothing but the step, and for Agreement, which ends anywhere, on nothing."""
    many = MANY if isinstance(task, Agreement) else 5 * MANY
    elsewhere, batch = task.batch(many, seed=0, step=0), task.batch(many, seed=1, step=0)
    if isinstance(task, Adding):
        best = elsewhere.targets.mean(axis=1, keepdims=True)
        assert abs(best[-1, 0, 0] - (1 if task.markers == "halves" else 1 / 2)) < 0.05
    elif isinstance(task, Agreement):
        best = np.eye(2)[likeliest(elsewhere.targets[elsewhere.loss_weights > 0])]
    else:
        best = np.eye(task.outputs)[[likeliest(answers) for answers in elsewhere.targets]][:, None]
    outputs = np.broadcast_to(best, (*batch.mask.shape, task.outputs))
    errors = np.average(task.errors(outputs, batch), axis=0, weights=batch.loss_weights)
    assert abs(errors.mean() - task.baseline) < 5 * errors.std() / math.sqrt(many)
    assert task.metric(outputs, batch) == pytest.approx(errors.mean())


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
    firsts, seconds, others = [], [], []
    for column in range(MANY):
        places = [step for step in range(37) if batch.inputs[step, column] >= 4]
        assert len(places) == 2
        first, second = places
        firsts.append(first)
        seconds.append(second)
        others += [symbol for symbol in batch.inputs[:, column] if symbol < 4]
        order = "".join("AB"[batch.inputs[place, column] - 4] for place in places)
        assert batch.targets[-1, column] == ["AA", "AB", "BA", "BB"].index(order)
        assert counted(batch, column) == [36]
    assert_evenly_drawn(firsts, range(3, 8))  # 37/10 .. 2*37/10
    assert_evenly_drawn(seconds, range(14, 19))  # 4*37/10 .. 5*37/10
    assert_evenly_drawn(others, range(4))
    assert_evenly_drawn(batch.targets[-1], range(4))


@pytest.mark.parametrize("steps", [2, 7, 20])
def test_adding_asks_for_the_sum_of_one_marked_number_from_each_half(steps: int) -> None:
    batch = Adding(steps=steps).batch(500, seed=4, step=0)
    pairs = []
    for column in range(500):
        values, markers = batch.inputs[:, column].T
        first, second = np.flatnonzero(markers)
        pairs.append((first, second))
        assert markers[[first, second]].tolist() == [1, 1]
        assert 0 <= values.min() <= values.max() <= 1
        assert batch.targets[-1, column, 0] == values[first] + values[second]
        assert counted(batch, column) == [steps - 1]
    firsts, seconds = zip(*pairs, strict=True)
    assert_evenly_drawn(firsts, range(steps // 2))
    assert_evenly_drawn(seconds, range(steps // 2, steps))
    # Evenly between 0 and 1: to the tenth, as often as any other.
    assert_evenly_drawn((10 * batch.inputs[..., 0].ravel()).astype(int), range(10))


def test_adding_by_the_other_convention_has_its_markers_early() -> None:
    """The first among the first ten steps, the second at another step of the first half; which one comes first is
    not said: of two places among the first ten, each order is equally likely.
    """
    batch = Adding(steps=60, markers="early").batch(MANY, seed=4, step=0)
    pairs = np.zeros((30, 30))
    for column in range(MANY):
        values, markers = batch.inputs[:, column].T
        places = np.flatnonzero(markers)
        pairs[tuple(places)] += 1
        assert markers[places].tolist() == [1, 1]
        assert -1 <= values.min() < 0 < values.max() <= 1
        assert batch.targets[-1, column, 0] == pytest.approx(0.5 + values[places].sum() / 4)
        assert counted(batch, column) == [59]
    expected = np.zeros((30, 30))
    for first in range(10):
        for second in range(30):
            if second != first:
                expected[min(first, second), max(first, second)] += MANY / (10 * 29)
    assert (abs(pairs - expected) <= 5 * np.sqrt(expected)).all()
    assert_evenly_drawn((5 * (batch.inputs[..., 0].ravel() + 1)).astype(int), range(10))


def test_copy_memory_is_written_out() -> None:
    task = CopyMemory(delay=4, length=3, alphabet=5)
    batch = task.batch(500, seed=5, step=0)
    assert_evenly_drawn(batch.inputs[:3].ravel(), range(5))
    for column in range(500):
        heard = batch.inputs[:3, column].tolist()
        assert batch.inputs[:, column].tolist() == [*heard, 5, 5, 5, 6, 5, 5, 5]
        assert batch.targets[:, column].tolist() == [5] * 7 + heard
        assert counted(batch, column) == list(range(10))


def test_parity_is_counted_one_bit_at_a_time() -> None:
    batch = PrefixParity(steps=9).batch(500, seed=6, step=0)
    assert_evenly_drawn(batch.inputs.ravel(), range(2))
    for column in range(500):
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
    assert [counted(batch, column) for column in range(500)] == [[29]] * 500
    # No step says anything of another, nor of the sign.
    correlations = np.corrcoef(np.vstack([noise, signs])) - np.eye(27)
    assert abs(correlations).max() < 5 / math.sqrt(500)


AGREEMENT_SENTENCE = re.compile(
    r"(today , |in the north , )?"
    r"the ((old|red|small|famous) )?(?P<subject>NOUN)"
    r"(?P<between>( (near|of|behind|beside|above) the NOUN)*)".replace(
        "NOUN", r"(key|author|picture|river|engineer|window|garden|letter|student|bridge)s?"
    )
)


@pytest.mark.parametrize("probability", [0, 0.3, 1])
def test_agreement_is_with_the_subject_and_attractors_are_counted(probability: float) -> None:
    task = Agreement(most_nouns=3, attractor_probability=probability)
    batch = task.batch(MANY, seed=8, step=0)
    assert batch.groups is not None
    asked_numbers, lengths, attractors = [], [], []
    for column in range(MANY):
        sentence = " ".join(task.input_names(batch, column))
        parts = AGREEMENT_SENTENCE.fullmatch(sentence)
        assert parts, sentence
        plural = parts["subject"].endswith("s")
        between = [noun.endswith("s") for noun in parts["between"].split()[2::3]]
        opposite = [number != plural for number in between]
        (asked,) = counted(batch, column)
        assert asked == len(sentence.split()) - 1
        assert batch.targets[asked, column] == plural
        assert batch.groups[column] == sum(opposite)
        asked_numbers.append(int(plural))
        lengths.append(len(between))
        attractors += opposite
    assert_evenly_drawn(lengths, range(4))
    for count in range(4):  # their number says nothing of the subject's
        of_those = np.array(asked_numbers)[np.array(lengths) == count]
        assert_evenly_drawn(of_those, range(2))
    spread = math.sqrt(len(attractors) * probability * (1 - probability))
    assert abs(sum(attractors) - probability * len(attractors)) <= 5 * spread


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
