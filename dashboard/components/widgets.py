"""Pieces of a page that several pages draw, each safe for text that came from a user.

Streamlit reads Markdown in most of what it shows (labels, errors, toasts, metrics, captions, tabs, options of pills and
of sliders), and an image in it is fetched. `st.text`, `st.code`, `st.dataframe`, text inputs, charts and the options of
`st.selectbox` show their text as it is; so a user's words go there and nowhere else.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import wraps
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

import streamlit as st

from dashboard import hosting
from dashboard.components import pictures
from dashboard.components.pictures import Chart
from dashboard.services import library, network, worker
from dashboard.state import link, session
from dashboard.text import general as wording
from dashboard.text import tasks as task_wording
from rnn_core.data import PreparedCorpus
from rnn_core.data.tasks import make_task
from rnn_core.errors import UserError
from rnn_core.runs import Run, RunConfig

if TYPE_CHECKING:
    # Charts and tables take a second to import: the first page can be read before anyone needs them.
    import altair as alt
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


def problem(headline: str, explanation: UserError | str) -> None:
    """What went wrong: our `headline`, and under it the explanation, which may quote a user's text."""
    st.error(headline, icon=":material/error:")
    if str(explanation):
        st.text(str(explanation))


@contextmanager
def action(refused: str) -> Iterator[None]:
    """What a click asks for, after which the page is drawn anew; or our headline `refused`, and why it cannot be."""
    try:
        yield
    except UserError as error:
        problem(refused, error)
    else:
        st.rerun()


def error_boundary(draw: Callable[..., None]) -> Callable[..., None]:
    """`draw`, with an explanation in place of what it could not draw: of what is damaged, or of a mistake of ours."""

    @wraps(draw)
    def drawn(*arguments: Any, **options: Any) -> None:
        try:
            draw(*arguments, **options)
        except UserError as error:
            problem(wording.NOT_SHOWN, error)
        except Exception as error:
            internal_error(error)

    return drawn


def internal_error(error: Exception) -> None:
    """A mistake of ours. The traceback goes to the server's log; on one's own machine it is shown too."""
    number = secrets.token_hex(3)
    logging.getLogger(__name__).error("internal_error %s", number, exc_info=error)
    st.error(f"{wording.INTERNAL_ERROR} (internal_error {number})", icon=":material/error:")
    if not session.is_hosted():
        st.exception(error)


def remember_visitor() -> None:
    """On a hosted server: let the browser keep the secret that makes this visitor the owner of their runs."""
    if session.cookie() is None:
        # Both are ours, and plain: the name a constant, the secret hexadecimal digits.
        attributes = "path=/; max-age=31536000; SameSite=Strict"
        st.html(
            f"<script>document.cookie = '{session.COOKIE}={session.secret()}; {attributes}'"
            " + (location.protocol === 'https:' ? '; Secure' : '');</script>",
            unsafe_allow_javascript=True,
        )


def notice() -> None:
    """Show the notice of the page before, once."""
    text = session.pop_notice()
    if text is not None:
        st.success(text, icon=":material/check:")


def chart(drawing: alt.Chart | alt.LayerChart, *, title: str, alt_text: str, key: str, caption: str = "") -> None:
    """Draw a chart over the width of its container, under its title and a sentence of ours (Markdown) that reads it."""
    from pandas import DataFrame

    from dashboard.charts.specification import without_table

    table = drawing.data
    assert isinstance(table, DataFrame)
    pictures.picture(title, Chart(without_table(drawing), table, key, alt_text), caption=caption)


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


def count(number: int, what: str) -> str:
    """1, "epoch" -> "1 epoch"; 2, "epoch" -> "2 epochs"."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def duration(seconds: float) -> str:
    """42 -> "42 s", 100 -> "1 min 40 s", 9000 -> "2 h 30 min"."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def unit(name: str) -> str:
    """What one token is called on the screen."""
    return "character" if name == "char" else "word"


def units_of(config: RunConfig) -> tuple[str, str]:
    """What a step back is called in a run's pictures, and what its loss is a mean over; "": it is a squared error."""
    if config.task is None:
        return unit(config.text.unit), unit(config.text.unit)
    return "step", "answer" if make_task(config.task).loss == "cross_entropy" else ""


def at_work(run: Run) -> bool:
    """Whether something about this run moves, so that a page should look at it again; such a look is noted."""
    moving = run.status().state in ("queued", "running", "paused") or worker.working(run)
    if moving and hosting.current_caps() is not None:
        hosting.record_visit(run)
    return moving


def poll_seconds(run: Run, seconds: float) -> float | None:
    """Seconds between two looks at a run: only what moves is worth looking at again, and on a hosted server, where
    every look is at the cost of others, those who wait or only look on do so less often.
    """
    if not at_work(run):
        return None
    if hosting.current_caps() is None:
        return seconds
    waits = run.status().state == "queued"
    return 3.0 if waits or not library.mine(run) else max(seconds, 2.0)


def opened_run() -> Run | None:
    """The run that this visitor looks at; says so where the link's run cannot be opened."""
    run_id = session.run_id()
    if run_id is None:
        return None
    try:
        run = library.open_run(run_id)
    except UserError as error:
        session.close_run()
        problem("This training cannot be opened", error)
        return None
    older_state(run)
    return run


def linked_toggle(label: str, parameter: str, key: str) -> bool:
    """A toggle that the link keeps, as `parameter`=1 where it is on."""
    return bool(st.toggle(label, **link.toggle(key, parameter)))


def no_words(run: Run) -> bool:
    """Says so, in place of a page that is about words, of a run that learns a task -> whether it does."""
    if run.config.task is None:
        return False
    st.info(task_wording.NO_WORDS, icon=":material/tag:")
    st.page_link("views/gradients.py", label="See its gradients", icon=":material/gradient:")
    return True


def no_weights(run: Run) -> None:
    """In place of a page that needs a network's weights, of a run that has none."""
    if run.config.monitored:
        st.info(wording.MONITORED_NO_WEIGHTS, icon=":material/monitoring:")
    else:
        st.info(wording.NO_CHECKPOINT, icon=":material/hourglass_top:")


def older_state(run: Run) -> None:
    """Says so where the newest checkpoint of a run is damaged, and the page shows an older one."""
    try:
        note = network.damage(run)
    except UserError:
        return  # the page itself says what is wrong
    if note:
        st.warning(wording.OLDER_STATE, icon=":material/history:")
        st.text(note)


def opened_run_box() -> None:
    """In the sidebar: which training the pages are about."""
    run_id = session.run_id()
    if run_id is None:
        return
    try:
        run = library.open_run(run_id)
    except UserError:
        return  # the page itself says what is wrong
    with st.sidebar.container(border=True):
        st.caption("Open training")
        st.text(run.config.name)


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
