"""The HTML page of a report: it loads nothing and runs nothing, and whatever a user wrote is text in it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from xml.etree.ElementTree import Element, tostring

from rnn_core.report.svg import add
from rnn_core.runs import check_output_path, disk_error, files

STYLE = (Path(__file__).parent / "report.css").read_text(encoding="utf-8")
# With this policy a browser loads nothing and runs no script, even if words of a user were taken for markup.
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def new_page(title: str) -> tuple[Element, Element]:
    """An empty page with a heading -> (the page, the element that its content goes into)."""
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
    """A table with named columns; None is an empty cell."""
    drawn = add(add(body, "div", class_="wide"), "table")
    line = add(drawn, "tr")
    for name in names:
        add(line, "th", name)
    for row in rows:
        line = add(drawn, "tr")
        for value in row:
            add(line, "td", "" if value is None else str(value))


def html(page: Element) -> str:
    """The page as the content of an HTML file."""
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
