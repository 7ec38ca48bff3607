"""A component of ours: a folder with its HTML, CSS and JavaScript, all called after the folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import streamlit as st


def own_component(name: str, folder: Path) -> Any:
    """Register `folder`/<folder's name>.html, .js and, where there is one, .css -> what draws it, to be called with
    `key`, `data` and callbacks (`st.components.v2`)."""

    def text(kind: str) -> str:
        return (folder / f"{folder.name}.{kind}").read_text(encoding="utf-8")

    styled = (folder / f"{folder.name}.css").exists()
    return st.components.v2.component(name, html=text("html"), css=text("css") if styled else None, js=text("js"))
