"""The app: `streamlit run dashboard/app.py`. A router; each page is a recipe in `views/`."""

from pathlib import Path

import streamlit as st

from dashboard import widgets, wording

# A file of our own: Streamlit's named icons are fetched from the internet when they stand in the browser's tab.
ICON = Path(__file__).parent / "icon.png"

st.set_page_config(page_title=wording.APP, page_icon=ICON, layout="wide")
page = st.navigation(
    [
        st.Page("views/corpus.py", title="Corpus", icon=":material/menu_book:", default=True),
        st.Page("views/train.py", title="Train", icon=":material/model_training:"),
        st.Page("views/gradients.py", title="Gradients", icon=":material/gradient:"),
        st.Page("views/generate.py", title="Generate", icon=":material/edit_note:"),
        st.Page("views/runs.py", title="Runs", icon=":material/folder_open:"),
    ]
)
widgets.opened_run_box()
page.run()
