"""The Dockerfile, without Docker: its own commands, one after the other, in an empty folder and a fresh environment.

What an engine would do is done here by hand: files are copied, variables set, `/source` and `/data` are folders of the
test, and Python is a new virtual environment of the Python that runs the test. What the app declares that it needs, and
nothing else, lies there already, as links; so `pip` has to find everything it wants without an index, and an import of
something undeclared fails.
"""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import sys
import tomllib
import venv
from importlib.metadata import distribution
from pathlib import Path
from typing import NamedTuple

import pytest
from packaging.requirements import Requirement

from tests.waiting import wait_for

ROOT = Path(__file__).parents[2]
PORT = "7860"


class Instruction(NamedTuple):
    name: str
    text: str


def instructions() -> list[Instruction]:
    """The Dockerfile's, with their continued lines joined."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return [Instruction(*line.split(maxsplit=1)) for line in lines]


def needed() -> set[str]:
    """What `pip install ".[dashboard]"` has to find: the declared, what that needs in turn, and what builds a wheel."""
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())
    project = declared["project"]
    texts = ["pip", *declared["build-system"]["requires"]]
    texts += [*project["dependencies"], *project["optional-dependencies"]["dashboard"]]
    waiting, found = [Requirement(text) for text in texts], set[str]()
    while waiting:
        wanted = waiting.pop()
        if wanted.name not in found:
            found.add(wanted.name)
            for one in map(Requirement, distribution(wanted.name).requires or []):
                if one.marker is None or any(one.marker.evaluate({"extra": extra}) for extra in {"", *wanted.extras}):
                    waiting.append(one)
    return found


def borrow(names: set[str], packages: Path) -> None:
    """Link these distributions of the tests' own environment into a folder of packages."""
    for name in names:
        lent = distribution(name)
        for top in {file.parts[0] for file in lent.files or ()} - {"..", "__pycache__"}:
            if not (packages / top).exists():
                (packages / top).symlink_to(Path(str(lent.locate_file(top))))


class Container:
    """Where the instructions are carried out."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.workdir = folder, folder
        python = folder / "python"
        venv.create(python, symlinks=True)
        self.packages = python / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
        borrow(needed(), self.packages)
        (python / "bin" / "pip").write_text('#!/bin/sh\nexec python -m pip "$@"\n')
        (python / "bin" / "pip").chmod(0o755)
        self.variables = {
            "PATH": f"{python / 'bin'}:/usr/bin:/bin",
            "LANG": "C.UTF-8",
            "PIP_NO_INDEX": "1",
            "PIP_NO_BUILD_ISOLATION": "0",  # pip's own way to say yes to it
            "PIP_NO_COMPILE": "1",  # the server compiles what it needs
        }
        self.user, self.ports, self.volumes = "root", [], []
        self.health, self.command = "", []

    def inside(self, text: str) -> str:
        """The container's folders as those of the test."""
        return re.sub(r"(?<![\w.])/(source|data|tmp)\b", rf"{self.folder}/\1", text)

    def follow(self, instruction: Instruction) -> None:
        """Carry one out. KeyError for one that this file does not know."""
        name, text = instruction
        match name:
            case "FROM":
                self.image = text
            case "ENV":
                for variable, value in re.findall(r"(\w+)=(\S+)", text):
                    self.variables[variable] = self.inside(value)
            case "WORKDIR":
                self.workdir = Path(self.inside(text))
                self.workdir.mkdir(parents=True, exist_ok=True)
            case "COPY":
                *sources, target = text.split()
                for source in sources:
                    self.copy(ROOT / source, self.workdir / target)
            case "RUN":
                self.run(text)
            case "USER":
                self.user = text
            case "EXPOSE":
                self.ports.append(text)
            case "VOLUME":
                self.volumes.append(text)
            case "HEALTHCHECK":
                self.health = text.partition("CMD ")[2]
            case "CMD":
                self.command = json.loads(text)
            case _:
                raise KeyError(name)

    def copy(self, source: Path, target: Path) -> None:
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)

    def run(self, command: str) -> None:
        ended = subprocess.run(
            ["/bin/sh", "-c", self.inside(command)],
            cwd=self.workdir,
            env=self.variables,
            capture_output=True,
            text=True,
            timeout=500,
        )
        assert ended.returncode == 0, ended.stderr


def test_the_image_asks_for_no_root_and_keeps_the_runs() -> None:
    told = dict(instructions())
    python = re.fullmatch(r"python:(3\.\d+)-slim", told["FROM"])
    assert python is not None
    assert f"Python :: {python[1]}" in (ROOT / "pyproject.toml").read_text()
    assert told["USER"] == "1000"
    assert told["VOLUME"] == "/data/runs"
    assert told["EXPOSE"] == PORT  # where Hugging Face Spaces looks
    order = [instruction.name for instruction in instructions()]
    assert order.index("USER") > max(place for place, name in enumerate(order) if name == "RUN")


def test_nothing_is_copied_that_is_not_there_or_is_kept_out() -> None:
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {source for name, text in instructions() if name == "COPY" for source in text.split()[:-1]}
    assert copied == kept
    assert all((ROOT / source).exists() for source in copied)


@pytest.mark.process
@pytest.mark.slow
def test_the_dockerfiles_own_commands_make_a_healthy_hosted_server(tmp_path: Path) -> None:
    container = Container(tmp_path)
    for instruction in instructions():
        container.follow(instruction)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    command = [word.replace(PORT, port) for word in container.command]
    health = container.health.replace(PORT, port)
    assert port in command
    assert port in health
    with open(tmp_path / "log", "wb") as log:
        server = subprocess.Popen(
            [shutil.which(command[0], path=container.variables["PATH"]), *command[1:]],
            cwd=container.workdir,
            env=container.variables | {"STREAMLIT_SERVER_HEADLESS": "true"},
            stdout=log,
            stderr=log,
        )
    try:

        def listening() -> bool:
            assert server.poll() is None, (tmp_path / "log").read_text()
            with socket.socket() as caller:
                return caller.connect_ex(("127.0.0.1", int(port))) == 0

        def healthy() -> bool:
            checked = subprocess.run(["/bin/sh", "-c", health], env=container.variables, capture_output=True)
            return checked.returncode == 0

        wait_for(listening)
        wait_for(healthy)
        # It is this environment's own copy, hosted, and its queue already moves: beside the runs, in the volume.
        wait_for((Path(container.variables["SEE_BPTT_RUNS"]) / ".hosting" / "queue.json").exists)
        assert (tmp_path / "data" / "runs" / ".hosting").is_dir()
        assert (container.packages / "dashboard" / "app.py").is_file()
    finally:
        server.terminate()
        server.wait(60)
