"""What can be done with the runs that are selected in the table: open, fork, compare, tag, rename, delete, download."""

from __future__ import annotations

import io

import streamlit as st

from dashboard.components import errors, fork_form, widgets
from dashboard.services import library
from dashboard.state import session
from dashboard.text import runs as wording
from rnn_core.runs import Run
from rnn_core.runs.run_config import MOST_TAGS

PAGE = "runs"


def draw(runs: list[Run]) -> None:
    """What can be done with the selected runs."""
    with st.container(border=True):
        st.text(runs[0].config.name if len(runs) == 1 else f"{len(runs)} runs")
        with st.container(horizontal=True, vertical_alignment="bottom"):
            if len(runs) == 1:
                _act_on_one(runs[0])
            if st.button(
                "Compare" if len(runs) == 1 else "Compare these",
                type="secondary" if len(runs) == 1 else "primary",
                icon=":material/stacked_line_chart:",
                key=session.key(PAGE, "compare"),
            ):
                session.compare_runs([run.id for run in runs])
                st.switch_page("views/compare.py")
            if st.button("Tag", icon=":material/sell:", key=session.key(PAGE, "tag")):
                _tag(runs)


def _act_on_one(run: Run) -> None:
    if st.button("Open", type="primary", icon=":material/open_in_new:", key=session.key(PAGE, "open")):
        session.open_run(run.id)
        st.switch_page("views/train.py")
    if run.status().checkpoint_step is not None and not run.config.monitored:
        fork_form.draw(run, PAGE)
    if st.button("Rename", icon=":material/edit:", key=session.key(PAGE, "rename")):
        _rename(run)
    if st.button("Delete", icon=":material/delete:", key=session.key(PAGE, "delete")):
        _delete(run)
    st.download_button(
        "Download",
        lambda: _zipped(run),
        file_name=f"{run.id}.zip",
        mime="application/zip",
        icon=":material/download:",
        on_click="ignore",
        help=wording.DOWNLOAD_HELP,
        key=session.key(PAGE, "download"),
    )
    widgets.report_button(lambda: library.report(run), run.id, key=session.key(PAGE, "report"))


@st.dialog("Rename this training")
def _rename(run: Run) -> None:
    name = st.text_input("New name", run.config.name, max_chars=80)
    if st.button("Rename", type="primary", disabled=not (name or "").strip(), key=session.key(PAGE, "rename now")):
        with errors.action("It keeps its name"):
            library.rename(run, name or "")
            session.push_notice("Renamed.")


@st.dialog("Tags")
def _tag(runs: list[Run]) -> None:
    """Tags of one run, or those that several have in common; what some of them have besides stays."""
    common = set.intersection(*(set(run.config.tags) for run in runs))
    known = {tag for summary in library.summaries() if summary.config for tag in summary.config.tags}
    chosen = st.multiselect(
        "Tags",
        sorted(known),
        sorted(common),
        accept_new_options=True,
        max_selections=MOST_TAGS,
        placeholder="Type a new one, or choose",
        key=session.key(PAGE, "tags"),
    )
    if st.button("Save", type="primary", key=session.key(PAGE, "tag now")):
        with errors.action("They keep their tags"):
            for run in runs:
                library.tag(run, {*run.config.tags} - common | {*chosen})
            session.push_notice("Tagged.")


@st.dialog("Delete this training?")
def _delete(run: Run) -> None:
    st.text(run.config.name)
    st.markdown(wording.DELETE_WARNING)
    if st.button("Delete for good", type="primary", icon=":material/delete:", key=session.key(PAGE, "delete now")):
        with errors.action("It was not deleted"):
            library.delete(run)
            if session.run_id() == run.id:
                session.close_run()
            session.push_notice("Deleted.")


def _zipped(run: Run) -> bytes:
    """The run as a zip archive."""
    archive = io.BytesIO()
    library.write_zip(run, archive)
    return archive.getvalue()
