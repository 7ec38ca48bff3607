"""The page that a report is written on: nothing in it is fetched, nothing runs, and whatever a user wrote is text."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from xml.etree.ElementTree import Element, tostring

from rnn_core.report.svg import add
from rnn_core.runs import check_output_path, disk_error, files

STYLE = (Path(__file__).parent / "report.css").read_text(encoding="utf-8")
# No script, no font, no address: a browser that keeps to this asks for nothing, whatever the words may look like.
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def new_page(title: str) -> tuple[Element, Element]:
    """An empty page under its heading -> the page, and what stands in it."""
    page = Element("html", lang="en")
    head = add(page, "head")
    add(head, "meta", charset="utf-8")
    add(head, "meta", http_equiv="Content-Security-Policy", content=POLICY)
    add(head, "meta", name="viewport", content="width=device-width, initial-scale=1")
    add(head, "title", f"{title} · see-bptt")
    add(head, "style", STYLE)
    body = add(add(page, "body"), "main")
    add(body, "h1", title)
    return page, body


def table(body: Element, names: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Rows under their names; None is an empty cell."""
    drawn = add(add(body, "div", class_="wide"), "table")
    line = add(drawn, "tr")
    for name in names:
        add(line, "th", name)
    for row in rows:
        line = add(drawn, "tr")
        for value in row:
            add(line, "td", "" if value is None else str(value))


def html(page: Element) -> str:
    """As a file has it."""
    return f"<!doctype html>\n{tostring(page, encoding='unicode', method='html')}\n"


def write(content: str, path: str | Path) -> Path:
    """Write a report into a file, whole or not at all.

    Raises SettingsError where no file may be written there, RunError where the disk says no.
    """
    target = check_output_path(path)
    try:
        files.atomic_write(target, [content.encode("utf-8")], mode=0o644)
    except OSError as error:
        raise disk_error(error, target) from None
    return target
