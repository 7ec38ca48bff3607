"""Worker processes, the library of runs, and where texts come from; no Streamlit pages."""
