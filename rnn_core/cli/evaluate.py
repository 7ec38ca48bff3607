"""`evaluate`: how well a network predicts a text, beside n-gram models of the text it was trained on."""

from __future__ import annotations

import argparse
import math

from rnn_core.cli.corpus import add_file_flags, file_settings, sentences_of_file
from rnn_core.cli.judgement import Judgement, by_position, context, copies
from rnn_core.cli.output import finite, one_line, print_status, show
from rnn_core.cli.parser import Commands
from rnn_core.cli.weights import load_weights, weights_json
from rnn_core.data import ngrams
from rnn_core.errors import DivergenceError
from rnn_core.runs import Run
from rnn_core.training import evaluate, evaluate_stream


def add(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add("evaluate", evaluate_command, "perplexity of a network on a text, beside that of counting")
    parser.add_argument("run", metavar="DIR")
    parser.add_argument("corpus", metavar="CORPUS")
    add_file_flags(parser)
    parser.add_argument("--by-position", action="store_true", help="the perplexity at each place in the sentence")
    parser.add_argument("--context", action="store_true", help="how far back the network uses what it has read")
    parser.add_argument("--copies", action="store_true", help="how much of what it writes stands in its training text")


def evaluate_command(options: argparse.Namespace) -> int:
    """The network's perplexity, and that of the n-grams of the text it was trained on."""
    run = Run.open(options.run)
    corpus = run.corpus()
    sentences = sentences_of_file(options.corpus, file_settings(run.config.text, options), corpus.vocabulary)
    if not corpus.train:
        for note in corpus.report.notes:
            print_status(f"note: {one_line(note)}")
    weights = load_weights(run)
    carried = run.config.training.batching == "stream"
    result = (evaluate_stream if carried else evaluate)(weights.model, sentences)
    if not math.isfinite(result.loss_nats):
        raise DivergenceError(
            "the network's weights are so large that its loss is no number; it has diverged. Train it again with a "
            "lower learning rate, or with clipping."
        )
    # A network from elsewhere may come without the text that it was trained on: then there is nothing to count.
    counted = ngrams.baselines(corpus.train, sentences, len(corpus.vocabulary)) if corpus.train else {}
    counted.setdefault("uniform", float(len(corpus.vocabulary)))
    baselines = {name: counted.get(name) for name in ("uniform", "unigram", "bigram", "kneser_ney_trigram")}
    values = {
        "tokens": result.tokens,
        "loss_nats": result.loss_nats,
        "perplexity": finite(result.perplexity),
        "unknown_rate": result.unknown_rate,
        "baselines": baselines,
        **weights_json(weights),
    }
    lines = [
        f"{result.tokens:,} tokens, {result.unknown_rate:.1%} of the words unknown"
        + (", read on from sentence to sentence" if carried else ""),
        f"{result.loss_nats:10.4f} nats per token",
        f"{result.perplexity:10,.1f} perplexity of the network",
        *(f"{value:10,.1f} {name.replace('_', ' ')}" for name, value in baselines.items() if value is not None),
    ]
    model = weights.model
    judgements: list[Judgement] = []
    if options.by_position:
        judgements.append(by_position(model, sentences))
    if options.context:
        judgements.append(context(model, sentences, carried))
    if options.copies:
        judgements.append(copies(model, corpus, sentences))
    for judgement in judgements:
        values |= judgement.values
        lines += judgement.lines
    show(options, values, lines)
    return 0
