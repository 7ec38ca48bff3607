"""The settings by which words are drawn from what a network predicts."""

from __future__ import annotations

from dataclasses import dataclass

from rnn_core.config.fields import DRAWING, Settings, setting


@dataclass(frozen=True)
class SamplingSettings(Settings):
    """How to draw the next word. `validate` refuses what makes no sense, with the reason."""

    temperature: float = setting(
        1.0,
        label="Temperature",
        help="The logits are divided by it: below 1 likely words become likelier, above 1 less likely; 0 always "
        "takes the likeliest.",
        group=DRAWING,
        flag="--temperature",
        low=0,
        high=100,
        step=0.05,
        refusal="the temperature must be a number from 0 (always the likeliest word) to 100.",
    )
    top_k: int | None = setting(
        None,
        label="Top-k",
        help="Draw only from the k likeliest words (Fan et al. 2018).",
        group=DRAWING,
        flag="--top-k",
        low=1,
        none="all",
        refusal="top-k must leave at least 1 word; leave it out to allow all words.",
    )
    top_p: float | None = setting(
        None,
        label="Top-p",
        help="Draw only from the likeliest words that together have this probability (Holtzman et al. 2020).",
        group=DRAWING,
        flag="--top-p",
        above=0,
        high=1,
        none="all",
        step=0.05,
        refusal="top-p is a probability above 0 and at most 1; leave it out to allow all words.",
    )
    max_tokens: int = setting(
        60,
        label="Longest sentence",
        help="A sentence that has not ended by then is cut off, in tokens.",
        group=DRAWING,
        flag="--max-tokens",
        low=1,
        refusal="a sentence needs room for at least 1 token.",
    )
    allow_unknown: bool = setting(
        False,
        label="Allow the unknown word",
        help="Allows `<unk>`, which stands for every word outside the vocabulary.",
        group=DRAWING,
        flag="--allow-unknown",
    )
