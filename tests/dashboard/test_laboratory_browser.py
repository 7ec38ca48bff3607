"""The laboratory in a real browser: clicks on charts, files to take home, and pictures that follow a training."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal
from xml.etree import ElementTree

import pandas as pd
import pytest
from PIL import Image, ImageColor
from playwright.sync_api import Download, Locator, Page, TimeoutError, expect

from dashboard.services import library, worker
from rnn_core.runs import Run, snapshots
from tests.dashboard.conftest import Server, stop_trainings
from tests.dashboard.test_laboratory import make, train
from tests.waiting import HANG_SECONDS, wait_for

pytestmark = pytest.mark.browser

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(autouse=True)
def runs_folder(server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The server's own folder of runs."""
    monkeypatch.setenv(library.ROOT_VARIABLE, str(server.folder))
    yield server.folder
    stop_trainings(server.folder)


@pytest.fixture
def visitor(page: Page) -> Page:
    return page


def open_laboratory(visitor: Page, server: Server, run: Run) -> None:
    visitor.goto(f"{server.address}/gradients?run={run.id}")
    expect(chart(visitor, "Norm of the gradient of each")).to_be_visible()


def chart(visitor: Page, description: str) -> Locator:
    return visitor.locator(f'.stVegaLiteChart[aria-label*="{description}"]').locator("svg.marks, canvas").first


def metric(visitor: Page, label: str) -> Locator:
    return visitor.get_by_test_id("stMetric").filter(has_text=label).get_by_test_id("stMetricValue")


def show_more(visitor: Page, label: str) -> None:
    """Switch the further pictures of a step on."""
    toggle = visitor.get_by_test_id("stCheckbox").filter(has_text=re.compile(f"^{label}"))
    toggle.locator("label").click()
    expect(toggle.locator("input"), visitor.get_by_test_id("stMain").inner_text()).to_be_checked()


def click_inside(visitor: Page, drawing: Locator, across: float, down: float) -> None:
    drawing.scroll_into_view_if_needed()
    box = drawing.bounding_box()
    assert box is not None
    visitor.mouse.click(box["x"] + across * box["width"], box["y"] + down * box["height"])


def downloaded(visitor: Page, button: Locator) -> Download:
    """What a click on the button brings. A click on what is just being drawn anew is lost."""
    for _ in range(int(HANG_SECONDS / 8)):
        with contextlib.suppress(TimeoutError):
            with visitor.expect_download(timeout=8_000) as taken:
                button.click()
            return taken.value
    raise AssertionError("no download came")


def test_clicks_on_pictures_choose_a_row_a_moment_and_a_spike(visitor: Page, server: Server, runs_folder: Path) -> None:
    run = train(runs_folder / "clicked-run", {"cell": "lstm"}, epochs=3)
    complaints: list[str] = []
    visitor.on("pageerror", lambda error: complaints.append(str(error)))
    open_laboratory(visitor, server, run)

    triangle = visitor.locator('.stVegaLiteChart[aria-label^="Norm of the gradient of each"]')
    triangle.locator('path[aria-label*="loss word: 3 "][aria-label*="words back: 1"]').click()
    expect(visitor.get_by_text(re.compile("^The loss of “.+ 2 words back: "))).to_be_visible()

    expect(metric(visitor, "Weights of step")).to_have_text(f"{run.moments()[-1]:,}")
    show_more(visitor, "Over the training")
    click_inside(visitor, chart(visitor, "over the training step and the distance"), 0.3, 0.7)
    expect(metric(visitor, "Weights of step")).not_to_have_text(f"{run.moments()[-1]:,}")
    moment = int(metric(visitor, "Weights of step").inner_text().replace(",", ""))
    assert moment in snapshots.steps(run.folder)

    show_more(visitor, "Truncation, words that")
    expect(chart(visitor, "before and after clipping")).to_be_visible()
    expect(metric(visitor, "Weights of step")).to_have_text(f"{moment:,}")
    click_inside(visitor, chart(visitor, "before and after clipping"), 0.5, 0.5)
    expect(visitor.get_by_text(re.compile(r"^Step \d+: the training recorded"))).to_be_visible()

    show_more(visitor, "Gate by gate")
    expect(chart(visitor, "on a dial from vanishing")).to_be_visible()
    expect(chart(visitor, "Values of the gate")).to_be_visible()

    show_more(visitor, "In the long run, and over the training")
    expect(visitor.locator("h3", has_text="Clipping")).to_be_visible()
    # Every heading of a picture offers its files, whatever the number of its charts.
    visitor.wait_for_function(
        """() => {
            const pictures = [...document.querySelectorAll('h3')].length
            const offers = [...document.querySelectorAll('[data-testid=stPopover]')]
            return pictures > 12 && offers.filter(offer => offer.innerText.includes('Save')).length === pictures
        }"""
    )
    assert not complaints


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_picture_can_be_taken_home_as_svg_as_png_and_as_numbers(
    visitor: Page, server: Server, runs_folder: Path, tmp_path: Path, scheme: Literal["light", "dark"]
) -> None:
    run = train(runs_folder / f"run-of-{scheme}", {"cell": "lstm"})
    step = run.moments()[-1]
    visitor.emulate_media(color_scheme=scheme)
    open_laboratory(visitor, server, run)

    visitor.locator(".st-key-gradients--triangle--save").get_by_role("button").click()
    files = {}
    for kind, name in (("svg", "SVG"), ("png", "PNG"), ("csv", "Numbers (CSV)")):
        taken = downloaded(visitor, visitor.get_by_role("button", name=name, exact=True))
        assert taken.suggested_filename == f"gradients-triangle-step-{step}.{kind}"
        files[kind] = tmp_path / taken.suggested_filename
        taken.save_as(files[kind])
    visitor.keyboard.press("Escape")

    drawing = ElementTree.parse(files["svg"]).getroot()
    words = "".join(drawing.itertext())
    assert drawing.tag == f"{SVG}svg"
    assert "word k, where it arrives" in words
    assert "loss at word t" in words
    assert "log10 ‖δ(t,k)‖ (nats per unit of a)" in words
    table = pd.read_csv(files["csv"], encoding="utf-8-sig")
    assert list(table.columns) == ["t", "k", "lag", "loss word", "source word", "norm", "log10", "chosen"]
    cells = [cell for cell in drawing.iter(f"{SVG}path") if "words back" in cell.get("aria-label", "")]
    assert len(cells) == len(table) == table["t"].max() * (table["t"].max() + 1) // 2
    # What colours refer to is in the file, and the ink has its own paper: so it can be read wherever it is put.
    named = {element.get("id") for element in drawing.iter()}
    used = re.findall(r"url\(([^)]*)\)", files["svg"].read_text(encoding="utf-8"))
    assert used
    assert {name.removeprefix("#") for name in used} <= named
    paper, ink = drawing.find(f"{SVG}rect"), next(text for text in drawing.iter(f"{SVG}text") if text.text)
    assert paper is not None
    assert abs(lightness(paper.get("fill")) - lightness(ink.get("fill"))) > 0.4
    with Image.open(files["png"]) as image:
        assert image.size == pytest.approx([2 * float(drawing.get(side, 0)) for side in ("width", "height")], abs=1)
        assert len(image.convert("RGB").getcolors(1 << 20) or []) > 50


def lightness(colour: str | None) -> float:
    """ "rgb(20, 24, 28)" or "#14181c" -> from 0 (black) to 1."""
    assert colour is not None
    return sum(ImageColor.getrgb(colour)[:3]) / (3 * 255)


def test_while_a_training_goes_on_its_pictures_follow_and_the_canvas_stays(
    visitor: Page, server: Server, runs_folder: Path
) -> None:
    run = make(runs_folder / "followed-run", {"cell": "tanh"}, epochs=1_000_000, horizon_every_seconds=0.5)
    worker.start(run)
    wait_for(run.moments, "the first weights")
    run.request("pause")  # The page comes up sooner, beside nothing.
    open_laboratory(visitor, server, run)
    triangle = chart(visitor, "Norm of the gradient of each").element_handle()
    start = int(metric(visitor, "Weights of step").inner_text().replace(",", ""))
    run.request("resume")
    wait_for(lambda: run.moments()[-1] > start, "newer weights")
    run.request("pause")  # The page may take its time to look, and nothing need train for that long.
    visitor.wait_for_function(
        """start => [...document.querySelectorAll('[data-testid=stMetric]')].some(metric =>
            metric.innerText.startsWith('Weights of step') &&
            parseFloat(metric.innerText.split('\\n').pop().replace(/,/g, '')) > start)""",
        arg=start,
    )
    assert triangle.evaluate("canvas => canvas.isConnected"), "the chart was torn down and built anew"
