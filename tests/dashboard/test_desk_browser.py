"""The training desk in a real browser: steer a training, fork it, compare, let it write, keep it, and back again."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Error, Locator, Page, TimeoutError, expect

from dashboard.services import library
from dashboard.text import general as wording
from rnn_core.config.presets import PRESETS
from rnn_core.runs import Run
from tests.dashboard.conftest import Server, stop_trainings
from tests.waiting import wait_for

pytestmark = pytest.mark.browser


@pytest.fixture(autouse=True)
def runs_folder(server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The server's own folder of runs. Trainings outlive a visitor on purpose; those of a test end with it."""
    monkeypatch.setenv(library.ROOT_VARIABLE, str(server.folder))
    yield server.folder
    stop_trainings(server.folder)


def main(page: Page) -> Locator:
    """The page itself: Streamlit has a Stop of its own in the header, and the navigation names every page."""
    return page.get_by_test_id("stMain")


def opened_run(page: Page, folder: Path) -> Run:
    found = re.search(r"[?&]run=([a-z0-9-]+)", page.url)
    assert found, page.url
    return Run.open(folder / found[1])


def set_number(fields: Locator, value: str) -> None:
    fields.last.fill(value)
    fields.last.press("Enter")


def press(button: Locator, happened: Callable[[], bool]) -> None:
    """Press until it is heard: a page that is just being drawn anew may take no notice of a click."""

    def heard() -> bool:
        # It has gone, because the click before was heard; or it is there twice, old and new.
        with contextlib.suppress(Error):
            button.click(timeout=2000)
        return happened()

    wait_for(heard, "what a button does")


def press_for(button: Locator, shown: Locator) -> None:
    """Press until this is shown."""

    def appears() -> bool:
        with contextlib.suppress(TimeoutError):
            shown.first.wait_for(timeout=8000)
        return shown.first.is_visible()

    press(button, appears)


def stop(page: Page, run: Run) -> None:
    press(main(page).get_by_role("button", name="Stop"), lambda: run.status().state == "stopped")
    expect(main(page).get_by_role("button", name="Resume")).to_have_count(1)


def go_to(page: Page, name: str) -> None:
    page.get_by_test_id("stSidebarNav").get_by_role("link", name=name, exact=True).click()
    expect(page.get_by_role("heading", name=name, exact=True)).to_be_visible()


def test_a_training_is_steered_forked_compared_written_reported_and_taken_back_in(
    page: Page, server: Server, runs_folder: Path, tmp_path: Path
) -> None:
    page.goto(f"{server.address}/corpus")
    page.get_by_text("Agreement sentences").click()
    preset = page.get_by_role("button", name=PRESETS["tutorial"].label)
    press_for(page.get_by_role("button", name="Train a network on this"), preset)

    preset.click()
    expect(page.get_by_text(PRESETS["tutorial"].about).first).to_be_visible()
    expect(page).to_have_url(re.compile("truncate=4"))
    # A click sends what the fields hold: those of the preset are there once the page has been drawn.
    expect(page.locator("[data-testid=stApp][data-test-script-state=notRunning]")).to_be_attached()
    page.get_by_role("button", name="Start training").click()
    main(page).get_by_role("button", name="Pause").click()
    expect(main(page).get_by_role("button", name="Resume")).to_be_visible()
    run = opened_run(page, runs_folder)
    assert (run.config.training.clip, run.config.training.truncate, run.config.model.bias) == (None, 4, False)

    # Steer it: a value that will not do is explained, another one is trained with.
    set_number(page.get_by_label("Learning rate", exact=True).first, "-3")
    expect(page.get_by_text("It goes on with 0.005.")).to_be_visible()
    set_number(page.get_by_label("Learning rate", exact=True).first, "0.01")
    wait_for(lambda: run.events(kinds=["learning_rate_changed"]), "the change of the learning rate")
    main(page).get_by_role("button", name="Resume").click()
    expect(page.locator(".stVegaLiteChart svg.marks text", has_text="lr 0.01").first).to_be_visible()
    stop(page, run)
    (change,) = run.events(kinds=["learning_rate_changed"])
    rates = run.metrics()["learning_rate"]
    assert set(rates[: change["step"]]) <= {0.005}
    assert set(rates[change["step"] :]) == {0.01}

    # Fork it, with clipping.
    press_for(page.get_by_role("button", name="Fork", exact=True), page.get_by_role("button", name="Fork and train"))
    set_number(page.get_by_label("Clip at", exact=True), "1")
    press_for(page.get_by_role("button", name="Fork and train"), page.get_by_text("forked at step"))
    fork = opened_run(page, runs_folder)
    stop(page, fork)
    assert fork.config.forked is not None
    assert fork.config.forked.run == run.id
    np.testing.assert_array_equal(
        fork.metrics()["loss_nats"][: fork.config.forked.step], run.metrics()["loss_nats"][: fork.config.forked.step]
    )

    press_for(page.get_by_role("link", name="Compare with…"), page.get_by_text("2 runs"))
    expect(page.locator(".stVegaLiteChart svg.marks").first).to_be_visible()

    go_to(page, "Generate")
    page.get_by_role("button", name=wording.PYTHON).click()
    expect(page.get_by_text("from rnn_core.training import generate, sentences_of")).to_be_visible()

    go_to(page, "Runs")
    with page.expect_download() as report:
        page.get_by_role("button", name="Report", exact=True).click()
    assert b"<svg" in report.value.path().read_bytes()
    with page.expect_download() as packed:
        page.get_by_role("button", name="Download", exact=True).click()
    archive = tmp_path / "run.zip"
    packed.value.save_as(archive)
    page.get_by_role("button", name="Import").click()
    page.locator("input[type=file]").set_input_files(archive)
    expect(page.get_by_text("Imported, and opened.")).to_be_visible()
    again = opened_run(page, runs_folder)
    assert again.id != fork.id
    assert again.config.forked == fork.config.forked
    np.testing.assert_array_equal(again.metrics()["loss_nats"], fork.metrics()["loss_nats"])
