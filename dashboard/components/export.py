"""Tables to take home: CSV that a spreadsheet reads as data and never as a program."""

from __future__ import annotations

import re
from csv import QUOTE_NONNUMERIC
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def harmless(cell: Any) -> Any:
    """A text that a spreadsheet would take for a formula gets an apostrophe in front; numbers stay as they are.

    (OWASP, "CSV injection".) A word of a visitor's sentence may be `=HYPERLINK(…)`.
    """
    if isinstance(cell, str) and cell.startswith(_FORMULA) and not _NUMBER.fullmatch(cell):
        return f"'{cell}"
    return cell


def csv(table: pd.DataFrame) -> bytes:
    """A table as CSV in UTF-8, with the mark by which a spreadsheet knows it; numbers with all their digits.

    Texts are quoted, so that a line break in a word does not begin a row.
    """
    import pandas as pd  # half a second that the first page does without

    safe = pd.DataFrame({harmless(str(name)): [harmless(cell) for cell in table[name]] for name in table.columns})
    return safe.to_csv(index=False, quoting=QUOTE_NONNUMERIC).encode("utf-8-sig")
