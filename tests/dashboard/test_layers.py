"""Who may import what in the dashboard: read from the source, so that nothing has to run for it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

DASHBOARD = Path(__file__).parents[2] / "dashboard"


def imported(path: Path) -> Iterator[str]:
    """Every module that a file imports, wherever in it: `from a.b import c` counts as a.b and as a.b.c."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def reached(package: str) -> Iterator[tuple[Path, str]]:
    """(file, imported module) for a package and for all of the dashboard that it imports, directly or not."""
    waiting, seen = sorted((DASHBOARD / package).rglob("*.py")), set()
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        for name in imported(path):
            yield path, name
            if name.startswith("dashboard."):
                place = DASHBOARD.parent / Path(*name.split("."))
                waiting += [file for file in (place.with_suffix(".py"), place / "__init__.py") if file.is_file()]


@pytest.mark.parametrize("package", ["services", "hosting", "charts"])
def test_no_streamlit_is_needed_for(package: str) -> None:
    files = list((DASHBOARD / package).rglob("*.py"))
    assert len(files) > 3
    guilty = {f"{path.name} imports {name}" for path, name in reached(package) if name.split(".")[0] == "streamlit"}
    assert not guilty
