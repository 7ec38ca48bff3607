"""A network of characters that was trained elsewhere, and came without its text and without marks for its sentences, is
shown on every page like any other.
"""

from __future__ import annotations

import json

import numpy as np
import pytest

from dashboard.laboratory import figures
from rnn_core import runs
from rnn_core.cli.main import main
from rnn_core.runs import Run

CHARACTERS = ["\n", " ", *"abcdefghijklm"]


@pytest.fixture
def imported(tmp_path, runs_folder) -> Run:
    size, rng = len(CHARACTERS), np.random.default_rng(0)
    shapes = {"U": (6, size), "V": (size, 6), "W": (6, 6)}
    np.savez(tmp_path / "model.npz", **{name: rng.normal(0, 0.5, shape) for name, shape in shapes.items()})
    (tmp_path / "words.json").write_text(json.dumps(CHARACTERS))
    folder = runs_folder / runs.new_run_id()
    command = [
        "import",
        str(tmp_path / "model.npz"),
        "--vocabulary",
        str(tmp_path / "words.json"),
        "--run",
        str(folder),
    ]
    assert main(command) == 0
    return Run.open(folder)


@pytest.mark.parametrize("page", ["train", "generate", "runs", "race", "evaluate", "units", "compare"])
def test_every_page_opens_it(page, imported, open_page):
    assert not open_page(page, imported.id).error


def test_evaluate_says_what_was_assumed_when_it_was_opened(imported, open_page):
    app = open_page("evaluate", imported.id)
    app.segmented_control[0].set_value("paste").run()
    app.text_area[0].set_value("a cab had been hailed\nbad bees\n" * 3).run()
    assert any("a line break ends a sentence" in text.value for text in app.text)


def test_every_picture_of_its_gradients_is_drawn(imported, open_page):
    app = open_page("gradients", imported.id)
    for toggle in app.toggle:
        if toggle.key.startswith(figures.key("more")):
            toggle.set_value(True)
    app.run()
    assert not app.exception
    assert not app.error
