"""What visitors send to the server before any page's script sees it: bounded while it comes, and given back."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import os
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from waiting import HANG_SECONDS, run_async, wait_for
from websockets.sync.client import connect

from dashboard import hosting, server
from dashboard.hosting import Caps, UploadGuard, uploads
from tests.dashboard.conftest import Server, running_server

CAPS = Caps(upload_megabytes=5, uploads_megabytes=10, all_uploads_megabytes=30)
ANNA, BERT = "a" * 64, "b" * 64
MEGABYTE = 2**20


@dataclass
class File:
    data: bytes


@pytest.fixture
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests in which one visitor sends more than a person would."""
    monkeypatch.setattr(uploads, "CONNECTIONS_AT_ONCE", 1000.0)


class Store:
    """As Streamlit's: files by session and id."""

    def __init__(self) -> None:
        self.file_storage: dict[str, dict[str, File]] = defaultdict(dict)

    def remove_file(self, session_id: str, file_id: str) -> None:
        del self.file_storage[session_id][file_id]

    def remove_session_files(self, session_id: str) -> None:
        del self.file_storage[session_id]

    def megabytes(self, *sessions: str) -> float:
        return sum(len(file.data) for name in sessions for file in self.file_storage[name].values()) / MEGABYTE


class Guarded:
    """A guard before a server that stores whatever comes."""

    def __init__(self, arrive: Callable[[], Awaitable[None]] | None = None) -> None:
        self.store = Store()

        async def server(scope: Any, receive: Any, send: Any) -> None:
            if arrive is not None:
                await arrive()
            if "upload_file" in scope["path"]:
                *_, session, file = scope["path"].split("/")
                self.store.file_storage[session][file] = File(bytes(4 * MEGABYTE))
            await send({"type": "http.response.start", "status": 204, "headers": []})

        self.guard = UploadGuard(server, caps=CAPS, store=lambda: self.store)

    async def ask(self, path: str, secret: str | None = None, method: str = "PUT") -> int:
        """-> the status of the answer."""
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        cookie = f"other=1; {hosting.COOKIE}={secret}".encode()
        headers = [] if secret is None else [(b"cookie", cookie)]
        scope = {"type": "http", "method": method, "path": path, "headers": headers}
        await self.guard(scope, lambda: asyncio.sleep(0), send)
        return int(sent[0]["status"])

    async def upload(self, session: str, file: str, secret: str | None = None) -> int:
        return await self.ask(f"/_stcore/upload_file/{session}/{file}", secret)


def test_strangers_are_shown_no_statistics() -> None:
    served = Guarded()
    for path in ("/_stcore/metrics", "/base/_stcore/metrics", "/_stcore/metrics/"):
        assert run_async(served.ask(path, method="GET")) == 404
    assert run_async(served.ask("/_stcore/health", method="GET")) == 204


def test_one_visitors_uploads_are_bounded_and_the_newest_stays(unhurried: None) -> None:
    served = Guarded()
    for number in range(20):
        assert run_async(served.upload("tab", f"file{number}")) == 204
        assert served.store.megabytes("tab") <= CAPS.uploads_megabytes
    assert list(served.store.file_storage["tab"]) == ["file18", "file19"]


def test_all_tabs_of_a_browser_are_one_visitor() -> None:
    served = Guarded()
    for tab in ("one", "two", "three", "four"):
        run_async(served.upload(tab, "file", ANNA))
    run_async(served.upload("bert's", "file", BERT))
    assert served.store.megabytes("one", "two", "three", "four") <= CAPS.uploads_megabytes
    assert served.store.megabytes("four") == served.store.megabytes("bert's") == 4


def test_the_uploads_of_all_visitors_are_bounded_too() -> None:
    served = Guarded()
    for number in range(40):
        run_async(served.upload(f"tab{number}", "file"))
    assert served.store.megabytes(*served.store.file_storage) <= CAPS.all_uploads_megabytes
    assert served.store.megabytes("tab39") == 4


def test_a_visitor_sends_one_file_at_a_time_and_no_crowd_sends_them_all_at_once() -> None:
    async def crowd() -> list[int]:
        begun, end = asyncio.Event(), asyncio.Event()

        async def arrive() -> None:
            begun.set()
            await end.wait()

        served = Guarded(arrive)
        first = asyncio.create_task(served.upload("one", "a", ANNA))
        await begun.wait()
        again = await served.upload("two", "b", ANNA)
        others = [asyncio.create_task(served.upload(f"tab{number}", "a")) for number in range(uploads.MOST_AT_ONCE)]
        while not others[-1].done():
            await asyncio.sleep(0)
        end.set()
        return [again, await first, *[await task for task in others]]

    assert run_async(crowd()) == [429, 204, *[204] * (uploads.MOST_AT_ONCE - 1), 429]


@pytest.mark.parametrize(("address", "limited"), [("8.8.8.8", True), ("127.0.0.1", False), ("10.0.0.7", False)])
def test_an_address_that_speaks_for_many_is_not_taken_for_one_visitor(address: str, limited: bool) -> None:
    served, closed = Guarded(), []

    async def send(message: Any) -> None:
        if message["type"] == "websocket.close":
            closed.append(message["code"])

    async def storm() -> None:
        for _ in range(300):
            scope = {"type": "websocket", "path": "/_stcore/stream", "headers": [], "client": (address, 1)}
            await served.guard(scope, lambda: asyncio.sleep(0), send)

    run_async(storm())
    assert bool(closed) == limited


def test_who_sends_a_byte_now_and_then_is_sent_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "UPLOAD_SECONDS", 0.01)
    served = Guarded(lambda: asyncio.sleep(3600))
    assert run_async(served.upload("tab", "file")) == 408
    assert not served.guard.uploading


def test_the_files_of_those_who_left_are_forgotten() -> None:
    served = Guarded()
    for tab in ("gone", "here"):
        run_async(served.upload(tab, "file"))
    assert served.guard.forget(lambda session: session == "here") == 4 * MEGABYTE
    assert list(served.store.file_storage) == ["here"]
    assert list(served.guard.visitor_of) == ["here"]


@pytest.mark.parametrize(
    "cookie", [b"", b"\xff\xfe", b"see_bptt_visitor=short", b"=;=;;", b"see_bptt_visitor=" + b"A" * 64]
)
def test_a_forged_cookie_makes_nobody_of_a_visitor(cookie: bytes) -> None:
    assert uploads._visitor({"headers": [(b"cookie", cookie)]}) is None


# --- with the real server ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def hosted_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("uploads") / "runs"
    with running_server(folder, SEE_BPTT_HOSTED="uploads_megabytes=10 all_uploads_megabytes=20") as server:
        yield server


def resident_megabytes(server: Server) -> float:
    pages = int(Path(f"/proc/{server.process.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / MEGABYTE


class Tab:
    """A websocket for which the server runs no script: it only asks where files can be sent."""

    def __init__(self, server: Server) -> None:
        self.host = server.address.removeprefix("http://")
        connection = http.client.HTTPConnection(self.host)
        connection.request("GET", "/_stcore/health")
        self.token = connection.getresponse().headers["set-cookie"].partition("=")[2].partition(";")[0]
        self.leaving = contextlib.ExitStack()
        self.socket = self.leaving.enter_context(
            connect(f"ws://{self.host}/_stcore/stream", subprotocols=["streamlit"], origin=server.address)
        )

    def address(self) -> str:
        """Where a file may be sent."""
        message = BackMsg()
        message.file_urls_request.request_id = "1"
        message.file_urls_request.file_names.append("a.txt")
        self.socket.send(message.SerializeToString())
        while True:
            answer = ForwardMsg()
            answer.ParseFromString(self.socket.recv(30))
            if answer.WhichOneof("type") == "file_urls_response":
                return str(answer.file_urls_response.file_urls[0].upload_url)

    def put(self, address: str, megabytes: float) -> int:
        """-> the status of the answer; 0 where the server hung up instead of reading on."""
        edge = "boundary"
        body = f'--{edge}\r\nContent-Disposition: form-data; name="f"; filename="a.txt"\r\n\r\n'.encode()
        body += b"a" * int(megabytes * MEGABYTE) + f"\r\n--{edge}--\r\n".encode()
        connection = http.client.HTTPConnection(self.host, timeout=HANG_SECONDS)
        headers = {
            "Content-Type": f"multipart/form-data; boundary={edge}",
            "X-Xsrftoken": self.token,
            "Cookie": f"_streamlit_xsrf={self.token}",
        }
        try:
            connection.request("PUT", address, body, headers)
            return connection.getresponse().status
        except OSError:
            return 0
        finally:
            connection.close()


def flood(tab: Tab) -> None:
    """Send far more than one visitor may keep."""
    assert {tab.put(tab.address(), 24) for _ in range(5)} <= {413, 0}
    assert [tab.put(tab.address(), 4.9) for _ in range(4)] == [204] * 4
    assert {tab.put(tab.address(), 24) for _ in range(10)} <= {413, 429, 0}
    assert {tab.put(tab.address(), 4.9) for _ in range(10)} <= {204, 429, 0}


@pytest.mark.slow
def test_one_tab_cannot_fill_the_memory_and_what_it_took_comes_back(hosted_server: Server) -> None:
    # What the server needs once, for any such flood, is not meant: its threads, and what they have fragmented.
    first = Tab(hosted_server)
    flood(first)
    address = first.address()
    first.leaving.close()
    wait_for(lambda: first.put(address, 0.01) == 400)
    before = resident_megabytes(hosted_server)
    tab = Tab(hosted_server)
    flood(tab)
    # Two files are kept; reading one takes it twice.
    assert resident_megabytes(hosted_server) - before < 50
    tab.leaving.close()
    wait_for(lambda: resident_megabytes(hosted_server) - before < 8)


@pytest.mark.process
def test_nothing_is_taken_from_who_has_no_page_open(hosted_server: Server) -> None:
    tab = Tab(hosted_server)
    assert tab.put("/_stcore/upload_file/no-such-session/file", 1) == 400
    address = tab.address()
    tab.leaving.close()
    wait_for(lambda: tab.put(address, 0.01) == 400, "the server to forget the page")


def test_a_hosted_server_forgets_who_left_after_15_seconds_and_bounds_what_streamlit_takes(monkeypatch) -> None:
    expected = {
        "server.disconnectedSessionTTL": 15,
        "server.maxUploadSize": CAPS.uploads_megabytes,
        "server.maxWidgetStateSize": CAPS.upload_megabytes + 3,
    }
    options: dict[str, Any] = {}
    monkeypatch.setattr(server.config, "set_option", options.__setitem__)
    monkeypatch.setenv(hosting.VARIABLE, "upload_megabytes=5 uploads_megabytes=10")
    assert len(server.middleware()) == 2
    assert options == expected
    options.clear()
    monkeypatch.delenv(hosting.VARIABLE)
    assert len(server.middleware()) == 1
    assert options == {}


def test_the_running_server_shows_strangers_no_statistics(hosted_server: Server) -> None:
    connection = http.client.HTTPConnection(hosted_server.address.removeprefix("http://"))
    connection.request("GET", "/_stcore/metrics")
    assert connection.getresponse().status == 404
