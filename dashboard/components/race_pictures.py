"""The pictures of a race: who learns it first, their losses, how far their gradients reach, and what they remember."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import streamlit as st

from dashboard.charts import race as charts
from dashboard.charts.common import ACCURACIES
from dashboard.components import formatting, pictures
from dashboard.components.pictures import Chart
from dashboard.services.racing import LaneHistory
from dashboard.text import race as wording
from dashboard.text import race_verdict
from rnn_core.data.tasks import Task, make_task
from rnn_core.runs import RunConfig, RunStatus
from rnn_core.runs.events import AgreementMeasured
from rnn_core.training import HorizonMeasured

FAR = 10
"""Steps back at which the horizons are compared in words."""


@dataclass(frozen=True)
class Race:
    """One look at a race: by the networks' titles what was read of each, how each stands, and one of their configs."""

    networks: Mapping[str, LaneHistory]
    statuses: Sequence[RunStatus]
    config: RunConfig

    @cached_property
    def task(self) -> Task | None:
        """What is learnt; None for a text."""
        return None if self.config.task is None else make_task(self.config.task)

    @property
    def units(self) -> tuple[str, str]:
        """As `formatting.units_of`."""
        return formatting.units_of(self.config)

    @property
    def over(self) -> bool:
        """Whether nobody trains any more."""
        return not any(status.alive or status.state == "queued" for status in self.statuses)

    @property
    def total_steps(self) -> int:
        """Where it ends."""
        return max((status.total_steps or 1 for status in self.statuses), default=1)


def course(race: Race) -> None:
    """What the networks were measured at over the steps, and how it ended: the metric of a task, the agreement, or
    where a text has none, the loss on the held-out sentences.
    """
    names, total = tuple(race.networks), race.total_steps
    if race.task is not None:
        name, baseline = race.task.metric_name, race.task.baseline
        courses = {of: dict(sorted(history.metric.items())) for of, history in race.networks.items()}
        caption = race_verdict.of_task(courses, name, baseline, race.over)
        table = charts.course_table(courses, charts.error_domain(baseline))
        specification = charts.error_race(names, total, name, baseline, race_verdict.learned_error(baseline))
        title, key = wording.TASK.format(task=race.task.label), "task race"
        alt_text = f"{name} over the steps, for every network, beside that of an answer that does not look at the input"
    elif any(history.agreements for history in race.networks.values()):
        measured = {of: history.agreements for of, history in race.networks.items()}
        courses = {of: race_verdict.accuracies(found) for of, found in measured.items()}
        caption = race_verdict.of_agreement(measured, race.over)
        table = charts.course_table(courses, ACCURACIES)
        specification = charts.accuracy_race(names, total, race_verdict.LEARNED)
        title, key = wording.PICTURES["agreement race"], "agreement race"
        alt_text = "Share of sentences in which the right word is likelier, over the steps, for every network"
    else:
        _, lost = race.units
        courses = {of: dict(sorted(history.validation.items())) for of, history in race.networks.items()}
        caption = race_verdict.of_loss(courses, lost, race.over)
        table = charts.course_table(courses)
        specification = charts.validation_race(names, total, lost)
        title, key = wording.PICTURES["loss race"], "loss race"
        alt_text = "Loss on the held-out sentences over the steps, for every network"
    chart = Chart(specification, table, f"{key} chart", alt_text)
    pictures.picture(title, chart, caption=caption or wording.EARLY)


def losses(race: Race) -> None:
    """Of the training batches."""
    _, lost = race.units
    recent = {name: loss for name, history in race.networks.items() if (loss := history.recent_loss()) is not None}
    if recent:
        best, worst = min(recent, key=lambda name: recent[name]), max(recent, key=lambda name: recent[name])
        template = wording.LOSS if len(recent) > 1 else wording.LOSS_ALONE
        step = int(max(history.latest.get("step", 0) for history in race.networks.values()))
        caption = template.format(
            step=step,
            best=best,
            worst=worst,
            lowest=recent[best],
            highest=recent[worst],
            measure=wording.MEASURES[lost],
        )
    else:
        caption = wording.EARLY
    table = charts.loss_table(
        {name: (history.loss.steps, history.loss.values) for name, history in race.networks.items()}
    )
    pictures.picture(
        wording.PICTURES["loss"],
        Chart(
            charts.loss_chart(tuple(race.networks), lost),
            table,
            "race loss chart",
            "Training loss of every network over the steps of the race",
        ),
        caption=caption,
    )


def horizons(race: Race) -> None:
    """How much of the gradient is left how far back, in all networks after the same step."""
    unit, _ = race.units
    step = common_step([history.horizons for history in race.networks.values()])
    measured = {name: history.horizons[step] for name, history in race.networks.items() if step in history.horizons}
    lag = min([FAR, *(len(found.median) - 1 for found in measured.values() if found.median)])
    shares = {name: found.median[lag] for name, found in measured.items() if len(found.median) > lag > 0}
    if shares:
        ordered = sorted(shares.items(), key=lambda item: -item[1])
        listed = ", ".join(f"{name} **{_share_left(share)}**" for name, share in ordered)
        caption = wording.HORIZON.format(lag=lag, unit=unit, shares=listed)
    else:
        caption = wording.EARLY
    table = charts.horizon_table({name: found.median for name, found in measured.items()})
    pictures.picture(
        wording.PICTURES["horizon"],
        Chart(
            charts.horizon_chart(tuple(race.networks), unit),
            table,
            "race horizon chart",
            "Median share of the gradient that is left over the lag, for every network",
        ),
        caption=caption,
    )


def _share_left(share: float) -> str:
    return f"{100 * share:.3g}\u00a0%" if share >= 1e-4 else f"{100 * share:.0e}\u00a0%"


def agreements(race: Race) -> None:
    """By distance, in all networks after the same step; or why a text has none."""
    step = common_step([history.agreements for history in race.networks.values()])
    measured = {name: history.agreements[step] for name, history in race.networks.items() if step in history.agreements}
    if not measured:
        anything = any(history.horizons for history in race.networks.values())
        st.markdown(f"### {wording.PICTURES['agreement']}", anchors=False)
        st.markdown(wording.NO_AGREEMENT if anything else wording.EARLY)
        return
    first = next(iter(measured.values()))
    ordered = sorted(measured.items(), key=lambda item: -item[1].accuracy[-1])
    shares = ", ".join(f"{name} **{100 * found.accuracy[-1]:.0f}\u00a0%**" for name, found in ordered)
    pictures.picture(
        wording.PICTURES["agreement"],
        Chart(
            charts.agreement_chart(tuple(race.networks)),
            charts.agreement_table(measured),
            "race agreement chart",
            "Share of sentences in which the right word is likelier, over the words in between",
        ),
        caption=wording.AGREEMENT.format(gap=first.gaps[-1], items=first.items[-1], shares=shares),
    )


def common_step(measured: list[dict[int, HorizonMeasured]] | list[dict[int, AgreementMeasured]]) -> int | None:
    """The newest step of which all that were ever measured have a measurement."""
    known = [set(of_lane) for of_lane in measured if of_lane]
    shared = set.intersection(*known) if known else set()
    return max(shared) if shared else None


def behind(race: Race) -> None:
    """The equations, and what their letters mean."""
    kind = "text" if race.task is None else race.task.loss
    with st.expander("Equations", icon=":material/function:"):
        for equation in wording.EQUATIONS[kind]:
            st.latex(equation)
        st.markdown(wording.SYMBOLS)
