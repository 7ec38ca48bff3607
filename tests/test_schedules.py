"""Learning-rate schedules: what they say at every step, and that a checkpoint holds all of it."""

from __future__ import annotations

import math

import pytest

from rnn_core.config import SCHEDULES
from rnn_core.errors import SettingsError
from rnn_core.optim.schedules import make_schedule


def test_constant_is_the_same_for_ever_whatever_the_losses() -> None:
    schedule = make_schedule("constant", 0.1, 100)
    assert not any(schedule.after_validation(loss) for loss in (1.0, 2.0, 3.0))
    assert {schedule.learning_rate(step) for step in (0, 1, 99, 10_000)} == {0.1}


def test_halve_follows_the_tutorials_rule() -> None:
    """`if len(losses) > 1 and losses[-1] > losses[-2]: learning_rate *= 0.5` of the tutorial's train_with_sgd."""
    schedule = make_schedule("halve", 0.8, 100)
    losses, expected = [5.0, 4.0, 4.0, 4.5, 4.4, 4.6, 4.7], [0.8, 0.8, 0.8, 0.4, 0.4, 0.2, 0.1]
    for loss, rate in zip(losses, expected, strict=True):
        before = schedule.learning_rate(0)
        assert schedule.after_validation(loss) == (rate != before)
        assert schedule.learning_rate(7) == pytest.approx(rate)


def test_cosine_warms_up_in_a_line_and_ends_at_zero() -> None:
    schedule = make_schedule("cosine", 0.4, total_steps=110, warmup_steps=10)
    rates = [schedule.learning_rate(step) for step in range(111)]
    assert rates[:10] == pytest.approx([0.04 * (step + 1) for step in range(10)])
    assert max(rates) == rates[10] == pytest.approx(0.4)
    for step in range(10, 111):
        assert rates[step] == pytest.approx(0.2 * (1 + math.cos(math.pi * (step - 10) / 100)), abs=1e-15)
    assert rates[60] == pytest.approx(0.2)
    assert rates[110] == pytest.approx(0.0, abs=1e-15)
    assert schedule.learning_rate(500) == pytest.approx(0.0, abs=1e-15)
    assert all(rate > 0 for rate in rates[:110]), "no step before the last may be wasted"
    assert make_schedule("cosine", 0.4, total_steps=11, warmup_steps=10).learning_rate(11) == pytest.approx(0.0)


def test_cosine_without_warm_up_starts_at_the_full_rate() -> None:
    schedule = make_schedule("cosine", 0.4, total_steps=50)
    assert schedule.learning_rate(0) == pytest.approx(0.4)
    assert schedule.learning_rate(25) == pytest.approx(0.2, abs=1e-15)


@pytest.mark.parametrize("total", [0, 1, 10])
def test_a_warm_up_longer_than_the_training_divides_by_nothing(total: int) -> None:
    schedule = make_schedule("cosine", 0.4, total_steps=total, warmup_steps=10)
    assert all(0 <= schedule.learning_rate(step) <= 0.4 for step in range(30))


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_schedule_continues_from_its_saved_state(name: str) -> None:
    one = make_schedule(name, 0.8, 40, 5)
    for loss in (3.0, 2.0, 2.5):
        one.after_validation(loss)
    other = make_schedule(name, 123.0, 40, 5)
    other.state = dict(one.state)
    for loss in (2.6, 2.4, 2.7):
        assert other.after_validation(loss) == one.after_validation(loss)
        assert [other.learning_rate(step) for step in range(40)] == [one.learning_rate(step) for step in range(40)]
    assert other.state == one.state


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_person_may_turn_the_dial(name: str) -> None:
    schedule, twin = make_schedule(name, 0.8, 40, 5), make_schedule(name, 0.2, 40, 5)
    schedule.rate = 0.2
    assert [schedule.learning_rate(step) for step in range(40)] == [twin.learning_rate(step) for step in range(40)]


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_schedule_says_what_its_rates_depend_on(name: str) -> None:
    short, long, deaf = (make_schedule(name, 0.8, total, 5) for total in (40, 80, 40))
    changed = [short.after_validation(loss) for loss in (3.0, 2.0, 2.5)]
    rates, unheard, later = ([one.learning_rate(step) for step in range(40)] for one in (short, deaf, long))
    assert short.reads_validations == any(changed) == (rates != unheard)
    assert long.depends_on_the_end == (later != unheard)


def test_an_unknown_schedule_is_refused_with_the_choices() -> None:
    with pytest.raises(SettingsError, match="choose one of constant, halve, cosine"):
        make_schedule("step", 0.1, 10)
