"""Counts, durations and units in words."""

from __future__ import annotations

from rnn_core.data.tasks import make_task
from rnn_core.runs import RunConfig


def count(number: int, what: str) -> str:
    """1, "epoch" -> "1 epoch"; 2, "epoch" -> "2 epochs"."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def duration(seconds: float) -> str:
    """42 -> "42 s", 100 -> "1 min 40 s", 9000 -> "2 h 30 min"."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def unit(name: str) -> str:
    """What one token is called on the screen."""
    return "character" if name == "char" else "word"


def units_of(config: RunConfig) -> tuple[str, str]:
    """What a step back is called in a run's pictures, and what its loss is a mean over; "": it is a squared error."""
    if config.task is None:
        return unit(config.text.unit), unit(config.text.unit)
    return "step", "answer" if make_task(config.task).loss == "cross_entropy" else ""
