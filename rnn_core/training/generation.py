"""Sentences as a stream of predictions: the network gives every next word a probability, and one is drawn.

Sampling never changes a training: its random numbers come from streams of their own, its state is its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from rnn_core.arrays import Array
from rnn_core.config import SamplingSettings
from rnn_core.data import END_ID, START_ID, UNKNOWN_ID, Vocabulary, detokenize, tokenize
from rnn_core.errors import DivergenceError, SettingsError
from rnn_core.nn.language_model import LanguageModel
from rnn_core.randomness import stream

LONGEST_PROMPT = 1000
ALTERNATIVES = 5


@dataclass(frozen=True)
class SampledToken:
    """One word of one sentence.

    probability   the network's own, before temperature, top-k and top-p
    drawn_with    the probability with which it was drawn, after them; None: it was given by the prompt
    alternatives  the likeliest words here with the network's own probabilities, the likeliest first
    """

    sentence: int  # from 0
    word: str
    probability: float
    drawn_with: float | None
    alternatives: tuple[tuple[str, float], ...]

    @property
    def given(self) -> bool:
        return self.drawn_with is None


@dataclass(frozen=True)
class Prompt:
    """A prompt as the network reads it. unknown: words that it never learnt, and reads as `<unk>`."""

    tokens: tuple[str, ...]
    ids: Array
    unknown: tuple[str, ...]

    @property
    def explanation(self) -> str:
        """One sentence about the unknown words, or ""."""
        if not self.unknown:
            return ""
        words = ", ".join(repr(word) for word in self.unknown[:5]) + (", …" if len(self.unknown) > 5 else "")
        return f"the network's vocabulary lacks {words}; it reads <unk> there."


def read_prompt(vocabulary: Vocabulary, text: str) -> Prompt:
    """A text in the run's own unit and case. Raises SettingsError where it is too long."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise SettingsError("the text holds half a character (a lone surrogate); type it anew.") from None
    tokens = tokenize(text, vocabulary.unit, vocabulary.lowercase, vocabulary.tokenizer) if text else []
    if len(tokens) > LONGEST_PROMPT:
        raise SettingsError(f"the prompt has {len(tokens)} tokens; at most {LONGEST_PROMPT} are read. Shorten it.")
    ids = vocabulary.encode(tokens)
    unknown = dict.fromkeys(token for token, id in zip(tokens, ids, strict=True) if id == UNKNOWN_ID)
    return Prompt(tuple(tokens), ids, tuple(unknown))


def generate(
    model: LanguageModel,
    vocabulary: Vocabulary,
    prompt: str = "",
    count: int = 1,
    settings: SamplingSettings | None = None,
    seed: int = 0,
) -> Iterator[SampledToken]:
    """`count` sentences that begin with `prompt`, token by token, one sentence after the other.

    A sentence ends with `</s>` (which is not part of it) or after `settings.max_tokens` drawn tokens. Sentence i is a
    function of the weights, the prompt, the settings, the seed and i. Raises SettingsError.
    """
    settings = settings or SamplingSettings()
    settings.validate()
    if count < 1:
        raise SettingsError("ask for at least 1 sentence.")
    start = read_prompt(vocabulary, prompt)
    given = []
    log_p, state = model.advance(np.array([START_ID]), model.initial_state(1))
    for word, id in zip(start.tokens, start.ids, strict=True):
        probabilities = _softmax(log_p[0], 1.0)
        given.append((word, float(probabilities[id]), _likeliest(probabilities, vocabulary)))
        log_p, state = model.advance(np.array([id]), state)
    for sentence in range(count):
        for word, probability, alternatives in given:
            yield SampledToken(sentence, word, probability, None, alternatives)
        yield from _continue(
            model, vocabulary, settings, stream(seed, "sample", sentence), sentence, log_p, state, len(given)
        )


def _continue(
    model: LanguageModel,
    vocabulary: Vocabulary,
    settings: SamplingSettings,
    rng: np.random.Generator,
    sentence: int,
    log_p: Array,
    state: list[Array],
    length: int,
) -> Iterator[SampledToken]:
    for drawn in range(settings.max_tokens):
        forbidden = [START_ID] + [UNKNOWN_ID] * (not settings.allow_unknown) + [END_ID] * (length + drawn == 0)
        drawn_with = sampling_probabilities(log_p[0], settings, forbidden)
        id = int(rng.choice(len(drawn_with), p=drawn_with))
        if id == END_ID:
            return
        probabilities = _softmax(log_p[0], 1.0)
        yield SampledToken(
            sentence,
            vocabulary.words[id],
            float(probabilities[id]),
            float(drawn_with[id]),
            _likeliest(probabilities, vocabulary),
        )
        log_p, state = model.advance(np.array([id]), state)


def sentences_of(tokens: Iterable[SampledToken], unit: str) -> Iterator[str]:
    """The stream of `generate` as readable sentences, each as soon as it is complete."""
    for _, sentence in groupby(tokens, key=lambda token: token.sentence):
        yield detokenize([token.word for token in sentence], unit)


def sampling_probabilities(log_p: Array, settings: SamplingSettings, forbidden: Iterable[int] = ()) -> Array:
    """log p (N,) -> the probabilities (N,) to draw with, float64: temperature (0: the likeliest word), then top-k, then
    top-p (nucleus sampling, Holtzman et al. 2020). Raises DivergenceError for logits that overflowed.
    """
    log_p = np.asarray(log_p, np.float64).copy()
    log_p[list(forbidden)] = -np.inf
    if settings.temperature == 0:
        probabilities = np.zeros_like(log_p)
        probabilities[np.argmax(log_p)] = 1.0
        return probabilities
    probabilities = _softmax(log_p, settings.temperature)
    if settings.top_k is not None or settings.top_p is not None:
        order = np.argsort(-probabilities, kind="stable")  # equally likely words: the one with the smaller id first
        kept = len(order) if settings.top_k is None else min(settings.top_k, len(order))
        if settings.top_p is not None:
            total = np.cumsum(probabilities[order[:kept]])
            kept = min(kept, int(np.searchsorted(total, settings.top_p * total[-1])) + 1)
        probabilities[order[kept:]] = 0.0
        probabilities /= probabilities.sum()
    return probabilities


def _softmax(log_p: Array, temperature: float) -> Array:
    log_p = np.asarray(log_p, np.float64)
    with np.errstate(invalid="ignore"):
        probabilities = np.exp((log_p - log_p.max()) / temperature)
    if not np.isfinite(probabilities).all():
        raise DivergenceError(
            "the network's weights are so large that its outputs are no numbers; it has diverged. Train it again with "
            "a lower learning rate, or with clipping."
        )
    return probabilities / probabilities.sum()


def _likeliest(probabilities: Array, vocabulary: Vocabulary) -> tuple[tuple[str, float], ...]:
    best = np.argpartition(-probabilities, min(ALTERNATIVES, len(probabilities) - 1))[:ALTERNATIVES]
    best = best[np.argsort(-probabilities[best], kind="stable")]
    return tuple((vocabulary.words[id], float(probabilities[id])) for id in best)
