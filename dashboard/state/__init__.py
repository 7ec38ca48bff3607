"""What a visitor has chosen: `session` alone owns the keys of Streamlit's session state, `link` the page's address."""
