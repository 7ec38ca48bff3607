"""What a hosted server says: whose runs these are, how long they may train, when they are deleted."""

from __future__ import annotations

NOT_SET_UP = "This server is not set up"
ONLY_LOOKING = "Somebody shared this training with you: you can look at everything, and change nothing."
SHARE = (
    "To show this training to somebody, give them the address of this page: they can look at it and at its sentences, "
    "and cannot change it. Your own trainings are yours by a cookie of this browser."
)
NOT_IN_QUEUE = "It is not in the queue any more. Resume it to queue again."
KEEP_OPEN = "It begins by itself when it is its turn. Keep this page open: whoever leaves for a minute loses the place."


def hosted_training(minutes: float, steps: int, unwatched_minutes: float) -> str:
    """What a hosted server gives a training."""
    return (
        f"This server is shared: a training may take {minutes:g} minutes and {steps:,} steps, and may have to wait for "
        f"its turn. One that nobody looks at for {unwatched_minutes:g} minutes is stored and stopped."
    )


def hosted_runs(days: float, most: int) -> str:
    """What becomes of runs on a hosted server."""
    return (
        f"Here are yours, up to {most}. They are deleted {days:g} days after anybody last looked at them, or sooner "
        "where space runs out: download what you want to keep."
    )
