"""What the pages of the documentation say of names, numbers and files is so."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

from dashboard import hosting
from dashboard.hosting import queue
from rnn_core.runs import memory

ROOT = Path(__file__).parents[1]
PROMISES, HOSTING = ((ROOT / "docs" / name).read_text() for name in ("promises.md", "hosting.md"))


def test_the_table_of_caps_is_the_programs_own() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| ([\d.]+) \|", HOSTING, re.MULTILINE))
    assert {name: float(value) for name, value in rows.items()} == {
        name: float(value) for name, value in dataclasses.asdict(hosting.Caps()).items()
    }


def test_every_file_that_the_pages_name_is_there() -> None:
    for name in re.findall(r"`((?:tests|benchmarks|rnn_core|dashboard)/[\w/]+\.py)`", PROMISES + HOSTING):
        assert (ROOT / name).is_file(), name


def test_the_numbers_of_the_promises_are_the_programs_own() -> None:
    caps = hosting.Caps()
    assert f"when nobody has looked for {queue.ABANDONED_SECONDS:.0f} seconds" in PROMISES
    assert f"for {caps.unwatched_minutes:.0f} minutes is stored and stopped" in PROMISES
    assert f"makes room after {queue.PAUSED_SECONDS / 60:.0f} minutes" in PROMISES
    assert f"deleted {caps.days:.0f} days after" in PROMISES
    assert f"more than {caps.total_megabytes // 1000} GB" in PROMISES
    assert f"within a factor of {memory.FACTOR} of it" in PROMISES
