"""The screen: a Streamlit app over `rnn_core`. It reads run folders and starts training processes."""
