"""The whole journey in a real browser, against the app as the README starts it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from dashboard.components.by_hand.markup import figures
from dashboard.services import library, story
from dashboard.text import by_hand as by_hand_wording
from dashboard.text import general as wording
from dashboard.text import story as story_wording
from rnn_core.data import agreement_sentences
from rnn_core.reference import by_hand, tutorial
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


@pytest.fixture
def visitor(page: Page, server: Server) -> Page:
    """A browser at the app's first page."""
    page.goto(f"{server.address}/corpus")
    expect(page.get_by_role("heading", name="Corpus")).to_be_visible()
    return page


def go_to(visitor: Page, name: str, heading: str | None = None) -> None:
    visitor.get_by_test_id("stSidebarNav").get_by_role("link", name=name).click()
    expect(visitor.get_by_role("heading", name=heading or name, exact=True)).to_be_visible()


def opened_run(visitor: Page, folder: Path) -> Run:
    found = re.search(r"[?&]run=([a-z0-9-]+)", visitor.url)
    assert found, visitor.url
    return Run.open(folder / found[1])


def drawn(visitor: Page, at_least: int) -> None:
    """So many charts are on the page, and each of them has been painted."""
    charts = visitor.locator(".stVegaLiteChart canvas, .stVegaLiteChart svg.marks")
    for place in range(at_least):
        chart = charts.nth(place)
        expect(chart).to_be_visible()
        # (A live chart that is just being replaced has no box for a moment.)
        wait_for(lambda chart=chart: (chart.bounding_box() or {"height": 0})["height"] > 60, "a painted chart")


def number(visitor: Page, label: str) -> float:
    """The value of a number on the page, by its name."""
    value = visitor.get_by_test_id("stMetric").filter(has_text=label).get_by_test_id("stMetricValue").inner_text()
    return float(value.replace(",", "").split()[0])


def test_from_a_text_to_sentences(visitor, runs_folder, tmp_path):
    book = tmp_path / "Agreement's book.txt"
    book.write_text("\n".join(" ".join(sentence) for sentence in agreement_sentences(3, 1500)))

    visitor.locator("input[type=file]").set_input_files(book)
    expect(visitor.get_by_text("As the network sees it")).to_be_visible()
    drawn(visitor, 3)
    visitor.get_by_role("button", name="Train a network on this").click()

    epochs = visitor.get_by_label("Epochs", exact=True)
    epochs.fill("5000")
    epochs.press("Enter")
    visitor.get_by_role("button", name="Start training").click()
    expect(visitor.get_by_role("button", name="Pause")).to_be_visible()
    drawn(visitor, 2)
    expect(visitor.get_by_text("What it writes")).to_be_visible()
    untrained = opened_run(visitor, runs_folder).config.corpus.uniform_nats
    visitor.wait_for_function(
        """limit => [...document.querySelectorAll('[data-testid=stMetric]')].some(metric =>
            metric.innerText.startsWith('Training loss') && parseFloat(metric.innerText.split('\\n').pop()) < limit)""",
        arg=0.6 * untrained,
    )

    # A refresh finds the training where it is.
    visitor.reload()
    expect(visitor.get_by_role("button", name="Pause")).to_be_visible()
    visitor.get_by_role("button", name="Pause").click()
    expect(visitor.get_by_role("button", name="Resume")).to_be_visible()
    visitor.get_by_role("button", name="Resume").click()
    expect(visitor.get_by_role("button", name="Pause")).to_be_visible()

    go_to(visitor, "Gradients")
    expect(visitor.get_by_text("Half-life", exact=True)).to_be_visible()
    drawn(visitor, 4)
    assert number(visitor, "Weights of step") > 0

    go_to(visitor, "Train")
    # Streamlit has a Stop of its own in the header, while a page is being drawn.
    visitor.get_by_test_id("stMain").get_by_role("button", name="Stop").click()
    expect(visitor.get_by_text("stopped").first).to_be_visible()

    go_to(visitor, "Generate")
    prompt = visitor.get_by_label("Begin with", exact=True)
    prompt.fill("the queen")
    prompt.press("Enter")
    expect(visitor.locator(".sentence").filter(has_text=re.compile(r"^the queen .+\.$"))).to_have_count(5)

    go_to(visitor, "Runs")
    expect(visitor.get_by_role("button", name="Open", exact=True)).to_be_visible()
    with visitor.expect_download() as download:
        visitor.get_by_role("button", name="Download", exact=True).click()
    assert download.value.suggested_filename == f"{opened_run(visitor, runs_folder).id}.zip"


def test_the_first_visit_gets_to_a_picture_within_twenty_seconds(visitor):
    visitor.get_by_role("button", name=wording.FIRST_VISIT_BUTTON).click()
    expect(visitor.locator(".stVegaLiteChart canvas, .stVegaLiteChart svg.marks")).to_have_count(2)


def test_a_run_is_renamed_and_deleted(visitor, server, trained_run):
    visitor.goto(f"{server.address}/runs?run={trained_run.id}")
    visitor.get_by_role("button", name="Rename", exact=True).click()
    name = visitor.get_by_label("New name", exact=True)
    name.fill("A better name")
    name.press("Enter")
    visitor.get_by_role("dialog").get_by_role("button", name="Rename", exact=True).click()
    expect(visitor.get_by_text("Renamed.")).to_be_visible()
    assert Run.open(trained_run.folder).config.name == "A better name"
    visitor.get_by_role("button", name="Delete", exact=True).click()
    visitor.get_by_role("button", name="Delete for good").click()
    expect(visitor.get_by_text("Deleted.")).to_be_visible()
    assert not trained_run.folder.exists()


# --- story, race, by hand ---------------------------------------------------------------------------------------------


def test_the_story_trains_at_a_click_and_claims_what_it_measured(visitor, runs_folder):
    go_to(visitor, "Story", story_wording.TITLE)
    visitor.get_by_role("button", name="Train it").click()
    expect(visitor.get_by_text("is cut off there").filter(has_text="nothing")).to_be_visible()
    claim = visitor.get_by_text(re.compile(r"^Asked about 1,000 fresh sentences, it is right in \d+\s%: "))
    expect(claim).to_be_visible()
    drawn(visitor, 4)
    run = opened_run(visitor, runs_folder)
    assert run.status().state == "finished"
    measured = story.fresh_accuracy(str(run.folder), run.moments()[-1], story.StoryExperiment().gap)
    assert f"right in {100 * measured:.0f}\u00a0%" in claim.inner_text()
    fallen = visitor.get_by_text(re.compile(r"^From [\d.]+ down to [\d.]+ nats a word"))
    first, last = map(float, re.findall(r"\d+\.\d+", fallen.inner_text()))
    losses = run.metrics()["loss_nats"]
    assert first == pytest.approx(losses[0], abs=0.005)
    assert last == pytest.approx(losses[-12:].mean(), abs=0.02)


def test_what_stands_in_a_field_is_what_trains_or_is_explained_and_does_not(visitor, runs_folder):
    visitor.get_by_text("Agreement sentences").click()
    visitor.get_by_role("button", name="Train a network on this").click()
    start = visitor.get_by_role("button", name="Start training")
    wrong = {
        "Learning rate": ("0", "The learning rate must be a number above 0."),
        "Epochs": ("0", "Train for at least 1 epoch."),
        # The browser itself knows no larger whole number than 2^53.
        "Hidden units": ("99999999999999999999", "fewer hidden units"),
    }
    for name, (value, reason) in wrong.items():
        field = visitor.get_by_label(name, exact=True)
        right = field.input_value()
        field.fill(value)
        field.press("Enter")
        expect(visitor.get_by_text(reason).first).to_be_visible()
        expect(start).to_be_disabled()
        field.fill(right)
        field.press("Enter")
        expect(start).to_be_enabled()
    rate = visitor.get_by_label("Learning rate", exact=True)
    rate.fill("20")
    start.click()  # which also ends the writing in the field
    expect(visitor.get_by_role("button", name="New training")).to_be_visible()
    assert opened_run(visitor, runs_folder).config.training.learning_rate == 20


def test_two_networks_race_until_they_are_stopped(visitor, runs_folder):
    go_to(visitor, "Race")
    for name in ("tanh, orthogonal", "ReLU, identity"):
        visitor.get_by_role("button", name=f"Remove {name}").click()
        expect(visitor.get_by_role("button", name=f"Remove {name}")).to_have_count(0)
    for name, key, value in (("Hidden units", "Home", "8"), ("Steps", "End", "9600")):
        slider = visitor.get_by_role("slider", name=name)
        slider.press(key)
        expect(slider).to_have_attribute("aria-valuetext", value)
    visitor.get_by_role("button", name="Start the race").click()
    expect(visitor.get_by_text(re.compile("^After .+ steps .+ predicts best"))).to_be_visible()
    expect(visitor.get_by_text("A coin is right in half.")).to_be_visible()
    drawn(visitor, 3)
    visitor.get_by_test_id("stMain").get_by_role("button", name="Stop").click()
    expect(visitor.get_by_role("button", name="Resume")).to_be_visible()
    found = re.search(r"[?&]race=([a-z0-9-]+)", visitor.url)
    assert found, visitor.url
    lanes = [Run.open(folder) for folder in sorted(runs_folder.glob(f"{found[1]}-*"))]
    assert [lane.config.model.cell for lane in lanes] == ["tanh", "lstm"]
    assert all(lane.config.model.hidden_size == 8 for lane in lanes)
    steps = [lane.status().step for lane in lanes]
    assert 0 < min(steps) <= max(steps) < 9600
    expect(visitor.get_by_text(f"step {max(steps):,} of 9,600")).to_be_visible()


def test_the_lecture_goes_on_and_back_and_its_numbers_are_the_oracles_for_any_weight(visitor):
    go_to(visitor, "By hand", by_hand_wording.TITLE)
    expect(visitor.get_by_role("heading", name="Read “<s>”")).to_be_visible()
    visitor.get_by_role("button", name="Next").click()
    expect(visitor.get_by_role("heading", name="Read “the”")).to_be_visible()
    visitor.get_by_role("button", name="Previous").click()
    expect(visitor.get_by_role("heading", name="Read “<s>”")).to_be_visible()

    weights = by_hand.example()
    weights.W[0, 1] = 1.5
    field = visitor.get_by_label("W[0, 1]", exact=True)
    field.fill("1.5")
    field.press("Enter")
    x, y = by_hand.SENTENCE, by_hand.TARGETS
    up_to = [tutorial.bptt(x[:count], y[:count], *weights, bptt_truncate=count).dW for count in (3, 4, 5)]
    for name, gradient in {"of E3 alone": up_to[1] - up_to[0], "of all five losses": up_to[2]}.items():
        numbers = [figures(value, 4) for value in gradient.ravel()]
        row = visitor.get_by_test_id("stHtml").filter(has_text=f"{name}, by hand")
        expect(row).to_contain_text(numbers[0])
        assert re.findall(r"−?\d+\.\d{4}", row.inner_text()) == 3 * numbers
    visitor.get_by_role("button", name="Last").click()
    expect(visitor.get_by_role("heading", name="The finished sum")).to_be_visible()
    whole = [figures(value, 3) for value in (up_to[1] - up_to[0]).ravel()]
    finished = visitor.get_by_test_id("stHtml").filter(has_text="k = 0")
    assert re.findall(r"−?\d+\.\d{3}(?!\d)", finished.inner_text())[-4:] == whole
