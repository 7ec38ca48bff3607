"""What a user got wrong, in words that say what to do next.

Every message is one or two sentences: what is wrong, then what to do about it. The command line prints it after
`error: ` and exits with 2; the app shows it as plain text. Anything else that is raised is a mistake of ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class UserError(Exception):
    """Something the user can put right. `str(error)` is the whole explanation, on one line."""


class CorpusError(UserError):
    """The text cannot be read, or cannot be learnt from."""


@dataclass(frozen=True)
class EncodingCandidate:
    """A character encoding that fits the bytes, and how a part of the text reads in it."""

    encoding: str
    preview: str


class EncodingError(CorpusError):
    """The bytes fit several encodings, or none for certain: the user has to look at the previews and choose."""

    def __init__(self, message: str, candidates: Sequence[EncodingCandidate] = ()) -> None:
        super().__init__(message)
        self.candidates = tuple(candidates)


class SettingsError(UserError):
    """A setting is out of range, or two settings make no sense together."""


class RunError(UserError):
    """A run's folder is missing, damaged, or in use."""


class CheckpointError(RunError):
    """A file of weights is damaged, or does not belong to this network."""


class DivergenceError(RunError):
    """Training stopped because a loss or a gradient was no longer finite."""
