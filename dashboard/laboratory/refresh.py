"""Which moment of a training is shown, and how often a page may look for a newer one.

A training shares its machine with the pages that watch it. So the newest moment stays on the screen for as long as its
pictures took to compute, divided by SHARE: what all pages together compute stays a small share of the time, whoever
looks.
"""

from __future__ import annotations

import time
from bisect import bisect_right

from rnn_core.runs import Run

LOOK_SECONDS = 4.0
"""Between two looks of a page for newer weights."""

SHARE = 0.01
"""The most of one core's time that the pictures of all pages of a run may take to compute; to send them costs about as
much again."""

LONGEST_SECONDS = 30.0
"""However slow the machine: a training that is watched is seen to move."""

_shown: dict[str, tuple[int, float]] = {}  # folder: the newest step that was shown, and until when it stays


def newest(run: Run, moments: list[int], live: bool) -> int | None:
    """The step to show a page that follows the training: the last of `moments`, or, live, one shown a moment ago."""
    step, until = _shown.get(str(run.folder), (-1, 0.0))
    if live and step in moments and time.monotonic() < until:
        return step
    return moments[-1] if moments else None


def spent(run: Run, moments: list[int], seconds: float) -> None:
    """Say how many seconds of a core the pictures took that were drawn when these moments were the ones there were."""
    if len(_shown) > 1000:  # of runs that nobody looks at any more
        _shown.clear()
    now = time.monotonic()
    step, until = _shown.get(str(run.folder), (-1, 0.0))
    if now < until and step in moments:
        # Drawn again by a click, or by another visitor: that moment stays for as long as all of it may cost.
        _shown[str(run.folder)] = (step, min(until + seconds / SHARE, now + LONGEST_SECONDS))
    else:
        # At the least until other pages' looks of the same round are over.
        stays = max(LOOK_SECONDS / 2, min(seconds / SHARE, LONGEST_SECONDS))
        _shown[str(run.folder)] = (moments[-1], now + stays)


def nearest(moments: list[int], step: int) -> int:
    """The moment next to `step`."""
    return min(moments, key=lambda moment: (abs(moment - step), moment))


def before(moments: list[int], step: int) -> int:
    """The last moment not later than `step`; where there is none, the first."""
    return moments[max(0, bisect_right(moments, step) - 1)]
