"""What the app costs the training, and what the training costs the app.

    pip install -e '.[test]'                        # Playwright; Chromium from the system
    python benchmarks/training_page.py [--seconds 15] [--rounds 5] [--clicks 60]

1. Words per second of the same training started from the command line: alone, and with its Train or its Gradients page
   open in a browser. They take turns; a ratio is the median over the rounds of the ratio within a round. Measured once
   a training is older than the twenty seconds in which the Train page looks at it every second.
2. From a click on that page to the change it asked for, while a training goes on that the page would have started: the
   same, but it gives way to the page.

What the first page takes, `home.py` measures.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

import machine
import numpy as np
from playwright.sync_api import Browser, Page, sync_playwright

from rnn_core.data import python_reference
from rnn_core.runs import Run

ROOT = Path(__file__).resolve().parent.parent
CHROMIUM = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking")
NICENESS = 5
"""As in dashboard/services/worker.py."""

WARM_UP_SECONDS = 22.0
PAGES = {"train": "Words per second", "gradients": "Sentence"}
"""And a text that says that the page is there."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def server(runs: Path, **environment: str) -> Iterator[tuple[str, float]]:
    """A running app -> its address, and the moment at which its process was started."""
    port = free_port()
    started = time.perf_counter()
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "streamlit",
            "run",
            "dashboard/app.py",
            f"--server.port={port}",
            "--server.headless=true",
        ],
        cwd=ROOT,
        env=os.environ | {"SEE_BPTT_RUNS": str(runs)} | environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    address = f"http://localhost:{port}"
    try:
        wait_until_up(address)
        yield address, started
    finally:
        process.terminate()
        process.wait(20)


def wait_until_up(address: str) -> None:
    while True:
        try:
            urlopen(f"{address}/_stcore/health", timeout=1).close()
            return
        except OSError:
            time.sleep(0.02)


@contextmanager
def training(runs: Path, corpus: Path, name: str, nice: int = 0) -> Iterator[Run]:
    """A training from the command line, far longer than it is looked at; with `nice`, as the page starts it."""
    command = [sys.executable, "-m", "rnn_core", "train", str(corpus), "--run", str(runs / name)]
    command += ["--cell", "lstm", "--hidden", "100", "--vocabulary", "4000", "--epochs", "1000", "--quiet"]
    command += ["--nice", str(nice)]
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        while not (runs / name / "events.sqlite").exists() or not len(Run.open(runs / name).metrics(limit=1)["step"]):
            time.sleep(0.1)
        yield Run.open(runs / name)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)
        shutil.rmtree(runs / name, ignore_errors=True)


def words_per_second(run: Run, seconds: float) -> float:
    """Words trained per second of wall time, over `seconds` from now."""
    first, started = words(run), time.perf_counter()
    time.sleep(seconds)
    return (words(run) - first) / (time.perf_counter() - started)


def words(run: Run) -> int:
    return int(run.metrics()["tokens"].sum())


def speed_with_and_without_page(runs: Path, corpus: Path, browser: Browser, seconds: float, rounds: int) -> None:
    speeds: dict[str, list[float]] = {name: [] for name in ("alone", *PAGES)}
    for number in range(rounds):
        with training(runs, corpus, f"alone-{number}") as run:
            time.sleep(WARM_UP_SECONDS)
            speeds["alone"].append(words_per_second(run, seconds))
        for path, text in PAGES.items():
            name = f"{path}-{number}"
            with training(runs, corpus, name) as run, server(runs) as (address, _), opened(browser) as page:
                page.goto(f"{address}/{path}?run={run.id}")
                page.get_by_text(text).first.wait_for()
                time.sleep(WARM_UP_SECONDS)
                speeds[path].append(words_per_second(run, seconds))
    print("\n| page open | words/s | of the command line's alone (lowest to highest) |\n|---|---|---|")
    print(f"| none | {np.median(speeds['alone']):,.0f} | 1 |")
    share = {}
    for path in PAGES:
        ratio = np.array(speeds[path]) / np.array(speeds["alone"])
        share[path] = float(np.median(ratio))
        spread = f"{np.median(ratio):.3f} ({ratio.min():.3f} to {ratio.max():.3f})"
        print(f"| {path} | {np.median(speeds[path]):,.0f} | {spread} |", flush=True)
    print("\n" + machine.goal("with the Train page open, of the speed alone,", 0.95, share["train"]), flush=True)


@contextmanager
def opened(browser: Browser) -> Iterator[Page]:
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    try:
        yield page
    finally:
        page.close()


# From a click's own time stamp, so that waiting for a page that is busy counts, to the end of the first frame that
# shows the answer.
WATCH_A_CLICK = """
answer => addEventListener("click", click => {
    const answered = () => [...document.querySelectorAll("button")].some(button => button.innerText.endsWith(answer));
    const watcher = new MutationObserver(() => {
        if (!answered()) return;
        watcher.disconnect();
        requestAnimationFrame(() => setTimeout(() => { window.answeredAfter = performance.now() - click.timeStamp; }));
    });
    watcher.observe(document.body, {subtree: true, childList: true, characterData: true});
}, {capture: true, once: true})
"""


def click_to_change(runs: Path, corpus: Path, browser: Browser, clicks: int) -> None:
    """Pause and resume in turn; answered when the other button stands there."""
    seconds: list[float] = []
    started_by_page = training(runs, corpus, "clicked", NICENESS)
    with started_by_page as run, server(runs) as (address, _), opened(browser) as page:
        page.goto(f"{address}/train?run={run.id}")
        for number in range(clicks):
            ask, answer = ("Pause", "Resume") if number % 2 == 0 else ("Resume", "Pause")
            button = page.get_by_role("button", name=ask, exact=True)
            button.wait_for()
            place = button.bounding_box()
            assert place is not None
            page.evaluate(f"window.answeredAfter = null; ({WATCH_A_CLICK})({answer!r})")
            time.sleep(0.4 + 0.7 * (number % 7) / 7)  # at any moment between two of the page's own looks
            # Not `button.click`, which first waits until the page is at rest; a person does not.
            page.mouse.click(place["x"] + place["width"] / 2, place["y"] + place["height"] / 2)
            milliseconds = page.wait_for_function("window.answeredAfter", timeout=20_000).json_value()
            seconds.append(milliseconds / 1000)
    print("\n| click to change: median | 95th percentile | clicks |\n|---|---|---|")
    print(f"| {np.median(seconds):.2f} s | {np.quantile(seconds, 0.95):.2f} s | {clicks} |\n")
    goal = machine.goal("seconds from a click to its answer, 95th percentile,", 0.3, np.quantile(seconds, 0.95), False)
    print(goal, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="What the app costs the training, and the training the app.")
    parser.add_argument("--seconds", type=float, default=15, help="of one measurement of speed")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--clicks", type=int, default=60)
    arguments = parser.parse_args()
    print(machine.describe())
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        runs, corpus = Path(folder) / "runs", Path(folder) / "corpus.txt"
        runs.mkdir()
        corpus.write_text("\n\n".join(python_reference()), encoding="utf-8")
        browser = playwright.chromium.launch(executable_path=chromium, args=list(CHROMIUM))
        click_to_change(runs, corpus, browser, arguments.clicks)
        speed_with_and_without_page(runs, corpus, browser, arguments.seconds, arguments.rounds)
        browser.close()


if __name__ == "__main__":
    main()
