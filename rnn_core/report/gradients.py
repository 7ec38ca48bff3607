"""What becomes of a gradient in one sentence: the unrolled network, the triangle, the part of each lag."""

from __future__ import annotations

import math
from collections.abc import Sequence
from xml.etree.ElementTree import Element

import numpy as np

from rnn_core.diagnostics import GradientFlow, Verdict, gradient_by_lag
from rnn_core.report.svg import LEFT, Plot, add, figure, picture

FAINTEST = -8.0
"""log10 of the share that is drawn with no colour at all."""

ARCS, BOX, BARS = 120, 38, 84
"""Heights of the arcs, the boxes and the bars of the unrolled network, in pixels."""


def unrolled(parent: Element, words: Sequence[str], flow: GradientFlow) -> None:
    """The sentence with arcs from its last loss back to every word, as thick as the gradient that arrives there; below
    it bars on a log scale. words: T + 1, the last is what is predicted at the end.
    """
    row = flow.delta_norms[-1]
    shares = [value / row[-1] if row[-1] > 0 else math.nan for value in row]
    widths = [max(58.0, 9.0 * len(shown(word)) + 22) for word in words]
    edges = np.cumsum([float(LEFT), *widths])
    middle = (edges[:-1] + edges[1:]) / 2
    top, base = float(ARCS), ARCS + BOX + BARS + 12.0
    svg = picture(
        parent, edges[-1] + 10, base + 34, "The unrolled network: the gradient of the last loss at every earlier word"
    )
    lowest = min([-2.0, *(math.log10(share) for share in shares if 0 < share < math.inf)])
    lowest = max(math.floor(lowest), -12)
    for power in {0, lowest}:
        height = base - BARS * (1 - power / lowest)
        add(svg, "line", x1=LEFT, x2=float(edges[-1]), y1=height, y2=height, class_="grid")
        add(svg, "text", "1" if power == 0 else f"1e{power}", x=LEFT - 7, y=height + 4, class_="tick end")
    source = float(middle[-2])
    for k, word in enumerate(words):
        x, width = float(middle[k]), widths[k] - 8
        if k < len(shares):
            share = shares[k]
            grows = share > 1.005
            colour = "grows" if grows else "arrives"
            if k < len(shares) - 1 and share > 0:
                rise = (top - 10) * (0.3 + 0.7 * math.sqrt((len(shares) - 1 - k) / len(shares)))
                curve = f"M{source:.1f},{top:.1f} C{source:.1f},{top - rise:.1f} {x:.1f},{top - rise:.1f} {x:.1f},{top}"
                thick = 1 + 8 * math.sqrt(min(share, 4.0))
                faint = min(0.9, max(0.15, share**0.3)) if math.isfinite(share) else 0.9
                add(svg, "path", d=curve, class_=f"arc {colour}", stroke_width=thick, stroke_opacity=faint)
            tall = BARS * min(1.0, max(0.0, 1 - math.log10(share) / lowest)) if 0 < share < math.inf else 0.0
            add(svg, "rect", x=x - width / 4, width=width / 2, y=base - tall, height=tall, class_=f"bar {colour}")
            add(svg, "text", figure(share), x=x, y=base + 18, class_=f"number middle {colour}")
        box = "box read" if k == len(words) - 2 else "box asked" if k == len(words) - 1 else "box"
        add(svg, "rect", x=x - width / 2, y=top, width=width, height=BOX, rx=7, class_=box)
        add(svg, "text", shown(word), x=x, y=top + BOX / 2 + 5, class_="word middle")


def triangle(parent: Element, words: Sequence[str], flow: GradientFlow) -> None:
    """Every loss (row) at every earlier word (column): the darker, the more of its gradient arrives, by decades."""
    steps = len(flow.delta_norms)
    cell = float(max(12, min(26, 560 // steps)))
    left, foot = 150.0, steps * cell + 8
    described = f"The gradient of each loss at every earlier word, from 1e{FAINTEST:.0f} of it (no colour) to all of it"
    svg = picture(parent, left + steps * cell + 20, foot + 130, described)
    for t in range(steps):
        y = 4 + t * cell
        add(svg, "text", shown(words[t + 1]), x=left - 6, y=y + cell / 2 + 4, class_="tick end")
        own = flow.delta_norms[t, t]
        for k in range(t + 1):
            share = float(flow.delta_norms[t, k] / own) if own > 0 else math.nan
            if not share > 10**FAINTEST:
                continue
            colour = "grows" if share > 1.005 else "arrives"
            strong = min(1.0, 1 - math.log10(min(share, 1.0)) / FAINTEST)
            square = add(
                svg,
                "rect",
                x=left + k * cell,
                y=y,
                width=cell - 1,
                height=cell - 1,
                class_=f"cell {colour}",
                fill_opacity=strong,
            )
            add(square, "title", f"loss of {words[t + 1]} at {words[k]}, {t - k} back: {figure(share)}")
    for k in range(steps):
        x = left + (k + 0.5) * cell
        turn = f"rotate(-60 {x:.0f} {foot + 8:.0f})"
        add(svg, "text", shown(words[k]), x=x, y=foot + 12, class_="tick end", transform=turn)


def by_lag(parent: Element, flow: GradientFlow, truncate: int | None) -> None:
    """What losses j steps later add to the gradient of the recurrent weights; what truncation cuts off is hollow."""
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
    wide = 0.7 * (plot.x(1) - plot.x(0))
    for lag in drawn:
        height = plot.y(float(norms[lag]))
        used = "arrives" if found.used[lag] else "cut"
        bar = add(
            plot.svg,
            "rect",
            x=plot.x(float(lag)) - wide / 2,
            y=height,
            width=wide,
            height=max(0.5, plot.foot - height),
            class_=f"bar {used}",
        )
        add(bar, "title", f"lag {lag}: {figure(float(norms[lag]))}")
    if found.total_norm > 0:
        plot.line(np.array(extent), np.array([found.total_norm] * 2), "other", dashed=True)
        plot.names([(float(found.total_norm), "all together", "other")])


def verdict_sentence(found: Verdict, unit: str) -> str:
    """What the numbers come to."""
    back = f"{found.lag} {unit}{'' if found.lag == 1 else 's'} back"
    sentence = f"The gradient {found.fate}: {back}, {figure(found.left)} of it is left (median of all losses)"
    sentence += f", a factor of {figure(found.factor)} a step." if found.lag else "."
    if found.parts:
        parts = ", ".join(f"{name} {figure(factor)}" for name, factor in found.parts.items())
        sentence += f" On the way back from the last loss, a step: {parts}."
    return sentence


def shown(word: str) -> str:
    """A word as a picture has room for it."""
    named = {" ": "␣", "\n": "⏎", "\t": "⇥"}.get(word, word)
    return named if len(named) <= 16 else f"{named[:15]}…"
