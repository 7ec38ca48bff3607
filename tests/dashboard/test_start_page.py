"""The first HTML says where the server is: no link to a page begins with requests that fail. On the first page it has
the picture already.
"""

import json
import re
import tomllib
from pathlib import Path

import pytest
import streamlit
from waiting import run_async

from dashboard.components.first_look import first_look
from dashboard.server import FIRST_WIDGETS, PAGES
from dashboard.services import home_network
from dashboard.services.home_network import Levers
from dashboard.start_page import StartPage, widget_files

PAGE = b"<!DOCTYPE html><html><head><title>Streamlit</title></head><body></body></html>"
HTML = [(b"accept", b"text/html")]


def answer(
    headers: list[tuple[bytes, bytes]],
    kind: bytes = b"text/html; charset=utf-8",
    status: int = 200,
    early=(),
    path: str = "/",
    query: bytes = b"",
):
    """What comes out for a request with these headers -> (headers, body)."""
    sent = []

    async def app(scope, receive, send):
        asks = dict(scope["headers"])
        assert not {b"accept-encoding", b"if-none-match"} & set(asks) or b"text/html" not in asks[b"accept"]
        fields = [(b"content-type", kind), (b"content-length", str(len(PAGE)).encode()), (b"etag", b"1")]
        await send({"type": "http.response.start", "status": status, "headers": fields})
        await send({"type": "http.response.body", "body": PAGE[:20], "more_body": True})
        await send({"type": "http.response.body", "body": PAGE[20:]})

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "GET", "headers": headers, "path": path, "query_string": query}
    look = ("<i>head</i>", "<i>body</i>")
    run_async(StartPage(app, ["train", "by_hand"], early, lambda: look)(scope, None, send))
    return dict(sent[0]["headers"]), b"".join(message.get("body", b"") for message in sent[1:])


def test_a_page_gets_the_script_before_everything_else_and_its_true_length():
    headers, body = answer([(b"accept", b"text/html,*/*"), (b"accept-encoding", b"gzip"), (b"if-none-match", b"1")])
    assert body.index(b"BACKEND_BASE_URL") < body.index(b"<title>")
    assert b"(by_hand|train)" in body
    assert b"<title>see-bptt</title>" in body  # in the browser's tab too, before Streamlit knows the page's own
    assert int(headers[b"content-length"]) == len(body)
    assert b"etag" not in headers  # it says nothing of our part of the page


@pytest.mark.parametrize("path", ["/", "/behind/a/proxy/"])
def test_the_first_page_has_something_to_see_before_streamlits_scripts(path):
    body = answer(HTML, path=path)[1]
    assert body.index(b"BACKEND_BASE_URL") < body.index(b"<i>head</i>") < body.index(b"<title>")
    assert b"<i>body</i></body>" in body


@pytest.mark.parametrize(("path", "query"), [("/train", b""), ("/", b"see=lstm"), ("/", b"embed=true")])
def test_a_link_to_more_than_the_first_page_does_not_begin_with_its_picture(path, query):
    assert b"<i>" not in answer(HTML, path=path, query=query)[1]


def test_the_first_look_has_the_numbers_of_the_network_and_the_colours_of_the_theme():
    head, body = first_look()
    first = json.loads(re.search(r"^const FIRST = (.*)$", head, re.MULTILINE)[1])
    reading = home_network.read(Levers(), home_network.split(home_network.SENTENCE))
    assert tuple(first["data"]["words"]) == reading.words
    for row, norms in zip(first["data"]["norms"], reading.norms, strict=True):
        assert row == pytest.approx(norms[: len(row)], rel=1e-3)
    script = head[head.index("<script") :]
    assert script.count("</script>") == 1
    assert "<s>" not in script
    files = set(re.findall(r'url\("\./static/media/([^"]+)', head))
    assert files == {*streamlits_fonts("SourceSans"), *streamlits_fonts("SourceSerif")}
    theme = tomllib.loads((Path(home_network.__file__).parents[1] / ".streamlit" / "config.toml").read_text())["theme"]
    assert f"light-dark({theme['light']['textColor']}, {theme['dark']['textColor']})" in body
    assert first["palettes"] == {base: ",".join(theme[base]["chartCategoricalColors"]) for base in ("light", "dark")}


def streamlits_fonts(name: str) -> set[str]:
    """The upright ones among Streamlit's files of a family."""
    folder = Path(streamlit.__file__).parent / "static" / "static" / "media"
    return {path.name for path in folder.glob(f"{name}*.woff2") if "Italic" not in path.name}


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
    body = answer(HTML, early=["tools.b2.js"])[1]
    assert b'href="./static/js/tools.b2.js"></head>' in body


def test_streamlits_own_files_are_where_the_server_looks_for_them():
    scripts = Path(streamlit.__file__).parent / "static" / "static" / "js"
    assert len(widget_files(FIRST_WIDGETS, scripts)) > len(FIRST_WIDGETS)


def test_every_page_of_the_app_is_known_by_its_name_in_links():
    assert {"story", "by_hand", "train", "gradients", "runs", "race"} <= set(PAGES)
