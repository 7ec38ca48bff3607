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
    """What `condition` returns, once it is true; AssertionError where that never happens."""
    end = time.monotonic() + HANG_SECONDS
    while not (value := condition()):
        assert time.monotonic() < end, f"{what} did not happen within {HANG_SECONDS:.0f} s"
        time.sleep(0.01)
    return value
