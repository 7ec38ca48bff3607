"""Units: which of them follow something in a text, where they are strong, and what the network is without them."""

from __future__ import annotations

import streamlit as st

from dashboard.charts import units as charts
from dashboard.components import carriers, demo, errors, formatting, held_out, progress, widgets
from dashboard.components.coloured_text import coloured_text
from dashboard.components.opened_run import opened_run
from dashboard.components.pictures import Chart, picture
from dashboard.services.unit_analysis import UnitAnalysis, analysis, task_carriers
from dashboard.state import link, session
from dashboard.text import units as wording
from rnn_core.data import detokenize
from rnn_core.diagnostics import FEATURES, Ranking, Unit
from rnn_core.diagnostics.units import LEAST_CORRELATION, SIGNIFICANT
from rnn_core.errors import UserError

PAGE = "units"
CONTEXT = {"char": 32, "word": 7}
"""Tokens that are shown before a place."""
RANKED, ABLATED = 10, 3


def page() -> None:
    st.title("Units", anchor=False)
    run = opened_run()
    if run is None:
        demo.offer(PAGE)
        return
    found_in_task = task_carriers(run)
    if found_in_task is not None:
        carriers.draw(found_in_task, run.config.model.layers, PAGE)
        return
    loaded = held_out.weights_that_read(run)
    if loaded is None:
        return
    row = st.container(horizontal=True, vertical_alignment="bottom", gap="small")
    with row:
        text = held_out.choose_text(run, PAGE)
    if text is None:
        return
    try:
        found = analysis(run, loaded, text)
        rankings = measured(found)
    except UserError as error:
        errors.problem("This text cannot be looked at", error)
        return
    if not rankings:
        st.info(wording.NOTHING_TO_FOLLOW, icon=":material/search_off:")
        return
    held_out.left_out(found.text, formatting.unit(loaded.vocabulary.unit))
    with row:
        feature = choose_feature(list(rankings))
    if feature == "agreement" and found.carriers is not None:
        carriers.draw(found.carriers, loaded.model.config.layers, PAGE)
    if not verdict(found, feature):
        return
    unit = choose_unit(found, feature)
    stretch(found, feature, unit)
    left, right = st.columns(2, gap="large")
    with left:
        ranking_table(found, feature)
    with right:
        places(found, feature, unit)
    ablation(found, feature, unit)


def measured(found: UnitAnalysis) -> dict[str, Ranking]:
    """With a bar while the text is read."""
    with progress.bar() as show:
        return found.rankings(lambda share: show(share, wording.MEASURING))


def choose_feature(names: list[str]) -> str:
    widget = session.key(PAGE, "follow")
    linked = link.read("follow")
    if session.value(widget, linked) not in names:
        session.put(widget, names[0])
    session.start_with(widget, linked)
    chosen: str = st.selectbox(
        "Follow",
        names,
        format_func=lambda name: FEATURES[name].label,
        width=280,
        **session.kept(PAGE, "follow", {"follow": wording.FOLLOW_HELP}),
    )
    if linked not in ("", chosen):
        link.write("unit", None)  # it was the one for what was followed before
    link.write("follow", chosen)
    return chosen


def verdict(found: UnitAnalysis, feature: str) -> bool:
    """In a sentence, whether any unit follows it; returns whether there is something to look at."""
    ranking, label = found.rankings()[feature], FEATURES[feature].label
    layers = found.loaded.model.config.layers
    following = [place for place in ranking.top(len(ranking.units)) if ranking.follows[place]]
    if following:
        best = following[0]
        others = len(following) - 1
        more = f" So {'does' if others == 1 else 'do'} {formatting.count(others, 'other unit')}." if others else ""
        st.markdown(
            f"**{charts.name_of(ranking.units[best], layers).capitalize()} follows the {label}**: a correlation of "
            f"{ranking.held_out[best]:.2f} on the half of the text that was not used to choose it.{more} By chance "
            f"the best of all {len(ranking.units):,} signals comes to {ranking.chance.max():.2f}."
        )
        return True
    best = ranking.top(1)[0]
    st.markdown(
        f"**No unit follows the {label} here.** The nearest, {charts.name_of(ranking.units[best], layers)}, has a "
        f"correlation of {ranking.held_out[best]:.2f} on the half of the text that was not used to choose it; chance "
        f"does as well in {ranking.p_value[best]:.1%} of the cases."
    )
    return widgets.linked_toggle(wording.ALL_THE_SAME, "anyway", session.key(PAGE, "all the same"))


def choose_unit(found: UnitAnalysis, feature: str) -> Unit:
    """The one that was clicked, or that the link names; else the best."""
    ranking = found.rankings()[feature]
    chosen: Unit | None = session.value(chosen_key(feature), None)
    if chosen not in ranking.units:
        chosen = next((unit for unit in ranking.units if address(unit) == link.read("unit")), None)
    if chosen is None:
        top = ranking.top(len(ranking.units))
        chosen = ranking.units[next((place for place in top if ranking.follows[place]), top[0])]
    link.write("unit", address(chosen))
    return chosen


def address(unit: Unit) -> str:
    """As the link has it."""
    return f"{unit.layer}.{unit.signal}.{unit.number}"


def chosen_key(feature: str) -> str:
    return session.key(PAGE, f"unit for {feature}")


def stretch(found: UnitAnalysis, feature: str, unit: Unit) -> None:
    """The unit as colour under a stretch of the text; any stretch is there at once."""
    series, vocabulary = found.series(unit), found.loaded.vocabulary
    place = st.container()
    part = held_out.choose_stretch(PAGE, len(series), vocabulary.unit, around(found, feature, unit))
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


def around(found: UnitAnalysis, feature: str, unit: Unit) -> int:
    """A stretch in which the unit is strong."""
    best = found.places(unit, sense_of(found, feature, unit), 1)[0]
    return best - held_out.SHOWN[found.loaded.vocabulary.unit] // 2


def sense_of(found: UnitAnalysis, feature: str, unit: Unit) -> float:
    """The sign with which the unit follows it."""
    ranking = found.rankings()[feature]
    return float(ranking.correlation[ranking.units.index(unit)])


def ranking_table(found: UnitAnalysis, feature: str) -> None:
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
    strongest = found.places(unit, sense_of(found, feature, unit))
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


page()
