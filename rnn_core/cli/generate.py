"""`generate`: a network writes sentences."""

from __future__ import annotations

import argparse

from rnn_core.cli.output import print_status, show
from rnn_core.cli.parser import Commands, add_settings, read_settings
from rnn_core.cli.weights import load_weights, weights_json
from rnn_core.config import SamplingSettings
from rnn_core.runs import Run
from rnn_core.training import generate, read_prompt, sentences_of


def add(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add("generate", generate_command, "let a network write sentences")
    parser.add_argument("run", metavar="DIR")
    parser.add_argument("--prompt", default="", metavar="TEXT", help="how each sentence begins")
    parser.add_argument("--count", type=int, default=1, metavar="N", help="sentences (1)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the drawing (0)")
    add_settings(parser, SamplingSettings)


def generate_command(options: argparse.Namespace) -> int:
    """Sentences, each as soon as it is complete."""
    run = Run.open(options.run)
    settings = read_settings(SamplingSettings, options)
    settings.validate()
    vocabulary = run.vocabulary()
    explanation = read_prompt(vocabulary, options.prompt).explanation
    if explanation:
        print_status(f"note: {explanation}")
    weights = load_weights(run)
    tokens = generate(weights.model, vocabulary, options.prompt, options.count, settings, options.seed)
    sentences = sentences_of(tokens, vocabulary.unit)
    if options.json:
        show(options, {"sentences": list(sentences), **weights_json(weights)}, [])
    else:
        for sentence in sentences:
            print(sentence, flush=True)
    return 0
