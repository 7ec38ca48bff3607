"""So much for each visitor, and then slower: connections, uploads, and what a page sends over its connection."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

PATIENCE_SECONDS = 30.0
"""So long a connection may be behind, without a break, before the server hangs up. A browser then comes back by itself
and asks once for what its page shows now; what it had asked for before that nobody needs.
"""

TRY_AGAIN_LATER = 1013


class RateLimit:
    """So many at once for each sender, and then so many a second (a token bucket).

    A sender may be an address that `people` share; it is given as much as all of them.
    """

    def __init__(self, at_once: float, per_second: float) -> None:
        self.at_once, self.per_second = at_once, per_second
        self._left: dict[str, tuple[float, float]] = {}  # by sender: what was left, and when (monotonic seconds)

    def allows(self, sender: str, people: int = 1) -> bool:
        """Whether this sender may begin one more now; it is counted then."""
        left, now = self._refilled(sender, people)
        self._left[sender] = (left - 1 if left >= 1 else left), now
        return left >= 1

    def reserve(self, sender: str, people: int = 1) -> float:
        """Count one more. Returns the seconds until it is this one's turn."""
        left, now = self._refilled(sender, people)
        self._left[sender] = left - 1, now
        return max(0.0, (1 - left) / (people * self.per_second))

    def _refilled(self, sender: str, people: int) -> tuple[float, float]:
        """-> what is left by now, and when that is."""
        now = time.monotonic()
        if len(self._left) > 10_000:  # those who were here long ago have everything left again
            longest = self.at_once / self.per_second
            self._left = {name: (left, at) for name, (left, at) in self._left.items() if now - at < longest}
        left, at = self._left.get(sender, (people * self.at_once, now))
        return min(people * self.at_once, left + people * self.per_second * (now - at)), now


def in_turn(receive: Receive, send: Send, limit: RateLimit, senders: Mapping[str, int]) -> Receive:
    """The same messages of a websocket, none of them lost, but no faster than the limit allows any of its senders
    (name: people).

    The connection is not read in the meantime, so whoever sends more has to wait (TCP's backpressure). Who never
    catches up is hung up on: the messages that wait in front of a goodbye hide it.
    """
    behind_since: float | None = None

    async def receive_in_turn() -> Message:
        nonlocal behind_since
        message = await receive()
        if message["type"] != "websocket.receive":
            return message
        wait = max(limit.reserve(sender, people) for sender, people in senders.items())
        if wait <= 0:
            behind_since = None
            return message
        now = time.monotonic()
        behind_since = now if behind_since is None else behind_since
        if now - behind_since > PATIENCE_SECONDS:
            await send({"type": "websocket.close", "code": TRY_AGAIN_LATER})
            return {"type": "websocket.disconnect", "code": TRY_AGAIN_LATER}
        await asyncio.sleep(wait)
        return message

    return receive_in_turn
