"""The first page before Streamlit's scripts are there: its name, its sentence, and its picture, alive already.

It is put into the first HTML, drawn by the script of the unrolled network from the same numbers, and stands over
Streamlit's page until that shows the same picture in the same place.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

import streamlit as st

from dashboard.components import unrolled
from dashboard.services import home_network
from dashboard.services.home_network import Levers
from dashboard.text import home as wording

FOLDER = Path(__file__).parent
COLOURS = ("backgroundColor", "secondaryBackgroundColor", "textColor", "borderColor", "primaryColor")
FONTS = {"Source Sans": "SourceSansVF-Upright", "Source Serif": "SourceSerifVariable-Roman"}
"""Streamlit's fonts and what the names of their files begin with."""


@lru_cache(maxsize=1)
def first_look() -> tuple[str, str]:
    """What belongs into the head of the first HTML, and what at the end of its body."""
    reading = home_network.read(Levers(), home_network.split(home_network.SENTENCE))
    data = unrolled.picture_data(
        reading.words,
        reading.norms,
        chosen=home_network.ASKED,
        controller=home_network.CONTROLLER,
        bound=reading.bound,
        unknown=reading.unknown,
    )
    palettes = {base: ",".join(_theme(base, "chartCategoricalColors")) for base in ("light", "dark")}
    # "<s>" must not be read as a tag, nor "</s>" end the script.
    first = json.dumps({"data": data, "palettes": palettes}).replace("<", "\\u003c")
    script = f"{_text(unrolled.FOLDER, 'unrolled.js')}\nconst FIRST = {first}\n{_text(FOLDER, 'first_look.js')}"
    page = _text(FOLDER, "first_look.html").format(
        style=_variables() + _text(FOLDER, "first_look.css") + _text(unrolled.FOLDER, "unrolled.css"),
        title=wording.TITLE,
        intro=_html(wording.INTRO),
        picture=_text(unrolled.FOLDER, "unrolled.html"),
    )
    unseen = "<noscript><style>#first-look { display: none }</style></noscript>"
    head = f'<style>{_fonts()}</style>{unseen}<script type="module">{script}</script>'
    return head, f'<div id="first-look"><template shadowrootmode="open">{page}</template></div>'


def _text(folder: Path, name: str) -> str:
    return (folder / name).read_text(encoding="utf-8")


def _theme(base: str, option: str) -> Any:
    return st.get_option(f"theme.{base}.{option}")


def _variables() -> str:
    """The theme as Streamlit tells it to components, for both of its bases."""
    lines = ['--st-font: "Source Sans", sans-serif;', '--st-heading-font: "Source Serif", serif;']
    for option in COLOURS:
        name = re.sub("[A-Z]", lambda letter: "-" + letter[0].lower(), option)
        lines.append(f"--st-{name}: light-dark({_theme('light', option)}, {_theme('dark', option)});")
    sidebars = (_theme(f"{base}.sidebar", "backgroundColor") for base in ("light", "dark"))
    lines.append(f"--sidebar: light-dark({', '.join(map(str, sidebars))});")
    return f":host {{ {' '.join(lines)} }}\n"


def _fonts() -> str:
    """Streamlit's own declarations come with its scripts."""
    folder = Path(st.__file__).parent / "static" / "static" / "media"
    faces = [
        f'@font-face {{ font-family: "{name}"; font-weight: 200 900; font-display: swap; '
        f'src: url("./static/media/{file.name}") format("woff2"); }}'
        for name, start in FONTS.items()
        for file in folder.glob(f"{start}.*.woff2")
    ]
    return "\n".join(faces)


def _html(markdown: str) -> str:
    """Emphasis, which is all that our sentence has."""
    strong = re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", markdown)
    return re.sub(r"\*(.+?)\*", r"<em>\1</em>", strong)
