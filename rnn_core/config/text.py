"""How a text becomes ids."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

from rnn_core.errors import SettingsError


@dataclass(frozen=True)
class TextSettings:
    """How a text becomes ids. `validate()` raises SettingsError."""

    unit: str = "word"  # "word" | "char"
    vocabulary_size: int = 8000  # including the three special entries
    lowercase: bool = False
    sentences: str = "punkt"  # "punkt" | "lines"
    column: str | None = None  # of a .csv or .jsonl; None: the one with the most words
    encoding: str | None = None  # None: UTF-8, or by the byte order mark
    validation_fraction: float = 0.1
    max_sentence_length: int = 200  # tokens; longer sentences are cut into pieces, so that T stays bounded
    seed: int = 0  # of the split

    def validate(self) -> None:
        if self.unit not in ("word", "char"):
            raise SettingsError("unit must be 'word' or 'char'.")
        if self.sentences not in ("punkt", "lines"):
            raise SettingsError("sentences must be 'punkt' (found in the text) or 'lines' (one in each line).")
        _check_integer("vocabulary_size", self.vocabulary_size, 4, 1_000_000)
        _check_integer("max_sentence_length", self.max_sentence_length, 2, 10_000)
        _check_integer("seed", self.seed, 0, 2**63 - 1)
        fraction = self.validation_fraction
        if isinstance(fraction, bool) or not isinstance(fraction, int | float) or not 0 < fraction <= 0.9:
            raise SettingsError("validation_fraction must be above 0 and at most 0.9; 0.1 is usual.")
        if not isinstance(self.lowercase, bool):
            raise SettingsError("lowercase must be true or false.")
        for name in ("column", "encoding"):
            if not isinstance(getattr(self, name), str | None):
                raise SettingsError(f"{name} must be a text, or left out.")

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> TextSettings:
        """Strict: unknown names and values out of range raise SettingsError; what is missing has its
        default."""
        known = {entry.name for entry in fields(cls)}
        if not isinstance(values, dict) or not set(values) <= known:
            raise SettingsError(f"the settings of a text are {', '.join(sorted(known))}, and no others.")
        settings = cls(**values)
        settings.validate()
        return settings


def _check_integer(name: str, value: object, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise SettingsError(f"{name} must be a whole number from {low:,} to {high:,}.")
