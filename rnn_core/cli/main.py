"""The command line: `see-bptt COMMAND`, or `python -m rnn_core COMMAND`.

Progress goes to standard error. With `--json` the last line of standard output is one JSON object. The exit code is 0,
or 2 with one line `error: ...` for what the user can put right; 128 + the signal's number where a signal stopped a
training.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence

from rnn_core.cli import (
    app,
    evaluate,
    export,
    fork,
    generate,
    gradients,
    import_,
    report,
    reproduce,
    sweep,
    train,
    units,
)
from rnn_core.cli.output import one_line, print_status
from rnn_core.cli.parser import Commands, Parser
from rnn_core.errors import UserError


def make_parser() -> Parser:
    """The parser of all commands."""
    commands = Commands("Train recurrent networks, and watch back-propagation through time.")
    for module in (train, fork, generate, evaluate, gradients, units, report, export, import_, sweep, reproduce, app):
        module.add(commands)
    return commands.parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    try:
        options = make_parser().parse_args(arguments)
        code: int = options.command(options)
        sys.stdout.flush()
        return code
    except UserError as error:
        print_status(f"error: {one_line(str(error))}")
        return 2
    except MemoryError:
        print_status("error: there is not enough memory for this; choose a smaller network, vocabulary, batch or text.")
        return 2
    except BrokenPipeError:
        # The reader of our output has closed it (`| head`). Without this Python reports it once more while it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except OSError as error:
        print_status(f"error: {error.filename or 'the system'}: {error.strerror or error}.")
        return 2
    except KeyboardInterrupt:
        print_status("interrupted.")
        return 128 + signal.SIGINT
