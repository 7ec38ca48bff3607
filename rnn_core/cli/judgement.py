"""What `evaluate` can tell besides a perplexity: by position, how far back, how much is copied."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np

from rnn_core.arrays import Array
from rnn_core.cli.output import finite
from rnn_core.data import PreparedCorpus, batches, detokenize, find_copies
from rnn_core.diagnostics import effective_context, horizon, loss_by_position, sentence_losses
from rnn_core.errors import CorpusError
from rnn_core.nn.language_model import LanguageModel
from rnn_core.training import PROBE_SENTENCES, generate

# Of a text that is read on without a break, how much is read from a fresh state to see what is used of it.
STRETCH = 500

WRITTEN_SENTENCES = 100
LEAST_WORDS = (3, 5, 8, 12)
LEAST_CHARACTERS = (15, 30, 60)


@dataclass(frozen=True)
class Judgement:
    """values: entries of the JSON object; lines: the same to read."""

    values: dict[str, Any]
    lines: list[str]


def by_position(model: LanguageModel, sentences: list[Array]) -> Judgement:
    """The perplexity at each place in the sentence."""
    found = loss_by_position(sentence_losses(model, sentences))
    rows = []
    lines = ["", "word   tokens  perplexity"]
    for place, (tokens, nats, perplexity) in enumerate(
        zip(found.tokens.tolist(), found.loss_nats.tolist(), found.perplexity.tolist(), strict=True)
    ):
        rows.append({"position": place, "tokens": tokens, "loss_nats": nats, "perplexity": finite(perplexity)})
        lines.append(f"{place + 1:4d} {tokens:8,} {perplexity:11,.1f}")
    return Judgement({"by_position": rows}, lines)


def context(model: LanguageModel, sentences: list[Array], carried: bool) -> Judgement:
    """What the loss becomes without what was read further back, and with that in another order; beside it, how far back
    the gradient reaches. carried: the network reads on from sentence to sentence.
    """
    inputs, targets = [ids[:-1] for ids in sentences], [ids[1:] for ids in sentences]
    if carried:
        inputs, targets = _stretches(np.concatenate(inputs)), _stretches(np.concatenate(targets))
    found = effective_context(model, inputs, targets)
    longest = sorted(sentences, key=lambda ids: -len(ids))[:PROBE_SENTENCES]
    (probe,) = batches(longest, PROBE_SENTENCES, None)
    half_life = horizon(model, probe.inputs, probe.targets, probe.mask, bounds=False).half_life
    rows = []
    lines = ["", "nearest words   loss without the others   with them shuffled"]
    columns = (found.lengths, found.affected, found.dropped_nats, found.shuffled_nats)
    for n, affected, dropped, shuffled in zip(*(column.tolist() for column in columns), strict=True):
        rows.append({"words": n, "affected": affected, "dropped_nats": dropped, "shuffled_nats": shuffled})
        lines.append(f"{n:13d} {dropped:25.4f} {shuffled:20.4f}")
    lines.append(f"{'all':>13s} {found.full_nats:25.4f} {found.full_nats:20.4f}")
    most = int(found.lengths[-1])
    words, order = (
        f"more than {most}" if enough is None else f"the nearest {enough}" for enough in (found.used(), found.ordered())
    )
    lines.append(f"For a perplexity within 1 % of its own it needs {words} words, and the order of {order}.")
    reaches = "more than the longest sentence" if half_life is None else f"{half_life:.1f} words"
    lines.append(f"Half of its gradient is gone after {reaches}.")
    values = {
        "full_nats": found.full_nats,
        "targets": found.targets,
        "rows": rows,
        "used": found.used(),
        "ordered": found.ordered(),
        "gradient_half_life": half_life,
    }
    return Judgement({"context": values}, lines)


def _stretches(ids: Array) -> list[Array]:
    return [ids[start : start + STRETCH] for start in range(0, len(ids), STRETCH)]


def copies(model: LanguageModel, corpus: PreparedCorpus, held_out: list[Array]) -> Judgement:
    """What of the sentences that the network writes stands verbatim in its training text; beside it, what of a text by
    people does.
    """
    if not corpus.train:
        raise CorpusError("this network came without the text that it was trained on, so no copy can be found.")
    vocabulary = corpus.vocabulary
    unit, lengths = ("characters", LEAST_CHARACTERS) if vocabulary.unit == "char" else ("words", LEAST_WORDS)
    tokens = generate(model, vocabulary, count=WRITTEN_SENTENCES)
    written = [[token.word for token in sentence] for _, sentence in groupby(tokens, lambda token: token.sentence)]
    training = [ids[1:-1] for ids in corpus.train]
    found = find_copies([vocabulary.encode(sentence) for sentence in written], training)
    people = find_copies([ids[1:-1] for ids in held_out[:WRITTEN_SENTENCES]], training)

    def text(words: list[str]) -> str:
        return detokenize(words, vocabulary.unit)

    sentences = []
    longest, copied = 0, ""
    for words, copy in zip(written, found.longest, strict=True):
        span = text(words[copy.start : copy.start + copy.length])
        sentences.append({"text": text(words), "tokens": len(words), "longest_copy": copy.length, "copy": span})
        if copy.length > longest:
            longest, copied = copy.length, span
    lines = [
        "",
        f"{len(written)} sentences of its own: what of them stands in its training text (what of this text does)",
    ]
    shares, of_people = {}, {}
    for least in lengths:
        shares[str(least)], of_people[str(least)] = found.share(least), people.share(least)
        lines.append(f"{least:4d} {unit} or more {found.share(least):8.1%} ({people.share(least):.1%})")
    lines.append(f"the longest, {longest} {unit}: {copied}")
    values = {"sentences": sentences, "share_by_length": shares, "share_by_length_of_this_text": of_people}
    return Judgement({"copies": values}, lines)
