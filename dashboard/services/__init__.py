"""What the pages ask for: runs, texts, networks, training processes. No Streamlit: it works without a page."""
