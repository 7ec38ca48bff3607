"""`fork`: another run that goes on from a stored moment of a run, and its training."""

from __future__ import annotations

import argparse
from pathlib import Path

from rnn_core.cli.hosting import add_hosting
from rnn_core.cli.output import print_status
from rnn_core.cli.parser import Commands, add_setting, given_settings
from rnn_core.cli.train import train_on
from rnn_core.config import ModelConfig, TrainingSettings, settings_of
from rnn_core.runs import fork_run
from rnn_core.runs.fork import CHANGEABLE


def add(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add("fork", fork_command, "go on from a stored moment of a run, as a new run with other settings")
    parser.add_argument("parent", metavar="DIR", help="the run to go on from; it stays as it is")
    parser.add_argument("--run", metavar="NEW", required=True, help="the folder of the new run")
    parser.add_argument("--at", metavar="STEP", type=int, help="after this step of DIR (its newest checkpoint)")
    parser.add_argument("--name", help="what to call the new run")
    changes = parser.add_argument_group("what is other than in DIR from there on")
    end = changes.add_mutually_exclusive_group()
    declared = {**settings_of(ModelConfig), **settings_of(TrainingSettings)}
    for name in CHANGEABLE:
        of_length = name in ("epochs", "steps")
        help = "a new end, counted from the beginning of DIR" if of_length else declared[name].help.replace("%", "%%")
        add_setting(parser, declared[name], end if of_length else changes, default=argparse.SUPPRESS, help=help)
    add_hosting(parser)


def fork_command(options: argparse.Namespace) -> int:
    """A new run with the words, weights and history of another, and the rest of its training."""
    changes = given_settings(ModelConfig, options) | given_settings(TrainingSettings, options)
    run = fork_run(options.parent, options.run, step=options.at, name=options.name, changes=changes)
    forked = run.config.forked
    if forked is not None and not forked.exact:
        print_status(f"note: of step {forked.step:,} only the weights were kept: the optimizer's averages begin anew.")
    return train_on(Path(options.run), options)
