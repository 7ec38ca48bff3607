"""The values of the settings that are chosen by name: cells, initialisations, optimizers, schedules, tasks.

This package cannot import the modules that implement these names, since they import it. So each of them registers its
own here when it is imported (`import rnn_core` imports them all). A new cell is then known to validation, the command
line and the form on the Train page without a change here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType


@dataclass(frozen=True)
class Choice:
    """One value of such a setting.

    label     what it is called on the screen
    settings  other settings that have an effect only with it, by name -> their label then ("": its own label)
    defaults  what other settings are with it, where nobody sets them
    """

    label: str
    settings: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    defaults: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))


class Choices(Mapping[str, Choice]):
    """The values of one setting by their names, in the order in which they were registered."""

    def __init__(self, choices: Mapping[str, Choice] = MappingProxyType({})) -> None:
        self._choices = dict(choices)

    def register(self, name: str, choice: Choice) -> None:
        """Make `name` a value of the setting."""
        self._choices[name] = choice

    def having(self, setting: str) -> list[str]:
        """The names with which the other setting called `setting` has an effect."""
        return [name for name, choice in self.items() if setting in choice.settings]

    def __getitem__(self, name: str) -> Choice:
        return self._choices[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._choices)

    def __len__(self) -> int:
        return len(self._choices)


CELLS = Choices()
INITIALISATIONS = Choices()
EMBEDDING_INITIALISATIONS = Choices()
OPTIMIZERS = Choices()
SCHEDULES = Choices()
TASKS = Choices()
