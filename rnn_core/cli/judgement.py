"""What `evaluate` measures on request: loss by position, effective context, verbatim copies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rnn_core.arrays import Array
from rnn_core.cli.output import finite
from rnn_core.data import PreparedCorpus, detokenize
from rnn_core.diagnostics import loss_by_position, reach, sentence_losses
from rnn_core.nn.language_model import LanguageModel
from rnn_core.training import LEAST_COPIED, written_copies


@dataclass(frozen=True)
class Judgement:
    """One measurement. values: its entries of the JSON object; lines: the same for people."""

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
    """The loss when only the nearest words are read, and when those further back are shuffled; beside it how far back
    the gradient reaches. carried: the state is carried from sentence to sentence.
    """
    found = reach(model, sentences, carried)
    used = found.context
    rows = []
    lines = ["", "nearest words   loss without the others   with them shuffled"]
    columns = (used.lengths, used.affected, used.dropped_nats, used.shuffled_nats)
    for n, affected, dropped, shuffled in zip(*(column.tolist() for column in columns), strict=True):
        rows.append({"words": n, "affected": affected, "dropped_nats": dropped, "shuffled_nats": shuffled})
        lines.append(f"{n:13d} {dropped:25.4f} {shuffled:20.4f}")
    lines.append(f"{'all':>13s} {used.full_nats:25.4f} {used.full_nats:20.4f}")
    most = int(used.lengths[-1])
    words, order = (
        f"more than {most}" if enough is None else f"the nearest {enough}" for enough in (used.used(), used.ordered())
    )
    lines.append(f"For a perplexity within 1 % of its own it needs {words} words, and the order of {order}.")
    halves = (
        (found.context_half, f"more than {most} words"),
        (found.gradient_half, "more than the longest sentence"),
    )
    context_half, gradient_half = (beyond if half is None else f"{half:.1f} words" for half, beyond in halves)
    lines.append(f"Half of what it draws from further back than the nearest word lies beyond {context_half}.")
    lines.append(f"Half of its gradient is gone after {gradient_half}.")
    values = {
        "full_nats": used.full_nats,
        "targets": used.targets,
        "rows": rows,
        "used": used.used(),
        "ordered": used.ordered(),
        "context_half": found.context_half,
        "gradient_half_life": found.gradient_half,
        "larger": found.larger,
    }
    return Judgement({"context": values}, lines)


def copies(model: LanguageModel, corpus: PreparedCorpus, held_out: list[Array]) -> Judgement:
    """How much of the sentences that the network writes stands verbatim in its training text, and how much of
    `held_out`, which people wrote.
    """
    vocabulary = corpus.vocabulary
    found = written_copies(model, vocabulary, corpus.train, held_out)

    def text(words: list[str]) -> str:
        return detokenize(words, vocabulary.unit)

    sentences = []
    for number, (words, copy) in enumerate(zip(found.sentences, found.of_network.longest, strict=True)):
        span = text(found.span(number))
        sentences.append({"text": text(words), "tokens": len(words), "longest_copy": copy.length, "copy": span})
    lines = [
        "",
        f"{len(sentences)} sentences of its own: what of them stands in its training text (what of this text does)",
    ]
    unit = "characters" if vocabulary.unit == "char" else "words"
    shares, of_people = {}, {}
    for least in LEAST_COPIED[vocabulary.unit]:
        shares[str(least)], of_people[str(least)] = found.of_network.share(least), found.of_people.share(least)
        lines.append(f"{least:4d} {unit} or more {shares[str(least)]:8.1%} ({of_people[str(least)]:.1%})")
    longest = sentences[found.longest]
    lines.append(f"the longest, {longest['longest_copy']} {unit}: {longest['copy']}")
    values = {"sentences": sentences, "share_by_length": shares, "share_by_length_of_this_text": of_people}
    return Judgement({"copies": values}, lines)
