"""Pictures as SVG inside an HTML page: elements, and a plot with its axes.

Everything is a tree of elements, so what a user wrote is escaped in one place: where the tree is written out.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from xml.etree.ElementTree import Element, SubElement

from rnn_core.arrays import Array

LEFT, RIGHT, TOP, BOTTOM = 62, 150, 12, 40
"""Pixels around what is plotted: for the numbers of its axes, and on the right for the names at the ends of lines."""


def add(parent: Element, tag: str, text: str = "", **attributes: object) -> Element:
    """A new child of `parent`. Names of attributes are written with `_` for `-`, and `class_` for `class`."""
    named = {name.rstrip("_").replace("_", "-"): _short(value) for name, value in attributes.items()}
    element = SubElement(parent, tag, named)
    element.text = text or None
    return element


def _short(value: object) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def picture(parent: Element, width: float, height: float, alt_text: str) -> Element:
    """An empty picture of this size in pixels; `alt_text` says what it shows to those who cannot see it."""
    frame = add(parent, "div", class_="picture")
    size = f"0 0 {_short(float(width))} {_short(float(height))}"
    svg = add(frame, "svg", viewBox=size, width=float(width), height=float(height), role="img", aria_label=alt_text)
    add(svg, "title", alt_text)
    return svg


def three_digits(value: float) -> str:
    """A number with three significant digits: 0.0123, 12.3, 1.2e-09."""
    return f"{value:.3g}" if math.isfinite(value) else "not finite"


class Plot:
    """A picture with two axes; `x` and `y` are the ranges of values that it shows. log: the y axis is logarithmic, and
    its range above 0.
    """

    def __init__(
        self,
        parent: Element,
        alt_text: str,
        x: tuple[float, float],
        y: tuple[float, float],
        *,
        titles: tuple[str, str],
        log: bool = False,
        width: int = 880,
        height: int = 300,
    ) -> None:
        self.svg = picture(parent, width, height, alt_text)
        self.log = log
        self.x_range, self.y_range = x, (math.log10(y[0]), math.log10(y[1])) if log else y
        if self.y_range[0] == self.y_range[1]:
            self.y_range = (self.y_range[0] - 0.5, self.y_range[1] + 0.5)
        self.right, self.foot = width - RIGHT, height - BOTTOM
        self._axes(titles)

    def x(self, value: float) -> float:
        """Pixels from the left."""
        low, high = self.x_range
        return LEFT + (self.right - LEFT) * (value - low) / ((high - low) or 1.0)

    def y(self, value: float) -> float:
        """Pixels from the top."""
        low, high = self.y_range
        share = ((math.log10(value) if self.log else value) - low) / (high - low)
        return self.foot - (self.foot - TOP) * share

    def line(self, x: Array, y: Array, class_: str, dashed: bool = False) -> None:
        """A line through the points whose y is finite."""
        points = [(self.x(float(a)), self.y(float(b))) for a, b in zip(x, y, strict=True) if math.isfinite(b)]
        path = " ".join(f"{a:.1f},{b:.1f}" for a, b in points)
        add(self.svg, "polyline", points=path, class_=f"line {class_}{' dashed' if dashed else ''}")

    def names(self, at: Sequence[tuple[float, str, str]]) -> None:
        """Names at the right end, each with its value and class; moved apart where they would touch."""
        last = -math.inf
        for height, name, class_ in sorted((self.y(value), name, class_) for value, name, class_ in at):
            last = max(height, last + 15)
            add(self.svg, "text", name, x=self.right + 6.0, y=last + 4, class_=f"name {class_}")

    def _axes(self, titles: tuple[str, str]) -> None:
        for value in ticks(self.x_range):
            add(self.svg, "text", _x_label(value), x=self.x(value), y=self.foot + 17.0, class_="tick middle")
        for value in ticks(self.y_range, whole=self.log):
            shown = 10.0**value if self.log else value
            height = self.y(shown)
            add(self.svg, "line", x1=LEFT, x2=self.right, y1=height, y2=height, class_="grid")
            add(self.svg, "text", f"{shown:g}", x=LEFT - 7, y=height + 4, class_="tick end")
        add(self.svg, "text", titles[0], x=float(self.right), y=self.foot + 34.0, class_="title end")
        middle = (self.foot + TOP) / 2
        add(
            self.svg, "text", titles[1], x=14, y=middle, class_="title middle", transform=f"rotate(-90 14 {middle:.0f})"
        )


def ticks(extent: tuple[float, float], whole: bool = False) -> Iterable[float]:
    """About five round numbers within `extent`. whole: only whole numbers, as exponents of ten on a log axis."""
    low, high = extent
    rough = (high - low) / 5 or 1.0
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    if whole:
        step = max(1.0, math.ceil(step))
    first = math.ceil(low / step - 1e-9)
    return [number * step for number in range(first, math.floor(high / step + 1e-9) + 1)]


def _x_label(value: float) -> str:
    """A number at the x axis, shortened to fit: 12000 as 12k."""
    return f"{value / 1000:g}k" if value >= 1000 else f"{value:g}"
