"""The first HTML says where the server is: no link to a page begins with requests that fail."""

import pytest
from waiting import run_async

from dashboard.server import PAGES
from dashboard.start_page import StartPage

PAGE = b"<!DOCTYPE html><html><head><title>x</title></head></html>"


def answer(headers: list[tuple[bytes, bytes]], kind: bytes = b"text/html; charset=utf-8", status: int = 200):
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
    run_async(StartPage(app, ["train", "by_hand"])(scope, None, send))
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


def test_every_page_of_the_app_is_known_by_its_name_in_links():
    assert {"story", "by_hand", "train", "gradients", "runs", "race"} <= set(PAGES)
