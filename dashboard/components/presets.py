"""The presets of the settings form: a click puts every setting of one into its field."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from dashboard.components.setting_fields import SettingFields
from dashboard.state import session
from rnn_core.config import ModelConfig, TrainingSettings, settings_of
from rnn_core.config.fields import Setting
from rnn_core.config.presets import PRESETS, Preset


def draw(fields: SettingFields, model: ModelConfig, training: TrainingSettings, offered: Mapping[str, Setting]) -> None:
    """A button for each preset, and what the one that is set has changed. offered: the settings that have a field."""
    held = Preset("", "", model, training)
    with st.container(horizontal=True, vertical_alignment="center"):
        for name, preset in PRESETS.items():
            st.button(
                preset.label,
                help=preset.about,
                key=fields.key(f"preset {name}"),
                on_click=_apply,
                args=(fields, held, preset, offered),
            )
    applied: tuple[Preset, str] | None = session.value(fields.key("preset"), None)
    if applied is not None and not _changes(held, applied[0], offered):
        st.caption(f"**{applied[0].label}.** {applied[0].about} {applied[1]}")


def _apply(fields: SettingFields, held: Preset, preset: Preset, offered: Mapping[str, Setting]) -> None:
    """Put every setting of a preset into its field, and remember what that changed."""
    changes = _changes(held, preset, offered)
    for name in offered:
        fields.put(name, _value(preset, name))
    summary = f"Changed: {' · '.join(changes)}." if changes else "Everything was so already."
    session.put(fields.key("preset"), (preset, summary))


def _changes(held: Preset, preset: Preset, offered: Mapping[str, Setting]) -> list[str]:
    """What a preset would change, in the words of the screen: "Epochs 10 → 20"."""
    found = []
    for name, setting in offered.items():
        before, after = _value(held, name), _value(preset, name)
        if before != after:
            found.append(f"{setting.label} {_shown(setting, before)} → {_shown(setting, after)}")
    return found


def _value(preset: Preset, name: str) -> Any:
    """What a preset sets a setting to."""
    part = preset.model if name in settings_of(ModelConfig) else preset.training
    return getattr(part, name)


def _shown(setting: Setting, value: Any) -> str:
    if value is None:
        return setting.none or "none"
    if setting.choices is not None:
        return setting.choices[value].label
    if setting.kind is bool:
        return "on" if value else "off"
    return f"{value:,}" if setting.kind is int else f"{value:g}"
