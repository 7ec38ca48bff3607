"""What every test may rely on: Hypothesis without a clock, children that hear signals, this machine's Chromium.

And what can be relied on about tests: one that starts a process has the mark `process` (or `browser`), so that those
without it can be run often.
"""

from __future__ import annotations

import gc
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from rnn_core.threads import usable_cores

# Machines that run these tests are shared: how long one example takes says nothing about it.
settings.register_profile("shared-machine", deadline=None)
settings.load_profile("shared-machine")

# These tests start hundreds of Pythons. What one has compiled is kept for the next (in ignored folders, `__pycache__`),
# even where the environment says otherwise: without that, each would compile every file that it imports.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# They also wait for the disk thousands of times, at each fsync of a run. What a power cut leaves is simulated
# (`power_cut.py`), so that memory will do for a disk, where there is enough of it and nobody named another place.
MEMORY = Path("/dev/shm")
if "TMPDIR" not in os.environ and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free >= 4 << 30:
    os.environ["TMPDIR"] = tempfile.tempdir = str(MEMORY)

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


STARTING_A_PROCESS = {"subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn"}  # as Python's audit events
WITH_PROCESSES = {"workers", "server"}  # fixtures that start them once, for many tests
_started: list[str] = []
sys.addaudithook(lambda event, _: _started.append(event) if event in STARTING_A_PROCESS else None)


@pytest.fixture(autouse=True)
def _starting_processes_is_marked(request: pytest.FixtureRequest) -> Iterator[None]:
    _started.clear()
    yield
    marks = {mark.name for mark in request.node.iter_markers()}
    if _started and not marks & {"process", "browser"}:
        pytest.fail("this test starts a process; mark it `@pytest.mark.process`", pytrace=False)


def pytest_configure() -> None:
    """Under `nohup … &` SIGINT and SIGHUP are ignored, and so they would be in every process that a test starts. What
    is caught is not inherited: with handlers that do nothing, these tests ignore the signals and their children hear
    them.
    """
    for number in (signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, lambda *_: None)


def pytest_collection_finish() -> None:
    """What is imported and collected by now stays to the end: the garbage collector need not look through it."""
    gc.freeze()


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """`-n auto`: one more than there are cores, since the tests of processes and browsers wait half of their time."""
    waiting = "not process" not in (config.option.markexpr or "")
    return usable_cores() + waiting


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Without a browser its tests are skipped, unless REQUIRE_BROWSER says that there must be one."""
    for item in items:
        if WITH_PROCESSES.intersection(getattr(item, "fixturenames", ())):
            item.add_marker("process")
    if workers := getattr(config, "workerinput", {}).get("workercount"):
        items[:] = long_ones_first(items, workers)
    if CHROMIUM is not None or os.environ.get("REQUIRE_BROWSER"):
        return
    for item in items:
        if item.get_closest_marker("browser"):
            item.add_marker(pytest.mark.skip(reason="no Chromium or Chrome on this machine"))


def long_ones_first(items: list[pytest.Item], workers: int) -> list[pytest.Item]:
    """`--dist worksteal` gives each worker an equal run of this list, and who is done takes from the end of another's.
    So every worker begins with tests that take long, and none of them is left for the end.
    """
    kinds: dict[str, list[pytest.Item]] = {name: [] for name in ("browser", "process", "slow", "quick")}
    for item in items:
        marks = {mark.name for mark in item.iter_markers()}
        kinds[next((name for name in kinds if name in marks), "quick")].append(item)
    *long, quick = kinds.values()
    shares: list[list[pytest.Item]] = [[] for _ in range(workers)]
    for place, tests in enumerate(long):
        shares[place % workers] += tests
    for share in shares:
        room = max(0, len(items) // workers - len(share))
        share += quick[:room]
        quick = quick[room:]
    return [item for share in shares for item in share] + quick


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    """The machine's own browser, which as root runs only without its sandbox, and which asks nobody for updates.

    The tabs of a window share a process, so that what one of them has compiled of Streamlit's scripts serves the next.
    Nothing is compiled for speed: a test loads a page and leaves it, and would pay for more than it uses.
    """
    quiet = ("quic", "background-networking", "component-update", "sync")
    arguments = ["--no-sandbox", "--disable-gpu", "--no-first-run", *(f"--disable-{what}" for what in quiet)]
    arguments += ["--process-per-site", "--js-flags=--no-opt --no-maglev"]
    return {**browser_type_launch_args, "executable_path": CHROMIUM, "args": arguments}
