"""The app: `streamlit run dashboard/app.py`. A router; each page is a recipe in `views/`."""

from pathlib import Path

import streamlit as st

from dashboard import hosting
from dashboard.components import errors, page_frame
from dashboard.components.opened_run import opened_run_box
from dashboard.services import worker
from dashboard.text import general as wording
from dashboard.text import hosting as hosting_wording
from rnn_core.errors import UserError

# A file of our own: Streamlit's named icons are fetched from the internet when they stand in the browser's tab.
ICON = Path(__file__).parent / "icon.png"
SIDEBAR_PIXELS = 200


def draw() -> None:
    """One rerun for one visitor."""
    st.set_page_config(page_title=wording.APP, page_icon=ICON, layout="wide", initial_sidebar_state=SIDEBAR_PIXELS)
    try:
        if hosting.current_caps() is not None:
            hosting.stay_offline()
            worker.start_dispatcher()
    except UserError as error:
        errors.problem(hosting_wording.NOT_SET_UP, error)
        st.stop()
    page = st.navigation(
        {
            "See": [
                st.Page("views/home.py", title="Home", icon=":material/home:", default=True),
                st.Page("views/story.py", title="Story", icon=":material/auto_stories:"),
                st.Page("views/by_hand.py", title="By hand", icon=":material/edit:"),
            ],
            "Train": [
                st.Page("views/corpus.py", title="Corpus", icon=":material/menu_book:"),
                st.Page("views/train.py", title="Train", icon=":material/model_training:"),
                st.Page("views/generate.py", title="Generate", icon=":material/edit_note:"),
            ],
            "Understand": [
                st.Page("views/gradients.py", title="Gradients", icon=":material/gradient:"),
                st.Page("views/evaluate.py", title="Evaluate", icon=":material/fact_check:"),
                st.Page("views/units.py", title="Units", icon=":material/grain:"),
            ],
            "Compare": [
                st.Page("views/compare.py", title="Compare", icon=":material/stacked_line_chart:"),
                st.Page("views/runs.py", title="Runs", icon=":material/folder_open:"),
                st.Page("views/sweep.py", title="Sweep", icon=":material/tune:"),
                st.Page("views/race.py", title="Race", icon=":material/flag:"),
                st.Page("views/experiments.py", title="Experiments", icon=":material/science:"),
            ],
        },
        expanded=True,
    )
    st.set_page_config(page_title=f"{page.title} · {wording.APP}")
    opened_run_box()
    page_frame.begin()
    errors.error_boundary(page.run)()
    page_frame.end(page.url_path)
    if hosting.current_caps() is not None:
        page_frame.remember_visitor()  # last, because what is drawn first moves the page down


if __name__ == "__main__":
    # As Streamlit runs this file, again and again, for every visitor.
    draw()
else:
    # As `streamlit run` imports it, once, before anybody has come: it serves the `app` that it finds here.
    from dashboard import server

    app = st.App(__file__, middleware=server.middleware(), lifespan=server.lifespan)
