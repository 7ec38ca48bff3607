"""Ctrl-C, SIGTERM and a closed terminal, as a flag that a training looks at between two steps."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any


class StopSignals:
    """Catches SIGINT, SIGTERM and SIGHUP for as long as the block lasts; `received` is the first that came, or None.

    A second Ctrl-C does not wait for the step to end: it raises KeyboardInterrupt. A signal that is ignored stays
    ignored, because `nohup` wants it so, and outside the main thread, where Python allows no handler, none is caught.
    """

    SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def __init__(self) -> None:
        self.received: int | None = None
        self._handlers_before: dict[int, Any] = {}

    def __enter__(self) -> StopSignals:
        if threading.current_thread() is threading.main_thread():
            for number in self.SIGNALS:
                if signal.getsignal(number) != signal.SIG_IGN:
                    self._handlers_before[number] = signal.signal(number, self._receive)
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._handlers_before.items():
            signal.signal(number, handler)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if self.received is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.received = number
