"""The gradients of one sentence as pictures: the unrolled network, every loss at every word, gradient by lag."""

from __future__ import annotations

import math
from collections.abc import Sequence
from xml.etree.ElementTree import Element

import numpy as np

from rnn_core.diagnostics import GradientFlow, Verdict, gradient_by_lag
from rnn_core.report.svg import LEFT, Plot, add, picture, three_digits

FAINTEST = -8.0
"""log10 of the share that is drawn with no colour at all."""

GROWS = 1.005
"""A share above which a gradient has grown: what rounds to 1 has not."""

ARCS, BOX, BARS = 120, 38, 84
"""Heights of the arcs, the boxes and the bars of the unrolled network, in pixels."""


def unrolled(parent: Element, words: Sequence[str], flow: GradientFlow) -> None:
    """The sentence with arcs from its last loss back to every word, as thick as the gradient that arrives there; below
    it bars on a log scale. words: T + 1, the last is what is predicted at the end.
    """
    row = flow.delta_norms[-1]
    shares = [value / row[-1] if row[-1] > 0 else math.nan for value in row]
    widths = [max(58.0, 9.0 * len(label_of(word)) + 22) for word in words]
    edges = np.cumsum([float(LEFT), *widths])
    middle = (edges[:-1] + edges[1:]) / 2
    top, base = float(ARCS), ARCS + BOX + BARS + 12.0
    svg = picture(
        parent, edges[-1] + 10, base + 34, "The unrolled network: the gradient of the last loss at every earlier word"
    )
    lowest = min([-2.0, *(math.log10(share) for share in shares if 0 < share < math.inf)])
    lowest = max(math.floor(lowest), -12)
    for power in (0, lowest):
        height = base - BARS * (1 - power / lowest)
        add(svg, "line", x1=LEFT, x2=float(edges[-1]), y1=height, y2=height, class_="grid")
        add(svg, "text", "1" if power == 0 else f"1e{power}", x=LEFT - 7, y=height + 4, class_="tick end")
    source = float(middle[-2])
    for k, word in enumerate(words):
        x, width = float(middle[k]), widths[k] - 8
        if k < len(shares):
            share = shares[k]
            colour = "grows" if share > GROWS else "arrives"
            if k < len(shares) - 1 and share > 0:
                rise = (top - 10) * (0.3 + 0.7 * math.sqrt((len(shares) - 1 - k) / len(shares)))
                curve = f"M{source:.1f},{top:.1f} C{source:.1f},{top - rise:.1f} {x:.1f},{top - rise:.1f} {x:.1f},{top}"
                thickness = 1 + 8 * math.sqrt(min(share, 4.0))
                opacity = min(0.9, max(0.15, share**0.3)) if math.isfinite(share) else 0.9
                add(svg, "path", d=curve, class_=f"arc {colour}", stroke_width=thickness, stroke_opacity=opacity)
            height = BARS * min(1.0, max(0.0, 1 - math.log10(share) / lowest)) if 0 < share < math.inf else 0.0
            add(svg, "rect", x=x - width / 4, width=width / 2, y=base - height, height=height, class_=f"bar {colour}")
            add(svg, "text", three_digits(share), x=x, y=base + 18, class_=f"number middle {colour}")
        box = "box read" if k == len(words) - 2 else "box asked" if k == len(words) - 1 else "box"
        add(svg, "rect", x=x - width / 2, y=top, width=width, height=BOX, rx=7, class_=box)
        add(svg, "text", label_of(word), x=x, y=top + BOX / 2 + 5, class_="word middle")


def triangle(parent: Element, words: Sequence[str], flow: GradientFlow) -> None:
    """Every loss (row) at every earlier word (column): the darker, the more of its gradient arrives, by decades."""
    steps = len(flow.delta_norms)
    cell = float(max(12, min(26, 560 // steps)))
    left, foot = 150.0, steps * cell + 8
    alt_text = f"The gradient of each loss at every earlier word, from 1e{FAINTEST:.0f} of it (no colour) to all of it"
    svg = picture(parent, left + steps * cell + 20, foot + 130, alt_text)
    for t in range(steps):
        y = 4 + t * cell
        add(svg, "text", label_of(words[t + 1]), x=left - 6, y=y + cell / 2 + 4, class_="tick end")
        own = flow.delta_norms[t, t]
        for k in range(t + 1):
            share = float(flow.delta_norms[t, k] / own) if own > 0 else math.nan
            if not share > 10**FAINTEST:
                continue
            colour = "grows" if share > GROWS else "arrives"
            opacity = min(1.0, 1 - math.log10(min(share, 1.0)) / FAINTEST)
            square = add(
                svg,
                "rect",
                x=left + k * cell,
                y=y,
                width=cell - 1,
                height=cell - 1,
                class_=f"cell {colour}",
                fill_opacity=opacity,
            )
            add(square, "title", f"loss of {words[t + 1]} at {words[k]}, {t - k} back: {three_digits(share)}")
    for k in range(steps):
        x = left + (k + 0.5) * cell
        rotation = f"rotate(-60 {x:.0f} {foot + 8:.0f})"
        add(svg, "text", label_of(words[k]), x=x, y=foot + 12, class_="tick end", transform=rotation)


def by_lag(parent: Element, flow: GradientFlow, truncate: int | None) -> None:
    """Bars of ||G_j||, the part of the gradient of the recurrent weights that reaches j steps back; what truncation
    after `truncate` steps cuts off is hollow.
    """
    found = gradient_by_lag(flow, truncate)
    norms = np.asarray(found.norms, dtype=float)
    drawn = np.flatnonzero(np.isfinite(norms) & (norms > 0))
    if not len(drawn):
        return
    low, high = norms[drawn].min(), max(norms[drawn].max(), found.total_norm)
    foot = 10.0 ** math.floor(math.log10(low))
    titles = ("lag (steps back)", "‖G‖")
    extent = (-0.6, len(norms) - 0.4)
    plot = Plot(parent, "Part of the gradient from each lag", extent, (foot, float(high)), titles=titles, log=True)
    width = 0.7 * (plot.x(1) - plot.x(0))
    for lag in drawn:
        top = plot.y(float(norms[lag]))
        used = "arrives" if found.used[lag] else "cut"
        bar = add(
            plot.svg,
            "rect",
            x=plot.x(float(lag)) - width / 2,
            y=top,
            width=width,
            height=max(0.5, plot.foot - top),
            class_=f"bar {used}",
        )
        add(bar, "title", f"lag {lag}: {three_digits(float(norms[lag]))}")
    if found.total_norm > 0:
        plot.line(np.array(extent), np.array([found.total_norm] * 2), "other", dashed=True)
        plot.names([(float(found.total_norm), "all together", "other")])


def verdict_sentence(found: Verdict, unit: str) -> str:
    """The verdict as a sentence. unit: what a step reads, as "word"."""
    back = f"{found.lag} {unit}{'' if found.lag == 1 else 's'} back"
    sentence = f"The gradient {found.fate}: {back}, {three_digits(found.left)} of it is left (median of all losses)"
    sentence += f", a factor of {three_digits(found.factor)} a step." if found.lag else "."
    if found.parts:
        parts = ", ".join(f"{name} {three_digits(factor)}" for name, factor in found.parts.items())
        sentence += f" On the way back from the last loss, a step: {parts}."
    return sentence


def label_of(word: str) -> str:
    """A word as a label: white space made visible, at most 16 characters."""
    named = {" ": "␣", "\n": "⏎", "\t": "⇥"}.get(word, word)
    return named if len(named) <= 16 else f"{named[:15]}…"
