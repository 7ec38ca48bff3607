"""Visitors of the load test: websocket clients that speak Streamlit's protocol, the ordinary and the hostile ones."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import random
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import websockets
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from dashboard.state import session
from dashboard.text import corpus as corpus_wording
from dashboard.text import general as wording

PAGES = ("", "corpus", "train", "gradients", "generate", "runs")
STAY_SECONDS = (4.0, 12.0)
FINISHED = ForwardMsg.FINISHED_SUCCESSFULLY, ForwardMsg.FINISHED_FRAGMENT_RUN_SUCCESSFULLY


@dataclass
class Log:
    """What all browsers saw. Seconds from a request to the end of what it drew."""

    pages: list[float] = field(default_factory=list)
    polls: list[float] = field(default_factory=list)
    clicks: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


class Browser:
    """One visitor's tab."""

    def __init__(self, address: str, log: Log) -> None:
        self.address, self.log = address, log
        self.cookie = f"{session.COOKIE}={secrets.token_hex(32)}"
        self.hashes: dict[str, str] = {}  # page's address -> script hash
        self.buttons: dict[str, str] = {}  # label -> id
        self.choices: dict[str, str] = {}  # option -> id of the control that offers it
        self.text_area = ""
        self.polls: dict[str, float] = {}  # fragment -> seconds between polls
        self.page, self.query = "", ""
        self.replied = asyncio.Event()
        self.one_at_a_time = asyncio.Lock()

    async def come(self) -> None:
        """Open the connection."""
        self.socket = await websockets.connect(
            f"{self.address.replace('http', 'ws')}/_stcore/stream",
            subprotocols=["streamlit"],
            additional_headers={"Cookie": self.cookie, "Origin": self.address},
            max_size=None,
            open_timeout=60,
        )
        self.reader = asyncio.create_task(self._read())

    async def leave(self) -> None:
        """Close it."""
        self.reader.cancel()
        await self.socket.close()

    async def _read(self) -> None:
        async for data in self.socket:
            message = ForwardMsg()
            message.ParseFromString(data)
            kind = message.WhichOneof("type")
            if kind == "script_finished" and message.script_finished in FINISHED:
                self.replied.set()
            elif kind == "navigation":
                self.hashes = {page.url_pathname: page.page_script_hash for page in message.navigation.app_pages}
                current = message.navigation.page_script_hash
                self.page = next((path for path, known in self.hashes.items() if known == current), self.page)
            elif kind == "file_urls_response" and not self.upload.done():
                self.upload.set_result(message.file_urls_response.file_urls[0].upload_url)
            elif kind == "page_info_changed":
                self.query = message.page_info_changed.query_string
            elif kind == "auto_rerun":
                self.polls[message.auto_rerun.fragment_id] = message.auto_rerun.interval
            elif kind == "stop_auto_rerun":
                for fragment in message.stop_auto_rerun.fragment_ids:
                    self.polls.pop(fragment, None)
            elif kind == "new_session":
                self.buttons.clear()
                if not message.metadata.run.fragment_ids:
                    # The whole page is drawn anew, and says again where it wants to be asked.
                    self.polls.clear()
            elif kind == "delta":
                element = message.delta.new_element
                which = element.WhichOneof("type")
                if which == "button":
                    self.buttons[element.button.label] = element.button.id
                elif which == "button_group":
                    group = element.button_group
                    self.choices.update({option.content: group.id for option in group.options})
                elif which == "text_area":
                    self.text_area = element.text_area.id
                elif which == "exception" or (which == "alert" and wording.INTERNAL_ERROR[:30] in element.alert.body):
                    self.log.errors.append(str(element)[:500])

    async def _ask(self, times: list[float], fragment: str = "", button: str = "") -> None:
        """Ask for a rerun, and wait until it has been drawn."""
        async with self.one_at_a_time:
            message = self.rerun()
            if fragment:
                message.rerun_script.fragment_id, message.rerun_script.is_auto_rerun = fragment, True
            if button:
                widget = message.rerun_script.widget_states.widgets.add()
                widget.id, widget.trigger_value = self.buttons[button], True
            started = time.monotonic()
            await self.send(message)
            times.append(time.monotonic() - started)

    def rerun(self) -> BackMsg:
        """The message that asks for the page at hand."""
        message = BackMsg()
        message.rerun_script.query_string = self.query
        message.rerun_script.page_script_hash = self.hashes.get(self.page, "")
        return message

    async def send(self, message: BackMsg) -> None:
        """Send it, and wait until everything that it asks for has been drawn."""
        self.replied.clear()
        await self.socket.send(message.SerializeToString())
        reply = asyncio.create_task(self.replied.wait())
        await asyncio.wait({reply, self.reader}, timeout=60, return_when=asyncio.FIRST_COMPLETED)
        if self.reader.done():
            self.reader.result()
            raise ConnectionError("the server hung up")
        if not reply.done():
            reply.cancel()
            self.log.errors.append(f"no answer within 60 seconds on /{self.page}")

    async def upload_address(self) -> str:
        """Where the server takes a file from this visitor."""
        self.upload = asyncio.get_running_loop().create_future()
        message = BackMsg()
        message.file_urls_request.request_id = "1"
        message.file_urls_request.file_names.append("a.txt")
        await self.socket.send(message.SerializeToString())
        return await asyncio.wait_for(self.upload, 60)

    async def go_to(self, page: str) -> None:
        self.page = page
        self.polls.clear()
        await self._ask(self.log.pages)

    async def click(self, label: str) -> None:
        await self._ask(self.log.clicks, button=label)

    async def stay(self, seconds: float) -> None:
        """Look at the page for so long, polling as it asks for."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            await asyncio.sleep(min(left, min(self.polls.values(), default=left)))
            for fragment in list(self.polls):
                if time.monotonic() < end and fragment in self.polls:
                    await self._ask(self.log.polls, fragment=fragment)


async def onlooker(browser: Browser, until: float, chance: random.Random) -> None:
    while time.monotonic() < until:
        await browser.stay(chance.uniform(*STAY_SECONDS))
        await browser.go_to(chance.choice(PAGES))


async def trainer(browser: Browser, until: float) -> None:
    """Start the demo, and stay on the Train page."""
    await browser.click(wording.FIRST_VISIT_BUTTON)
    while time.monotonic() < until:
        await browser.stay(min(5.0, max(0.1, until - time.monotonic())))


# --- those who mean it badly ------------------------------------------------------------------------------------------

MEGABYTE = 2**20


async def uploader(browser: Browser, until: float) -> None:
    """Send large files straight to the upload address, one after the other, and never show them to a page."""
    while time.monotonic() < until:
        for megabytes in (24, 4.9):
            address = await browser.upload_address()
            await asyncio.to_thread(put, browser, address, megabytes)


def put(browser: Browser, address: str, megabytes: float) -> None:
    connection = http.client.HTTPConnection(browser.address.removeprefix("http://"), timeout=60)
    body = b'--edge\r\nContent-Disposition: form-data; name="f"; filename="a.txt"\r\n\r\n'
    body += b"a" * int(megabytes * MEGABYTE) + b"\r\n--edge--\r\n"
    try:
        connection.request("GET", "/_stcore/health")
        answer = connection.getresponse()
        token = answer.headers["set-cookie"].partition("=")[2].partition(";")[0]
        answer.read()
        cookie = f"_streamlit_xsrf={token}; {browser.cookie}"
        headers = {"Content-Type": "multipart/form-data; boundary=edge", "X-Xsrftoken": token, "Cookie": cookie}
        connection.request("PUT", address, body, headers)
        connection.getresponse().read()
    except OSError:
        time.sleep(0.1)  # The server hung up on it.
    finally:
        connection.close()


async def paster(browser: Browser, until: float) -> None:
    """Paste a megabyte of the shortest sentences there are, and leave before it is read. Again and again."""
    while time.monotonic() < until:
        await browser.go_to("corpus")
        message = browser.rerun()
        choice = message.rerun_script.widget_states.widgets.add()
        choice.id = browser.choices.get(corpus_wording.SOURCES["paste"], "")
        choice.string_array_value.data.append(corpus_wording.SOURCES["paste"])
        await browser.send(message)
        # Another text each time, or the server would know it already.
        text = message.rerun_script.widget_states.widgets.add()
        text.id, text.string_value = browser.text_area, secrets.token_hex(8) + ". " * (MEGABYTE // 2)
        await browser.socket.send(message.SerializeToString())
        await asyncio.sleep(0.2)
        await browser.leave()
        await browser.come()


async def forger(browser: Browser, until: float) -> None:
    """Send what no page of ours would: bytes at random, widgets that there are not, values of the wrong kind."""
    chance = random.Random(0)
    while time.monotonic() < until:
        message = browser.rerun()
        for name in [*browser.choices.values(), browser.text_area, "no such widget"]:
            widget = message.rerun_script.widget_states.widgets.add()
            widget.id = name
            chance.choice(
                [
                    lambda widget=widget: setattr(widget, "string_value", "\U0010ffff" * 1000),
                    lambda widget=widget: setattr(widget, "int_value", -(2**62)),
                    lambda widget=widget: setattr(widget, "double_value", float("nan")),
                    lambda widget=widget: setattr(widget, "json_value", "{"),
                    lambda widget=widget: widget.int_array_value.data.append(2**62),
                ]
            )()
        message.rerun_script.query_string = "run=" + "x" * 10_000
        await browser.socket.send(message.SerializeToString())
        await asyncio.sleep(0.2)
        if chance.random() < 0.3:
            await browser.socket.send(chance.randbytes(1000))  # The server hangs up on it.
            await browser.leave()
            await browser.come()


async def caller(browser: Browser, until: float) -> None:
    """Connect, ask for a page, hang up before it comes; as fast as it goes."""
    while time.monotonic() < until:
        await browser.socket.send(browser.rerun().SerializeToString())
        await browser.leave()
        await browser.come()


HOSTILE: tuple[Callable[[Browser, float], Awaitable[None]], ...] = (uploader, paster, forger, caller)


async def hostile(kind: Callable[[Browser, float], Awaitable[None]], browser: Browser, until: float) -> None:
    """One of these, who comes back when the server has hung up."""
    while time.monotonic() < until:
        try:
            await kind(browser, until)
        except (OSError, websockets.WebSocketException, TimeoutError):
            await browser.leave()
            await asyncio.sleep(0.2)
            with contextlib.suppress(OSError, websockets.WebSocketException, TimeoutError):
                await browser.come()
