"""The parser of the command line: commands, and the flags that the declared settings give."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from importlib import metadata
from typing import Any, NoReturn, TypeVar

from rnn_core.cli.output import program
from rnn_core.config import Settings, settings_of
from rnn_core.config.fields import Setting
from rnn_core.errors import SettingsError, UserError

Command = Callable[[argparse.Namespace], int]
AnySettings = TypeVar("AnySettings", bound=Settings)

_METAVARS = {int: "N", float: "X", str: "NAME"}


class Parser(argparse.ArgumentParser):
    """Argparse with errors of one line, and without guessing at shortened options."""

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_abbrev=False, **options)
        self.groups: dict[str, Any] = {}

    def error(self, message: str) -> NoReturn:
        """Raises SettingsError, where argparse would end the program."""
        raise SettingsError(f"{message}. `{self.prog} --help` lists what there is.")


class Version(argparse.Action):
    """Prints which version is installed. Argparse's own action would look it up for every command, and a checkout that
    is not installed has none.
    """

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        try:
            version = metadata.version("see-bptt")
        except metadata.PackageNotFoundError:
            raise UserError("this checkout is not installed, so it has no version; `make install` does it.") from None
        print(f"see-bptt {version}")
        parser.exit()


class Commands:
    """The commands of the program; each module of this package adds its own."""

    def __init__(self, description: str) -> None:
        self.parser = Parser(prog=program(), description=description)
        self.parser.add_argument("--version", action=Version, nargs=0, help="print the version and exit")
        self._commands = self.parser.add_subparsers(required=True, metavar="COMMAND", parser_class=Parser)

    def add(self, name: str, run: Command, help: str, json: bool = True) -> Parser:
        """A command that is done by `run`, which returns the exit code. json: whether it has the flag --json."""
        parser = self._commands.add_parser(name, help=help, description=help)
        parser.set_defaults(command=run, json=False)
        if json:
            parser.add_argument("--json", action="store_true", help="end with one line of JSON on standard output")
        return parser


def add_settings(parser: Parser, settings_class: type[Settings]) -> None:
    """A flag for each setting of a class that has one, under its group's heading. A flag that is not given sets no
    attribute of the options: so `given_settings` can tell.
    """
    declared = settings_of(settings_class)
    # Of a setting and those that it excludes only one may be given: each by the name of the one that excludes.
    exclusive = {
        name: setting.name
        for setting in declared.values()
        if setting.excludes
        for name in (setting.name, *setting.excludes)
    }
    for name, setting in declared.items():
        if setting.flag:
            group = _group(parser, setting.group)
            if name in exclusive:
                group = _exclusive_group(parser, group, exclusive[name])
            add_setting(parser, setting, group, default=argparse.SUPPRESS)


def add_setting(parser: Parser, setting: Setting, group: Any = None, **changed: Any) -> None:
    """The flag of one setting, in a group of the parser if one is given; `changed`: argparse's options that differ from
    those that follow from the declaration.
    """
    options: dict[str, Any] = {"dest": setting.name, "default": setting.default, "help": _help(setting)}
    if setting.kind is bool:
        options["action"] = "store_false" if setting.default else "store_true"
    elif setting.choices is not None:
        options["choices"] = tuple(setting.choices)
    else:
        options["type"] = _or_none(setting) if setting.none else setting.kind
        options["metavar"] = _METAVARS[setting.kind] + (f"|{setting.none}" if setting.none else "")
    (group or parser).add_argument(setting.flag, **options | changed)


def given_settings(settings_class: type[Settings], options: argparse.Namespace) -> dict[str, Any]:
    """The settings of a class whose flags are given."""
    return {name: getattr(options, name) for name in settings_of(settings_class) if hasattr(options, name)}


def read_settings(
    settings_class: type[AnySettings], options: argparse.Namespace, defaults: Mapping[str, Any] | None = None
) -> AnySettings:
    """The settings of a class: by the flags that are given, else as in `defaults`, else at their declared defaults.

    A flag sets every class's setting of its name: --seed that of the training, and that of the text's split. A setting
    that a given one excludes is None, or at its default where it cannot be None.
    """
    declared = settings_of(settings_class)
    values = {**(defaults or {}), **given_settings(settings_class, options)}
    for name, setting in declared.items():
        for excluded in setting.excludes:
            if values.get(name) is not None:
                values[excluded] = None if declared[excluded].optional else declared[excluded].default
    return settings_class(**values)


def _group(parser: Parser, title: str) -> Any:
    if title not in parser.groups:
        parser.groups[title] = parser.add_argument_group(title.lower())
    return parser.groups[title]


def _exclusive_group(parser: Parser, group: Any, name: str) -> Any:
    """The mutually exclusive options that are named after the setting `name`."""
    if name not in parser.groups:
        parser.groups[name] = group.add_mutually_exclusive_group()
    return parser.groups[name]


def _help(setting: Setting) -> str:
    default = setting.none if setting.default is None else setting.default
    shown = f" ({default})" if default != "" and setting.kind is not bool else ""
    without = "Without: " if setting.kind is bool and setting.default else ""
    return (without + setting.help.removesuffix(".") + shown).replace("%", "%%")


def _or_none(setting: Setting) -> Callable[[str], Any]:
    """Reads a number, or the word that stands for None."""

    def parse(text: str) -> Any:
        return None if text == setting.none else setting.kind(text)

    parse.__name__ = f"number (or {setting.none!r})"  # which stands in argparse's error message
    return parse
