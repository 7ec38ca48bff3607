"""A stretch of text whose words have a number each, as colour under them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dashboard.components.own_component import own_component

_component = own_component("coloured_text", Path(__file__).parent)


def coloured_text(
    tokens: Sequence[str],
    strengths: npt.ArrayLike,
    notes: Sequence[str],
    *,
    characters: bool,
    above: str,
    below: str = "",
    marked: int | None = None,
    key: str,
) -> None:
    """Draw the tokens with colour under them; pointing at one tells its note.

    tokens      as a network reads or predicts them; a user's are safe: they enter as text. `<s>` and a line break begin
                a line.
    strengths   (n,) from -1 to 1: how strong the colour of `above` is, below 0 that of `below`; nan: none.
    notes       of each token, what is told when it is pointed at.
    characters  whether a token is a character: then they stand beside each other without a space.
    above, below  what the two colours mean; `below` is "" where there is one only.
    marked      place of a token to put a frame around.
    """
    percent = np.nan_to_num(np.clip(np.asarray(strengths, float), -1, 1) * 100)
    data = {
        "tokens": list(tokens),
        "strengths": [round(value) for value in percent.tolist()],
        "notes": list(notes),
        "characters": characters,
        "above": above,
        "below": below,
        "marked": marked,
    }
    _component(key=key, data=[data])
