"""`report`: a run, or the result of an experiment, as one file to hand on."""

from __future__ import annotations

import argparse
from pathlib import Path

from rnn_core.cli.output import print_status
from rnn_core.cli.parser import Commands
from rnn_core.errors import SettingsError
from rnn_core.experiments.catalogue import open_result
from rnn_core.experiments.report import result_html
from rnn_core.experiments.results import FILE
from rnn_core.report import write_report
from rnn_core.report.page import write
from rnn_core.runs import Run


def add(commands: Commands) -> None:
    """Add the command."""
    about = "write a run, or the result of an experiment, as one HTML file that needs nothing else"
    parser = commands.add("report", report_command, about, json=False)
    parser.add_argument("run", metavar="DIR", help="of a run, or the one that `reproduce --dir DIR` was given")
    parser.add_argument("out", metavar="OUT.html", help="the file to write")
    parser.add_argument(
        "--text", metavar="TEXT", help="the sentence whose gradients are drawn (default: one that the network writes)"
    )


def report_command(options: argparse.Namespace) -> int:
    """Settings, curves, gradients, verdict, samples, and how to repeat it."""
    folder = Path(options.run)
    if (folder / FILE).exists():
        if options.text is not None:
            raise SettingsError("an experiment's report draws no sentence; leave --text out.")
        target = write(result_html(open_result(folder)), options.out)
    else:
        target = write_report(Run.open(folder), options.out, options.text)
    print_status(f"wrote {target}; any browser opens it, without a network.")
    return 0
