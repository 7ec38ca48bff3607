"""The unrolled network as a component of the page: what it is given, and what comes back of a click."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from dashboard.components.own_component import own_component
from dashboard.components.pictures import Drawing
from rnn_core.arrays import Array

if TYPE_CHECKING:
    import pandas as pd

FOLDER = Path(__file__).parent

_component = own_component("unrolled_network", FOLDER)

ALT_TEXT = "A sentence as an unrolled network, with arcs from one loss back to every earlier word"

Size = Literal["default", "compact", "large"]


def unrolled_network(picture: Mapping[str, Any], *, key: str, on_choose: Callable[[], None] | None = None) -> int:
    """Draw the sentence with arcs from one loss back to every earlier word, as thick as the gradient that arrives.

    It follows the pointer in the browser, without a round trip; a click or the arrow keys keep a word chosen. Under
    the words stand bars on a logarithmic scale and their numbers, all relative to the norm at the loss itself (1);
    what is above 1 grows, has another colour and an arrow. Under the picture one sentence says what arrives and why,
    from the same numbers: below 0.1 it vanishes, above 2 it explodes.

    picture    what `picture_data` gives.
    on_choose  called before the page is drawn again after a word was chosen; without it nothing is sent back.

    Returns the chosen t, in the range 0 .. T - 1.
    """
    callbacks: dict[str, Any] = {} if on_choose is None else {"on_chosen_change": on_choose}
    # In a list: in a dictionary Streamlit would look for tables, and import pandas for it, before the first picture.
    result = _component(key=key, data=[{**picture, "reports": on_choose is not None}], **callbacks)
    picked = result.get("chosen")
    return picture["chosen"] if picked is None else int(np.clip(int(picked), 0, len(picture["words"]) - 2))


def picture_data(
    words: Sequence[str],
    norms: Array,
    *,
    chosen: int | None = None,
    controller: int | None = None,
    bound: float | None = None,
    truncate: int | None = None,
    before: Array | None = None,
    before_name: str = "before",
    unknown: Sequence[bool] | None = None,
    probabilities: Array | None = None,
    unit: str = "word",
    size: Size = "default",
) -> dict[str, Any]:
    """What the script draws, as JSON knows it.

    words      T + 1 of them, as the network reads them: words[t] is read at step t, and the loss of words[t + 1] is
               taken there. For a sentence: `[START, *words, END]`. A user's words are safe: they enter as text.
    norms      (T, T) `GradientFlow.delta_norms` of one sequence: row t the loss, column k <= t the source, any unit.
    chosen     row t that is followed back at first; default the last.
    controller position of the word that decides the one lost at `chosen`, of which the sentence below speaks; default
               the first word.
    bound      max phi' ||W||_2, what one step back can multiply by at most (`fixed_step_bound`); None where there is
               none, as for gated cells.
    truncate   K: arcs that reach back further are drawn as discarded. None: all the way.
    before     (T, T) a second matrix of the same sentence, drawn pale behind the first, and called `before_name`.
    unknown    for each word, whether the network reads it as <unk>.
    probabilities  (T,) what the network gave the right next word at each step; told of the chosen one.
    unit       what one step reads, "word" or "character".
    size       "compact" beside other things, "large" for a projector.

    Raises ValueError where the shapes do not fit.
    """
    steps = len(words) - 1
    for matrix in (norms, before):
        if matrix is not None and matrix.shape != (steps, steps):
            raise ValueError(f"{steps + 1} words need norms of shape {(steps, steps)}, not {matrix.shape}")
    return {
        "words": list(words),
        "unknown": [False] * len(words) if unknown is None else [bool(flag) for flag in unknown],
        "norms": _rows(norms),
        "probabilities": None if probabilities is None else [float(f"{value:.4g}") for value in probabilities],
        "before": None if before is None else _rows(before),
        "before_name": before_name,
        "bound": None if bound is None or not np.isfinite(bound) else float(bound),
        "truncate": truncate,
        "chosen": steps - 1 if chosen is None else int(np.clip(chosen, 0, steps - 1)),
        "controller": controller,
        "unit": unit,
        "size": size,
        "reports": False,  # unrolled_network sets it where the page has a callback
    }


def unrolled_picture(words: Sequence[str], norms: Array, *, key: str) -> Drawing:
    """What can be taken home of the network drawn with this key: words and norms as above, one row a pair (t, k)."""

    def numbers() -> pd.DataFrame:
        import pandas as pd

        rows, columns = np.tril_indices(len(norms))
        names = np.array(words, dtype=object)
        return pd.DataFrame(
            {
                "t": rows + 1,
                "loss word": names[rows + 1],
                "k": columns + 1,
                "source word": names[columns],
                "norm": norms[rows, columns],
            }
        )

    return Drawing(numbers, key, ALT_TEXT)


def _rows(norms: Array) -> list[list[float | None]]:
    """The triangle as JSON knows it: row t has t + 1 numbers; what is not finite is None. Four digits are enough."""
    return [
        [float(f"{value:.4g}") if np.isfinite(value) else None for value in norms[t, : t + 1]]
        for t in range(len(norms))
    ]
