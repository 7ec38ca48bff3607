"""The web server around the pages: what happens once, before anybody has come, and what stands before every request.

`streamlit run dashboard/app.py` finds the `st.App` in `app.py` and serves it with what is here. Only hosted mode needs
more than the start page.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

import streamlit as st
from starlette.middleware import Middleware
from streamlit import config, runtime

from dashboard import hosting
from dashboard.hosting import Caps, UploadGuard
from dashboard.hosting.uploads import Application, UploadStore
from dashboard.services import worker
from dashboard.start_page import StartPage, widget_files
from rnn_core.errors import UserError

FORGET_SECONDS = 5.0
"""How often the server looks for what visitors who left have left behind."""

GIVE_BACK_SECONDS = 10.0
"""Not more often than this is memory given back: nobody's page is drawn in the meantime."""

SWITCH_SECONDS = 0.0005
"""How long one page's work may keep Python from another's (usually ten times as long): a text that is being read makes
every other page wait for that long, many times a rerun.
"""

SESSION_SECONDS = 15
"""How long after a lost connection a visit can be taken up where it was; then its memory is free for others."""

PAGES = [view.stem for view in (Path(__file__).parent / "views").glob("[a-z]*.py")]
"""The pages' names in links: those of their files."""

FIRST_WIDGETS = ("BidiComponent",)
"""What draws the first page's picture, as Streamlit names its files. Fetched at the start, it brings the picture 0.6
seconds sooner; with more than this one the heading would come later.
"""

_guards: list[UploadGuard] = []


def middleware() -> list[Middleware]:
    """What stands before every request: where the server is, and on a hosted one, the guard of its uploads."""
    scripts = Path(st.__file__).parent / "static" / "static" / "js"
    start_page = Middleware(StartPage, pages=PAGES, early=widget_files(FIRST_WIDGETS, scripts), first_look=_first_look)
    caps = _caps()
    if caps is None:
        return [start_page]
    # These bounds are Streamlit's own; it holds them while a file or message still arrives.
    config.set_option("server.maxUploadSize", caps.uploads_megabytes)
    config.set_option("server.maxWidgetStateSize", caps.upload_megabytes + 3)
    config.set_option("server.disconnectedSessionTTL", SESSION_SECONDS)
    return [start_page, Middleware(_guard, caps=caps)]


def _first_look() -> tuple[str, str]:
    """Imported late: its component registers with the server, which has to be there."""
    from dashboard.components.first_look import first_look

    return first_look()


def _guard(app: Application, caps: Caps) -> UploadGuard:
    guard = UploadGuard(app, caps=caps, store=lambda: cast(UploadStore, runtime.get_instance().uploaded_file_mgr))
    _guards.append(guard)
    return guard


@contextlib.asynccontextmanager
async def lifespan(app: st.App) -> AsyncIterator[None]:
    """From the server's start to its end: a first page made before it is asked for; on a hosted server, no connections,
    a queue that moves, memory that comes back.
    """
    made = asyncio.create_task(asyncio.to_thread(_first_look), name="make the first page")  # noqa: F841 (kept alive)
    if _caps() is None:
        yield
        return
    sys.setswitchinterval(SWITCH_SECONDS)
    hosting.stay_offline()
    with contextlib.suppress(UserError):  # The page says what is wrong.
        worker.start_dispatcher()
    forgetting = asyncio.create_task(_forget_visitors(), name="forget visitors who left")
    try:
        yield
    finally:
        forgetting.cancel()


async def _forget_visitors() -> None:
    """Give back the memory of those who left."""
    sessions_before, given_back, left = 0, 0.0, False
    while True:
        await asyncio.sleep(FORGET_SECONDS)
        freed = sum(guard.forget(runtime.get_instance().is_active_session) for guard in _guards)
        # Streamlit forgets a session that is over when it next counts them.
        sessions = len(runtime.get_instance()._session_mgr.list_sessions())
        left = left or freed > 0 or sessions < sessions_before
        sessions_before = sessions
        if left and time.monotonic() - given_back > GIVE_BACK_SECONDS:
            await asyncio.to_thread(_give_memory_back)
            given_back, left = time.monotonic(), False


def _give_memory_back() -> None:
    """What Python has freed goes back to the operating system only where the C library is asked for it."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):  # another C library than glibc
        ctypes.CDLL(None).malloc_trim(0)


def _caps() -> Caps | None:
    """The caps of this server; where they make no sense the default ones, until the page has said so."""
    try:
        return hosting.current_caps()
    except UserError:
        return Caps()
