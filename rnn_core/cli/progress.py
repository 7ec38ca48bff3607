"""Progress bars: listeners to a training's events."""

from __future__ import annotations

import sys
import time
from typing import Any, Self

from tqdm import tqdm

from rnn_core.cli.output import print_status, refresh_seconds
from rnn_core.runs.events import HistoryHeld
from rnn_core.training import Event, LearningRateChanged, Started, StepDone, Validated


class Progress:
    """A listener with a progress bar, which appears with the first event and goes at the end of the `with` block."""

    def __init__(self, quiet: bool) -> None:
        self.quiet = quiet
        self.bar: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        if self.bar is not None:
            self.bar.close()


class TrainingProgress(Progress):
    """The bar of one training: done and left, loss, gradient norm, words/s."""

    def __init__(self, quiet: bool) -> None:
        super().__init__(quiet)
        # The time from which the numbers behind the bar may be written again: not thousands of times a second.
        self.next_numbers = 0.0

    def __call__(self, event: Event) -> None:
        """Show an event of the training."""
        if self.quiet:
            return
        if isinstance(event, Started):
            self.bar = tqdm(
                total=event.total_steps,
                initial=event.step,
                unit="step",
                mininterval=refresh_seconds(),
                dynamic_ncols=True,
                smoothing=0.05,
                file=sys.stderr,
            )
        elif isinstance(event, StepDone) and self.bar is not None:
            now = time.monotonic()
            if now >= self.next_numbers or event.step == self.bar.total:
                self.next_numbers = now + refresh_seconds()
                numbers = f"loss {event.loss_nats:.3f}, gradient {event.gradient_norm:.2g}"
                self.bar.set_postfix_str(f"{numbers}, {event.tokens_per_second:,.0f} words/s", refresh=False)
            self.bar.update(event.step - self.bar.n)
        elif isinstance(event, Validated):
            reached = (
                f"loss {event.loss_nats:.4f} nats, perplexity {event.perplexity:,.1f}"
                if event.metric is None
                else f"error {event.metric:.4g}"
            )
            print_status(f"step {event.step:,}: validation {reached}")
        elif isinstance(event, LearningRateChanged):
            print_status(f"step {event.step:,}: learning rate {event.old:.3g} -> {event.new:.3g}, {event.why}")
        elif isinstance(event, HistoryHeld):
            print_status(f"step {event.step:,}: {held_history(event)}")


class RaceProgress(Progress):
    """One bar for all runs of a race: the step that they are at, and the loss of each."""

    def __init__(self, quiet: bool) -> None:
        super().__init__(quiet)
        self.bar = tqdm(unit="step", mininterval=refresh_seconds(), dynamic_ncols=True, disable=quiet, file=sys.stderr)
        self.losses: dict[int, float] = {}

    def __call__(self, place: int, event: Event) -> None:
        """Show an event of the run in this place."""
        if isinstance(event, Started):
            self.bar.total = event.total_steps
        elif isinstance(event, HistoryHeld):
            print_status(f"network {place + 1}, step {event.step:,}: {held_history(event)}")
        elif isinstance(event, StepDone):
            self.losses[place] = event.loss_nats
            if event.step > self.bar.n:
                losses = ", ".join(f"{self.losses[run]:.3f}" for run in sorted(self.losses))
                self.bar.set_postfix_str(f"loss {losses}", refresh=False)
                self.bar.update(event.step - self.bar.n)


def held_history(event: HistoryHeld) -> str:
    """The message where another program holds a lock on the history, or has released it."""
    if event.seconds is None:
        return "another program holds the history (events.sqlite); training goes on, and records it when it is free"
    return f"the history is free again after {event.seconds:.0f} s, and complete"
