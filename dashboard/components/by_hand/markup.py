"""The lecture's drawing, its matrices and its source code, as HTML for `st.html`.

Streamlit's sanitizer takes SVG out of `st.html`, and a chart's text marks do not follow the theme; boxes of a grid do
both: they take the page's own ink, keep their letters' size on a phone, and can be selected and read aloud. All words
in here are ours; `by_hand.css` says what they look like.
"""

from __future__ import annotations

import html
import inspect
import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from rnn_core.arrays import Array
from rnn_core.reference import by_hand, tutorial
from rnn_core.reference.by_hand import Chain, Unrolled
from rnn_core.reference.lecture import Step

GROWS = 1.005
"""A share above which a bar grows, as on the unrolled network: what rounds to 1 does not."""


def figures(value: float, digits: int = 2) -> str:
    """A number with a real minus sign, and never a negative zero."""
    rounded = f"{value:.{digits}f}"
    if float(rounded) == 0:
        rounded = rounded.lstrip("-")
    return rounded.replace("-", "−") if abs(value) < 1e4 else f"{value:.1e}".replace("-", "−")


def drawing(words: Sequence[str], unrolled: Unrolled, chain: Chain, step: Step, asked: int) -> str:
    """The network unrolled over its five words, as far as the lecture has come: what was read, and, once the loss
    goes back, how much of its gradient stands at each word. words: those read and, last, the one to be said.
    """
    count = len(unrolled.losses)
    forward = step.kind == "forward"
    # The earliest word that the gradient has come to; one more than the asked one while it has come to none.
    if step.k is None or step.kind == "error":
        reached = asked + 1
    else:
        reached = step.k - (step.kind == "back")
    top, middle, bottom, deltas, risers, rises = [], [], [], [], [], []
    for t in range(count):
        read = not forward or t <= step.t
        shown = "" if read else " bh-later"
        aside = "" if forward or t <= asked else " bh-aside"
        on_path = not forward and reached <= t <= asked
        here = forward and t == step.t
        error_here = not forward and t == asked
        s, p = unrolled.s[t], unrolled.p[t, by_hand.TARGETS[t]]
        mark = " bh-now" if here else " bh-lit" if error_here else ""
        loss = f"<i>E</i><sub>{t}</sub> {figures(unrolled.losses[t]) if read else ''}"
        top.append(
            f"<div class='bh-box bh-round{mark}{shown}{aside}'><div class='bh-name'>{loss}</div>"
            f"<div>“{html.escape(words[t + 1])}”</div><div>{figures(p) if read else '·'}</div></div>"
        )
        state_mark = mark if forward else " bh-lit" if on_path and t == reached else " bh-passed" if on_path else ""
        middle.append(
            f"<div class='bh-box{state_mark}{shown}{aside}'><div class='bh-name'>s<sub>{t}</sub></div>"
            f"<div>{figures(s[0]) if read else '·'}</div><div>{figures(s[1]) if read else '·'}</div></div>"
        )
        bottom.append(f"<div class='bh-word{shown}{aside}'>{html.escape(words[t])}</div>")
        down = error_here and reached <= asked
        riser = "<span class='bh-back'>↓</span>" if down else f"<span class='{'bh-go' if here else ''}'>↑</span>"
        risers.append(f"<div class='bh-arrow{shown}{aside}'>{riser}</div>")
        rises.append(f"<div class='bh-arrow{shown}{aside}'><span class='{'bh-go' if here else ''}'>↑</span></div>")
        deltas.append(_delta(chain, t, asked) if on_path else "<div class='bh-delta'></div>")
    sideways = []
    for t in range(1, count):
        walked = not forward and reached < t <= asked
        arrow = "<span class='bh-back'>←</span>" if walked else "→"
        state = " bh-go" if forward and t == step.t else " bh-later" if forward and t > step.t else ""
        aside = " bh-aside" if not forward and t > asked else ""
        sideways.append(f"<div class='bh-arrow{state}{aside}'>{arrow}</div>")
    rows = [_spaced(row) for row in (top, risers)] + [_spaced(middle, sideways)] + [_spaced(rises), _spaced(bottom)]
    if not forward and step.kind != "loss":
        rows.append(_spaced(deltas))
    label = "The network unrolled over five words, with the number at every node"
    return f"<div class='bh'><div class='bh-net' role='img' aria-label='{label}'>{''.join(rows)}</div></div>"


def shares(chain: Chain, asked: int) -> Array:
    """How long delta is at each word, of 1 at the word whose loss goes back; all 0 where nothing sets out."""
    lengths = np.linalg.norm(chain.deltas[: asked + 1], axis=1)
    return lengths / lengths[asked] if lengths[asked] > 0 else np.zeros(asked + 1)


def _delta(chain: Chain, k: int, asked: int) -> str:
    """What has arrived at word k: the two numbers of delta, and their share of the first as a bar on a logarithmic
    scale with a line at 1; what is above it grows, and has another colour and an arrow.
    """
    of_all = shares(chain, asked)
    share, one = float(of_all[k]), 100 * _height(1.0, of_all)
    top, grows = 100 * _height(share, of_all), share > GROWS
    more = f"<div class='bh-more' style='bottom:{one:.1f}%;height:{top - one:.1f}%'></div>" if grows else ""
    first, second = chain.deltas[k]
    return (
        f"<div class='bh-delta'><i>δ</i><sub>{k}</sub><div>{figures(first)}</div><div>{figures(second)}</div>"
        f"<div class='bh-bars'><div class='bh-bar' style='height:{min(one, top):.1f}%'></div>{more}"
        f"<div class='bh-one' style='bottom:{one:.1f}%'></div></div>"
        f"<div class='bh-share{' bh-grows' if grows else ''}'>{share:.2g}{' ▲' if grows else ''}</div></div>"
    )


def _height(share: float, of_all: Array) -> float:
    """Where a share stands between the bottom, 0, and the top, 1, of a logarithmic scale that has room for all."""
    powers = np.log10(of_all[of_all > 0])
    low, high = min(-2.0, *np.floor(powers)), max(0.0, *np.ceil(powers - 1e-9))
    return (math.log10(share) - low) / (high - low) if share > 0 else 0.0


def _spaced(cells: Sequence[str], between: Sequence[str] | None = None) -> str:
    """A row of the grid: the five cells, and what stands between them."""
    gaps = between or ["<div></div>"] * (len(cells) - 1)
    return cells[0] + "".join(gap + cell for gap, cell in zip(gaps, cells[1:], strict=True))


def factor(label: str, values: npt.ArrayLike, digits: int = 3, result: bool = False, used: int | None = None) -> str:
    """A matrix (or a column, from a vector) under its name, with its size; `used` is the column that alone counts.
    `label` may hold our own markup.
    """
    matrix = np.asarray(values, dtype=float)
    matrix = matrix[:, None] if matrix.ndim == 1 else matrix
    rows, columns = matrix.shape
    numbers = "".join(
        f"<div{' class=bh-used' if column == used else ''}>{figures(value, digits)}</div>"
        for (_, column), value in np.ndenumerate(matrix)
    )
    kind = " bh-result" if result else ""
    return (
        f"<div class='bh-factor{kind}'><div class='bh-label'>{label}</div>"
        f"<div class='bh-matrix' style='grid-template-columns:repeat({columns},auto)'>{numbers}</div>"
        f"<div class='bh-size'>{rows} × {columns}</div></div>"
    )


def row(*parts: str, forward: bool = False) -> str:
    """Factors and the signs between them, in a line that may wrap; the result has the colour of its direction."""
    cells, sign = [], ""
    for part in parts:
        if not part.startswith("<"):
            sign = f"<span class='bh-sign'>{part}</span>"
            continue
        # A sign stays with what follows it: no line ends in a plus.
        cells.append(f"<div class='bh-row'>{sign}{part}</div>" if sign else part)
        sign = ""
    return f"<div class='bh' style='{_colour(forward)}'><div class='bh-row'>{''.join(cells)}</div></div>"


def _colour(forward: bool) -> str:
    return f"--line: var({'--go' if forward else '--back'})"


def fraction(above: str, below: str, immediate: bool = False) -> str:
    """∂above/∂below; each a letter with an optional index after an underscore, "s_3"."""
    return f"∂{'<sup>+</sup>' if immediate else ''}{_indexed(above)} / ∂{_indexed(below)}"


def _indexed(name: str) -> str:
    letter, _, index = name.partition("_")
    return f"<i>{letter}</i>" + (f"<sub>{index}</sub>" if index else "")


def source(step: Step) -> str:
    """The oracle's function that does this step, its lines marked."""
    lines = []
    for line in inspect.getsource(getattr(tutorial, step.function)).rstrip("\n").split("\n"):
        bare = line.strip()
        kind = "bh-line" if bare in step.lines else "bh-quiet" if bare.startswith("#") else ""
        lines.append(f"<span class='{kind}'>{html.escape(line) or ' '}</span>")
    colour = _colour(step.kind == "forward")
    return f"<div class='bh' style='{colour}'><div class='bh-code'>{''.join(lines)}</div></div>"
