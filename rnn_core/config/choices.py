"""What a setting that is a name can be called: the cells, initialisations, optimizers and schedules there are.

Settings stand below the modules that give these names a meaning, so each of those offers its own here when it is
imported (all are, with `rnn_core`). A new cell is then known to validation, the command line and the form on the
Train page without a word here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType


@dataclass(frozen=True)
class Choice:
    """One value of such a setting.

    label     what it is called on the screen
    settings  other settings that have an effect only with it, and what each is called then ("": as always)
    defaults  what other settings are with it, where nobody sets them
    """

    label: str
    settings: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    defaults: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))


class Choices(Mapping[str, Choice]):
    """The values of one setting by their names, in the order in which they were offered."""

    def __init__(self, offered: Mapping[str, Choice] = MappingProxyType({})) -> None:
        self._offered = dict(offered)

    def offer(self, name: str, choice: Choice) -> None:
        """Make `name` a value of the setting."""
        self._offered[name] = choice

    def having(self, setting: str) -> list[str]:
        """The names with which the other setting called `setting` has an effect."""
        return [name for name, choice in self.items() if setting in choice.settings]

    def __getitem__(self, name: str) -> Choice:
        return self._offered[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._offered)

    def __len__(self) -> int:
        return len(self._offered)


CELLS = Choices()
INITIALISATIONS = Choices()
EMBEDDING_INITIALISATIONS = Choices()
OPTIMIZERS = Choices()
SCHEDULES = Choices()
TASKS = Choices()
