"""The whole journey in a real browser, against the app as the README starts it."""

from __future__ import annotations

import http.server
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, Request, expect

from dashboard import library, sources, wording
from rnn_core import corpora, runs
from rnn_core.model import ModelConfig
from rnn_core.runs import Run
from rnn_core.text import TextSettings
from rnn_core.training import TrainingSettings
from rnn_core.work import work
from tests.dashboard.conftest import Server, stop_trainings

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

PATIENCE = 30_000  # milliseconds, on a machine that does other things too


@pytest.fixture(autouse=True)
def runs_folder(server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The server's own folder of runs. Trainings outlive a visitor on purpose; those of a test end with it."""
    monkeypatch.setenv(library.ROOT_VARIABLE, str(server.folder))
    yield server.folder
    stop_trainings(server.folder)


@pytest.fixture
def visitor(page: Page, server: Server) -> Page:
    """A browser at the app's first page."""
    page.set_default_timeout(PATIENCE)
    expect.set_options(timeout=PATIENCE)
    page.goto(server.address)
    expect(page.get_by_role("heading", name="Corpus")).to_be_visible()
    return page


def go_to(visitor: Page, name: str) -> None:
    visitor.get_by_test_id("stSidebarNav").get_by_role("link", name=name).click()
    expect(visitor.get_by_role("heading", name=name, exact=True)).to_be_visible()


def opened_run(visitor: Page, folder: Path) -> Run:
    found = re.search(r"[?&]run=([a-z0-9-]+)", visitor.url)
    assert found, visitor.url
    return Run.open(folder / found[1])


def drawn(visitor: Page, at_least: int) -> None:
    """So many charts are on the page, and each of them has been painted."""
    charts = visitor.locator(".stVegaLiteChart canvas, .stVegaLiteChart svg.marks")
    for place in range(at_least):
        expect(charts.nth(place)).to_be_visible()
        box = charts.nth(place).bounding_box()
        assert box is not None
        assert box["height"] > 60


def number(visitor: Page, label: str) -> float:
    """The value of a number on the page, by its name."""
    value = visitor.get_by_test_id("stMetric").filter(has_text=label).get_by_test_id("stMetricValue").inner_text()
    return float(value.replace(",", "").split()[0])


def test_from_a_text_to_sentences(visitor, runs_folder, tmp_path):
    book = tmp_path / "Agreement's book.txt"
    book.write_text("\n".join(" ".join(sentence) for sentence in corpora.agreement_sentences(3, 1500)))

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
    step = number(visitor, "Weights of step")
    visitor.wait_for_function(
        """step => [...document.querySelectorAll('[data-testid=stMetric]')].some(metric =>
            metric.innerText.startsWith('Weights of step') &&
            parseFloat(metric.innerText.split('\\n').pop().replace(/,/g, '')) > step)""",
        arg=step,
    )

    go_to(visitor, "Train")
    # Streamlit has a Stop of its own in the header, while a page is being drawn.
    visitor.get_by_test_id("stMain").get_by_role("button", name="Stop").click()
    expect(visitor.get_by_text("stopped").first).to_be_visible()

    go_to(visitor, "Generate")
    prompt = visitor.get_by_label("Begin with", exact=True)
    prompt.fill("the queen")
    prompt.press("Enter")
    expect(visitor.get_by_text(re.compile(r"^the queen .+\.$"))).to_have_count(5)
    drawn(visitor, 5)

    go_to(visitor, "Runs")
    expect(visitor.get_by_role("button", name="Open", exact=True)).to_be_visible()
    with visitor.expect_download() as download:
        visitor.get_by_role("button", name="Download", exact=True).click()
    assert download.value.suggested_filename == f"{opened_run(visitor, runs_folder).id}.zip"


def test_the_first_visit_gets_to_a_picture_within_twenty_seconds(visitor):
    visitor.get_by_role("button", name=wording.FIRST_VISIT_BUTTON).click()
    expect(visitor.locator(".stVegaLiteChart canvas, .stVegaLiteChart svg.marks")).to_have_count(2, timeout=20_000)


def test_a_run_is_renamed_and_deleted(visitor, trained_run):
    visitor.goto(f"{visitor.url.split('?')[0]}runs?run={trained_run.id}")
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


# --- a user's text is data --------------------------------------------------------------------------------------------


@pytest.fixture
def trap() -> Iterator[tuple[str, list[str]]]:
    """A web server of this machine -> its address, and what was asked of it."""
    asked: list[str] = []

    class Trap(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Trap) as listener:
        threading.Thread(target=listener.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{listener.server_port}", asked
        listener.shutdown()


def test_nothing_that_a_user_writes_is_fetched_on_any_page(visitor, runs_folder, tmp_path, trap):
    address, asked = trap

    def image(place: str) -> str:
        return f"![x]({address}/{place}.png)<img src='{address}/{place}-html.png'>"

    # A word that is an image, in a corpus, a run's name, a column's name and a file's name.
    text = TextSettings(sentences="lines")
    sentences = [f"the queen {image('word')} lost her ring number {number % 7}" for number in range(60)]
    corpus = sources.prepare(sources.Paste("\n".join(sentences), image("corpus")), text)
    model = ModelConfig(vocabulary_size=len(corpus.vocabulary), hidden_size=8)
    folder = runs_folder / runs.new_run_id()
    runs.create_run(folder, image("run"), corpus, model, TrainingSettings(epochs=3), text)
    work(folder)
    table = tmp_path / "table.jsonl"
    table.write_text(
        "".join(f'{{"{image("column")}": "{sentence}", "body": "some words"}}\n' for sentence in sentences)
    )

    origin = visitor.url.split("?")[0].rstrip("/")
    elsewhere: list[str] = []

    def note(request: Request) -> None:
        if not request.url.startswith((origin, "data:", "blob:", origin.replace("http", "ws"))):
            elsewhere.append(request.url)

    visitor.on("request", note)
    visitor.locator("input[type=file]").set_input_files(table)
    expect(visitor.get_by_text("As the network sees it")).to_be_visible()
    visitor.get_by_label("Column", exact=True).click()
    visitor.keyboard.press("Escape")
    visitor.get_by_role("button", name="Train a network on this").click()
    expect(visitor.get_by_role("button", name="Start training")).to_be_visible()

    for view, ready in {
        "train": "Settings of this training",
        "gradients": "Half-life",
        "generate": "What else it considered",
        "runs": "Download",
    }.items():
        visitor.goto(f"{origin}/{view}?run={folder.name}")
        expect(visitor.get_by_text(ready, exact=True).first).to_be_visible()
        if view in ("gradients", "generate"):
            field = visitor.get_by_role("textbox").first
            field.fill(f"the queen {image('prompt')} lost")
            field.press("Enter")
            expect(visitor.get_by_text("reads <unk> there").first).to_be_visible()
        for expander in visitor.locator("summary").all():
            expander.click()
        charts = visitor.locator(".stVegaLiteChart canvas, .stVegaLiteChart svg.marks")
        for place in range(min(2, charts.count())):
            charts.nth(place).hover()
        visitor.wait_for_timeout(500)
    visitor.get_by_role("button", name="Delete", exact=True).click()
    expect(visitor.get_by_role("button", name="Delete for good")).to_be_visible()
    visitor.wait_for_timeout(500)
    assert not asked
    assert not elsewhere, "the app fetches from elsewhere"
