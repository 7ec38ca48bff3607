"""Cleans a text: one kind of newline, and no characters that nobody can see."""

from __future__ import annotations

import re
from collections import Counter

_NEWLINES = re.compile("\r\n?|[\v\f\x85\u2028\u2029]")
_DROPPED = {
    # C0 and C1 but tab and newline; the byte order mark inside a text; interlinear marks, tags and
    # noncharacters.
    "control characters": re.compile(
        "[\x00-\x08\x0e-\x1f\x7f-\x9f\ufeff\ufff9-\ufffb\ufffe\uffff\U000e0000-\U000e007f]"
    ),
    # Unicode's property Bidi_Control: they reorder what a reader sees.
    "bidirectional controls": re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]"),
    "lone surrogates": re.compile("[\ud800-\udfff]"),
}


_ANY_DROPPED = re.compile("|".join(pattern.pattern for pattern in _DROPPED.values()))


def clean(text: str, dropped: Counter[str]) -> str:
    """The text with one kind of newline and without characters that nobody can see; `dropped` counts them by
    kind."""
    text = _NEWLINES.sub("\n", text)
    if _ANY_DROPPED.search(text) is None:
        return text
    for kind, pattern in _DROPPED.items():
        text, count = pattern.subn("", text)
        if count:
            dropped[kind] += count
    return text


def count_invisible(text: str) -> int:
    """How many control characters and lone surrogates there are: in a text hardly any, in other files many.

    Bidirectional controls are not counted, since texts in Arabic and Hebrew have them.
    """
    return sum(len(_DROPPED[kind].findall(text)) for kind in ("control characters", "lone surrogates"))


def shown(text: str, length: int = 60) -> str:
    """Text of a user as it may stand in a message: one line, in quotes, cut to `length` characters, nothing
    invisible."""
    line = " ".join(clean(text[: 20 * length], Counter()).split())
    return f"'{line[: length - 1]}…'" if len(line) > length else f"'{line}'"
