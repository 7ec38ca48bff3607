"""How to draw words from what a network predicts."""

from __future__ import annotations

import math
from dataclasses import dataclass

from rnn_core.errors import SettingsError


@dataclass(frozen=True)
class SamplingSettings:
    """How to draw.

    temperature    the logits are divided by it: below 1 bolder, above 1 wilder; 0 always takes the likeliest word
    top_k          only the k likeliest words (Fan et al. 2018); None: all
    top_p          only the likeliest words that together reach probability p (Holtzman et al. 2020); None: all
    max_tokens     a sentence that has not ended by then is cut off
    allow_unknown  whether `<unk>` may be written
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    max_tokens: int = 60
    allow_unknown: bool = False

    def validate(self) -> None:
        """Raises SettingsError with the reason and the way out."""
        if not (math.isfinite(self.temperature) and 0 <= self.temperature <= 100):
            raise SettingsError("the temperature must be a number from 0 (always the likeliest word) to 100.")
        if self.top_k is not None and self.top_k < 1:
            raise SettingsError("top-k must leave at least 1 word; leave it out to allow all words.")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise SettingsError("top-p is a probability above 0 and at most 1; leave it out to allow all words.")
        if self.max_tokens < 1:
            raise SettingsError("a sentence needs room for at least 1 token.")
