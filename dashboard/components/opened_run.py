"""The run that the pages are about, and what a page says where that run has not what it needs."""

from __future__ import annotations

import streamlit as st

from dashboard.components.errors import problem
from dashboard.services import library, network
from dashboard.state import session
from dashboard.text import general as wording
from dashboard.text import tasks as task_wording
from rnn_core.errors import UserError
from rnn_core.runs import Run


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


def older_state(run: Run) -> None:
    """Says so where the newest checkpoint of a run is damaged, and the page shows an older one."""
    try:
        note = network.damage(run)
    except UserError:
        return  # the page itself says what is wrong
    if note:
        st.warning(wording.OLDER_STATE, icon=":material/history:")
        st.text(note)


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
