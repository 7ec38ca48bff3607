"""The HTML that a browser gets first says where the server is, and on the first page it has something to see.

Streamlit's own looks for the server below its own address, as /train/_stcore/health, and above it only when that has
failed: two errors in the browser's console, and a round trip, for every link to a page. And it is empty until a
megabyte of scripts has been read.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Collection
from pathlib import Path

from dashboard.hosting.rates import Message, Receive, Send
from dashboard.hosting.uploads import Application, Scope
from dashboard.text import general as wording

# Whatever stands before a page's name belongs to a proxy, and is the server's place for this browser.
SCRIPT = (
    "<script>window.__streamlit = "
    r'{{BACKEND_BASE_URL: location.origin + location.pathname.replace(/\/({pages})\/?$/, "/")}}</script>'
)


def widget_files(widgets: Collection[str], folder: Path) -> list[str]:
    """The script files of Streamlit's widgets, and all that those import: names in `folder`, each once.

    A widget is fetched only when it is first drawn, and what it imports only then. None of a widget that is not there
    under its name any more.
    """
    found: list[str] = []
    ahead = [path.name for widget in widgets for path in folder.glob(f"{widget}.*.js")]
    while ahead:
        name = ahead.pop(0)
        if name not in found and (folder / name).is_file():
            found.append(name)
            ahead += re.findall(r'(?:from|import)"\./([\w.-]+\.js)"', (folder / name).read_text(encoding="utf-8"))
    return found


# A browser's copy would be taken for the present one although only Streamlit's part of it is.
COPIES = {b"content-length", b"etag", b"last-modified"}
COPY_IS_ASKED = {b"accept-encoding", b"if-none-match", b"if-modified-since"}


class StartPage:
    """ASGI middleware around Streamlit's app. pages: their names in links, letters, digits and _ alone; early: script
    files that the browser is to fetch with the first ones; first_look: what the first page has at the end of its head
    and of its body, asked for on a thread of its own.
    """

    def __init__(
        self,
        app: Application,
        pages: Collection[str],
        early: Collection[str] = (),
        first_look: Callable[[], tuple[str, str]] | None = None,
    ) -> None:
        assert all(re.fullmatch(r"\w+", page, re.ASCII) for page in pages)
        self.app = app
        self.script = SCRIPT.format(pages="|".join(sorted(pages)))
        self.links = "".join(
            f'<link rel="modulepreload" fetchpriority="low" href="./static/js/{name}">' for name in early
        )
        self.first_look = first_look

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as the app does; into a whole HTML page the script is put."""
        if scope["type"] != "http" or scope["method"] != "GET" or not _asks_for_page(scope):
            await self.app(scope, receive, send)
            return
        start: Message | None = None
        body = b""

        async def send_extended(message: Message) -> None:
            nonlocal start, body
            if message["type"] == "http.response.start" and _is_page(message):
                start = message
            elif start is not None and message["type"] == "http.response.body":
                body += message.get("body", b"")
                if not message.get("more_body", False):
                    page = await self._extended(body, scope)
                    headers = [(name, value) for name, value in start["headers"] if name not in COPIES]
                    await send({**start, "headers": [*headers, (b"content-length", str(len(page)).encode())]})
                    await send({"type": "http.response.body", "body": page})
            else:
                await send(message)

        # The app is to send the few kilobytes themselves: not compressed, nor a file name for the server to read.
        headers = [(name, value) for name, value in scope["headers"] if name not in COPY_IS_ASKED]
        await self.app({**scope, "headers": headers, "extensions": {}}, receive, send_extended)

    async def _extended(self, page: bytes, request: Scope) -> bytes:
        """Streamlit's HTML with ours in it. A script in the head runs before Streamlit's."""
        head, end = self.script, ""
        if self.first_look is not None and _asks_for_first_page(request):
            more, end = await asyncio.to_thread(self.first_look)
            head += more
        page = page.replace(b"<title>Streamlit</title>", f"<title>{wording.APP}</title>".encode(), 1)
        page = page.replace(b"<head>", f"<head>{head}".encode(), 1)
        page = page.replace(b"</head>", f"{self.links}</head>".encode(), 1)
        return page.replace(b"</body>", f"{end}</body>".encode(), 1)


def _asks_for_page(request: Scope) -> bool:
    return any(name == b"accept" and b"text/html" in value for name, value in request["headers"])


def _asks_for_first_page(request: Scope) -> bool:
    """As everybody finds it, that is: what a link has more is not known before the page is drawn."""
    return request["path"].endswith("/") and not request["query_string"]


def _is_page(start: Message) -> bool:
    headers = dict(start["headers"])
    return start["status"] == 200 and headers.get(b"content-type", b"").startswith(b"text/html")
