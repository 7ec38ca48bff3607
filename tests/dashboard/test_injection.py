"""Whatever strangers write, and wherever it is shown, makes no browser fetch anything: counted in a real one.

The text goes everywhere at once: into files, names and settings of a run that was tampered with by hand, into the
history of its training, into links, and into every text field of every page, pages of the future included.
"""

from __future__ import annotations

import http.server
import json
import re
import sqlite3
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, Request, expect

from dashboard.services import library
from rnn_core import runs
from rnn_core.config import ModelConfig, TextSettings, TrainingSettings
from rnn_core.data import prepare_sentences
from rnn_core.runs import Run
from rnn_core.runs.worker import work
from tests.dashboard.conftest import Server, stop_trainings

pytestmark = pytest.mark.browser


@dataclass
class Trap:
    """A web server of this machine, and what was asked of it."""

    address: str
    asked: list[str] = field(default_factory=list)

    def bait(self, place: str) -> str:
        """Text that a page which reads Markdown or HTML in it would fetch `place` for."""
        url = f"{self.address}/{place}"
        return (
            f"![a]({url}.png) <img src='{url}-html.png'> <script src='{url}.js'></script> "
            f"<iframe src='{url}.html'></iframe> <style>@import url({url}.css)</style> [l]({url}) :red[r] $x$"
        )

    def word(self, place: str) -> str:
        """The same without a space: one word of a corpus."""
        return f"![a]({self.address}/{place}.png)<img/src='{self.address}/{place}-html.png'>"


@pytest.fixture
def trap() -> Iterator[Trap]:
    found: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found.append(self.path)
            self.send_response(404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listener:
        threading.Thread(target=listener.serve_forever, daemon=True).start()
        yield Trap(f"http://127.0.0.1:{listener.server_port}", found)
        listener.shutdown()


@pytest.fixture(autouse=True)
def runs_folder(server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv(library.ROOT_VARIABLE, str(server.folder))
    yield server.folder
    stop_trainings(server.folder)


@pytest.fixture
def visitor(page: Page, server: Server, trap: Trap) -> Iterator[Page]:
    """A browser at the app; at the end, nothing has been fetched from anywhere but the app itself."""
    elsewhere: list[str] = []
    own = (server.address, server.address.replace("http", "ws"), "data:", "blob:")

    def note(request: Request) -> None:
        if not request.url.startswith(own):
            elsewhere.append(request.url)

    page.on("request", note)
    page.on("dialog", lambda dialog: pytest.fail(f"a script ran: {dialog.message}"))
    yield page
    page.wait_for_timeout(500)
    assert not trap.asked
    assert not elsewhere
    # The trap was open all the time: what a page fetches is counted.
    page.evaluate(
        "address => new Promise(done => { const i = new Image(); i.onerror = done; i.src = address })",
        f"{trap.address}/control.png",
    )
    assert trap.asked == ["/control.png"]
    assert elsewhere == [f"{trap.address}/control.png"]


def go_to(visitor: Page, name: str) -> None:
    """By the navigation: to load the app anew for each page would take most of these tests' time."""
    visitor.get_by_test_id("stSidebarNav").get_by_role("link", name=name, exact=True).click()
    expect(visitor.get_by_role("heading", name=name, exact=True)).to_be_visible()


def settled(visitor: Page) -> None:
    """The page has been drawn to its end."""
    visitor.wait_for_function(
        "!document.querySelector('[data-testid=stApp]')?.getAttribute('data-test-script-state')?.includes('running')"
    )
    visitor.wait_for_timeout(250)


def poke(visitor: Page, trap: Trap, place: str) -> int:
    """Write into every text field, open everything that opens, look at every chart; how many fields there were."""
    fields = visitor.get_by_test_id("stMain").locator("input[type=text]:not([role=combobox]), textarea")
    count = 0
    for number in range(fields.count()):
        one = fields.nth(number)
        if one.is_visible() and one.is_editable():
            one.fill(
                f"the queen {trap.bait(f'{place}-field-{number}')} lost"[: int(one.get_attribute("maxlength") or 9999)]
            )
            one.press("Control+Enter" if one.evaluate("e => e.tagName") == "TEXTAREA" else "Enter")
            count += 1
            settled(visitor)
    for tab in visitor.get_by_test_id("stMain").get_by_role("tab").all():
        if tab.is_visible():
            tab.click()
    for summary in visitor.get_by_test_id("stMain").locator("summary").all():
        if summary.is_visible():
            summary.click()
    settled(visitor)
    charts = visitor.locator(".stVegaLiteChart canvas, .stVegaLiteChart svg.marks")
    for number in range(min(3, charts.count())):
        if charts.nth(number).is_visible():
            charts.nth(number).hover()
    visitor.wait_for_timeout(250)
    return count


def tampered_run(root: Path, trap: Trap, identifier: str) -> Run:
    """A run in which everything that can be a text is bait: words, names, samples, reasons, the last message."""
    words = [trap.word(f"word-{number}") for number in range(6)]
    sentences = [[words[(number + place) % 6] for place in range(5)] for number in range(80)]
    text = TextSettings(sentences="lines")
    corpus = prepare_sentences(sentences, trap.bait("corpus"), text)
    model = ModelConfig(vocabulary_size=len(corpus.vocabulary), hidden_size=6)
    training = TrainingSettings(epochs=3, sample_every_seconds=0.0, horizon_every_seconds=0.0)
    run = runs.create_run(root / identifier, trap.bait("run"), corpus, model, training, text)
    work(run.folder)
    events = {
        "sampled": {"text": trap.bait("sampled"), "temperature": 1.0},
        "learning_rate_changed": {"old": 1.0, "new": 0.5, "why": trap.bait("why")},
        "stopped": {"why": trap.bait("stopped")},
        "diverged": {"cause": trap.bait("cause"), "loss_nats": None, "gradient_norm": None},
    }
    with sqlite3.connect(run.folder / "events.sqlite") as database:
        for kind, payload in events.items():
            database.execute(
                "INSERT INTO events (step, time, kind, payload) VALUES (3, ?, ?, ?)",
                (time.time(), kind, json.dumps(payload)),
            )
        database.execute("UPDATE status SET state = 'failed', message = ?", (trap.bait("message"),))
    runs.tag_run(run.folder, [f"![a]({trap.address}/t.png)"])  # a tag is short
    return run


def damaged_run(root: Path, trap: Trap, run: Run) -> None:
    """A config.json whose settings are bait: the error quotes it."""
    folder = root / runs.new_run_id()
    folder.mkdir()
    config = json.loads((run.folder / "config.json").read_text())
    config["model"]["cell"] = trap.bait("cell")
    (folder / "config.json").write_text(json.dumps(config))


def test_no_page_fetches_what_is_written_in_a_run_or_in_any_text_field(visitor, runs_folder, trap, server) -> None:
    run = tampered_run(runs_folder, trap, runs.new_run_id())
    damaged_run(runs_folder, trap, run)
    visitor.goto(f"{server.address}/runs?run={run.id}")
    # The dialogs of the Runs page, with the name in them.
    for action in ("Rename", "Delete", "Tag"):
        visitor.get_by_role("button", name=action, exact=True).click()
        expect(visitor.get_by_role("dialog")).to_be_visible()
        visitor.wait_for_timeout(250)
        visitor.keyboard.press("Escape")
    links = visitor.get_by_test_id("stSidebarNav").get_by_role("link")
    expect(links.nth(5)).to_be_visible()
    fields = 0
    for link in links.all():
        address = (link.get_attribute("href") or "").split("?")[0].rstrip("/")
        link.click()
        expect(visitor).to_have_url(re.compile(re.escape(address) + r"/?(\?.*)?$"))
        expect(visitor).to_have_url(re.compile(f"[?&]run={run.id}"))
        expect(visitor.get_by_test_id("stMain").get_by_role("heading").first).to_be_visible()
        settled(visitor)
        page = "home" if address == server.address else address.rsplit("/", 1)[-1]
        if page in ("gradients", "generate"):  # The heading comes first; what one writes into comes after it.
            field = visitor.get_by_test_id("stMain").locator("input[type=text]:not([role=combobox]), textarea").first
            expect(field).to_be_visible()
        fields += poke(visitor, trap, page)
    assert fields >= 2


def test_no_link_fetches_what_is_written_in_it(visitor, trap, server) -> None:
    bait = quote(trap.bait("link"), safe="")
    for address in (f"?run={bait}", f"train?run={bait}", f"gradients?run=abc&sentence={bait}&{bait}=1"):
        visitor.goto(f"{server.address}/{address}")
        expect(visitor.get_by_test_id("stMain").get_by_role("heading").first).to_be_visible()
        settled(visitor)
    visitor.goto(f"{server.address}/{bait}")  # the name of no page
    visitor.wait_for_timeout(1000)


def test_no_upload_fetches_what_is_written_in_it(visitor, trap, tmp_path, server) -> None:
    line = trap.bait("cell")
    lines = [f"the queen {line} lost her ring number {number % 7}" for number in range(60)]
    column = trap.bait("column")
    rows = "\n".join(json.dumps({column: text, "body": text}) for text in lines)
    # A slash cannot be in a file's name; everything else of a Markdown image can.
    name = trap.bait("name").replace("/", "\N{FRACTION SLASH}")[:100]
    files = {
        "table.csv": f'"{column}",body\n'.encode() + "\n".join(f'"{text}",x y' for text in lines).encode(),
        "table.jsonl": rows.encode(),
        "broken.jsonl": (line + "\n").encode() * 30,
        "previews.txt": "\n".join(f"{text} caf\xe9" for text in lines).encode("latin-1"),
        "binary.txt": line.encode() + b"\x00" * 100,
        f"{name}.txt": "\n".join(lines).encode(),
    }
    visitor.goto(f"{server.address}/corpus")
    read_or_refused = visitor.get_by_text("As the network sees it").or_(visitor.get_by_test_id("stAlert"))
    still_open = visitor.get_by_text("Still open:")
    for file_name, data in files.items():
        path = tmp_path / file_name
        path.write_bytes(data)
        visitor.locator("input[type=file]").set_input_files(path)
        expect(read_or_refused.first).to_be_visible()
        expect(still_open).to_have_count(0)
        settled(visitor)
        for box in visitor.get_by_test_id("stMain").locator("input[role=combobox]").all():
            if box.is_visible():
                box.click()
                visitor.wait_for_timeout(200)
                visitor.keyboard.press("Escape")
        poke(visitor, trap, f"upload-{file_name[:3]}")
        if data is not files[f"{name}.txt"]:
            visitor.get_by_test_id("stFileUploader").get_by_role("button", name="Remove").click()
            expect(still_open).to_be_visible()
    # The corpus is named after the file, on the page that trains too.
    visitor.get_by_role("button", name="Train a network on this").click()
    expect(visitor.get_by_role("button", name="Start training")).to_be_visible()
    poke(visitor, trap, "train-file")
    go_to(visitor, "Corpus")
    visitor.get_by_text("Paste", exact=True).click()
    area = visitor.locator("textarea").first
    area.fill("\n".join(lines))
    area.press("Control+Enter")
    expect(visitor.get_by_text("As the network sees it")).to_be_visible()
    visitor.get_by_role("button", name="Train a network on this").click()
    expect(visitor.get_by_role("button", name="Start training")).to_be_visible()
    poke(visitor, trap, "train")
