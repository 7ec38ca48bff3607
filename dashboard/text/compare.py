"""What the Compare page says: names of what can be compared, and sentences made from the numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

QUANTITIES = {
    "validation": "Validation loss",
    "training": "Training loss",
    "metric": "Error on the task",
    "gradient": "Gradient norm",
    "half-life": "Half-life",
}
QUANTITY_HELP = (
    "Validation: measured on the validation sentences. Training loss and gradient norm (before clipping): each "
    "point is the mean over 1/300 of the training. Error on the task: the share of wrong answers, or the mean squared "
    "error. Half-life: how far back half of a gradient is left, on the probe; where more is left at its end, its end."
)
AXES = {"steps": "steps", "tokens": "tokens", "seconds": "seconds"}
AXIS_HELP = "Steps of the training, tokens trained on, or seconds of training."
UNITS = {"nats": "nats per token", "bits": "bits per character"}
UNIT_HELP = (
    "Nats per token compare only over one text and one vocabulary. Bits per character = nats / (ln 2 · characters per "
    "token), with the characters of the validation text as it is written, a line break after each sentence. An unknown "
    "word counts as `<unk>`: a small vocabulary still has the easier task."
)
SEEDS_HELP = (
    "Runs that differ in the seed alone: the line is their median, the band reaches from the lowest to the highest."
)
MIXED = "These runs learn from different texts, vocabularies or tasks: their losses and errors do not compare."
OTHER_TEXTS = "These runs read different texts: one may be easier to predict than the other, in any unit."
NOTHING_YET = "None of these trainings has measured this yet."
ONE_IS_ENOUGH = "These trainings have the same settings."


@dataclass(frozen=True)
class Outcome:
    """What one line comes to. `least`: it is at least so much. low, high: over its seeds."""

    label: str
    value: float
    low: float
    high: float
    seeds: int
    least: bool
    steps: int


def figure(value: float) -> str:
    """Four digits that count."""
    return f"{value:.4g}"


def verdict(quantity: str, unit: str, outcomes: Sequence[Outcome]) -> str:
    """One sentence, computed from the numbers. It quotes names of runs: it must be shown as it is."""
    lowest_first = sorted(outcomes, key=lambda outcome: outcome.value)
    low, high = lowest_first[0], lowest_first[-1]
    if len(outcomes) == 1:
        return f"“{low.label}” ends at {_formatted(low, unit)}."
    if quantity == "gradient":
        ratio = f"{figure(high.value / low.value)} times that of “{low.label}” with {_formatted(low)}"
        return f"“{high.label}” ends with the largest gradient: {_formatted(high)}, {ratio}."
    if quantity == "half-life":
        return (
            f"The gradient of “{high.label}” reaches farthest: half of it is left {_formatted(high)} {unit} back, "
            f"with “{low.label}” {_formatted(low)}."
        )
    second = lowest_first[1]
    sentence = f"“{low.label}” ends lowest, at {_formatted(low, unit)}"
    sentence += f"; next is “{second.label}” with {_formatted(second)}"
    if low.seeds > 1 and second.seeds > 1 and low.high >= second.low:
        sentence += ", and their seeds overlap"
    elif low.steps < 0.9 * second.steps or second.steps < 0.9 * low.steps:
        sentence += f", after {low.steps:,} and {second.steps:,} steps"
    return f"{sentence}."


def _formatted(outcome: Outcome, unit: str = "") -> str:
    text = f"{'at least ' if outcome.least else ''}{figure(outcome.value)}"
    if outcome.seeds > 1:
        text += f" ({outcome.seeds} seeds: {figure(outcome.low)} to {figure(outcome.high)})"
    return f"{text} {unit}".rstrip()
