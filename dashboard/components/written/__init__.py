"""Sentences as they read: each word on its probability, the alternatives on hover, one of them to go on from.

It follows the pointer and the keyboard in the browser; only the choice of an alternative comes back to Python.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path

import streamlit as st

from dashboard.components.own_component import own_component
from rnn_core.data import written_pieces
from rnn_core.training import SampledToken

_component = own_component("written", Path(__file__).parent)


def written(
    tokens: Sequence[SampledToken], unit: str, *, key: str, label: str, on_choose: Callable[[str], None]
) -> None:
    """Draw the sentences of `generate`.

    unit       "word" or "char", as the vocabulary has it.
    label      what they are, for those who use a screen reader (ours).
    on_choose  called with the text up to a word and with another one in its place, when somebody chose that; the page
               is drawn again after it.
    """
    sentences = [list(group) for _, group in groupby(tokens, lambda token: token.sentence)]
    pieces = [written_pieces([token.word for token in sentence], unit) for sentence in sentences]

    def chosen() -> None:
        choice = st.session_state[key].get("chosen")
        try:
            number, place, other = (int(part) for part in choice)
            before = [token.word for token in sentences[number][:place]]
            word = sentences[number][place].alternatives[other][0]
        except (TypeError, ValueError, IndexError):  # a browser may send anything
            return
        on_choose("".join(written_pieces([*before, word], unit)))

    data = {
        "label": label,
        "sentences": [
            [
                {
                    "text": piece,
                    "probability": float(f"{token.probability:.4g}"),
                    "given": token.given,
                    "word": token.word,
                    "others": [[word, float(f"{share:.4g}")] for word, share in token.alternatives],
                }
                for piece, token in zip(text, sentence, strict=True)
            ]
            for text, sentence in zip(pieces, sentences, strict=True)
        ],
    }
    # In a list: in a dictionary Streamlit would look for tables, and import pandas for it.
    _component(key=key, data=[data], on_chosen_change=chosen)
