"""The question of the agreement corpus and of number prediction: who carries the subject over the gap?"""

from __future__ import annotations

import streamlit as st

from dashboard.charts import carriers as charts
from dashboard.charts import units as unit_charts
from dashboard.components.pictures import Chart, picture
from dashboard.state import session
from rnn_core.diagnostics import Carriers


def draw(found: Carriers, layers: int, page: str) -> None:
    """Two pictures, each with a sentence from its numbers."""
    ranking = found.ranking
    best = ranking.units[0]
    name = unit_charts.name_of(best, layers)
    if ranking.follows[0]:
        caption = (
            f"**{name.capitalize()} carries it**: just before the answer it tells the two kinds of sentence apart with "
            f"a correlation of {abs(ranking.held_out[0]):.2f}, on the half of the sentences that were not used "
            f"to choose it (p = {ranking.p_value[0]:.3g})."
        )
    else:
        caption = (
            f"**No single unit carries it.** The nearest, {name}, has a correlation of {abs(ranking.held_out[0]):.2f} "
            "on the half of the sentences that were not used to choose it."
        )
    (layer, number), least = min(found.without.items(), key=lambda item: item[1])
    missed = unit_charts.name_of(best._replace(layer=layer, number=number), layers, signals=False)
    left, right = st.columns(2, gap="large")
    with left:
        picture(
            "Over the gap",
            Chart(
                charts.over_gap(),
                charts.over_gap_table(found),
                session.key(page, "over the gap"),
                "How well the best unit tells the two kinds of sentence apart, word by word after the subject",
            ),
            caption=caption,
        )
    with right:
        table = charts.without_table(found, layers)
        picture(
            "Without a unit",
            Chart(
                charts.without(len(table)),
                table,
                session.key(page, "right answers"),
                "Share of right answers without each unit, beside the whole network and a coin",
            ),
            caption=(
                f"The whole network answers {found.accuracy:.0%} right. It misses {missed} most: held at its "
                f"mean, that leaves {least:.0%}; a coin has 50 %."
            ),
        )
