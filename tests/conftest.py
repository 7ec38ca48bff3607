"""What every test may rely on: Hypothesis without a clock, and the Chromium of this machine for tests in a browser."""

from __future__ import annotations

import os
import shutil
from typing import Any

import pytest
from hypothesis import settings

# Machines that run these tests are shared: how long one example takes says nothing about it.
settings.register_profile("shared-machine", deadline=None)
settings.load_profile("shared-machine")

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Without a browser its tests are skipped, unless REQUIRE_BROWSER says that there must be one."""
    if CHROMIUM is not None or os.environ.get("REQUIRE_BROWSER"):
        return
    for item in items:
        if item.get_closest_marker("browser"):
            item.add_marker(pytest.mark.skip(reason="no Chromium or Chrome on this machine"))


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    """The machine's own browser, which as root runs only without its sandbox, and which asks nobody for updates."""
    quiet = ("quic", "background-networking", "component-update", "sync")
    arguments = ["--no-sandbox", "--disable-gpu", "--no-first-run", *(f"--disable-{what}" for what in quiet)]
    return {**browser_type_launch_args, "executable_path": CHROMIUM, "args": arguments}
