"""How fast visitors may ask: what is too much waits its turn, and nobody else notices. By a clock of the tests' own."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest
import streamlit as st
from waiting import run_async

from dashboard import hosting, server
from dashboard.hosting import Caps, UploadGuard, rates
from dashboard.hosting.rates import RateLimit
from dashboard.services import worker

CAPS = Caps(messages_at_once=60, messages_per_second=2.0)
ANNA, BERT = "a" * 64, "b" * 64
NOBODYS, EVERYBODYS = "8.8.8.8", "127.0.0.1"  # an address of the internet; that of a proxy


class Clock(asyncio.SelectorEventLoop):
    """An event loop without waiting: when nothing is left to do, it is at once the time of what comes next."""

    now = 1000.0

    def time(self) -> float:
        return self.now

    def _run_once(self) -> None:
        if not self._ready and self._scheduled:  # type: ignore[attr-defined]
            self.now = max(self.now, self._scheduled[0]._when)  # type: ignore[attr-defined]
        super()._run_once()  # type: ignore[misc]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    loop = Clock()
    monkeypatch.setattr(rates.time, "monotonic", loop.time)
    return loop


def run(clock: Clock, work: Coroutine[Any, Any, Any]) -> Any:
    return run_async(work, lambda: clock)


class Page:
    """One websocket through a guard: what the server behind it was told, and when (seconds from its start)."""

    def __init__(self, clock: Clock, secret: str | None = None, address: str = EVERYBODYS) -> None:
        cookie = [] if secret is None else [(b"cookie", f"{hosting.COOKIE}={secret}".encode())]
        self.scope = {"type": "websocket", "path": "/_stcore/stream", "headers": cookie, "client": (address, 1)}
        self.clock, self.begun = clock, clock.time()
        self.heard: list[tuple[float, bytes]] = []
        self.closed: int | None = None
        self.left_at: float | None = None

    async def send(self, message: Any) -> None:
        if message["type"] == "websocket.close":
            self.closed = message["code"]

    async def listen(self, receive: Callable[[], Awaitable[Any]]) -> None:
        """What the server does: take messages until there is a goodbye."""
        while (message := await receive())["type"] == "websocket.receive":
            self.heard.append((self.clock.time() - self.begun, message["bytes"]))
        self.left_at = self.clock.time() - self.begun


def guard(pages: list[Page]) -> UploadGuard:
    async def server(scope: Any, receive: Any, send: Any) -> None:
        await next(page for page in pages if page.scope is scope).listen(receive)

    return UploadGuard(server, caps=CAPS, store=lambda: pytest.fail("nothing was uploaded"))


async def visit(guarded: UploadGuard, page: Page, times: list[float]) -> None:
    """Send a message at each of these times, and then leave."""
    waiting = [(time, {"type": "websocket.receive", "bytes": b"%d" % place}) for place, time in enumerate(times)]
    waiting.append((max(times, default=0.0), {"type": "websocket.disconnect", "code": 1001}))
    messages = iter(waiting)

    async def receive() -> Any:
        time, message = next(messages)
        await asyncio.sleep(page.begun + time - page.clock.time())
        return message

    await guarded(page.scope, receive, page.send)


def together(clock: Clock, pages: list[Page], times: list[float]) -> None:
    async def all_at_once() -> None:
        guarded = guard(pages)
        await asyncio.gather(*(visit(guarded, page, times) for page in pages))

    run(clock, all_at_once())


def test_what_a_person_asks_for_never_waits(clock: Clock) -> None:
    """Two young trainings that are watched side by side, polled twice a second each, and a slider that is dragged."""
    polls = [0.5 * place for place in range(40)]
    dragged = [5 + 0.2 * place for place in range(10)]
    page, times = Page(clock, ANNA), sorted(polls + polls + dragged)
    together(clock, [page], times)
    assert [time for time, _ in page.heard] == pytest.approx(times)


def test_what_is_too_much_waits_its_turn_and_nothing_of_it_is_lost(clock: Clock) -> None:
    page = Page(clock, ANNA)
    together(clock, [page], [0.0] * 80)
    assert [message for _, message in page.heard] == [b"%d" % place for place in range(80)]
    assert [time for time, _ in page.heard[:60]] == [0.0] * 60
    assert [time for time, _ in page.heard[60:]] == pytest.approx([0.5 * place for place in range(1, 21)])


@pytest.mark.parametrize(
    ("secrets", "address", "people"),
    [
        ([ANNA] * 10, EVERYBODYS, 1),  # ten tabs of one browser
        ([f"{number:064x}" for number in range(300)], NOBODYS, 20),  # a new cookie for each connection
        ([None] * 300, NOBODYS, 20),  # none at all
        ([None] * 3, EVERYBODYS, 3),  # three who come for the first time, behind a proxy
        ([f"{number:064x}" for number in range(30)], EVERYBODYS, 30),  # thirty people behind a proxy
    ],
)
def test_who_comes_many_times_is_not_many(clock: Clock, secrets: list[str | None], address: str, people: int) -> None:
    pages = [Page(clock, secret, address) for secret in secrets]
    other = Page(clock, BERT)
    together(clock, [*pages, other], [0.02 * place for place in range(500)])
    seconds = 8
    heard = sum(time <= seconds for page in pages for time, _ in page.heard)
    most = people * (CAPS.messages_at_once + seconds * CAPS.messages_per_second)
    assert 0.9 * min(most, 50 * seconds * len(pages)) <= heard <= most + len(pages)
    assert sum(time <= seconds for time, _ in other.heard) == CAPS.messages_at_once + seconds * CAPS.messages_per_second


def test_who_never_catches_up_is_hung_up_on_and_the_server_hears_a_goodbye(clock: Clock) -> None:
    flood, calm = Page(clock, ANNA), Page(clock, BERT)
    together(clock, [flood, calm], [0.01 * place for place in range(5_000)])
    for page in (flood, calm):
        assert page.closed == rates.TRY_AGAIN_LATER
        assert page.left_at is not None
        assert rates.PATIENCE_SECONDS <= page.left_at <= rates.PATIENCE_SECONDS + 2


def test_who_catches_up_now_and_then_is_never_hung_up_on(clock: Clock) -> None:
    page = Page(clock, ANNA)
    together(clock, [page], [60.0 * visit for visit in range(20) for _ in range(100)])
    assert len(page.heard) == 20 * 100
    assert page.closed is None


def test_a_storm_of_connections_is_slowed_down_and_others_do_not_notice(clock: Clock) -> None:
    limit = RateLimit(10, 1)
    assert [limit.allows(ANNA) for _ in range(20)] == [True] * 10 + [False] * 10
    assert limit.allows(BERT)
    clock.now += 3
    assert [limit.allows(ANNA) for _ in range(5)] == [True] * 3 + [False] * 2
    clock.now += 1000
    assert [limit.allows(ANNA) for _ in range(12)] == [True] * 10 + [False] * 2
    clock.close()


def test_a_limit_does_not_remember_everybody_for_ever(clock: Clock) -> None:
    limit = RateLimit(10, 1)
    for number in range(20_000):
        assert limit.allows(str(number))
        clock.now += 0.01
    assert len(limit._left) <= 10_001
    clock.close()


def test_no_pages_work_keeps_a_hosted_server_from_the_others_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever reads a long text makes every step of another's rerun wait for as long as Python lets one thread work."""
    monkeypatch.setattr(hosting, "stay_offline", lambda: None)  # which would hold for the tests that follow
    monkeypatch.setattr(worker, "start_dispatcher", lambda: None)
    usual = sys.getswitchinterval()

    async def interval(hosted: str) -> float:
        monkeypatch.setenv(hosting.VARIABLE, hosted)
        async with server.lifespan(st.App("unused.py")):
            return sys.getswitchinterval()

    try:
        assert run_async(interval("")) == usual
        assert run_async(interval("1")) <= 0.001
    finally:
        sys.setswitchinterval(usual)
