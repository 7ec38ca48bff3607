"""A folder of runs of the test's own, a run that is trained already, and the app: without a browser, and with one."""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect
from streamlit.components.v2 import manifest_scanner
from streamlit.testing.v1 import AppTest, app_test, local_script_runner

from dashboard.services import library, sources, worker
from rnn_core import runs
from rnn_core.config import ModelConfig, TextSettings, TrainingSettings
from rnn_core.runs import Run
from rnn_core.runs.worker import work
from tests.waiting import HANG_SECONDS, wait_for

APP = Path(__file__).parents[2] / "dashboard" / "app.py"
HOSTILE = "![x](http://127.0.0.1:9/leak.png) <img src=x> **bold** [a](b) :red[c] $d$"
"""What a visitor might write to make a page of ours fetch, or look like, something of theirs."""


@pytest.fixture(scope="session", autouse=True)
def _what_a_server_does_once() -> Iterator[None]:
    """A new AppTest searches every installed package for components, and compiles each page's script for each run; and
    every millisecond of a run it looks through all that the page has sent for the end, where one can wait for it.
    """
    ask_again_and_again = local_script_runner.require_widgets_deltas

    def wait_for_the_end(runner: local_script_runner.LocalScriptRunner, timeout: float) -> None:
        assert runner._script_thread is not None
        runner._script_thread.join(timeout)
        if not runner.script_stopped():
            ask_again_and_again(runner, timeout=0)  # It says that it took too long.

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(local_script_runner, "require_widgets_deltas", wait_for_the_end)
        search = functools.cache(manifest_scanner.scan_component_manifests)
        patch.setattr(manifest_scanner, "scan_component_manifests", search)
        compiled = app_test.ScriptCache()
        patch.setattr(app_test, "ScriptCache", lambda: compiled)
        yield


@pytest.fixture(autouse=True)
def runs_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder of runs. Trainings that a test started in it end with the test."""
    folder = tmp_path / "runs"
    folder.mkdir()
    monkeypatch.setenv(library.ROOT_VARIABLE, str(folder))
    yield folder
    for child in list(worker._children.values()):
        child.kill()
        child.wait()
    worker._children.clear()


@pytest.fixture(scope="session")
def _trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    text = TextSettings(sentences="lines")
    corpus = sources.prepare(sources.Agreement(gap=3, count=200), text)
    model = ModelConfig(cell="tanh", vocabulary_size=len(corpus.vocabulary), hidden_size=12)
    training = TrainingSettings(epochs=6, learning_rate=0.01, sample_every_seconds=0.0)
    folder = tmp_path_factory.mktemp("trained") / runs.new_run_id()
    runs.create_run(folder, HOSTILE, corpus, model, training, text)
    work(folder)
    return folder


@pytest.fixture
def trained_run(_trained: Path, runs_folder: Path) -> Run:
    """A small finished run, with a hostile name, in the test's folder of runs."""
    return Run.open(shutil.copytree(_trained, runs_folder / runs.new_run_id()))


@pytest.fixture
def new_run(runs_folder: Path) -> Callable[..., Run]:
    """Makes a run that nobody has trained yet."""

    def make(name: str = "untrained", **training: object) -> Run:
        text = TextSettings(sentences="lines")
        corpus = sources.prepare(sources.Agreement(gap=3, count=200), text)
        model = ModelConfig(vocabulary_size=len(corpus.vocabulary), hidden_size=8)
        settings = TrainingSettings(**{"epochs": 3, **training})  # type: ignore[arg-type]
        return runs.create_run(runs_folder / runs.new_run_id(), name, corpus, model, settings, text)

    return make


@pytest.fixture
def open_page() -> Callable[..., AppTest]:
    """Opens a page of the app as a visitor with a fresh session, with a link to a run (or more) if one is given."""

    def open_(page: str, run_id: str | None = None, **link: str) -> AppTest:
        app = AppTest.from_file(str(APP), default_timeout=HANG_SECONDS)
        for name, value in {"run": run_id, **link}.items():
            if value is not None:
                app.query_params[name] = value
        if page != "home":
            app.switch_page(f"views/{page}.py")
        app.run()
        assert not app.exception, app.exception[0].message
        return app

    return open_


def new_window(browser: Browser, **options: Any) -> BrowserContext:
    """A window of a visitor of its own, who waits for what is to be seen or clicked however busy the machine is."""
    context = browser.new_context(**options)
    context.set_default_timeout(1000 * HANG_SECONDS)
    expect.set_options(timeout=1000 * HANG_SECONDS)
    return context


@pytest.fixture(scope="session")
def _window(browser: Browser, server: Server) -> Iterator[BrowserContext]:
    """A window whose process lives as long as its first tab, which shows one line of this machine."""
    context = new_window(browser)
    context.new_page().goto(f"{server.address}/_stcore/health")
    yield context
    context.close()


@pytest.fixture
def page(_window: BrowserContext) -> Iterator[Page]:
    """A tab of a window that all tests share, which keeps Streamlit's scripts: loading them takes seconds of a core.

    No test finds anything of the one before: neither its tabs, nor a cookie or a stored item.
    """
    tab = _window.new_page()
    stored = "cookies,local_storage,indexeddb,cache_storage"
    _window.new_cdp_session(tab).send("Storage.clearDataForOrigin", {"origin": "*", "storageTypes": stored})
    yield tab
    for opened in _window.pages[1:]:
        opened.close()


@dataclass(frozen=True)
class Server:
    """The app behind `streamlit run`, as the README starts it, and the folder of its runs."""

    address: str
    folder: Path
    process: subprocess.Popen[bytes]


@contextlib.contextmanager
def running_server(folder: Path, port: int | None = None, **environment: str) -> Iterator[Server]:
    """The app as a process of its own, over this folder of runs; killed, with its trainings, at the end."""
    folder.mkdir(parents=True, exist_ok=True)
    log = folder.parent / "server.log"
    if port is None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
    with open(log, "ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "streamlit", "run", str(APP), "--server.headless=true", f"--server.port={port}"],
            cwd=APP.parents[1],
            env=os.environ | {library.ROOT_VARIABLE: str(folder)} | environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    address = f"http://127.0.0.1:{port}"
    try:
        _wait_until_up(f"{address}/_stcore/health", process, log)
        yield Server(address, folder, process)
    finally:
        process.kill()
        process.wait(10)
        stop_trainings(folder)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running_server(tmp_path_factory.mktemp("server") / "runs") as started:
        yield started


def _wait_until_up(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    def up() -> bool:
        assert process.poll() is None, log.read_text()
        try:
            with urllib.request.urlopen(address, timeout=HANG_SECONDS):
                return True
        except OSError:
            return False

    wait_for(up)


def stop_trainings(folder: Path) -> None:
    """Trainings outlive the server on purpose; those of a test must not outlive the test."""
    for summary in runs.list_runs(folder):
        if summary.status is not None and summary.status.pid is not None:
            os.kill(summary.status.pid, 9)
