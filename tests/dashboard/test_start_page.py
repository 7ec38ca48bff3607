"""The first HTML says where the server is: no link to a page begins with requests that fail."""

from pathlib import Path

import pytest
import streamlit
from waiting import run_async

from dashboard.server import FIRST_WIDGETS, PAGES
from dashboard.start_page import StartPage, widget_files

PAGE = b"<!DOCTYPE html><html><head><title>x</title></head></html>"


def answer(headers: list[tuple[bytes, bytes]], kind: bytes = b"text/html; charset=utf-8", status: int = 200, early=()):
    """What comes out for a request with these headers -> (headers, body)."""
    sent = []

    async def app(scope, receive, send):
        assert b"accept-encoding" not in dict(scope["headers"]) or b"text/html" not in dict(headers)[b"accept"]
        fields = [(b"content-type", kind), (b"content-length", str(len(PAGE)).encode()), (b"etag", b"1")]
        await send({"type": "http.response.start", "status": status, "headers": fields})
        await send({"type": "http.response.body", "body": PAGE[:20], "more_body": True})
        await send({"type": "http.response.body", "body": PAGE[20:]})

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "GET", "headers": headers}
    run_async(StartPage(app, ["train", "by_hand"], early)(scope, None, send))
    return dict(sent[0]["headers"]), b"".join(message.get("body", b"") for message in sent[1:])


def test_a_page_gets_the_script_before_everything_else_and_its_true_length():
    headers, body = answer([(b"accept", b"text/html,*/*"), (b"accept-encoding", b"gzip")])
    assert body.index(b"BACKEND_BASE_URL") < body.index(b"<title>")
    assert b"(by_hand|train)" in body
    assert int(headers[b"content-length"]) == len(body)
    assert headers[b"etag"] == b"1"


@pytest.mark.parametrize(
    ("accept", "kind", "status"),
    [(b"*/*", b"text/html", 200), (b"text/html", b"text/css", 200), (b"text/html", b"text/html", 404)],
)
def test_everything_else_comes_through_as_it_is(accept, kind, status):
    headers, body = answer([(b"accept", accept), (b"accept-encoding", b"gzip")], kind, status)
    assert body == PAGE
    assert int(headers[b"content-length"]) == len(PAGE)


def test_what_a_widget_needs_is_fetched_early_with_all_that_it_imports_and_nothing_else(tmp_path):
    for name, text in {
        "Picture.a1.js": 'import{x}from"./tools.b2.js";import"./Picture.a1.js";()=>import("./later.c3.js")',
        "tools.b2.js": 'import{y}from"./base.d4.js";import"./gone.e5.js"',
        "base.d4.js": "",
        "later.c3.js": "",
        "Other.f6.js": "",
    }.items():
        (tmp_path / name).write_text(text)
    assert widget_files(["Picture", "NoSuchWidget"], tmp_path) == ["Picture.a1.js", "tools.b2.js", "base.d4.js"]
    body = answer([(b"accept", b"text/html")], early=["tools.b2.js"])[1]
    assert b'href="./static/js/tools.b2.js"></head>' in body


def test_streamlits_own_files_are_where_the_server_looks_for_them():
    scripts = Path(streamlit.__file__).parent / "static" / "static" / "js"
    assert len(widget_files(FIRST_WIDGETS, scripts)) > len(FIRST_WIDGETS)


def test_every_page_of_the_app_is_known_by_its_name_in_links():
    assert {"story", "by_hand", "train", "gradients", "runs", "race"} <= set(PAGES)
