"""Options of a server that starts trainings for its visitors: limits and priority. They are not in the help."""

from __future__ import annotations

import argparse
import contextlib
import os
from pathlib import Path

from rnn_core.cli.parser import Parser
from rnn_core.runs.worker import Limits


def add_hosting(parser: Parser) -> None:
    """Add these options, and --quiet."""
    for option, kind in (("--max-minutes", float), ("--max-steps", int), ("--stop-if-unwatched", float)):
        parser.add_argument(option, type=kind, help=argparse.SUPPRESS)
    parser.add_argument("--nice", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--quiet", action="store_true", help="no progress")


def limits(options: argparse.Namespace) -> Limits:
    """What the training may take, by the options."""
    return Limits(options.max_minutes, options.max_steps, options.stop_if_unwatched)


def lower_priority(options: argparse.Namespace) -> None:
    """With --nice N, raise the niceness of this process, and so of those that it will start, by N."""
    if not options.nice:
        return
    os.nice(options.nice)
    if os.getsid(0) == os.getpid():
        # Where Linux shares the cores among sessions, a process's own niceness counts within its session only
        # (sched(7), "The autogroup feature"). A session that is not this process's own is left alone.
        with contextlib.suppress(OSError):
            Path("/proc/self/autogroup").write_text(str(options.nice), encoding="ascii")
