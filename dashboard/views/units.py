"""Units: which of them follow something in a text, where they are strong, and what the network is without them."""

from __future__ import annotations

import streamlit as st

from dashboard.charts import units as charts
from dashboard.components import carriers, demo, errors, formatting, held_out, progress, unit_pictures, widgets
from dashboard.components.opened_run import opened_run
from dashboard.services.unit_analysis import UnitAnalysis, analysis, task_carriers
from dashboard.state import link, session
from dashboard.text import units as wording
from rnn_core.diagnostics import FEATURES, Ranking, Unit
from rnn_core.errors import UserError

PAGE = "units"


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
    unit_pictures.stretch(found, feature, unit)
    left, right = st.columns(2, gap="large")
    with left:
        unit_pictures.ranking_table(found, feature)
    with right:
        unit_pictures.places(found, feature, unit)
    unit_pictures.ablation(found, feature, unit)


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
    chosen: Unit | None = session.value(unit_pictures.chosen_key(feature), None)
    if chosen not in ranking.units:
        chosen = next((unit for unit in ranking.units if unit_pictures.address(unit) == link.read("unit")), None)
    if chosen is None:
        top = ranking.top(len(ranking.units))
        chosen = ranking.units[next((place for place in top if ranking.follows[place]), top[0])]
    link.write("unit", unit_pictures.address(chosen))
    return chosen


page()
