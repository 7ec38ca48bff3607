"""Arrays in, Altair charts out: nothing here knows Streamlit, a run folder or a session.

Colours are left to the theme: categories and ramps come from `.streamlit/config.toml` and so follow light and dark.
A chart's specification depends on what is shown, never on how far training is: the numbers travel in its data alone.
"""

from dashboard.charts.notebook import (
    gradient_by_lag,
    jacobian_product,
    lyapunov_dial,
    triangle,
    truncation,
    two_paths,
    where_lost,
)

__all__ = [
    "gradient_by_lag",
    "jacobian_product",
    "lyapunov_dial",
    "triangle",
    "truncation",
    "two_paths",
    "where_lost",
]
