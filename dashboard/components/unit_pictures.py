"""The pictures of the Units page: the unit along the text, its rank, its strongest places, the loss without it."""

from __future__ import annotations

import streamlit as st

from dashboard.charts import units as charts
from dashboard.components import held_out, widgets
from dashboard.components.coloured_text import coloured_text
from dashboard.components.pictures import Chart, picture
from dashboard.services.unit_analysis import UnitAnalysis
from dashboard.state import session
from dashboard.text import units as wording
from rnn_core.data import detokenize
from rnn_core.diagnostics import Unit
from rnn_core.diagnostics.units import LEAST_CORRELATION, SIGNIFICANT

PAGE = "units"
CONTEXT = {"char": 32, "word": 7}
"""Tokens that are shown before a place."""
RANKED, ABLATED = 10, 3


def address(unit: Unit) -> str:
    """As the link has it."""
    return f"{unit.layer}.{unit.signal}.{unit.number}"


def chosen_key(feature: str) -> str:
    """Where the unit is held that was clicked for this feature."""
    return session.key(PAGE, f"unit for {feature}")


def stretch(found: UnitAnalysis, feature: str, unit: Unit) -> None:
    """The unit as colour under a stretch of the text; any stretch is there at once."""
    series, vocabulary = found.series(unit), found.loaded.vocabulary
    place = st.container()
    part = held_out.choose_stretch(PAGE, len(series), vocabulary.unit, _around(found, feature, unit))
    mean = float(series.mean())
    with place:
        coloured_text(
            found.text.tokens[part],
            charts.strengths(series[part], series),
            [f"{value:.3f}" for value in series[part].tolist()],
            characters=vocabulary.unit == "char",
            above=f"above its mean of {mean:.2f}",
            below="below",
            key=session.key(PAGE, "text"),
        )


def _around(found: UnitAnalysis, feature: str, unit: Unit) -> int:
    """A stretch in which the unit is strong."""
    best = found.places(unit, _sense_of(found, feature, unit), 1)[0]
    return best - held_out.SHOWN[found.loaded.vocabulary.unit] // 2


def _sense_of(found: UnitAnalysis, feature: str, unit: Unit) -> float:
    """The sign with which the unit follows it."""
    ranking = found.rankings()[feature]
    return float(ranking.correlation[ranking.units.index(unit)])


def ranking_table(found: UnitAnalysis, feature: str) -> None:
    """The units that follow the feature best; a click chooses one."""
    ranking, layers = found.rankings()[feature], found.loaded.model.config.layers
    top = ranking.top(RANKED)
    st.markdown(
        "## Ranking",
        anchors=False,
        help=wording.EXPLAINED.format(units=len(ranking.units), significant=SIGNIFICANT, least=LEAST_CORRELATION),
    )
    widget = session.key(PAGE, f"ranking for {feature}")

    def choose() -> None:
        rows = st.session_state[widget]["selection"]["rows"]
        if rows:
            session.put(chosen_key(feature), ranking.units[top[rows[0]]])

    columns: dict[str, list[str] | list[float] | list[bool]] = {
        "unit": [charts.name_of(ranking.units[place], layers) for place in top],
        "correlation": [float(ranking.correlation[place]) for place in top],
        "held out": [float(ranking.held_out[place]) for place in top],
        "p": [float(ranking.p_value[place]) for place in top],
        "follows": [bool(ranking.follows[place]) for place in top],
    }
    digits = st.column_config.NumberColumn(format="%.2f")
    widgets.table(
        columns,
        key=widget,
        on_select=choose,
        selection_mode="single-row",
        column_config={
            "correlation": digits,
            "held out": digits,
            "p": st.column_config.NumberColumn(format="%.3f"),
        },
    )


def places(found: UnitAnalysis, feature: str, unit: Unit) -> None:
    """Where the unit is strongest; a click goes there."""
    layers = found.loaded.model.config.layers
    st.markdown(f"## {wording.PLACES} of {charts.name_of(unit, layers)}", anchors=False)
    kind = found.loaded.vocabulary.unit
    series, tokens = found.series(unit), found.text.tokens
    strongest = found.places(unit, _sense_of(found, feature, unit))
    widget = session.key(PAGE, f"places of {address(unit)}")

    def go() -> None:
        rows = st.session_state[widget]["selection"]["rows"]
        if rows:
            session.put(session.key(PAGE, "at"), max(0, strongest[rows[0]] - held_out.SHOWN[kind] // 2))

    before = [tokens[max(0, place - CONTEXT[kind]) : place + 1] for place in strongest]
    widgets.table(
        {
            "value": [float(series[place]) for place in strongest],
            "what was read": ["… " + " ".join(detokenize(words, kind).split()) for words in before],
        },
        key=widget,
        on_select=go,
        selection_mode="single-row",
        column_config={"value": st.column_config.NumberColumn(format="%.2f", width="small")},
    )


def ablation(found: UnitAnalysis, feature: str, unit: Unit) -> None:
    """What the loss does without the unit, and without the best others."""
    ranking, layers = found.rankings()[feature], found.loaded.model.config.layers
    others = [ranking.units[place] for place in ranking.top(ABLATED + 1)]
    others = [other for other in others if (other.layer, other.number) != (unit.layer, unit.number)]
    with st.spinner(wording.ABLATING):
        costs = {
            charts.name_of(one, layers, signals=False): found.cost(one, feature)
            for one in [unit, *others[: ABLATED - 1]]
        }
    own = found.cost(unit, feature)
    where = wording.ENDS[feature]
    more = own.at_ends > own.elsewhere
    picture(
        wording.ABLATION,
        Chart(
            charts.ablation(len(costs), where),
            charts.ablation_table(costs, where),
            session.key(PAGE, "ablation"),
            "What the loss rises by without each of these units, where the feature ends and elsewhere",
        ),
        caption=(
            f"With the state of {charts.name_of(unit, layers, signals=False)} held at its mean the loss changes by "
            f"**{own.at_ends:+.4f} nats** {where} ({own.ends:,} places), and by {own.elsewhere:+.4f} elsewhere: the "
            f"network needs it there {'more' if more else 'no more'} than anywhere else."
        ),
    )
