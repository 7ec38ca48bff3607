"""The HTML that a browser gets first says where the server is.

Streamlit's own looks for the server below its own address, as /train/_stcore/health, and above it only when that has
failed: two errors in the browser's console, and a round trip, for every link to a page.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

from dashboard.hosting.rates import Message, Receive, Send
from dashboard.hosting.uploads import Application, Scope

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


class StartPage:
    """ASGI middleware around Streamlit's app. pages: their names in links, letters, digits and _ alone; early: script
    files that the browser is to fetch with the first ones.
    """

    def __init__(self, app: Application, pages: Collection[str], early: Collection[str] = ()) -> None:
        assert all(re.fullmatch(r"\w+", page, re.ASCII) for page in pages)
        self.app = app
        script = SCRIPT.format(pages="|".join(sorted(pages)))
        links = "".join(f'<link rel="modulepreload" fetchpriority="low" href="./static/js/{name}">' for name in early)
        self.head, self.end = f"<head>{script}".encode(), f"{links}</head>".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as the app does; into a whole HTML page the script is put."""
        if scope["type"] != "http" or scope["method"] != "GET" or not _asks_for_page(scope):
            await self.app(scope, receive, send)
            return
        start: Message | None = None
        body = b""

        async def send_told(message: Message) -> None:
            nonlocal start, body
            if message["type"] == "http.response.start" and _is_page(message):
                start = message
            elif start is not None and message["type"] == "http.response.body":
                body += message.get("body", b"")
                if not message.get("more_body", False):
                    page = body.replace(b"<head>", self.head, 1).replace(b"</head>", self.end, 1)
                    headers = [(name, value) for name, value in start["headers"] if name != b"content-length"]
                    await send({**start, "headers": [*headers, (b"content-length", str(len(page)).encode())]})
                    await send({"type": "http.response.body", "body": page})
            else:
                await send(message)

        # The app is to send the few kilobytes themselves: not compressed, nor a file name for the server to read.
        headers = [(name, value) for name, value in scope["headers"] if name != b"accept-encoding"]
        await self.app({**scope, "headers": headers, "extensions": {}}, receive, send_told)


def _asks_for_page(request: Scope) -> bool:
    return any(name == b"accept" and b"text/html" in value for name, value in request["headers"])


def _is_page(start: Message) -> bool:
    headers = dict(start["headers"])
    return start["status"] == 200 and headers.get(b"content-type", b"").startswith(b"text/html")
