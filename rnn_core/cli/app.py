"""`app`: opens the dashboard, which lies beside this package, from any folder."""

from __future__ import annotations

import argparse
import importlib.util
import os
import socket
import sys
from pathlib import Path

import rnn_core
from rnn_core.cli.parser import Commands
from rnn_core.errors import SettingsError
from rnn_core.runs import ROOT_VARIABLE

# Found beside rnn_core and not imported, since another `dashboard` may lie in the folder where this is started.
SCRIPT = Path(rnn_core.__file__).parents[1] / "dashboard" / "app.py"
NEEDED = ("streamlit", "altair", "pandas")


def add(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add("app", app_command, "open the dashboard in the browser", json=False)
    parser.add_argument("--port", type=int, metavar="N", help="of the server (8501, or the next that is free)")
    parser.add_argument("--runs", metavar="DIR", help="the folder of the runs (./runs)")


def app_command(options: argparse.Namespace) -> int:
    """Replace this process by the dashboard's server, so that to stop one is to stop the other."""
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing or not SCRIPT.is_file():
        lacking = ", ".join(missing) or "the dashboard's files"
        raise SettingsError(f"the app needs {lacking}; install it with `pip install 'see-bptt[dashboard]'`.")
    arguments = [sys.executable, "-m", "streamlit", "run", str(SCRIPT), "--server.showEmailPrompt=false"]
    if options.port is not None:
        _check_port(options.port)
        arguments.append(f"--server.port={options.port}")
    if options.runs is not None:
        os.environ[ROOT_VARIABLE] = os.path.abspath(options.runs)
    sys.stdout.flush()
    os.execv(sys.executable, arguments)


def _check_port(port: int) -> None:
    """Raises SettingsError for a port at which no server can listen."""
    if not 1 <= port <= 65535:
        raise SettingsError("the port is a number from 1 to 65535.")
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind(("", port))
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise SettingsError(f"port {port} cannot be used: {reason}; choose another with --port.") from None
