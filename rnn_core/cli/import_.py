"""`import`: a network that was trained elsewhere, as a run."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

from rnn_core.cli.corpus import prepare_file, words_of_file
from rnn_core.cli.output import print_status, show
from rnn_core.cli.parser import Commands, add_setting, given_settings
from rnn_core.config import TextSettings, TrainingSettings, settings_of
from rnn_core.config.choices import CELLS
from rnn_core.data import without_text
from rnn_core.interop.importing import import_network
from rnn_core.runs import create_run


def add(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add("import", import_command, "make a run of a network that was trained elsewhere")
    parser.add_argument("file", metavar="FILE", help="the tutorial's .npz, or PyTorch's weights as .safetensors")
    parser.add_argument(
        "--vocabulary", metavar="FILE", required=True, help="its words, a JSON list or one in each line"
    )
    parser.add_argument("--run", metavar="DIR", required=True, help="the folder of the new run")
    parser.add_argument("--name", help="what to call the run (the file's name)")
    parser.add_argument("--corpus", metavar="FILE", help="the text that it was trained on, to compare it with counting")
    parser.add_argument("--cell", choices=tuple(CELLS), help="what the file does not say: tanh (the default) or relu")
    for name in ("unit", "lowercase", "tokenizer", "sentences"):
        add_setting(parser, settings_of(TextSettings)[name], default=argparse.SUPPRESS)


def import_command(options: argparse.Namespace) -> int:
    """The run, with its weights at step 0."""
    network = import_network(options.file, words_of_file(options.vocabulary), options.cell)
    if network.assumed:
        print_status(f"note: {network.assumed}")
    text = dataclasses.replace(network.text, **given_settings(TextSettings, options))
    if options.corpus is not None:
        corpus = prepare_file(options.corpus, text, quiet=False, words=network.words)
    else:
        corpus = without_text(network.words, text, Path(options.file).name, network.assumed)
    config = network.model.config
    name = options.name or Path(options.file).stem
    run = create_run(options.run, name, corpus, config, TrainingSettings(), text, network.model.params)
    values = {"run": str(run.folder), "parameters": network.model.parameter_count, "words": len(network.words)}
    layers = "1 layer" if config.layers == 1 else f"{config.layers} layers"
    line = f"{run.folder}: {config.cell}, {config.hidden_size} units, {layers}, {len(network.words):,} words"
    show(options, values, [line])
    return 0
