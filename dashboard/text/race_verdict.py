"""How a race ended, or stands, in sentences made from the numbers of its pictures. Markdown; all names are ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np

from dashboard.text import stories as wording

LEARNED = 0.95
"""Share of sentences, over all distances, from which on the agreement counts as learned."""


class Agreement(Protocol):
    """One measurement: in how many sentences of each gap, and the share of them that came out right."""

    @property
    def gaps(self) -> tuple[int, ...]:
        """Words in between, ascending."""

    @property
    def items(self) -> tuple[int, ...]:
        """Sentences."""

    @property
    def accuracy(self) -> tuple[float, ...]:
        """From 0 to 1."""


def overall(measured: Agreement) -> float:
    """The share over all distances."""
    return float(np.average(measured.accuracy, weights=measured.items))


def accuracies(measured: Mapping[int, Agreement]) -> dict[int, float]:
    """By step -> the share over all distances, in the order of the steps."""
    return {step: overall(found) for step, found in sorted(measured.items()) if found.gaps}


def learned_after(course: Mapping[int, float]) -> int | None:
    """The first step at which the agreement was measured to be learned."""
    return next((step for step, share in course.items() if share >= LEARNED), None)


def of_agreement(measured: Mapping[str, Mapping[int, Agreement]], over: bool) -> str:
    """Who learned it first, who later, who never and how far they came. By network, by step; "" before the first
    measurement. over: whether nobody trains any more.
    """
    courses = {name: accuracies(of_network) for name, of_network in measured.items()}
    known = [found for of_network in measured.values() for found in of_network.values() if found.gaps]
    if not known:
        return ""
    low, far = known[-1].gaps[0], known[-1].gaps[-1]
    after = {name: step for name, course in courses.items() if (step := learned_after(course)) is not None}
    said = []
    if after:
        first = min(after.values())
        winners = [name for name in after if after[name] == first]
        gaps = f"{low}" if low == far else f"{low} to {far}"
        said.append(wording.RACE_FIRST.format(names=listed(winners), step=first, gaps=gaps, learned=percent(LEARNED)))
        followers = sorted((step - first, name) for name, step in after.items() if step > first)
        if followers:
            later = listed([f"{name} {steps:,} steps later" for steps, name in followers], bold=False)
            said.append(wording.RACE_LATER.format(later=later))
    others = [name for name in measured if name not in after]
    if others:
        shares = []
        for name in others:
            newest = [found for _, found in sorted(measured[name].items()) if found.gaps]
            came_to = (
                f"{percent(overall(newest[-1]))}, at gap {far} {percent(newest[-1].accuracy[-1])}" if newest else "–"
            )
            shares.append(f"{name} ({came_to})")
        never = wording.RACE_NEVER if over else wording.RACE_NOT_YET
        said.append(never.format(names=listed(shares, bold=False)))
    return " ".join(said)


def of_loss(courses: Mapping[str, Mapping[int, float]], unit: str, over: bool) -> str:
    """Who predicts the sentences kept aside best, by how much, and how much sooner it came as far as the last one. By
    network, by step: validation loss in nats; "" before the first.
    """
    best = {name: min(course.values()) for name, course in courses.items() if course}
    if not best:
        return ""
    first, last = min(best, key=lambda name: best[name]), max(best, key=lambda name: best[name])
    template = wording.RACE_BEST if over else wording.RACE_AHEAD
    said = template.format(name=first, loss=best[first], unit=unit)
    if len(best) == 1:
        return said
    reached = next(step for step, loss in sorted(courses[first].items()) if loss <= best[last])
    needed = next(step for step, loss in sorted(courses[last].items()) if loss == best[last])
    said += " " + wording.RACE_BEHIND.format(
        name=last, behind=best[last] - best[first], loss=best[last], needed=needed, first=first, reached=reached
    )
    return said


def listed(names: Sequence[str], bold: bool = True) -> str:
    """A, B and C."""
    marked = [f"**{name}**" if bold else name for name in names]
    return marked[0] if len(marked) == 1 else f"{', '.join(marked[:-1])} and {marked[-1]}"


def percent(share: float) -> str:
    """Rounded down, so that none who missed LEARNED is shown with it."""
    return f"{int(100 * share + 1e-9)}\u00a0%"
