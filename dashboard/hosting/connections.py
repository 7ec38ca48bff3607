"""No connections: the server's process talks to no other machine, whichever library tries.

An audit hook (PEP 578) sees every connection, datagram and name that is looked up, and refuses what does not stay
on this machine; and every program that is started, and lets only this project's own commands through. It sees what
Python does. Native code that makes its own system calls is out of its reach; none of the libraries here has any.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import sys
from functools import lru_cache
from typing import Any

_REFUSED = "a hosted server of this app opens no connections"
_INTERNET = (socket.AF_INET, socket.AF_INET6)


@lru_cache(maxsize=1)
def stay_offline() -> None:
    """From now on this process opens no connection to another machine. Cannot be undone."""
    sys.addaudithook(_refuse)


def _refuse(event: str, arguments: tuple[Any, ...]) -> None:
    """Raises OSError for a connection or a look-up that would leave this machine, and for every program but a command
    of this project.
    """
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        connection, address = arguments[:2]
        # An address of None is that of a connection that was let through before.
        if address is not None and connection.family in _INTERNET and not _is_here(address[0]):
            raise ConnectionRefusedError(_REFUSED)
    elif event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"):
        if not _is_here(arguments[0]):
            raise ConnectionRefusedError("a hosted server of this app looks no names up")
    elif event == "socket.getnameinfo":
        if not _is_here(arguments[0][0]):
            raise ConnectionRefusedError("a hosted server of this app looks no names up")
    elif event == "subprocess.Popen":
        executable, command = arguments[:2]
        if not _is_own_command(executable, command):
            raise PermissionError("a hosted server of this app starts no other programs")
    elif event in ("os.system", "os.exec", "os.posix_spawn", "os.startfile", "pty.spawn"):
        raise PermissionError("a hosted server of this app starts no other programs")


def _is_here(host: object) -> bool:
    """Whether this is an address of this very machine. A name that has to be looked up is none, but for localhost."""
    if isinstance(host, (bytes, bytearray)):
        host = bytes(host).decode("ascii", errors="replace")
    if host is None or host in ("", "localhost"):
        return True
    try:
        address = ipaddress.ip_address(str(host))
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return address.is_loopback or address.is_unspecified


def _is_own_command(executable: object, command: object) -> bool:
    """Whether a program is this Python with this project's command line."""
    if not isinstance(command, (list, tuple)):
        return False
    words = [os.fsdecode(word) for word in command]
    return os.fsdecode(executable or words[0]) == sys.executable and words[1:3] == ["-m", "rnn_core"]  # type: ignore[arg-type]
