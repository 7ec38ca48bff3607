"""`report`: a run as one file to hand on."""

from __future__ import annotations

import argparse

from rnn_core.cli.output import tell
from rnn_core.cli.parser import Commands
from rnn_core.report import write_report
from rnn_core.runs import Run


def add(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add("report", report_command, "write a run as one HTML file that needs nothing else", json=False)
    parser.add_argument("run", metavar="DIR")
    parser.add_argument("out", metavar="OUT.html", help="the file to write")
    parser.add_argument("--text", metavar="TEXT", help="the sentence whose gradients are drawn (one that it writes)")


def report_command(options: argparse.Namespace) -> int:
    """Settings, curves, gradients, verdict, samples, and how to repeat it."""
    target = write_report(Run.open(options.run), options.out, options.text)
    tell(f"wrote {target}; any browser opens it, without a network.")
    return 0
