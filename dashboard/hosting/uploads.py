"""ASGI middleware in front of Streamlit's server: bounds uploads by size, by visitor and in all, and how fast a visitor
may connect and send; hides Streamlit's statistics.

Streamlit keeps an uploaded file in memory from the moment it arrives, whether or not a page asks for it, until its
session ends. So this stands in front of it as ASGI middleware: it lets in so many uploads at a time, and takes the
oldest files out again where a visitor, or all visitors together, have more than their share. That costs nobody
anything: a page copies a file when it first sees it.
"""

from __future__ import annotations

import asyncio
import ipaddress
import itertools
import re
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any, Protocol

from dashboard.hosting.caps import Caps
from dashboard.hosting.owners import COOKIE, SECRET
from dashboard.hosting.rates import TRY_AGAIN_LATER, RateLimit, Receive, Send, in_turn

Scope = MutableMapping[str, Any]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

UPLOAD = re.compile(r"/_stcore/upload_file/(?P<session>[^/]+)/(?P<file>[^/]+)")
STATISTICS = re.compile(r"/_stcore/metrics")
"""Streamlit's statistics (memory, number of visitors), which are answered with 404. Both are searched for, not matched:
a base path may stand in front."""

MOST_AT_ONCE = 16
"""Uploads that are on their way at the same time, over all visitors."""

UPLOAD_SECONDS = 60.0
"""The longest that an upload may take. A slow line sends the usual text in that time; a client that trickles bytes must
not keep a place from others."""


CONNECTIONS_AT_ONCE, CONNECTIONS_PER_SECOND = 10.0, 1.0
"""Connections and uploads that a visitor may begin at once, and from then on. A page is one connection."""

PEOPLE_OF_AN_ADDRESS = 20
"""One address may stand for this many visitors (a school, an office), and may do as much as all of them. A client that
drops its cookie to look new still counts towards its address."""


class StoredFile(Protocol):
    """An uploaded file in memory."""

    @property
    def data(self) -> bytes: ...


class UploadStore(Protocol):
    """Where uploaded files lie: by session, then by id, the oldest first."""

    file_storage: Mapping[str, Mapping[str, StoredFile]]

    def remove_file(self, session_id: str, file_id: str) -> None: ...

    def remove_session_files(self, session_id: str) -> None: ...


class UploadGuard:
    """ASGI middleware for Streamlit's server. `store` is called when the first upload comes: it does not exist before
    the server has begun.
    """

    def __init__(self, app: Application, *, caps: Caps, store: Callable[[], UploadStore]) -> None:
        self.app, self.caps, self.store = app, caps, store
        self.uploading: set[str] = set()  # visitors
        self.visitor_of: dict[str, str] = {}  # by session
        self.connections = RateLimit(CONNECTIONS_AT_ONCE, CONNECTIONS_PER_SECOND)
        self.messages = RateLimit(caps.messages_at_once, caps.messages_per_second)
        self.unknown_visitors = itertools.count()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        path = str(scope.get("path", ""))
        if scope["type"] == "websocket":
            await self.connect(scope, receive, send)
            return
        if scope["type"] == "http" and STATISTICS.search(path):
            await _refuse(send, 404, "not found")
            return
        upload = UPLOAD.search(path) if scope["type"] == "http" and scope["method"] == "PUT" else None
        if upload is None:
            await self.app(scope, receive, send)
            return
        session = upload["session"]
        visitor = _visitor(scope) or session
        if visitor in self.uploading or len(self.uploading) >= MOST_AT_ONCE or not self.connections.allows(visitor):
            await _refuse(send, 429, "one upload at a time, please; try again in a moment")
            return
        self.uploading.add(visitor)
        try:
            async with asyncio.timeout(UPLOAD_SECONDS):
                await self.app(scope, receive, send)
        except TimeoutError:
            await _refuse(send, 408, "this upload takes too long")
        finally:
            self.uploading.discard(visitor)
            self.visitor_of[session] = visitor
            self.make_room(visitor)

    async def connect(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The connection of one page, for as long as it is open."""
        secret, address = _visitor(scope), _address(scope)
        # Each name that the limit counts by, and how many visitors it stands for.
        senders = ({} if secret is None else {secret: 1}) | ({} if address is None else {address: PEOPLE_OF_AN_ADDRESS})
        if not all(self.connections.allows(sender, people) for sender, people in senders.items()):
            await send({"type": "websocket.close", "code": TRY_AGAIN_LATER})
            return
        if secret is None:  # who comes for the first time is somebody else on each connection
            senders[f"connection {next(self.unknown_visitors)}"] = 1
        await self.app(scope, in_turn(receive, send, self.messages, senders), send)

    def make_room(self, visitor: str) -> None:
        """Take files out, the oldest first, until this visitor's and then everybody's are within the caps."""
        store = self.store()
        everybody = list(store.file_storage)
        for cap, sessions in (
            (self.caps.uploads_megabytes, [name for name in everybody if self.visitor_of.get(name) == visitor]),
            (self.caps.all_uploads_megabytes, everybody),
        ):
            files = [
                (session, file, len(stored.data))
                for session in sessions
                for file, stored in list(store.file_storage.get(session, {}).items())
            ]
            total = sum(size for _, _, size in files)
            for session, file, size in files:
                if total <= cap * 2**20:
                    break
                store.remove_file(session, file)
                total -= size

    def forget(self, is_connected: Callable[[str], bool]) -> int:
        """Take out the files of everybody who has left. Returns their bytes."""
        store, freed = self.store(), 0
        for session in [session for session in store.file_storage if not is_connected(session)]:
            freed += sum(len(stored.data) for stored in list(store.file_storage.get(session, {}).values()))
            store.remove_session_files(session)
        for session in [session for session in self.visitor_of if not is_connected(session)]:
            del self.visitor_of[session]
        return freed


def _visitor(scope: Scope) -> str | None:
    """The secret in the request's cookie; anything else in its place counts as none."""
    headers = dict(scope.get("headers", ()))
    try:
        cookie = SimpleCookie(headers.get(b"cookie", b"").decode("latin-1")).get(COOKIE)
    except CookieError:
        return None
    return cookie.value if cookie is not None and SECRET.fullmatch(cookie.value) else None


def _address(scope: Scope) -> str | None:
    """Where a connection comes from; None where that is a proxy or a neighbour, who speaks for many."""
    try:
        address = ipaddress.ip_address(scope["client"][0])
    except (KeyError, TypeError, ValueError):
        return None
    return str(address) if address.is_global else None


async def _refuse(send: Send, status: int, why: str) -> None:
    body = why.encode()
    headers = (
        (b"content-type", b"text/plain"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
    )
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
