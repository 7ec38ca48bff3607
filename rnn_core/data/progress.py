"""How far the reading of a text is, and when it has to stop."""

from __future__ import annotations

import time
from collections.abc import Callable

from rnn_core.errors import CorpusError

Progress = Callable[[float, str], object]  # (share done 0..1, what is being done); what it raises ends the reading


class ReadingProgress:
    """Passes progress on to a listener, and ends a reading that takes too long.

    A listener that raises ends the reading too: that is how a page stops it whose visitor has left. The limit counts
    the processor time of the reading thread, so that no text is refused because the machine is busy with others.
    """

    def __init__(self, listener: Progress | None = None, limit_seconds: float | None = None) -> None:
        self._listener = listener
        self._limit_seconds = limit_seconds
        self._began = time.thread_time()

    def __call__(self, share: float, doing: str) -> None:
        """Raises CorpusError where the time is over."""
        if self._limit_seconds is not None and time.thread_time() - self._began > self._limit_seconds:
            raise CorpusError(
                f"Reading this text takes longer than the {self._limit_seconds:g} seconds that this server gives to "
                "one. Choose a shorter text."
            )
        if self._listener is not None:
            self._listener(share, doing)
