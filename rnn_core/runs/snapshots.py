"""Weights alone, kept along a training, so that its pictures can go back to the moments at which it was measured.

    runs/<id>/weights-<step>.safetensors   the parameters as they were after `step` steps

A snapshot is light: it has no optimizer, and nothing continues from it. Of a long training at most `KEEP` are kept, and
at most `LIMIT_BYTES` in all, so thinned that they lie evenly on the square root of the step: dense where a training
begins and everything moves, never far apart. The first and the newest always stay.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from rnn_core.arrays import Array
from rnn_core.errors import CheckpointError
from rnn_core.runs import files, tensors
from rnn_core.runs.tensors import Specs

FILE = re.compile(r"weights-(\d{1,18})\.safetensors")
KEEP = 40
LIMIT_BYTES = 64 * 2**20
SHARE = 0.01  # of the time that a training may spend on them


def steps(folder: Path) -> list[int]:
    """The steps of which there is a snapshot, ascending."""
    found = (FILE.fullmatch(path.name) for path in folder.glob("weights-*.safetensors"))
    return sorted(int(match[1]) for match in found if match)


def load(folder: Path, step: int, specs: Specs) -> tuple[dict[str, Array], str | None]:
    """The arrays of one snapshot, which must be exactly `specs`, and the digest of the words that they are about, if it
    has one. Raises CheckpointError.
    """
    arrays, metadata = tensors.read_tensors(path_of(folder, step), specs)
    return arrays, metadata.get("vocabulary")


def path_of(folder: Path, step: int) -> Path:
    """Where the weights after this step lie."""
    return folder / f"weights-{step}.safetensors"


def superfluous(present: Sequence[int], keep: int) -> list[int]:
    """Which of these steps (ascending) to give up so that `keep` stay, the first and the last among them."""
    left, given_up = list(present), []
    while len(left) > max(keep, 2):
        places = np.sqrt(np.array(left, dtype=float))
        # The one whose neighbours are closest together is missed least.
        given_up.append(left.pop(1 + int(np.argmin(places[2:] - places[:-2]))))
    return given_up


class SnapshotStore:
    """The worker's end: takes snapshots, thins them, and never stops a training for their sake."""

    def __init__(self, folder: Path, nbytes: int, vocabulary_digest: str) -> None:
        """`nbytes`: of one snapshot; where not even two have room, none is taken. `vocabulary_digest`: of the words
        that the weights are about.
        """
        self.folder, self.vocabulary_digest = folder, vocabulary_digest
        self.keep = min(KEEP, LIMIT_BYTES // max(nbytes, 1))
        self.next_time = time.monotonic()

    def drop_after(self, step: int) -> None:
        """Delete the snapshots of later steps: a training that resumes at `step` takes those steps again."""
        for later in [taken for taken in steps(self.folder) if taken > step]:
            self._drop(later)

    def take(self, step: int, arrays: Mapping[str, Array]) -> None:
        """Keep these weights, if it is not too soon. A full disk or weights that are not finite leave no snapshot."""
        started = time.monotonic()
        if self.keep < 2 or started < self.next_time:
            return
        path = path_of(self.folder, step)
        with contextlib.suppress(OSError, CheckpointError):
            tensors.check_finite(path.name, arrays)
            metadata = {"step": str(step), "vocabulary": self.vocabulary_digest}
            # Its folder is not fsynced: a power cut may take a snapshot, but leaves none that is damaged.
            temporary = files.write_temporary(path, tensors.encode_tensors(arrays, metadata))
            files.system.rename(temporary, path)
        for given_up in superfluous(steps(self.folder), self.keep):
            self._drop(given_up)
        ended = time.monotonic()
        self.next_time = ended + (ended - started) / SHARE

    def _drop(self, step: int) -> None:
        with contextlib.suppress(OSError):
            files.system.unlink(path_of(self.folder, step))
