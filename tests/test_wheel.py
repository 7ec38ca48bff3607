"""The installed program: a wheel, in an environment of its own, started from a folder that is not the checkout."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import sysconfig
import urllib.request
import zipfile
from pathlib import Path

import pytest
from waiting import HANG_SECONDS, wait_for

ROOT = Path(__file__).parents[1]
pytestmark = [pytest.mark.slow, pytest.mark.process]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", str(folder)]
    subprocess.run([*command, str(ROOT)], check=True, timeout=HANG_SECONDS)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin folder of an environment with this wheel; what it depends on is borrowed from the tests' own."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True, timeout=HANG_SECONDS)
    python = folder / "bin" / "python"
    command = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", str(wheel)]
    subprocess.run(command, check=True, timeout=HANG_SECONDS)
    packages = next((folder / "lib").glob("python*/site-packages"))
    # A line of a .pth file adds a folder, but not the .pth files in it: the checkout's own editable install stays out.
    (packages / "borrowed.pth").write_text(sysconfig.get_path("purelib"))
    return python.parent


def run(program: Path, *arguments: str, folder: Path) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [str(program), *arguments], cwd=folder, env=environment, capture_output=True, text=True, timeout=HANG_SECONDS
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_wheel_has_the_theme_the_icon_and_its_types(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    wanted = {"dashboard/.streamlit/config.toml", "dashboard/icon.png", "rnn_core/py.typed", "dashboard/py.typed"}
    assert wanted <= names
    assert not [name for name in names if "secrets" in name or name.startswith("tests/")]


def test_every_file_of_the_two_packages_is_in_the_wheel(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    tracked = subprocess.run(
        ["git", "ls-files", "rnn_core", "dashboard"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    assert {name for name in tracked if (ROOT / name).is_file()} <= names


def test_the_command_line_runs_from_any_folder(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "book.txt").write_text("The man went in. The woman went out. The man went out.\n" * 20)
    run(installed / "see-bptt", "train", "book.txt", "--run", "run", "--hidden", "4", "--steps", "2", folder=tmp_path)
    answer = json.loads(run(installed / "see-bptt", "generate", "run", "--count", "1", "--json", folder=tmp_path))
    assert len(answer["sentences"]) == 1
    where = run(installed / "python", "-c", "import rnn_core; print(rnn_core.__file__)", folder=tmp_path)
    assert str(installed.parent) in where


def test_the_app_starts_from_any_folder_with_its_theme_and_its_guards(installed: Path, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    process = subprocess.Popen(
        [str(installed / "see-bptt"), "app", "--port", str(port), "--runs", str(tmp_path / "runs")],
        cwd=tmp_path,
        env=environment | {"STREAMLIT_SERVER_HEADLESS": "true"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:

        def answers() -> bool:
            assert process.poll() is None, process.stdout.read() if process.stdout else ""
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=HANG_SECONDS) as answer:
                    return bool(answer.status == 200)
            except OSError:
                return False

        wait_for(answers, "an answer of the app")
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    settings = (
        "from pathlib import Path; import dashboard; from streamlit import config; "
        "config._main_script_path = str(Path(dashboard.__file__).parent / 'app.py'); "
        "print(config.get_option('client.showErrorDetails'), config.get_option('theme.light.primaryColor'))"
    )
    assert run(installed / "python", "-c", settings, folder=tmp_path).split() == ["none", "#0b6e75"]
