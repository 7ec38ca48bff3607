"""Runs: every training in the folder; open, compare, tag, rename, delete, or take one with you."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import streamlit as st

from dashboard import hosting
from dashboard.components import demo, errors, export, import_network, import_run, page_frame, run_actions, widgets
from dashboard.services import comparing, library
from dashboard.state import link, session
from dashboard.text import general as common_wording
from dashboard.text import hosting as hosting_wording
from dashboard.text import runs as wording
from rnn_core.config import CELLS, OPTIMIZERS
from rnn_core.runs import Run, RunStatus, RunSummary
from rnn_core.training import perplexity

PAGE = "runs"


def network(run: Run) -> str:
    return f"{CELLS[run.config.model.cell].label} {run.config.model.hidden_size}"


def valid_perplexity(status: RunStatus) -> float | None:
    return None if status.valid_loss_nats is None else perplexity(status.valid_loss_nats)


COLUMNS: dict[str, Callable[[Run, RunStatus], Any]] = {
    "name": lambda run, status: run.config.name,
    "validation loss": lambda run, status: status.valid_loss_nats,
    "state": lambda run, status: common_wording.STATES[status.state],
    "perplexity": lambda run, status: None if run.config.monitored else valid_perplexity(status),
    "tags": lambda run, status: ", ".join(run.config.tags),
    "steps": lambda run, status: status.step,
    "corpus": lambda run, status: run.config.corpus.name,
    "created": lambda run, status: time.strftime("%Y-%m-%d %H:%M", time.localtime(run.config.created)),
    "network": lambda run, status: network(run),
    "truncation": lambda run, status: (
        None if run.config.monitored else "full" if (reach := run.config.training.truncate) is None else str(reach)
    ),
    "optimizer": lambda run, status: None if run.config.monitored else OPTIMIZERS[run.config.training.optimizer].label,
    "training loss": lambda run, status: status.train_loss_nats,
    "folder": lambda run, status: run.id,
}
"""What the table says of a run, from left to right: what one looks for first, what tells two of a name apart."""


def page() -> None:
    st.title("Runs", anchor=False)
    page_frame.notice()
    st.markdown(wording.INTRO)
    caps = hosting.current_caps()
    if caps is not None:
        st.caption(hosting_wording.hosted_runs(caps.days, caps.runs_per_visitor))
    try:
        summaries = library.summaries()
    except OSError as error:
        errors.problem("The folder of runs cannot be read", f"{library.root()}: {error.strerror or error}")
        return
    if not summaries:
        demo.offer(PAGE)
        import_run.box()
        import_network.box(PAGE)
        return
    chosen = choose(summaries)
    if chosen:
        run_actions.draw(chosen)
    damaged = [summary for summary in summaries if summary.config is None]
    if damaged:
        with st.expander("Folders that cannot be read", icon=":material/broken_image:"):
            widgets.table({"folder": [run.id for run in damaged], "why": [run.error for run in damaged]})


def narrowed(summaries: list[RunSummary]) -> list[tuple[Run, RunStatus]]:
    """The runs that are looked for: by words in what the table says of them, and by where they came from."""
    known = [
        (Run(summary.folder, summary.config), summary.status)
        for summary in summaries
        if summary.config is not None and summary.status is not None
    ]
    folded = {run.id for run, _ in known if comparing.kind(run.id, run.config)} - {session.run_id()}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        link.prefill(session.key(PAGE, "filter"), "filter", str)
        words = st.text_input(
            "Filter", placeholder=wording.FILTER_PLACEHOLDER, width=320, **session.kept(PAGE, "filter")
        )
        link.write("filter", words or None)
        everything = not folded or widgets.linked_toggle(
            f"With {len(folded)} of Story and Race", "all", session.key(PAGE, "everything")
        )
    wanted = (words or "").lower().split()
    return [
        (run, status)
        for run, status in known
        if (everything or run.id not in folded)
        and all(word in " ".join(str(cell(run, status)) for cell in COLUMNS.values()).lower() for word in wanted)
    ]


def choose(summaries: list[RunSummary]) -> list[Run]:
    """The table of runs, and those that are selected in it."""
    known = narrowed(summaries)
    table = widgets.frame({name: [cell(run, status) for run, status in known] for name, cell in COLUMNS.items()})
    opened = session.run_id()
    position = next((place for place, (run, _) in enumerate(known) if run.id == opened), None)
    selection = st.dataframe(
        table,
        hide_index=True,
        column_config={
            # So that a phone shows the losses too, before anybody moves the table.
            "name": st.column_config.TextColumn(width=160),
            "training loss": st.column_config.NumberColumn(format="%.3f"),
            "validation loss": st.column_config.NumberColumn(format="%.3f"),
            "perplexity": st.column_config.NumberColumn(format="%.1f"),
            "steps": st.column_config.NumberColumn(format="localized"),
        },
        placeholder="–",
        on_select="rerun",
        selection_mode="multi-row",
        selection_default={"selection": {"rows": [] if position is None else [position]}},
        # A row's number is another run's once other rows are there.
        key=session.key(PAGE, f"table of {hash(tuple(run.id for run, _ in known))}"),
    )
    selected = selection["selection"]["rows"]
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.caption(wording.SELECT_ROWS, width="content")
        with st.container(horizontal=True, width="content"):
            import_run.box()
            import_network.box(PAGE)
            st.download_button(
                "Table as CSV",
                lambda: export.csv(table),
                file_name="runs.csv",
                mime="text/csv",
                icon=":material/table:",
                on_click="ignore",
                key=session.key(PAGE, "csv"),
            )
    return [known[row][0] for row in selected if row < len(known)]


page()
