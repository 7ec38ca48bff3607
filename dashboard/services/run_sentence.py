"""One sentence in the network of a run, for the unrolled network: how much of one word's gradient arrives where."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from dashboard.services import library, network
from rnn_core.arrays import Array
from rnn_core.data import AGREEMENT, END, START, Vocabulary
from rnn_core.diagnostics import gradient_flow
from rnn_core.diagnostics.horizon import fixed_step_bound
from rnn_core.nn.language_model import LanguageModel
from rnn_core.runs import Run
from rnn_core.training import read_prompt

MOST_WORDS = 40


class Sentence(NamedTuple):
    """tokens without <s> and </s>; asked: the step whose loss is followed; controller: where the word is read that it
    depends on, None where no grammar says which. Both count from <s>, which is 0.
    """

    tokens: tuple[str, ...]
    asked: int
    controller: int | None


class ArrivingGradients(NamedTuple):
    """words and unknown (T + 1), norms (T, T) of delta, bound max phi' ||W||_2 (None for gated cells). Shared by all
    visitors: not to be changed.
    """

    words: tuple[str, ...]
    unknown: tuple[bool, ...]
    norms: Array
    bound: float | None


def sentence_of(run: Run, default: str) -> Sentence | None:
    """The sentence to look at: `default`, or one held out from the training, cut to MOST_WORDS.

    None for somebody who may not see the run's text, where `default` does not fit. In a sentence of the agreement
    grammar it is the agreeing word that is followed back to its queen or king; in others the last one that is a word.
    """
    text = network.example_sentence(str(run.folder), default)
    if text != default and not library.mine(run):
        return None
    return _sentence_of(str(run.folder), text)


@lru_cache(maxsize=32)
def _sentence_of(folder: str, text: str) -> Sentence:
    tokens = tuple(read_prompt(Run.open(folder).vocabulary(), text).tokens[:MOST_WORDS])
    for controller, target in AGREEMENT.items():
        if controller in tokens and target in tokens[tokens.index(controller) :]:
            return Sentence(tokens, tokens.index(target), tokens.index(controller) + 1)
    spoken = [place for place, token in enumerate(tokens) if any(map(str.isalnum, token))]
    return Sentence(tokens, spoken[-1] if spoken else len(tokens), None)


@lru_cache(maxsize=64)
def gradients(folder: str, step: int, tokens: tuple[str, ...]) -> ArrivingGradients:
    """In the network as it was after `step` steps, one of the run's moments. RunError where those weights are gone."""
    loaded = network.at(folder, step)
    return in_network(loaded.model, loaded.vocabulary, tokens)


def in_network(model: LanguageModel, vocabulary: Vocabulary, tokens: tuple[str, ...]) -> ArrivingGradients:
    """A sentence, its words without <s> and </s>, in any network."""
    ids = vocabulary.encode_sentence(tokens)
    return ArrivingGradients(
        words=(START, *tokens, END),
        unknown=(False, *(token not in vocabulary for token in tokens), False),
        norms=gradient_flow(model, ids[:-1], ids[1:]).delta_norms,
        bound=fixed_step_bound(model),
    )
