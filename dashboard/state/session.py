"""The owner of session-state keys, but for those that `link.choice` makes (`link: …`).

What one visitor has chosen lives here, and only as long as the visit: a run's home is its folder. Widgets keep their
own values under keys made by `key`, so that no two of them meet.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import streamlit as st

from dashboard import hosting
from dashboard.services import library, racing
from dashboard.services.history import History
from dashboard.services.racing import LaneHistory
from dashboard.services.sources import Nltk, Source, Upload
from dashboard.state import link
from rnn_core.config import TextSettings
from rnn_core.data import PreparedCorpus, truncate_vocabulary
from rnn_core.errors import UserError
from rnn_core.runs import RUN_ID, Run

_CORPUS, _NOTICE, _HISTORY = "prepared corpus", "notice", "history"
_UPLOAD, _REQUESTED = "kept upload", "requested corpus"
_PRESENT = "present"
_PROBLEM, _LANES = "problem", "histories of a race"
_SECRET, COOKIE = "visitor's secret", hosting.COOKIE


@dataclass(frozen=True)
class ChosenCorpus:
    """The corpus a new network will learn, with the settings that made it and where its text came from. most: entries
    of the vocabulary that it would have if none were left out.
    """

    corpus: PreparedCorpus
    settings: TextSettings
    source: Source
    most: int


def key(page: str, name: str) -> str:
    """The session-state key of the widget `name` on `page`."""
    return f"{page}: {name}"


def kept(page: str, name: str, help: Mapping[str, str] = MappingProxyType({})) -> dict[str, Any]:
    """Options of a widget that sets something: its key, a value that survives a change of page, its word of help."""
    return {"key": key(page, name), "help": help.get(name), "persist_state": "session"}


def is_hosted() -> bool:
    """Whether strangers share this server; a server that is set up wrongly counts as one."""
    try:
        return hosting.current_caps() is not None
    except UserError:
        return True


def secret() -> str:
    """What makes this visitor the owner of their runs on a hosted server: the cookie's, or a new one for this visit."""
    kept: str | None = st.session_state.get(_SECRET)
    if kept is None:
        kept = cookie() or secrets.token_hex(32)
        st.session_state[_SECRET] = kept
    return kept


# At import: `library` lies below this module and cannot ask it.
library.recognise_visitors_by(secret)


def cookie() -> str | None:
    """The secret that the browser brought along from an earlier visit; anything else in its place counts as none."""
    brought: object = st.context.cookies.get(COOKIE)
    return brought if isinstance(brought, str) and hosting.SECRET.fullmatch(brought) else None


@dataclass(frozen=True)
class _Opened:
    """What this visitor looks at: what the link's `parameter` names, else what was opened last."""

    parameter: str
    key: str
    is_id: Callable[[str], object]

    def get(self) -> str | None:
        """Its id; anything in the link that is none counts as none.

        Keeps the link right, so that a refresh or a shared link opens the same on the same page.
        """
        linked = st.query_params.get(self.parameter)
        if linked is not None and self.is_id(linked):
            st.session_state[self.key] = linked
        elif linked is not None:
            del st.query_params[self.parameter]
        opened: str | None = st.session_state.get(self.key)
        if opened is not None and linked != opened:
            st.query_params[self.parameter] = opened
        return opened

    def open(self, identifier: str) -> None:
        st.session_state[self.key] = identifier
        st.query_params[self.parameter] = identifier

    def close(self) -> None:
        st.session_state.pop(self.key, None)
        st.query_params.pop(self.parameter, None)


_opened_run = _Opened("run", "opened run", RUN_ID.fullmatch)
_run_before = _Opened("before", "run before its cure", RUN_ID.fullmatch)
_opened_sweep = _Opened("sweep", "opened sweep", RUN_ID.fullmatch)
_opened_race = _Opened("race", "opened race", racing.is_race_id)


def run_id() -> str | None:
    """The run this visitor looks at, on every page."""
    return _opened_run.get()


def open_run(identifier: str, before: str | None = None) -> None:
    """Look at this run from now on; `before`: the run that it is the cure of."""
    _opened_run.open(identifier)
    if before is None:
        _run_before.close()
    else:
        _run_before.open(before)


def run_before() -> str | None:
    """The run that the open one is the cure of."""
    return _run_before.get()


def close_run() -> None:
    """Look at no run."""
    _opened_run.close()
    _run_before.close()


def sweep_id() -> str | None:
    """The sweep this visitor looks at."""
    return _opened_sweep.get()


def open_sweep(identifier: str) -> None:
    """Look at this sweep from now on."""
    _opened_sweep.open(identifier)


def close_sweep() -> None:
    """Look at no sweep."""
    _opened_sweep.close()


def first_seen(name: str, value: float) -> tuple[float, float]:
    """When this visitor first saw a number under this name (monotonic seconds), and what it was then."""
    seen: tuple[float, float] = st.session_state.setdefault(f"first seen: {name}", (time.monotonic(), value))
    return seen


def race_id() -> str | None:
    """The race this visitor looks at."""
    return _opened_race.get()


def open_race(identifier: str) -> None:
    """Look at this race from now on."""
    _opened_race.open(identifier)


def close_race() -> None:
    """Look at no race."""
    _opened_race.close()


def lane_history(run: Run) -> LaneHistory:
    """What this visitor has read of one run of a race; the runs of one race at a time are kept."""
    kept: dict[str, LaneHistory] = st.session_state.setdefault(_LANES, {})
    if run.id not in kept:
        of_this_race = racing.race_of(run.id)
        for other in [other for other in kept if racing.race_of(other) != of_this_race]:
            del kept[other]
        kept[run.id] = LaneHistory(run)
    return kept[run.id]


_COMPARED, _RUNS = "compared runs", "runs"


def compared_runs() -> list[str] | None:
    """The ids of the runs that this visitor compares; None before any were chosen. The link lists them."""
    listed = [part for part in link.read(_RUNS).split(",") if RUN_ID.fullmatch(part)]
    if listed:
        st.session_state[_COMPARED] = list(dict.fromkeys(listed))
    chosen: list[str] | None = st.session_state.get(_COMPARED)
    if chosen is not None:
        compare_runs(chosen)
    return chosen


def compare_runs(identifiers: Sequence[str]) -> None:
    """Compare these from now on."""
    st.session_state[_COMPARED] = list(identifiers)
    link.write(_RUNS, ",".join(identifiers) or None)


def comparison(identifiers: Sequence[str]) -> dict[str, str]:
    """What a link to a comparison says that begins with these and goes on with those compared before; {} for one alone:
    then that page chooses.
    """
    together = list(dict.fromkeys([*identifiers, *st.session_state.get(_COMPARED, [])]))
    return {_RUNS: ",".join(together)} if len(together) > 1 else {}


def presenting() -> bool:
    """Whether the page is shown on a projector: large type, and nothing but its pictures and what they need."""
    if link.read(_PRESENT) == "1":
        st.session_state[_PRESENT] = True
    on = bool(st.session_state.get(_PRESENT, False))
    link.write(_PRESENT, "1" if on else None)
    return on


def present(on: bool) -> None:
    """Begin or end presenting."""
    st.session_state[_PRESENT] = on
    link.write(_PRESENT, "1" if on else None)


def corpus() -> ChosenCorpus | None:
    """The corpus chosen on the Corpus page, if any."""
    return st.session_state.get(_CORPUS)


def choose_corpus(whole: PreparedCorpus, settings: TextSettings, source: Source) -> ChosenCorpus:
    """Train the next network on this, with the vocabulary that the settings allow."""
    corpus = truncate_vocabulary(whole, settings.vocabulary_size)
    chosen = st.session_state[_CORPUS] = ChosenCorpus(corpus, settings, source, len(whole.vocabulary))
    return chosen


def upload() -> Upload | None:
    """The file uploaded last; a page's own uploader forgets it when one leaves the page."""
    return st.session_state.get(_UPLOAD)


def keep_upload(file: Upload) -> None:
    """Remember this file for the visit."""
    st.session_state[_UPLOAD] = file


def requested_corpus() -> Nltk | None:
    """The NLTK corpus that a click requested."""
    return st.session_state.get(_REQUESTED)


def request_corpus(source: Nltk) -> None:
    """Read this NLTK corpus, which takes a while, from now on: a click requested it."""
    st.session_state[_REQUESTED] = source


def push_notice(text: str) -> None:
    """Show `text` (ours, never a user's) once, on the page that is drawn next."""
    st.session_state[_NOTICE] = text


def pop_notice() -> str | None:
    """The notice of the page before; it is shown once."""
    return st.session_state.pop(_NOTICE, None)


def push_problem(problem: UserError) -> None:
    """Show this problem once, in what is drawn next."""
    st.session_state[_PROBLEM] = problem


def pop_problem() -> UserError | None:
    """The problem that a click met; it is shown once."""
    return st.session_state.pop(_PROBLEM, None)


def history(run: Run) -> History:
    """What this visitor has read of the run so far; one run at a time is kept."""
    kept: History | None = st.session_state.get(_HISTORY)
    if kept is None or kept.run.folder != run.folder:
        kept = st.session_state[_HISTORY] = History(run)
    return kept


def suggest(widget: str, value: Any) -> None:
    """Put `value` into the field with this key, unless the visitor has written something of their own there."""
    last = f"{widget} (suggested)"
    if st.session_state.get(widget, st.session_state.get(last)) == st.session_state.get(last):
        st.session_state[widget] = st.session_state[last] = value


def follow(widget: str, value: Any) -> None:
    """Put `value` into the field with this key whenever it is another than it was; until then the field keeps what the
    visitor writes there.
    """
    last = f"{widget} (followed)"
    if widget not in st.session_state or last not in st.session_state or st.session_state[last] != value:
        st.session_state[widget] = st.session_state[last] = value


def start_with(widget: str, value: Any) -> None:
    """Put `value` into the field with this key, unless it holds one already."""
    if widget not in st.session_state:
        st.session_state[widget] = value


def value(widget: str, otherwise: Any) -> Any:
    """What the widget with this key says, before it is drawn; `otherwise` where it has not been drawn yet."""
    return st.session_state.get(widget, otherwise)


def put(widget: str, value: Any) -> None:
    """Set the widget with this key, from another widget's `on_click` or `on_change`."""
    st.session_state[widget] = value
