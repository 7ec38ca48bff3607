"""What the training loop does by the clock: its speed, and reports now and then."""

from __future__ import annotations

import time
from collections.abc import Callable

from rnn_core.training.events import Event


class Throughput:
    """Tokens per second over about the last second: an exponential average with a half-life of one second."""

    def __init__(self) -> None:
        self.tokens = self.seconds = 0.0

    def after(self, tokens: int, seconds: float) -> float:
        """The average, after so many tokens more in so many seconds."""
        fade = 0.5**seconds
        self.tokens = self.tokens * fade + tokens
        self.seconds = self.seconds * fade + seconds
        return self.tokens / max(self.seconds, 1e-9)


class Periodic:
    """A report that is made every so many seconds, or less often where it would take more than `share` of the time."""

    def __init__(self, report: Callable[[], Event], every_seconds: float | None, share: float) -> None:
        """every_seconds: None for never."""
        self.report, self.every_seconds, self.share = report, every_seconds, share
        self.next_time = time.perf_counter()

    @property
    def wanted(self) -> bool:
        return self.every_seconds is not None

    def due(self) -> bool:
        return self.wanted and time.perf_counter() >= self.next_time

    def make(self) -> Event:
        started = time.perf_counter()
        event = self.report()
        ended = time.perf_counter()
        assert self.every_seconds is not None
        self.next_time = ended + max(self.every_seconds, (ended - started) / self.share)
        return event
