"""Whether and how often a page looks again at a run."""

from __future__ import annotations

from dashboard import hosting
from dashboard.services import library, worker
from rnn_core.runs import Run


def at_work(run: Run) -> bool:
    """Whether something about this run moves, so that a page should look at it again; such a look is noted."""
    moving = run.status().state in ("queued", "running", "paused") or worker.working(run)
    if moving and hosting.current_caps() is not None:
        hosting.record_visit(run)
    return moving


def poll_seconds(run: Run, seconds: float) -> float | None:
    """Seconds between two looks at a run: only what moves is worth looking at again, and on a hosted server, where
    every look is at the cost of others, those who wait or only look on do so less often.
    """
    if not at_work(run):
        return None
    if hosting.current_caps() is None:
        return seconds
    waits = run.status().state == "queued"
    return 3.0 if waits or not library.mine(run) else max(seconds, 2.0)
