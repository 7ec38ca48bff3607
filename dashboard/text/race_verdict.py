"""How a race ended, or stands, in sentences made from the numbers of its pictures. Markdown; all names are ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np

from dashboard.text import race as wording

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


def learned_error(baseline: float) -> float:
    """The metric from which on a task counts as learned: a tenth of what an answer gets that does not look at the
    input. (For a coin that is the 5 % of wrong answers which `LEARNED` leaves.)
    """
    return baseline / 10


def solved_after(course: Mapping[int, float], baseline: float) -> int | None:
    """The first step at which a task was measured to be learned."""
    return next((step for step, error in sorted(course.items()) if error <= learned_error(baseline)), None)


def of_agreement(measured: Mapping[str, Mapping[int, Agreement]], over: bool) -> str:
    """Who learned it first, who later, who never and how far they came. By network, by step; "" before the first
    measurement. over: whether nobody trains any more.
    """
    known = [found for of_network in measured.values() for found in of_network.values() if found.gaps]
    if not known:
        return ""
    low, far = known[-1].gaps[0], known[-1].gaps[-1]

    def came_to(found: Agreement) -> str:
        return f"{percent(overall(found))}, at gap {far} {percent(found.accuracy[-1])}"

    newest = {
        name: next((came_to(found) for _, found in sorted(of_network.items(), reverse=True) if found.gaps), "–")
        for name, of_network in measured.items()
    }
    after = {name: learned_after(accuracies(of_network)) for name, of_network in measured.items()}
    gaps = f"{low}" if low == far else f"{low} to {far}"
    return _in_order(after, newest, wording.RIGHT.format(learned=percent(LEARNED), gaps=gaps), over)


def of_task(courses: Mapping[str, Mapping[int, float]], metric: str, baseline: float, over: bool) -> str:
    """The same of a task. courses: by network, by step, its metric, whose name and baseline are the task's."""
    if not any(courses.values()):
        return ""
    newest = {name: f"{course[max(course)]:.3g}" if course else "–" for name, course in courses.items()}
    after = {name: solved_after(course, baseline) for name, course in courses.items()}
    what = wording.SOLVED.format(metric=metric, learned=learned_error(baseline))
    return f"{_in_order(after, newest, what, over)} {wording.BLIND.format(metric=metric, baseline=baseline)}"


def _in_order(after: Mapping[str, int | None], newest: Mapping[str, str], what: str, over: bool) -> str:
    """after: the step by which each network learned it, None where it has not; newest: how far each has come, in words;
    what: that counts as learned.
    """
    learned = {name: step for name, step in after.items() if step is not None}
    sentences = []
    if learned:
        first = min(learned.values())
        winners = [name for name in learned if learned[name] == first]
        sentences.append(wording.FIRST.format(names=listed(winners), step=first, what=what))
        followers = sorted((step - first, name) for name, step in learned.items() if step > first)
        if followers:
            later = listed([f"{name} {steps:,} steps later" for steps, name in followers], bold=False)
            sentences.append(wording.LATER.format(later=later))
    others = [f"{name} ({newest[name]})" for name in after if name not in learned]
    if others:
        never = wording.NEVER if over else wording.NOT_YET
        sentences.append(never.format(names=listed(others, bold=False)))
    return " ".join(sentences)


def of_loss(courses: Mapping[str, Mapping[int, float]], unit: str, over: bool) -> str:
    """Who predicts the held-out sentences best, by how much, and how much sooner it came as far as the last one. By
    network, by step: validation loss in nats; "" before the first.
    """
    best = {name: min(course.values()) for name, course in courses.items() if course}
    if not best:
        return ""
    first, last = min(best, key=lambda name: best[name]), max(best, key=lambda name: best[name])
    template = wording.BEST if over else wording.AHEAD
    sentence = template.format(name=first, loss=best[first], unit=unit)
    if len(best) == 1:
        return sentence
    reached = next(step for step, loss in sorted(courses[first].items()) if loss <= best[last])
    needed = next(step for step, loss in sorted(courses[last].items()) if loss == best[last])
    sentence += " " + wording.BEHIND.format(
        name=last, behind=best[last] - best[first], loss=best[last], needed=needed, first=first, reached=reached
    )
    return sentence


def listed(names: Sequence[str], bold: bool = True) -> str:
    """A, B and C."""
    marked = [f"**{name}**" if bold else name for name in names]
    return marked[0] if len(marked) == 1 else f"{', '.join(marked[:-1])} and {marked[-1]}"


def percent(share: float) -> str:
    """Rounded down, so that none who missed LEARNED is shown with it."""
    return f"{int(100 * share + 1e-9)}\u00a0%"
