"""Compare, write, report, and back in from a zip: what one does with trainings that are over, in a real browser."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from dashboard.services import library
from rnn_core.runs import Run, list_runs, new_run_id, rename_run
from tests.dashboard.conftest import HOSTILE, Server, new_window

pytestmark = pytest.mark.browser


MIDDLE_OF_A_LINE = """() => {
  const line = document.querySelector(".stVegaLiteChart svg.marks .mark-line path[stroke-width='13']")
  const point = line.getPointAtLength(line.getTotalLength() / 2).matrixTransform(line.getScreenCTM())
  return [point.x, point.y]
}"""


@pytest.fixture(autouse=True)
def runs_folder(server: Server, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(library.ROOT_VARIABLE, str(server.folder))
    return server.folder


@pytest.fixture
def visitor(page: Page) -> Page:
    return page


def test_two_runs_are_compared_one_is_written_with_reported_and_comes_back_from_its_zip(
    visitor: Page, server: Server, browser: Browser, trained_run: Run, tmp_path: Path
) -> None:
    other = Run.open(shutil.copytree(trained_run.folder, server.folder / new_run_id()))
    rename_run(other.folder, "the other one")

    # Compare: pointing at a line makes the other one faint, without asking the server.
    visitor.goto(f"{server.address}/compare?runs={trained_run.id},{other.id}&quantity=training&run={trained_run.id}")
    lines = visitor.locator(".stVegaLiteChart svg.marks .mark-line path[stroke-width='2']")
    expect(lines).to_have_count(2)
    expect(visitor.locator(".stVegaLiteChart").get_by_text("the other one").first).to_be_visible()
    visitor.mouse.move(*visitor.evaluate(MIDDLE_OF_A_LINE))
    expect(visitor.locator(".stVegaLiteChart svg.marks .mark-line path[opacity='0.12']")).to_have_count(1)
    expect(visitor.get_by_text(re.compile(r"^“.+” ends lowest, at [\d.]+ nats per word"))).to_be_visible()

    # Write: an alternative becomes the end of what the next sentences begin with. By the keyboard.
    visitor.get_by_test_id("stSidebarNav").get_by_role("link", name="Generate").click()
    words = visitor.locator(".sentence").first.locator(".token")
    words.first.focus()
    visitor.keyboard.press("ArrowRight")
    visitor.keyboard.press("ArrowDown")
    visitor.keyboard.press("ArrowDown")
    chosen = visitor.get_by_role("menuitem").nth(1).locator("span").first.inner_text()
    first = words.first.inner_text()
    visitor.keyboard.press("Enter")
    expect(visitor.get_by_label("Begin with", exact=True)).to_have_value(f"{first} {chosen}")
    expect(words.nth(1)).to_have_class(re.compile("given"))

    # Report: from the disk, without a network, it asks for nothing and shows every picture.
    visitor.get_by_test_id("stSidebarNav").get_by_role("link", name="Runs").click()
    with visitor.expect_download() as download:
        visitor.get_by_role("button", name="Report", exact=True).click()
    report = tmp_path / download.value.suggested_filename
    download.value.save_as(report)
    offline = new_window(browser, offline=True).new_page()
    asked: list[str] = []
    offline.on("request", lambda request: asked.append(request.url))
    offline.on("dialog", lambda dialog: pytest.fail(f"a script ran: {dialog.message}"))
    offline.goto(report.as_uri())
    assert asked == [report.as_uri()]
    expect(offline.get_by_role("heading", level=1)).to_have_text(HOSTILE)
    pictures = offline.locator("svg")
    assert pictures.count() == 5
    for place in range(5):
        box = pictures.nth(place).bounding_box()
        assert box is not None
        assert min(box["width"], box["height"]) > 100
    offline.context.close()

    # Out as a zip, and back in as another run.
    with visitor.expect_download() as download:
        visitor.get_by_role("button", name="Download", exact=True).click()
    packed = tmp_path / "run.zip"
    download.value.save_as(packed)
    before = {summary.id for summary in list_runs(server.folder)}
    visitor.get_by_role("button", name="Import").click()
    visitor.locator("input[type=file]").set_input_files(packed)
    expect(visitor.get_by_text("Imported, and opened.")).to_be_visible()
    (new,) = {summary.id for summary in list_runs(server.folder)} - before
    assert Run.open(server.folder / new).config.name == HOSTILE
