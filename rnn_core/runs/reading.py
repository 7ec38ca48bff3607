"""Reading a run's files with no trust in who put them there, and the operating system's errors in words.

What lies in a run's folder may come from a stranger's zip: a link out of the folder, a pipe that never answers, a
folder under a file's name, a sparse file of terabytes. Every file of a run is opened here (safetensors and JSON) or
checked here before SQLite opens it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rnn_core.errors import RunError
from rnn_core.runs.strict_json import parse_json

LAST_MOMENT = 253402300800.0
"""In unix seconds, the year 10000: no calendar can write what a clock shows later."""


@contextlib.contextmanager
def opened(path: Path, kind: type[RunError] = RunError) -> Iterator[int]:
    """A descriptor of a regular file: no link out of the folder, no pipe that would never answer. Raises `kind`."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise kind(f"{path.name} is missing.") from None
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise kind(f"{path.name} is a link; put the file itself in its place.") from None
        if error.errno == errno.ENXIO:  # a socket
            raise kind(f"{path.name} is not a regular file.") from None
        raise kind(f"{path.name} cannot be opened: {error.strerror}.") from None
    except ValueError:
        raise kind("a path holds a character that no path can have; choose another folder.") from None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise kind(f"{path.name} is not a regular file.")
        yield descriptor
    except OSError as error:
        raise kind(f"{path.name} cannot be read: {error.strerror}.") from None
    finally:
        os.close(descriptor)


def read_bytes(path: Path, limit_bytes: int) -> bytes:
    """A regular file of at most `limit_bytes`. Raises RunError."""
    with opened(path) as descriptor:
        if os.fstat(descriptor).st_size > limit_bytes:
            raise RunError(f"{path.name} is larger than {limit_bytes:,} bytes; it is none of ours.")
        with open(descriptor, "rb", closefd=False) as file:
            return file.read(limit_bytes)


def read_json(path: Path, limit_bytes: int) -> Any:
    """Strict JSON from a regular file of at most `limit_bytes`. Raises RunError."""
    try:
        return parse_json(read_bytes(path, limit_bytes))
    except ValueError as error:
        raise RunError(f"{path.name} is damaged: {error}.") from None


def check_regular(path: Path, missing_ok: bool = False) -> None:
    """Raises RunError unless `path` is a regular file, for those that another library opens by name."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        if missing_ok:
            return
        raise RunError(f"{path.name} is missing.") from None
    except (OSError, ValueError) as error:
        raise RunError(f"{path.name} cannot be opened: {getattr(error, 'strerror', error)}.") from None
    if not stat.S_ISREG(mode):
        raise RunError(f"{path.name} is not a regular file; delete it.")


def disk_error(error: OSError, folder: Path) -> RunError:
    """An error of the operating system as a RunError that says what to do."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return RunError(f"the disk is full; free some space, then go on with `resume {folder}`.")
    if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        return RunError(f"{folder} cannot be written ({error.strerror}); make it writable, then `resume {folder}`.")
    return RunError(f"{error.filename or folder}: {error.strerror or error}.")
