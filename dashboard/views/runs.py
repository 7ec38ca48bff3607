"""Runs: every training in the folder; open, rename, delete, or take one with you."""

from __future__ import annotations

import io
import time

import streamlit as st

from dashboard import export, hosting, library, session, widgets, wording
from rnn_core import runs
from rnn_core.errors import UserError
from rnn_core.evaluation import perplexity
from rnn_core.runs import Run, RunSummary

PAGE = "runs"


def page() -> None:
    st.title("Runs", anchor=False)
    widgets.notice()
    st.markdown(wording.RUNS_INTRO)
    caps = hosting.caps()
    if caps is not None:
        st.caption(wording.hosted_runs(caps.days, caps.runs_per_visitor))
    try:
        summaries = library.summaries()
    except OSError as error:
        widgets.problem("The folder of runs cannot be read", f"{library.root()}: {error.strerror or error}")
        return
    if not summaries:
        st.info(wording.NO_RUNS, icon=":material/folder_open:")
        st.page_link("views/corpus.py", label="Choose a corpus", icon=":material/arrow_forward:")
        return
    chosen = choose(summaries)
    if chosen is not None:
        act(chosen)
    damaged = [summary for summary in summaries if summary.config is None]
    if damaged:
        with st.expander("Folders that cannot be read", icon=":material/broken_image:"):
            widgets.table({"folder": [run.id for run in damaged], "why": [run.error for run in damaged]})


def choose(summaries: list[RunSummary]) -> Run | None:
    """The table of all runs, and the one that is selected in it."""
    rows = [(run, run.config, run.status) for run in summaries]
    known = [(run, config, status) for run, config, status in rows if config is not None and status is not None]
    opened = session.run_id()
    position = next((place for place, (run, _, _) in enumerate(known) if run.id == opened), None)
    losses = [status.valid_loss_nats for _, _, status in known]
    table = widgets.frame(
        {
            "name": [config.name for _, config, _ in known],
            "state": [wording.STATES[status.state] for _, _, status in known],
            "validation loss": losses,
            "perplexity": [None if loss is None else perplexity(loss) for loss in losses],
            "training loss": [status.train_loss_nats for _, _, status in known],
            "network": [
                f"{wording.CELLS.get(config.model.cell, config.model.cell)} {config.model.hidden_size}"
                for _, config, _ in known
            ],
            "truncation": [str(config.training.truncate or "full") for _, config, _ in known],
            "optimizer": [config.training.optimizer for _, config, _ in known],
            "steps": [status.step for _, _, status in known],
            "corpus": [config.corpus.name for _, config, _ in known],
            "created": [time.strftime("%Y-%m-%d %H:%M", time.localtime(config.created)) for _, config, _ in known],
            "folder": [run.id for run, _, _ in known],
        }
    )
    selection = st.dataframe(
        table,
        hide_index=True,
        column_config={
            "name": st.column_config.TextColumn(width="medium"),
            "training loss": st.column_config.NumberColumn(format="%.3f"),
            "validation loss": st.column_config.NumberColumn(format="%.3f"),
            "perplexity": st.column_config.NumberColumn(format="%.1f"),
        },
        on_select="rerun",
        selection_mode="single-row",
        selection_default={"selection": {"rows": [] if position is None else [position]}},
        key=session.key(PAGE, "table"),
    )
    selected = selection["selection"]["rows"]
    if not selected or selected[0] >= len(known):
        st.caption("Select a row to open, rename, delete or download it.")
        st.download_button(
            "Table as CSV",
            lambda: export.csv(table),
            file_name="runs.csv",
            mime="text/csv",
            icon=":material/table:",
            on_click="ignore",
            key=session.key(PAGE, "csv"),
        )
        return None
    return Run(known[selected[0]][0].folder, known[selected[0]][1])


def act(run: Run) -> None:
    """What can be done with the selected run."""
    with st.container(border=True):
        st.text(run.config.name)
        with st.container(horizontal=True, vertical_alignment="bottom"):
            if st.button("Open", type="primary", icon=":material/open_in_new:", key=session.key(PAGE, "open")):
                session.open_run(run.id)
                st.switch_page("views/train.py")
            if st.button("Rename", icon=":material/edit:", key=session.key(PAGE, "rename")):
                rename(run)
            if st.button("Delete", icon=":material/delete:", key=session.key(PAGE, "delete")):
                delete(run)
            st.download_button(
                "Download",
                lambda: zipped(run),
                file_name=f"{run.id}.zip",
                mime="application/zip",
                icon=":material/download:",
                on_click="ignore",
                help=wording.DOWNLOAD_HELP,
                key=session.key(PAGE, "download"),
            )


@st.dialog("Rename this training")
def rename(run: Run) -> None:
    name = st.text_input("New name", run.config.name, max_chars=80)
    if st.button("Rename", type="primary", disabled=not (name or "").strip(), key=session.key(PAGE, "rename now")):
        try:
            library.check_mine(run)
            runs.rename_run(run.folder, name or "")
        except UserError as error:
            widgets.problem("It keeps its name", error)
            return
        session.leave_notice("Renamed.")
        st.rerun()


@st.dialog("Delete this training?")
def delete(run: Run) -> None:
    st.text(run.config.name)
    st.markdown(wording.DELETE_WARNING)
    if st.button("Delete for good", type="primary", icon=":material/delete:", key=session.key(PAGE, "delete now")):
        try:
            library.check_mine(run)
            runs.delete_run(run.folder)
        except UserError as error:
            widgets.problem("It was not deleted", error)
            return
        if session.run_id() == run.id:
            session.close_run()
        session.leave_notice("Deleted.")
        st.rerun()


def zipped(run: Run) -> bytes:
    """The run as a zip archive."""
    archive = io.BytesIO()
    runs.zip_run(run.folder, archive)
    return archive.getvalue()


page()
