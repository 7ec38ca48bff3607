"""Waiting for an event: as short as it can be, and given up only when nothing but a hang is left to explain it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

HANG_SECONDS = 150.0
"""No machine is so busy that what a test waits for takes so long."""


def run_async(
    coroutine: Coroutine[Any, Any, Any], new_loop: Callable[[], asyncio.AbstractEventLoop] | None = None
) -> Any:
    """What a coroutine returns. In a thread of its own: a browser's tests leave a loop running in this one."""

    def run() -> Any:
        with asyncio.Runner(loop_factory=new_loop) as runner:
            return runner.run(coroutine)

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(run).result()


def wait_for(condition: Callable[[], Any], what: str = "it") -> Any:
    """What `condition` returns, once it is true; AssertionError where that never happens.

    To look costs processor time, which what is waited for may need: at most a quarter of the waiting is looking.
    """
    end = time.monotonic() + HANG_SECONDS
    while True:
        began = time.monotonic()
        if value := condition():
            return value
        looked = time.monotonic()
        assert looked < end, f"{what} did not happen within {HANG_SECONDS:.0f} s"
        time.sleep(min(0.25, max(0.01, 3 * (looked - began))))
