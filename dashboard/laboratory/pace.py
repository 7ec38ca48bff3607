"""Which moment of a training is shown, and how often a page may look for a newer one.

A training shares its machine with the pages that watch it. So the newest moment stays on the screen for as long as its
pictures took times a factor: what all pages together compute stays a small share of the time, whoever looks.
"""

from __future__ import annotations

import time
from bisect import bisect_right

from rnn_core.runs import Run

LOOK_SECONDS = 2.0
SHARE = 0.04
"""Of the time of one core."""

MOST_MOMENTS = 60

_shown: dict[str, tuple[int, float]] = {}  # folder: the newest step that was shown, and until when it stays


def newest(run: Run, moments: list[int], live: bool) -> int:
    """The step to show a page that follows the training: the last of `moments`, or, live, one shown a moment ago."""
    step, until = _shown.get(str(run.folder), (-1, 0.0))
    if live and step in moments and time.monotonic() < until:
        return step
    return moments[-1]


def spent(run: Run, step: int, seconds: float) -> None:
    """Say what it cost to compute the pictures of the newest moment."""
    if len(_shown) > 1000:  # of visitors long gone
        _shown.clear()
    known, until = _shown.get(str(run.folder), (-1, 0.0))
    later = time.monotonic() + max(LOOK_SECONDS, seconds / SHARE) - 0.1
    _shown[str(run.folder)] = (step, later if known != step else max(until, later))


def nearest(moments: list[int], step: int) -> int:
    """The moment next to `step`."""
    return min(moments, key=lambda moment: (abs(moment - step), moment))


def before(moments: list[int], step: int) -> int:
    """The last moment not later than `step`; where there is none, the first."""
    return moments[max(0, bisect_right(moments, step) - 1)]
