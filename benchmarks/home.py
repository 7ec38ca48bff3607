"""How long one waits on the first page: for it, for a lever, for the pointer.

    pip install -e '.[test]'                        # Playwright; Chromium from the system
    python benchmarks/home.py [--rounds 5] [--turns 60]

1. From `streamlit run` to the first paint, to the picture that follows the pointer, and to the whole page with its
   levers, in a browser that is open already.
2. From the pointer's own time stamp to the end of the first frame that shows what it points at.
3. A lever, on a hosted server, while nine others turn theirs, each once a second: from a click's time stamp to the end
   of the first frame that shows the answer, in a browser; and for the others from the request to the end of the answer.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import tempfile
import threading
import time
from pathlib import Path

import browsers
import machine
import numpy as np
from playwright.sync_api import Browser, Page, sync_playwright
from training_page import CHROMIUM, opened, server

OTHERS = 9
CELLS = ("ReLU", "sigmoid", "LSTM", "GRU", "minGRU", "tanh")

# What `eventName` began, the end of the first frame after the sentence under the picture has changed ends.
WATCH = """
eventName => {
    const roots = [...document.querySelectorAll("*")].map(element => element.shadowRoot);
    const root = roots.find(root => root && root.querySelector(".reading"));
    window.took = [];
    let begun = null;
    addEventListener(eventName, event => { begun = event.timeStamp; }, true);
    new MutationObserver(() => {
        if (begun === null) return;
        const from = begun;
        begun = null;
        requestAnimationFrame(() => setTimeout(() => window.took.push(performance.now() - from)));
    }).observe(root.querySelector(".reading"), {subtree: true, childList: true, characterData: true});
}
"""


def first_paint(runs: Path, browser: Browser, rounds: int) -> None:
    painted, living, whole = [], [], []
    for _ in range(rounds):
        with server(runs) as (address, started), opened(browser) as page:
            page.goto(address, wait_until="commit")
            page.locator("h1").first.wait_for()
            painted.append(time.perf_counter() - started)
            page.get_by_role("radio", name="Loss of his").first.hover()
            page.get_by_text("gradient of “his”").first.wait_for()
            living.append(time.perf_counter() - started)
            stands(page)
            whole.append(time.perf_counter() - started)
    print("\n| from `streamlit run` | median | slowest | starts |\n|---|---|---|---|")
    rows = {"to the first paint": painted, "to the living picture": living, "to the whole page": whole}
    for what, seconds in rows.items():
        print(f"| {what} | {np.median(seconds):.2f} s | {max(seconds):.2f} s | {rounds} |")
    print("\n" + machine.goal("seconds to the first paint, median,", 2.0, float(np.median(painted)), False))
    print(machine.goal("seconds to the living picture, median,", 2.5, float(np.median(living)), False), flush=True)


def stands(page: Page) -> None:
    """Waits until Streamlit's page has taken the place of the first HTML's."""
    page.wait_for_function("document.querySelector('.st-key-doors') && !document.getElementById('first-look')")


def watched(page: Page, event: str) -> None:
    stands(page)
    page.get_by_text("It vanishes.").wait_for()
    time.sleep(1)
    page.evaluate(f"({WATCH})({event!r})")


def pointer(runs: Path, browser: Browser, turns: int) -> None:
    with server(runs) as (address, _), opened(browser) as page:
        page.goto(address)
        watched(page, "pointermove")
        words = page.get_by_role("radio", name="Loss of")
        places = [words.nth(number).bounding_box() for number in range(words.count())]
        for turn in range(turns):
            place = places[turn % len(places)]
            assert place is not None
            page.mouse.move(place["x"] + place["width"] / 2, place["y"] + place["height"] / 2)
            time.sleep(0.15)
        milliseconds = page.evaluate("window.took")
    print("\n| pointer to change | median | 95th percentile | slowest | moves |\n|---|---|---|---|---|")
    middle, late = np.median(milliseconds), np.quantile(milliseconds, 0.95)
    print(f"| | {middle:.0f} ms | {late:.0f} ms | {max(milliseconds):.0f} ms | {len(milliseconds)} |\n")
    print(machine.goal("milliseconds from pointer to change, 95th percentile,", 50, float(late), False), flush=True)


def lever(runs: Path, browser: Browser, turns: int) -> None:
    log = browsers.Log()
    over = threading.Event()
    with server(runs, SEE_BPTT_HOSTED="1") as (address, _), opened(browser) as page:
        others = threading.Thread(target=lambda: asyncio.run(turn_levers(address, log, over)))
        others.start()
        page.goto(address)
        watched(page, "click")
        for turn in range(turns):
            page.get_by_role("radio", name=CELLS[turn % len(CELLS)], exact=True).click()
            page.wait_for_function(f"window.took.length > {turn}", timeout=20_000)
            time.sleep(0.5 + 0.1 * (turn % 5))
        seconds = np.array(page.evaluate("window.took")) / 1000
        over.set()
        others.join()
    print("\n| a lever, ten visitors | median | 95th percentile | slowest | turns |\n|---|---|---|---|---|")
    for who, times in (("in the browser", seconds), ("the others' answers", np.array(log.clicks))):
        middle, late = np.median(times), np.quantile(times, 0.95)
        print(f"| {who} | {middle:.3f} s | {late:.3f} s | {max(times):.3f} s | {len(times)} |")
    assert not log.errors, log.errors[0]
    print("\n" + machine.goal("seconds for a lever, 95th percentile,", 0.2, float(np.quantile(seconds, 0.95)), False))


async def turn_levers(address: str, log: browsers.Log, over: threading.Event) -> None:
    await asyncio.gather(*(visitor(address, log, over, number) for number in range(OTHERS)))


async def visitor(address: str, log: browsers.Log, over: threading.Event, number: int) -> None:
    """Turns the cell once a second, each visitor beginning with another."""
    browser = browsers.Browser(address, log)
    await browser.come()
    await browser.go_to("")
    turn = number
    while not over.is_set():
        turn += 1
        cell = CELLS[turn % len(CELLS)]
        message = browser.rerun()
        choice = message.rerun_script.widget_states.widgets.add()
        choice.id = browser.choices[cell]
        choice.string_array_value.data.append(cell)
        started = time.monotonic()
        await browser.send(message)
        log.clicks.append(time.monotonic() - started)
        await asyncio.sleep(max(0.0, 1 + number / 50 - (time.monotonic() - started)))
    await browser.leave()


def main() -> None:
    parser = argparse.ArgumentParser(description="How long one waits on the first page.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--turns", type=int, default=60)
    arguments = parser.parse_args()
    print(machine.describe())
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=list(CHROMIUM))
        first_paint(Path(folder), browser, arguments.rounds)
        pointer(Path(folder), browser, arguments.turns)
        lever(Path(folder), browser, arguments.turns)
        browser.close()


if __name__ == "__main__":
    main()
