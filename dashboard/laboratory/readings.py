"""Numbers -> the sentence that says what is on the screen. A visitor's words come through as they are: show by st.text."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from rnn_core.diagnostics import Horizon, RowDecay
from rnn_core.training import HorizonMeasured

_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def figure(value: float | None) -> str:
    """0.0123 -> "0.0123", 3.4e-07 -> "3.4 × 10⁻⁷", 123456 -> "1.23 × 10⁵"; what is no number by its name."""
    if value is None or math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if value == 0:
        return "0"
    if 1e-3 <= abs(value) < 1e4:
        return f"{value:.3g}"
    mantissa, exponent = f"{value:.1e}".split("e")
    return f"{mantissa} × 10{str(int(exponent)).translate(_RAISED)}"


def percent(share: float) -> str:
    """0.123 -> "12 %"; small shares keep a digit."""
    return f"{100 * share:.0f} %" if abs(share) >= 0.01 or share == 0 else f"{100 * share:.2g} %"


def fate(left: float) -> str:
    """What became of a gradient of which `left` is left."""
    if math.isnan(left):
        return "nothing can be said of it"
    if left > 1e3:
        return "it has exploded"
    if left > 2:
        return "it has grown"
    if left >= 0.5:
        return "it has kept its size"
    if left >= 1e-3:
        return "it has faded"
    return "it has vanished"


def remains(left: float) -> str:
    """0.2 -> "0.2 of it is left"; 3 -> "it is 3 times as long"."""
    return f"{figure(left)} of it is left" if left <= 1 else f"it is {figure(left)} times as long"


def back(lag: float, unit: str) -> str:
    """3, "word" -> "3 words back"."""
    return f"{lag:g} {unit}{'' if lag == 1 else 's'} back"


def triangle(sources: Sequence[str], targets: Sequence[str], norms: np.ndarray, asked: int, unit: str) -> str:
    """norms (T, T); of the row of the loss at position `asked` (from 0): its own step, and the first."""
    own, first = float(norms[asked, asked]), float(norms[asked, 0])
    start = f"The loss of “{targets[asked]}” sends {figure(own)} to its own step, where “{sources[asked]}” is read"
    if asked == 0:
        return f"{start}; there is no earlier one."
    left = first / own if own > 0 else math.nan
    return f"{start}, and {figure(first)} to “{sources[0]}”, {back(asked, unit)}: {fate(left)}."


def row(targets: Sequence[str], asked: int, decay: RowDecay, unit: str) -> str:
    """One row beside its bounds, at its far end."""
    lag = len(decay.norms) - 1
    own = float(decay.norms[0])
    if lag == 0 or not own > 0:
        return f"“{targets[asked]}” is the first word that is asked for: nothing lies before it."
    left = float(decay.norms[-1]) / own
    text = f"The gradient of “{targets[asked]}”, {back(lag, unit)}: {remains(left)}"
    if decay.fixed_bound is None or decay.data_bound is None:
        return f"{text}. A gated cell has no bound from W alone: its carry path goes around W."
    steps, weights = float(decay.data_bound[-1]) / own, float(decay.fixed_bound[-1]) / own
    text += f"; the steps of this sentence would allow {figure(steps)}, the weights alone {figure(weights)}."
    if weights > 1 and left < 0.5:
        text += " A bound above 1 does not mean explosion."
    return text


def horizon(probe: HorizonMeasured, sentence: Horizon, unit: str) -> str:
    """The probe's half-life, what is left far back, and what rho and the bound would make one expect."""
    reach = len(probe.median) - 1
    if reach < 1:
        return "These weights have no horizon: the gradient is not finite, or the probe has one word."
    lag = min(10, reach)
    if probe.half_life is None:
        text = f"Half of the gradient is still there {back(reach, unit)}, as far as the probe reaches"
    else:
        text = f"Half of the gradient is gone after {probe.half_life:.2g} {unit}s"
    text += (
        f"; {back(lag, unit)} a median of {figure(probe.median[lag])} is left "
        f"(10–90 % of the losses: {figure(probe.low[lag])} to {figure(probe.high[lag])})"
    )
    if sentence.fixed_bound is None or sentence.radius_power is None or len(sentence.fixed_bound) < 2:
        return f"{text}."
    radius, bound = float(sentence.radius_power[1]), float(sentence.fixed_bound[1])
    text += f". A step multiplies it by at most ‖W‖ max φ′ = {figure(bound)}; ρ(W) = {figure(radius)}."
    if bound > 1 and probe.median[lag] < 0.5:
        text += " A bound above 1 does not mean explosion."
    return text


def film(measured: Sequence[HorizonMeasured], unit: str) -> str:
    """How the half-life changed from the first measurement to the last."""
    if not measured:
        return "Nothing has been measured yet."
    first, last = measured[0], measured[-1]
    reach = max(len(first.median), len(last.median)) - 1

    def half(one: HorizonMeasured) -> str:
        if len(one.median) < 2:
            return "unknown"
        return f"more than {reach} {unit}s" if one.half_life is None else f"{one.half_life:.2g} {unit}s"

    if first.step == last.step:
        return f"At step {first.step:,} the half-life is {half(first)}."
    return (
        f"From step {first.step:,} to step {last.step:,} the half-life (line) went from {half(first)} to {half(last)}."
    )
