"""The notebooks in `examples/` run from top to bottom, and every cell ends in something that a notebook can show."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"
NEEDS_TORCH = {"your_pytorch_lstm"}
NOTEBOOKS = sorted(path.stem for path in EXAMPLES.glob("*.ipynb"))


def code_cells(name: str) -> list[str]:
    notebook = json.loads((EXAMPLES / f"{name}.ipynb").read_text(encoding="utf-8"))
    return ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]


def run(cell: str, namespace: dict[str, Any]) -> Any:
    """What the cell's last line says, if that is an expression; as a notebook would take it."""
    tree = ast.parse(cell)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "a notebook's cell", "exec"), namespace)
    return None if last is None else eval(compile(ast.Expression(last.value), "its last line", "eval"), namespace)


@pytest.mark.slow
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_runs_and_shows_what_it_has(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if name in NEEDS_TORCH:
        pytest.importorskip("torch")
    monkeypatch.setenv("SEE_BPTT_RUNS", str(tmp_path))
    monkeypatch.chdir(EXAMPLES)
    install, *cells = code_cells(name)
    assert all(line.startswith(("#", "%pip install ")) for line in install.splitlines())
    namespace: dict[str, Any] = {}
    for cell in cells:
        shown = run(cell, namespace)
        if hasattr(shown, "to_dict"):
            shown.to_dict(validate=True)
        elif shown is not None:
            assert isinstance(shown, dict) or shown._repr_html_()
    capsys.readouterr()


def test_the_notebooks_are_small_and_show_pictures_to_those_who_only_read_them() -> None:
    assert NOTEBOOKS == ["see_it_vanish", "the_tutorials_claims", "your_pytorch_lstm"]
    for name in NOTEBOOKS:
        text = (EXAMPLES / f"{name}.ipynb").read_text(encoding="utf-8")
        assert len(text) < 300 * 1024
        assert "image/png" in text
        assert '"output_type": "error"' not in text


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_the_first_cell_installs_all_that_a_notebook_imports(name: str) -> None:
    install, *cells = code_cells(name)
    imported = {
        node.module if isinstance(node, ast.ImportFrom) else node.names[0].name
        for cell in cells
        for node in ast.walk(ast.parse(cell))
        if isinstance(node, (ast.Import, ast.ImportFrom))
    }
    roots = {str(module).partition(".")[0] for module in imported}
    assert roots <= {"rnn_core", "dashboard", "numpy", "torch", "dataclasses"}
    assert ("torch" in roots) == ("torch" in install) == (name in NEEDS_TORCH)
