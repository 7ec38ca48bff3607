"""A training in few points, made by SQLite, and tags: what the comparison of runs reads of a folder."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from pathlib import Path

import numpy as np
import pytest
from tiny_runs import tiny_run

from rnn_core.errors import RunError
from rnn_core.runs import Run, import_run, lengthen_run, rename_run, tag_run, zip_run
from rnn_core.runs.run_config import LONGEST_TAG, MOST_TAGS
from rnn_core.runs.worker import work


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    made = tiny_run(tmp_path_factory.mktemp("outline") / "run", epochs=6)
    work(made.folder)
    return made


@pytest.mark.parametrize("points", [1, 4, 7, 1000])
def test_an_outline_is_the_metrics_in_rows_of_equal_length(run: Run, points: int) -> None:
    metrics, outline = run.metrics(), run.outline(points)
    count = len(metrics["step"])
    ends = np.linspace(0, count, min(points, count) + 1).astype(int)
    parts = list(zip(ends[:-1], ends[1:], strict=True))
    assert len(outline["step"]) == min(points, count)
    assert outline["step"].tolist() == ends[1:].tolist()
    assert outline["tokens"].tolist() == np.cumsum(metrics["tokens"])[ends[1:] - 1].tolist()
    assert outline["elapsed_seconds"].tolist() == metrics["elapsed_seconds"][ends[1:] - 1].tolist()
    for name in ("loss_nats", "gradient_norm"):
        means = [metrics[name][start:end].mean() for start, end in parts]
        np.testing.assert_allclose(outline[name], means, rtol=1e-12)


def test_a_run_that_nobody_trained_has_an_empty_outline(tmp_path: Path) -> None:
    outline = tiny_run(tmp_path / "run").outline()
    assert {name: len(column) for name, column in outline.items()} == dict.fromkeys(outline, 0)


@pytest.mark.parametrize("value", ["'text'", "x'00'", "9e999"])
@pytest.mark.parametrize("column", ["loss_nats", "gradient_norm", "tokens", "elapsed_seconds"])
def test_what_is_no_number_among_the_metrics_is_refused_and_not_counted_as_zero(
    run: Run, tmp_path: Path, column: str, value: str
) -> None:
    damaged = tiny_run(tmp_path / "run")
    with contextlib.closing(sqlite3.connect(damaged.folder / "events.sqlite")) as history:
        history.execute("ATTACH ? AS good", (str(run.folder / "events.sqlite"),))
        history.execute("INSERT INTO metrics SELECT * FROM good.metrics")
        history.execute(f"UPDATE metrics SET {column} = {value} WHERE step = 3")
        history.commit()
    with pytest.raises(RunError):
        damaged.outline(4)


def test_tags_are_kept_by_whatever_else_happens_to_a_run(tmp_path: Path) -> None:
    made = tiny_run(tmp_path / "run", steps=2, epochs=None)
    work(made.folder)
    tag_run(made.folder, ["  paper\n", "good", "good", "", "\x00"])
    rename_run(made.folder, "renamed")
    lengthen_run(made.folder, made.config.training)
    assert Run.open(made.folder).config.tags == ("good", "paper")
    with open(tmp_path / "run.zip", "wb") as file:
        zip_run(made.folder, file)
    assert import_run(tmp_path / "run.zip", tmp_path / "again").config.tags == ("good", "paper")
    tag_run(made.folder, [])
    assert Run.open(made.folder).config.tags == ()


def test_tags_are_few_and_short_whoever_wrote_them(tmp_path: Path) -> None:
    made = tiny_run(tmp_path / "run")
    path = made.folder / "config.json"
    values = json.loads(path.read_text())
    path.write_text(json.dumps(values | {"tags": [f"{number:02} " + "x" * 500 for number in range(50)]}))
    tags = Run.open(made.folder).config.tags
    assert len(tags) == MOST_TAGS
    assert max(map(len, tags)) == LONGEST_TAG
    for wrong in ("paper", {"a": 1}, [1], None):
        path.write_text(json.dumps(values | {"tags": wrong}))
        with pytest.raises(RunError, match="damaged"):
            Run.open(made.folder)
    del values["tags"]  # a run of before there were tags
    path.write_text(json.dumps(values))
    assert Run.open(made.folder).config.tags == ()
