"""Every page, light and dark, at its own address: no serious fault that axe-core finds, headings in order, a title of
its own, nothing wider than a phone.
"""

from __future__ import annotations

import re
import shutil

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Page, expect

from dashboard.server import PAGES
from rnn_core.runs import Run
from tests.dashboard.conftest import Server

pytestmark = pytest.mark.browser

NOT_OURS = {
    # Streamlit's own navigation: its groups lie directly in its list.
    "list",
    "listitem",
    # Vega's: marks inside a chart that has a text in its place as a whole.
    "svg-img-alt",
}


SEEN = ["color-contrast", "scrollable-region-focusable"]
"""Rules about what is seen, which differs with the look. The others read the page's elements."""


@pytest.fixture
def run_of_the_server(server: Server, trained_run: Run) -> str:
    """A finished run in the server's folder."""
    shutil.copytree(trained_run.folder, server.folder / trained_run.folder.name, dirs_exist_ok=True)
    return trained_run.id


def open_page(page: Page, server: Server, run_id: str, path: str) -> None:
    page.goto(f"{server.address}/{path}?run={run_id}")
    expect(page.locator("#first-look")).to_have_count(0)
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    own_style = "[...document.querySelectorAll('style')].some(one => one.textContent.includes('st-key-doors'))"
    page.wait_for_function(own_style)
    expect(page).to_have_title(re.compile(".+ · .+"))
    page.evaluate(AXE_SCRIPT)


def show(page: Page, scheme: str, width: int) -> None:
    """The page in one of its looks, which follow the system's without a reload."""
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 900})
    brightness = (
        "eval(getComputedStyle(document.querySelector('[data-testid=stApp]')).backgroundColor.match(/[0-9]+/)[0])"
    )
    page.wait_for_function(f"{brightness} {'>' if scheme == 'light' else '<'} 128")
    expect(page.locator("[data-testid=stApp][data-test-script-state=notRunning]")).to_be_attached()


def faults_of(page: Page, rules: list[str] | None) -> list[str]:
    """What axe-core finds by these rules (None: by all), headings that are skipped, and how far the page is wider than
    the screen.
    """
    faults = []
    options = {"resultTypes": ["violations"]} | ({"runOnly": rules} if rules else {})
    for found in page.evaluate("options => axe.run(options)", options)["violations"]:
        if found["impact"] in ("serious", "critical") and found["id"] not in NOT_OURS:
            faults += [
                f"{found['id']}: {node['html'][:200]} {node['any'] and node['any'][0]['message']}"
                for node in found["nodes"]
            ]
    names = page.evaluate("[...document.querySelectorAll('h1,h2,h3,h4,h5,h6')].map(one => one.tagName)")
    levels = [int(name[1]) for name in names]
    steps = [after - before for before, after in zip(levels, levels[1:], strict=False)]
    if levels[0] != 1 or levels.count(1) != 1 or max(steps, default=0) > 1:
        faults.append(f"headings: {names}")
    over = page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth - innerWidth")
    if over > 0:
        faults.append(f"{over} pixels wider than the screen")
    return faults


@pytest.mark.slow
def test_no_page_has_a_serious_fault_or_skips_a_heading_or_is_wider_than_the_screen(
    page: Page, server: Server, run_of_the_server: str
) -> None:
    faults, titles = [], set()
    for path in PAGES:
        open_page(page, server, run_of_the_server, "" if path == "home" else path)
        titles.add(page.title())
        for scheme, width, rules in (("dark", 400, SEEN), ("light", 1280, None)):
            show(page, scheme, width)
            faults += [f"/{path}, {scheme}, {width}: {fault}" for fault in faults_of(page, rules)]
    assert not faults, "\n".join(faults)
    assert len(titles) == len(PAGES)
    for group in ("See", "Train", "Understand", "Compare"):
        expect(page.get_by_test_id("stSidebarNav").get_by_text(group, exact=True).first).to_be_visible()
