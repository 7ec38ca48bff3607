"""Arrays in, Altair charts out: nothing here knows Streamlit, a run folder or a session.

Colours are left to the theme: categories and ramps come from `.streamlit/config.toml` and so follow light and dark.
A chart is two functions: one makes its table of arrays, the other (`@specification`) says how that is drawn, from what
is shown alone, never from how far training is. Those in `__all__` put the two together, for notebooks.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dashboard.charts.notebook import (
        gradient_by_lag,
        jacobian_product,
        lyapunov_dial,
        triangle,
        truncation,
        two_paths,
        where_lost,
    )
    from dashboard.charts.notebook_judgement import (
        ablation,
        coloured_text,
        copies,
        loss_by_position,
        over_gap,
        reach,
        without_units,
    )

__all__ = [
    "ablation",
    "coloured_text",
    "copies",
    "gradient_by_lag",
    "jacobian_product",
    "loss_by_position",
    "lyapunov_dial",
    "over_gap",
    "reach",
    "triangle",
    "truncation",
    "two_paths",
    "where_lost",
    "without_units",
]


def __getattr__(name: str) -> Any:
    """The functions for notebooks, when one is asked for: the first page must not wait for Altair and pandas."""
    if name in __all__:
        from dashboard.charts import notebook, notebook_judgement

        return getattr(notebook if hasattr(notebook, name) else notebook_judgement, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
