"""Options of a server that starts trainings for others: limits, and giving way. They are not in the help."""

from __future__ import annotations

import argparse
import contextlib
import os
from pathlib import Path

from rnn_core.cli.parser import Parser
from rnn_core.runs.worker import Limits


def add_hosting(parser: Parser) -> None:
    """The options, and --quiet."""
    for option, kind in (("--max-minutes", float), ("--max-steps", int), ("--stop-if-unwatched", float)):
        parser.add_argument(option, type=kind, help=argparse.SUPPRESS)
    parser.add_argument("--nice", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--quiet", action="store_true", help="no progress")


def limits(options: argparse.Namespace) -> Limits:
    """What the training may take."""
    return Limits(options.max_minutes, options.max_steps, options.stop_if_unwatched)


def give_way(options: argparse.Namespace) -> None:
    """Let others' processes go before this one, and before those that it will start."""
    if not options.nice:
        return
    os.nice(options.nice)
    if os.getsid(0) == os.getpid():
        # Where Linux shares the cores among sessions, a process's own niceness counts within its session only
        # (sched(7), "The autogroup feature"). A session that is not this process's own is left alone.
        with contextlib.suppress(OSError):
            Path("/proc/self/autogroup").write_text(str(options.nice), encoding="ascii")
