"""What the settings classes share: strict JSON."""

from __future__ import annotations

import dataclasses
from typing import Any

from rnn_core.errors import SettingsError


def require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise SettingsError(otherwise)


_JSON_TYPES: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "int": (int,),
    "float": (int, float),
    "bool": (bool,),
    "int | None": (int, type(None)),
    "float | None": (int, float, type(None)),
    "str | None": (str, type(None)),
}


def check_json_fields(settings_class: type, values: Any) -> dict[str, Any]:
    """Keyword arguments of a settings dataclass from parsed JSON; SettingsError names the field that does not fit."""
    require(isinstance(values, dict), f"the {settings_class.__name__} of this run is not a JSON object.")
    kinds = {field.name: str(field.type) for field in dataclasses.fields(settings_class)}
    for name, value in values.items():
        require(name in kinds, f"{settings_class.__name__} has no setting called {name!r}.")
        allowed = _JSON_TYPES[kinds[name]]
        fits = isinstance(value, allowed) and (bool in allowed or not isinstance(value, bool))
        require(fits, f"the setting {name!r} should be of type {kinds[name]}, not {type(value).__name__}.")
    return values
