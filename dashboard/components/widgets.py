"""Pieces of a page that several pages draw, each safe for text that came from a user.

Streamlit reads Markdown in most of what it shows (labels, errors, toasts, metrics, captions, tabs, options of pills and
of sliders), and an image in it is fetched. `st.text`, `st.code`, `st.dataframe`, text inputs, charts and the options of
`st.selectbox` show their text as it is; so a user's words go there and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

import streamlit as st

from dashboard.components.formatting import unit
from dashboard.state import link
from dashboard.text import general as wording
from rnn_core.data import PreparedCorpus
from rnn_core.runs import RunConfig

if TYPE_CHECKING:
    # Charts and tables take a second to import: the first page can be read before anyone needs them.
    import pandas as pd

Color = Literal["green", "blue", "orange", "red", "gray"]
_STATE_LOOKS: dict[str, tuple[Color, str]] = {
    "created": ("gray", "radio_button_unchecked"),
    "queued": ("blue", "hourglass_top"),
    "running": ("green", "play_circle"),
    "paused": ("orange", "pause_circle"),
    "stopped": ("gray", "stop_circle"),
    "finished": ("blue", "check_circle"),
    "failed": ("red", "error"),
    "diverged": ("red", "trending_up"),
    "dead": ("red", "power_off"),
}


def frame(columns: Mapping[str, Sequence[Any]]) -> pd.DataFrame:
    """Columns of a table; the names are ours."""
    from pandas import DataFrame

    return DataFrame(dict(columns))


def table(columns: Mapping[str, Sequence[Any]], **options: Any) -> None:
    """A table whose cells show a user's text as it is."""
    st.dataframe(frame(columns), hide_index=True, **options)


def settings(config: RunConfig, changed: Mapping[str, Any] = MappingProxyType({})) -> None:
    """Every setting of a run, by the names that the command line and config.json use; of those that were `changed` on
    the way, also what they are now.
    """
    parts = {
        "network": config.model.to_json(),
        "training": config.training.to_json(),
        **({"text": config.text.to_json()} if config.task is None else {"task": config.task.to_json()}),
    }
    rows = [(part, name, value) for part, values in parts.items() for name, value in values.items()]
    if config.task is None:
        rows = [("corpus", "name", config.corpus.name), *rows]
    places, names, values = zip(*rows, strict=True)
    columns = {"part": places, "setting": names, "value": ["" if value is None else str(value) for value in values]}
    if changed:
        columns["now"] = [_now(changed[name]) if name in changed else "" for name in names]
    table(columns)


def _now(value: Any) -> str:
    return "none" if value is None else f"{value:g}"


def report_button(make: Callable[[], str], name: str, *, key: str, help: str = wording.REPORT_HELP) -> None:
    """A button that brings a report as one HTML file, made when it is asked for. name: the file's, without its end."""
    st.download_button(
        "Report",
        make,
        file_name=f"{name}.html",
        mime="text/html",
        icon=":material/summarize:",
        on_click="ignore",
        help=help,
        key=key,
    )


def number(label: str, value: float | None, form: str, help: str | None = None) -> None:
    """A number with its name; a dash where it is not known yet."""
    st.metric(label, "–" if value is None else form.format(value), help=help, width="content")


def state_badge(state: str, monitored: bool = False) -> None:
    """The state of a run as a small coloured label, with what it means (for a training of ours) as help."""
    color, icon = _STATE_LOOKS[state]
    about = None if monitored else wording.STATE_HELP.get(state)
    st.badge(wording.STATES[state], color=color, icon=f":material/{icon}:", help=about)


def linked_toggle(label: str, parameter: str, key: str) -> bool:
    """A toggle that the link keeps, as `parameter`=1 where it is on."""
    return bool(st.toggle(label, **link.toggle(key, parameter)))


def corpus_line(corpus: PreparedCorpus) -> None:
    """The corpus in one line: its name as it is, and its size."""
    report = corpus.report
    with st.container(border=True, horizontal=True, vertical_alignment="center"):
        st.markdown(":material/menu_book: **Corpus**")
        st.text(corpus.name)
        st.caption(
            f"{report.sentences:,} sentences · {report.tokens:,} {unit(corpus.vocabulary.unit)}s · "
            f"vocabulary of {len(corpus.vocabulary):,}"
        )
