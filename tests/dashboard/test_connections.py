"""What the guard against connections refuses, event by event. (`test_hosting.py` tries it in a process of its own.)"""

from __future__ import annotations

import socket
import sys
from typing import Any

import pytest

from dashboard.hosting import connections

INTERNET = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
INTERNET.close()  # its family is all that is looked at
UNIX = socket.socket(socket.AF_UNIX)
UNIX.close()
ELSEWHERE, HERE = ("192.0.2.1", 80), ("127.0.0.1", 80)

REFUSED: list[tuple[str, tuple[Any, ...], str]] = [
    ("socket.connect", (INTERNET, ELSEWHERE), "opens no connections"),
    ("socket.sendto", (INTERNET, ELSEWHERE), "opens no connections"),
    ("socket.sendmsg", (INTERNET, ELSEWHERE), "opens no connections"),
    ("socket.getaddrinfo", ("example.org", 80, 0, 0, 0), "looks no names up"),
    ("socket.getaddrinfo", (b"example.org", 80, 0, 0, 0), "looks no names up"),
    ("socket.gethostbyname", ("example.org",), "looks no names up"),
    ("socket.gethostbyaddr", ("192.0.2.1",), "looks no names up"),
    ("socket.getnameinfo", (ELSEWHERE,), "looks no names up"),
    ("subprocess.Popen", ("curl", ["curl", "x"], None, None), "starts no other programs"),
    ("subprocess.Popen", ("/bin/sh", "true", None, None), "starts no other programs"),
    ("subprocess.Popen", (None, [sys.executable, "-c", "pass"], None, None), "starts no other programs"),
    ("subprocess.Popen", ("/bin/sh", [sys.executable, "-m", "rnn_core"], None, None), "starts no other programs"),
    ("os.system", (b"true",), "starts no other programs"),
    ("os.exec", ("/bin/true", [], None), "starts no other programs"),
    ("os.posix_spawn", ("/bin/true", [], None), "starts no other programs"),
    ("os.startfile", ("x",), "starts no other programs"),
    ("pty.spawn", (["true"],), "starts no other programs"),
]

ALLOWED: list[tuple[str, tuple[Any, ...]]] = [
    ("socket.connect", (INTERNET, HERE)),
    ("socket.connect", (UNIX, "/run/socket")),
    ("socket.sendto", (INTERNET, HERE)),
    ("socket.sendmsg", (INTERNET, None)),  # of a connection that was let through before
    ("socket.getaddrinfo", ("localhost", 80, 0, 0, 0)),
    ("socket.getaddrinfo", (None, 80, 0, 0, 0)),
    ("socket.getaddrinfo", ("", 80, 0, 0, 0)),
    ("socket.gethostbyaddr", ("::1",)),
    ("socket.getnameinfo", (HERE,)),
    ("subprocess.Popen", (sys.executable, [sys.executable, "-m", "rnn_core", "resume", "x"], None, None)),
    ("subprocess.Popen", (None, (sys.executable.encode(), b"-m", b"rnn_core", b"resume"), None, None)),
    ("open", ("/etc/hosts", "r", 0)),
]


@pytest.mark.parametrize(("event", "arguments", "why"), REFUSED)
def test_what_leaves_this_machine_or_starts_a_program_is_refused(
    event: str, arguments: tuple[Any, ...], why: str
) -> None:
    with pytest.raises(OSError, match=f"^a hosted server of this app {why}$"):
        connections._refuse(event, arguments)


@pytest.mark.parametrize(("event", "arguments"), ALLOWED)
def test_what_stays_on_this_machine_is_let_through(event: str, arguments: tuple[Any, ...]) -> None:
    connections._refuse(event, arguments)
