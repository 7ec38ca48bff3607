"""Numbers -> the sentence that says what is on the screen. A visitor's words come through as they are: use st.text."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from rnn_core.diagnostics import (
    BlockSpectrum,
    GradientByLag,
    GradientBySentence,
    Horizon,
    Lyapunov,
    ProductSpectrum,
    RowDecay,
    SignalStatistics,
    TwoPaths,
    Verdict,
    WhereLost,
    WhichWordsMattered,
)
from rnn_core.nn.activations import ACTIVATIONS
from rnn_core.training import HorizonMeasured

SLOPE = "phi'"
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def signed(value: float) -> str:
    """0.0123 -> "+0.0123", -0.0123 -> "−0.0123"."""
    return ("−" if value < 0 else "+") + figure(abs(value))


def figure(value: float | None) -> str:
    """0.0123 -> "0.0123", 2310 -> "2,310", 3.4e-07 -> "3.4 × 10⁻⁷"; what is no number by its name."""
    if value is None or math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if value == 0:
        return "0"
    if 1000 <= abs(value) < 1e5:
        return f"{value:,.0f}"
    if 1e-3 <= abs(value) < 1000:
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


def triangle(sources: Sequence[str], targets: Sequence[str], norms: np.ndarray, chosen: int, unit: str) -> str:
    """norms (T, T); of the row of the loss at position `asked` (from 0): its own step, and the first."""
    own, first = float(norms[chosen, chosen]), float(norms[chosen, 0])
    start = f"The loss of “{targets[chosen]}” sends {figure(own)} to its own step, where “{sources[chosen]}” is read"
    if chosen == 0:
        return f"{start}; there is no earlier one."
    left = first / own if own > 0 else math.nan
    return f"{start}, and {figure(first)} to “{sources[0]}”, {back(chosen, unit)}: {fate(left)}."


def row(targets: Sequence[str], chosen: int, decay: RowDecay, unit: str) -> str:
    """One row beside its bounds, at its far end."""
    lag = len(decay.norms) - 1
    own = float(decay.norms[0])
    if lag == 0 or not own > 0:
        return f"“{targets[chosen]}” is the first word that is chosen for: nothing lies before it."
    left = float(decay.norms[-1]) / own
    text = f"The gradient of “{targets[chosen]}”, {back(lag, unit)}: {remains(left)}"
    if decay.fixed_bound is None or decay.data_bound is None:
        return f"{text}. A gated cell has no bound from W alone: its carry goes around W."
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
    if probe.half_life is not None:
        text = f"Half of the gradient is gone after {probe.half_life:.2g} {unit}s"
    elif probe.median[lag] > 2:
        text = "The gradient grows on its way back"
    else:
        text = f"Half of the gradient is still there {back(reach, unit)}, as far as the probe reaches"
    text += (
        f"; {back(lag, unit)} its median is {figure(probe.median[lag])} of what it was "
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


def where_lost(sources: Sequence[str], targets: Sequence[str], chosen: int, found: WhereLost, unit: str) -> str:
    """Which part did it, in mean factors a step; and where the worst step was."""
    count = len(found.positions)
    if not count:
        return f"“{targets[chosen]}” is the first word that is chosen for: there is no way back."
    changes = np.diff(found.log_norms)
    if not np.isfinite(changes).all():
        return (
            f"On its way back the gradient of “{targets[chosen]}” becomes exactly zero or leaves the range of numbers."
        )
    means = {name: float(np.exp(np.mean(change))) for name, change in found.parts.items()}
    step = float(np.exp(np.mean(changes)))
    text = f"On its way back from “{targets[chosen]}” the gradient is multiplied by {figure(step)} a {unit}: "
    if "W" in means:
        text += f"by {figure(means['W'])} through W and by {figure(means[SLOPE])} through φ′"
    elif "hidden" in means:
        text += f"the carry alone would leave {figure(means['carry'])}, the way through W makes that {figure(step)}"
    else:
        text += f"by {figure(means['carry'])} along the carry, its only way"
    if "above" in means:
        text += f", with {figure(means['above'])} from the layer above"
    worst = int(np.argmin(changes)) if step < 1 else int(np.argmax(changes))
    verb = "lost" if step < 1 else "gained"
    return f"{text}. Most is {verb} at “{sources[int(found.positions[worst])]}” (× {figure(math.exp(changes[worst]))})."


def path_shares(found: WhereLost) -> str:
    """The mean share of each path."""
    means = {name: float(np.nanmean(share)) for name, share in found.shares.items() if np.isfinite(share).any()}
    if not means:
        return "No step back has a path to divide."
    ranked = sorted(means, key=lambda name: -means[name])
    return "Mean share of the gradient by path: " + ", ".join(f"{name} {percent(means[name])}" for name in ranked) + "."


def saturation(name: str, found: SignalStatistics, norms: np.ndarray) -> str:
    """How many are at the ends, how steep the middle is, and what that does to a step of the whole state."""
    left, right = float(np.nanmean(found.left)), float(np.nanmean(found.right))
    slope = float(np.nanmean(found.slopes[:, 2]))
    if ACTIVATIONS[found.phi].kink:
        text = f"{percent(left)} of the units are silent (slope 0)"
    else:
        what = "states" if name == "state" else f"“{name}” values"
        text = f"{percent(left + right)} of the {what} are saturated ({percent(left)} low, {percent(right)} high)"
    text += f"; the median slope φ′ is {figure(slope)}"
    known = norms[np.isfinite(norms)]
    if len(known):
        text += (
            f". A step of the whole state can multiply a gradient by {figure(float(np.median(known)))} at most (median)"
        )
    return f"{text}."


def spectrum(blocks: Sequence[BlockSpectrum], text: Lyapunov, sentence: Lyapunov, of_task: bool = False) -> str:
    """rho and norm of what is largest in W, lambda_1 and what it means. of_task: both are of a task's sequences."""
    exponent = float(text.exponents[0])
    if exponent < -0.05:
        means = "gradients vanish"
    elif exponent > 0.05:
        means = "gradients explode"
    else:
        means = "it is at the edge, where they live longest"
    if blocks:
        largest = max(blocks, key=lambda block: block.radius)
        of = f" of the {largest.gate} block" if largest.gate else ""
        line = f"ρ(W) = {figure(largest.radius)}{of}, ‖W‖ = {figure(largest.norm)}"
    else:
        line = "This cell has no W: each unit's memory fades by its own gate alone"
    if math.isfinite(exponent):
        line += (
            f". On {'a sequence' if of_task else 'the corpus'} the largest Lyapunov exponent is {exponent:+.3f} nats "
            "a step, a factor of "
            f"{figure(math.exp(min(exponent, 700.0)))}: {means} (thick needle"
        )
        here = float(sentence.exponents[0])
        line += f"; this {'one' if of_task else 'sentence'}, thin: {here:+.3f})" if math.isfinite(here) else ")"
    elif exponent < 0:
        line += ". Over a longer text its gradients become exactly zero"
    else:
        line += ". Over a longer text the states of this network leave the range of numbers"
    return f"{line}."


def product(found: ProductSpectrum) -> str:
    """The most that a whole sentence can do to a gradient."""
    longest = figure(10 ** min(float(found.log10[-1, 0]), 300.0))
    return f"Over all {int(found.lags[-1])} steps the most that can come out is {longest} times what went in."


def two_paths(sources: Sequence[str], targets: Sequence[str], chosen: int, found: TwoPaths, state: str) -> str:
    """One loss at the sentence's first word, by path, and what the carry keeps of it a step."""
    own = float(found.total[chosen, chosen])
    kept = f"the carry keeps {percent(float(np.mean(found.keep)))} a step on average"
    if chosen == 0 or not own > 0:
        return f"“{targets[chosen]}” is the first word that is chosen for; {kept}."
    carry, rest = float(found.carry[chosen, 0]) / own, float(found.rest[chosen, 0]) / own
    return (
        f"Of “{targets[chosen]}”'s gradient with respect to {state}, {figure(carry)} arrives at “{sources[0]}” along "
        f"the carry and {figure(rest)} by every other way; {kept}."
    )


def gradient_by_lag(found: GradientByLag, truncate: int | None, unit: str) -> str:
    """The whole, its near and its far part, and that they add up."""
    # At the sentence's first word W meets the empty state: the last part of all is 0 for every network.
    far = len(found.norms) - 2
    whole, own = figure(found.total_norm), figure(float(found.norms[0]))
    text = f"‖∂E/∂{found.names[0]}‖ = {whole}; losses at the {unit} itself give {own}"
    if far > 0:
        text += f", losses {far} {unit}{'' if far == 1 else 's'} later {figure(float(found.norms[far]))}"
    if truncate is not None and truncate < far:
        text += f". Truncation at {truncate} leaves out what lies beyond lag {truncate}"
    return f"{text}. The parts add up to the whole within {figure(found.residual)} of its length."


def truncation(found: GradientByLag, truncate: int | None) -> str:
    """What the training's own K keeps; for a full one, what the tutorial's 4 would."""
    far = len(found.cosine) - 1
    cut = min(4 if truncate is None else truncate, far)
    who = (
        f"This training's K = {truncate}"
        if truncate is not None
        else f"This training looks back all the way; K = {cut}"
    )
    verb = "has" if truncate is not None else "would have"
    cosine, error = float(found.cosine[cut]), float(found.relative_error[cut])
    return f"{who} {verb} a cosine of {cosine:.4f} with the whole gradient, and a relative error of {percent(error)}."


def clipping(before: np.ndarray, after: np.ndarray, limit: np.ndarray) -> str:
    """before, after (n,): norms; limit (n,): of the clipping of each step, inf for none. How large they were, and how
    often the limit was met.
    """
    known = before[np.isfinite(before)]
    if not len(known):
        return "No step has been made yet."
    middle, largest = float(np.median(known)), float(known.max())
    text = f"The gradient's norm had a median of {figure(middle)} and a maximum of {figure(largest)}"
    limits = np.unique(limit[np.isfinite(limit)])
    if not len(limits):
        return f"{text}; this training does not clip it by its norm."
    share = float(np.mean(known > limit[np.isfinite(before)]))
    top = figure(float(after[np.isfinite(after)].max()))
    what = f"the limit of {figure(float(limits[0]))}" if len(limits) == 1 else "the limit of their time"
    return f"{text}; {percent(share)} of the steps were above {what}, and none went in above {top}."


def spike(found: GradientBySentence, recorded: float, step: int, weights_of: int, lags: np.ndarray, unit: str) -> str:
    """What the training recorded, what is computed again, whose it is and over which lag it came."""
    share = float(found.shares[found.worst])
    lag = int(np.argmax(lags))
    return (
        f"Step {step:,}: the training recorded a norm of {figure(recorded)}; with the weights kept from step "
        f"{weights_of:,} the same batch gives {figure(found.total_norm)}. One of its {len(found.shares)} sentences "
        f"makes {percent(share)} of it, most of all over a lag of {lag} {unit}{'' if lag == 1 else 's'}:"
    )


def which_words(sources: Sequence[str], targets: Sequence[str], chosen: int, found: WhichWordsMattered) -> str:
    """The word the gradient points at, the word that really decides, and whether their order is the same."""
    probability = math.exp(found.log_p)
    said = int(np.argmax(found.gradient))
    truth = int(np.argmax(np.abs(found.expected)))
    change = signed(float(found.expected[truth]))
    text = (
        f"“{targets[chosen]}” has a probability of {percent(probability)}. By the gradient it depends most on "
        f"“{sources[said]}”; really, most changes ({change} nats) when “{sources[truth]}” goes"
    )
    if math.isnan(found.rank_correlation):
        return f"{text}."
    return f"{text}. Their rankings agree by {found.rank_correlation:+.2f} (1: the gradient tells the truth)."


def gate(name: str, values: np.ndarray, unit: str) -> str:
    """values (T, H): how open the units are, from the most open to the least."""
    means = values.mean(axis=0)
    return (
        f"The {name} of {len(means):,} units at every {unit}: {figure(float(means.max()))} on average in the highest "
        f"unit, {figure(float(means.min()))} in the lowest."
    )


def spectra(steps: Sequence[float], radii: Sequence[float]) -> str:
    """What training did to the largest spectral radius."""
    return (
        f"From step {steps[0]:,.0f} to step {steps[-1]:,.0f} the spectral radius went from {figure(radii[0])} to "
        f"{figure(radii[-1])}."
    )


_FATES = {
    "vanishes": "The gradient vanishes",
    "fades": "The gradient fades",
    "lasts": "The gradient arrives",
    "explodes": "The gradient explodes",
}
_PARTS = {
    "W": "W multiplies it by",
    SLOPE: "the activations (φ′) by",
    "above": "the layer above by",
    "carry": "the carry alone would multiply it by",
    "hidden": "the path through W by",
}


def verdict(found: Verdict, target: str, unit: str) -> str:
    """What becomes of a gradient in this network, and which part makes it so."""
    left = f"{figure(found.left)} of it is left {back(found.lag, unit)}"
    if found.left > 1:
        left = f"{back(found.lag, unit)} it is {figure(found.left)} times as long"
    gone = found.half_life is not None and found.left < 0.5
    half = f", half of it is gone after {found.half_life:.2g} {unit}s" if gone else ""
    text = f"{_FATES[found.fate]}: {left} (median of all losses){half}."
    if found.parts:
        parts = ", ".join(f"{_PARTS[name]} {figure(factor)}" for name, factor in found.parts.items())
        text += (
            f" On the way back from “{target}”, a step: {parts}; together {figure(math.prod(found.parts.values()))}."
        )
    return text


def cured(before: Verdict, now: Verdict, unit: str) -> str:
    """The network before the cure, beside this one."""

    def half(found: Verdict) -> str:
        return f"beyond {found.lag} {unit}s" if found.half_life is None else f"{found.half_life:.2g} {unit}s"

    return (
        f"Before the cure (drawn pale above) {figure(before.left)} was left {back(before.lag, unit)}, now "
        f"{figure(now.left)}; the half-life was {half(before)}, now {half(now)}."
    )
