"""Signals that end a training: noticed between two steps, and left as they were afterwards."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator

import pytest

from rnn_core.runs.stop_signals import StopSignals

NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.fixture(autouse=True)
def handlers() -> Iterator[list[signal.Signals]]:
    """What these tests hear of signals outside the block; handlers come back as they were."""
    heard: list[signal.Signals] = []
    before = {number: signal.signal(number, lambda got, _: heard.append(signal.Signals(got))) for number in NUMBERS}
    yield heard
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", NUMBERS)
def test_a_signal_is_noted_inside_the_block_and_has_its_old_handler_after_it(
    number: signal.Signals, handlers: list[signal.Signals]
) -> None:
    with StopSignals() as signals:
        assert signals.received is None
        signal.raise_signal(number)
        assert signals.received == number
    assert handlers == []
    signal.raise_signal(number)
    assert handlers == [number]


@pytest.mark.parametrize("first", NUMBERS)
def test_ctrl_c_does_not_wait_when_the_training_is_ending_already(first: signal.Signals) -> None:
    with StopSignals() as signals:
        signal.raise_signal(first)
        signal.raise_signal(signal.SIGTERM)  # which has nothing to add
        assert signals.received is not None
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize("number", NUMBERS)
def test_what_is_ignored_stays_ignored_as_nohup_wants_it(number: signal.Signals) -> None:
    signal.signal(number, signal.SIG_IGN)
    with StopSignals() as signals:
        signal.raise_signal(number)
        assert signals.received is None
    assert signal.getsignal(number) == signal.SIG_IGN


def test_beside_the_main_thread_nothing_is_caught(handlers: list[signal.Signals]) -> None:
    caught: list[bool] = []

    def work() -> None:
        with StopSignals() as signals:
            caught.append(bool(signals._handlers_before))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert caught == [False]
    signal.raise_signal(signal.SIGTERM)
    assert handlers == [signal.SIGTERM]
