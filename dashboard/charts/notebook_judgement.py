"""The pictures of the Evaluate and Units pages for notebooks: what `rnn_core` computes in, an Altair chart out.

    from dashboard import charts
    charts.coloured_text(tokens, unit_series(model, sentences, carried, [unit])[:, 0])

Each has its table inside. A text is laid out in lines of a fixed width; a page's own follows the window.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import altair as alt
import numpy.typing as npt
import pandas as pd

from dashboard.charts import carriers, judgement, units
from dashboard.charts.notebook import standing_alone
from rnn_core.diagnostics import AblationCost, Carriers, LossByPosition, Reach
from rnn_core.training import LEAST_COPIED, WrittenCopies

_LETTER, _LINE = 8, 20  # pixels


def coloured_text(tokens: Sequence[str], values: npt.ArrayLike, *, columns: int = units.COLUMNS) -> alt.LayerChart:
    """Tokens (n,) with colour under them: how far each value (n,), of a unit say, is above or below their mean."""
    table = units.text_table(tokens, values, columns).assign(strength=units.strengths(values))
    base = alt.Chart(table)
    y = alt.Y("line:O", axis=None)
    scale = alt.Scale(domain=[0, columns])
    color = alt.Color(
        "strength:Q", scale=alt.Scale(domain=[-1, 0, 1], range=["#d2603a", "#fbfaf6", "#0b6e75"]), legend=None
    )
    tooltip = [alt.Tooltip("token:N"), alt.Tooltip("value:Q", format=".3f")]
    cells = base.mark_rect(opacity=0.7).encode(
        x=alt.X("start:Q", scale=scale, axis=None), x2="end:Q", y=y, color=color, tooltip=tooltip
    )
    words = base.mark_text(align="left", font="monospace", fontSize=13).encode(
        x=alt.X("start:Q", scale=scale, axis=None), y=y, text="token:N"
    )
    chart = alt.layer(cells, words)
    assert isinstance(chart, alt.LayerChart)
    return chart.properties(width=_LETTER * columns, height=_LINE * int(table["line"].max() + 1))


def loss_by_position(found: LossByPosition, *, unit: str = "word") -> alt.LayerChart:
    """Perplexity at each place in the sentence, with its standard error."""
    return standing_alone(judgement.by_position(unit), judgement.position_table(found))


def reach(found: Reach, *, unit: str = "word") -> alt.LayerChart:
    """What a network uses of its context, and how far back its gradient reaches, in one picture."""
    return standing_alone(judgement.reach(unit), judgement.reach_table(found))


def copies(found: WrittenCopies, *, unit: str = "word") -> alt.LayerChart:
    """What of the sentences stands verbatim in the training text, by the length of the span."""
    lengths = LEAST_COPIED["char" if unit == "character" else "word"]
    table = judgement.copies_table(found.of_network, found.of_people, lengths, unit)
    return standing_alone(judgement.copies(len(lengths)), table)


def ablation(costs: Mapping[str, AblationCost], *, at_ends: str = "where it ends") -> alt.LayerChart:
    """What the loss rises by without each of these units (by name), where a feature ends and elsewhere."""
    return standing_alone(units.ablation(len(costs), at_ends), units.ablation_table(costs, at_ends))


def over_gap(found: Carriers) -> alt.LayerChart:
    """How well the best unit tells the two kinds of sentence apart, word by word after the subject."""
    return standing_alone(carriers.over_gap(), carriers.over_gap_table(found))


def without_units(found: Carriers, *, layers: int = 1) -> alt.LayerChart:
    """Share of right answers without the units that are missed most, beside the whole network."""
    table: pd.DataFrame = carriers.without_table(found, layers)
    return standing_alone(carriers.without(len(table)), table)
