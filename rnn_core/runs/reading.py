"""Reading a run's files with no trust in who put them there, and the operating system's errors in words."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

from rnn_core.errors import RunError
from rnn_core.runs.strict_json import parse_json

JSON_LIMIT_BYTES = 256 * 1024 * 1024


def read_json(path: Path) -> Any:
    try:
        with path.open("rb") as file:
            data = file.read(JSON_LIMIT_BYTES + 1)
        if len(data) > JSON_LIMIT_BYTES:
            raise RunError(f"{path.name} is larger than {JSON_LIMIT_BYTES} bytes; it is none of ours.")
        return parse_json(data)
    except OSError as error:
        raise RunError(f"{path} cannot be read: {error.strerror}.") from None
    except ValueError as error:
        raise RunError(f"{path} is damaged: {error}.") from None


def disk_error(error: OSError, folder: Path) -> RunError:
    """What the operating system says, in words that say what to do."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return RunError(f"the disk is full; free some space, then go on with `resume {folder}`.")
    if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        return RunError(f"{folder} cannot be written ({error.strerror}); make it writable, then `resume {folder}`.")
    return RunError(f"{error.filename or folder}: {error.strerror or error}.")
