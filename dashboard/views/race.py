"""Race: up to four networks learn the same batches side by side."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pandas as pd
import streamlit as st

from dashboard import hosting
from dashboard.charts import race as charts
from dashboard.components import widgets
from dashboard.components.setting_fields import SettingFields
from dashboard.services import library, racing, worker
from dashboard.services.racing import LaneHistory
from dashboard.state import session
from dashboard.text import general as common_wording
from dashboard.text import race_verdict
from dashboard.text import stories as wording
from rnn_core.config import ModelConfig, TextSettings, TrainingSettings, problems
from rnn_core.data import PreparedCorpus
from rnn_core.errors import UserError
from rnn_core.nn.parameters import parameter_count
from rnn_core.runs import Run, RunStatus
from rnn_core.runs.events import AgreementMeasured
from rnn_core.runs.race import MEASURE_PARTS, MOST, agreement_items_of
from rnn_core.training import HorizonMeasured

PAGE = "race"
POLL_SECONDS = 1.0
WIDTHS = [8, 16, 24, 32, 48, 64, 100, 128]
LENGTHS = [300, 600, 1200, 2400, 4800, 9600]
FAR = 10
"""Words back at which the horizons are compared in words."""


def page() -> None:
    st.title(wording.RACE_TITLE, anchor=False)
    race_id = session.race_id()
    lanes = [] if race_id is None else open_lanes(race_id)
    if race_id is not None and not lanes:
        session.close_race()
        st.info(wording.RACE_GONE, icon=":material/folder_off:")
    if lanes:
        watch(lanes)
    else:
        set_up()


def open_lanes(race_id: str) -> list[Run]:
    """The runs of a race that are there and can be read."""
    lanes = []
    for place in range(1, MOST + 1):
        try:
            lanes.append(library.open_run(racing.lane_id(race_id, place)))
        except UserError:
            continue  # deleted, or never there: the others go on without it
    return lanes


# --- a new race -------------------------------------------------------------------------------------------------------


def set_up() -> None:
    st.markdown(wording.RACE_INTRO)
    corpus, text = choose_corpus()
    networks: list[str] = st.multiselect(
        "Networks",
        list(racing.NETWORKS),
        list(racing.USUAL),
        max_selections=MOST,
        format_func=lambda name: wording.RACE_NETWORKS[name],
        **session.kept(PAGE, "networks", wording.RACE_HELP),
    )
    hidden_size, training, possible = choose_settings()
    if not networks:
        st.info(wording.RACE_NONE, icon=":material/flag:")
    if st.button("Start the race", type="primary", icon=":material/flag:", disabled=not (networks and possible)):
        entrants = {
            f"Race: {wording.RACE_NETWORKS[name]}": ModelConfig(**racing.settings_of(name, corpus, hidden_size))
            for name in networks
        }
        if not agreement_items_of(corpus, 1):
            training = validated_often(training, corpus)
        try:
            session.open_race(worker.begin_race(entrants, corpus, text, training))
        except UserError as error:
            widgets.problem("The race could not be started", error)
            return
        st.rerun()


def choose_corpus() -> tuple[PreparedCorpus, TextSettings]:
    """Agreement sentences, or whatever was chosen on the Corpus page."""
    chosen = session.corpus()
    kind: str = "agreement"
    if chosen is not None:
        kind = st.segmented_control(
            "Text",
            list(wording.RACE_CORPORA),
            default="agreement",
            required=True,
            format_func=lambda name: wording.RACE_CORPORA[name],
            **session.kept(PAGE, "corpus", wording.RACE_HELP),
        )
    if chosen is not None and kind == "chosen":
        widgets.corpus_line(chosen.corpus)
        return chosen.corpus, chosen.settings
    low, high = st.slider("Words in between", 1, 40, (2, 20), **session.kept(PAGE, "gap", wording.RACE_HELP))
    return racing.agreement_corpus(low, high), racing.TEXT


def choose_settings() -> tuple[int, TrainingSettings, bool]:
    """What all networks have in common: hidden units, how they are trained, and whether that can be done."""
    fields = SettingFields(PAGE, TrainingSettings, defaults={"learning_rate": 0.003})
    reasons = problems(fields.read(TrainingSettings))
    left, middle, right = st.columns(3)
    with left:
        hidden_size = st.select_slider("Hidden units", WIDTHS, 32, **session.kept(PAGE, "hidden", wording.RACE_HELP))
        steps = st.select_slider("Steps", LENGTHS, 2400, **session.kept(PAGE, "steps", wording.RACE_HELP))
    with middle:
        fields.draw("truncate", reasons.get("truncate"))
        fields.draw("learning_rate", reasons.get("learning_rate"))
    with right:
        fields.draw("seed", reasons.get("seed"))
    training = fields.read(
        TrainingSettings,
        steps=int(steps),
        schedule="constant",
        # The race measures all horizons at the same step; by the clock of each they would be of different ones.
        horizon_every_seconds=None,
        sample_every_seconds=None,
        checkpoint_every_seconds=3.0,
    )
    return int(hidden_size), training, not reasons


def validated_often(training: TrainingSettings, corpus: PreparedCorpus) -> TrainingSettings:
    """A text without agreement is raced over its validation loss: about that often which the agreement is measured at,
    but never at more than about a fourth of what the training costs. A validation batch costs a third of a step.
    """
    assert training.steps is not None
    affordable = 4 * len(corpus.valid) // (3 * training.batch_size)
    return dataclasses.replace(training, validate_every=max(1, training.steps // MEASURE_PARTS, affordable))


# --- a race that is under way, or over --------------------------------------------------------------------------------


def watch(lanes: list[Run]) -> None:
    live = any_at_work(lanes)
    st.fragment(widgets.error_boundary(picture), run_every=POLL_SECONDS if live else None)(lanes, live)
    if library.mine(lanes[0]) and hosting.current_caps() is not None:
        st.caption(common_wording.SHARE)


def any_at_work(lanes: list[Run]) -> bool:
    """Whether anything of the race moves. Asks every lane: each look is noted."""
    return any(list(map(widgets.at_work, lanes)))


def picture(lanes: list[Run], live: bool) -> None:
    """One look at the race. Drawn again every second while anybody trains."""
    try:
        if live != any_at_work(lanes):
            st.rerun()
        statuses = [run.status() for run in lanes]
        histories = [session.lane_history(run) for run in lanes]
        for history in histories:
            history.update()
    except UserError as error:
        widgets.problem("This race cannot be read", error)
        return
    for run in lanes:
        widgets.older_state(run)
    titles = [title(run, place) for place, run in enumerate(lanes, 1)]
    controls(lanes, statuses)
    progress(statuses, histories)
    together = dict(zip(titles, histories, strict=True))
    unit = widgets.unit(lanes[0].config.text.unit)
    the_race(together, statuses, unit)
    standings(titles, statuses, histories)
    st.page_link("views/runs.py", label=wording.RACE_OPEN, icon=":material/folder_open:")
    explanations(titles, statuses)
    left, right = st.columns(2, gap="large")
    with left:
        losses(together, unit)
    with right:
        horizons(together, unit)
    agreements(together)
    behind()


def title(run: Run, place: int) -> str:
    """What a run is called in the pictures: by its settings, since its name is the visitor's to change."""
    known = racing.network_of(run.config)
    return f"lane {place}" if known is None else wording.RACE_NETWORKS[known]


def controls(lanes: list[Run], statuses: list[RunStatus]) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        states = {status.state for status in statuses}
        shown = next((state for state in ("running", "paused", "queued") if state in states), statuses[0].state)
        widgets.state_badge(shown)
        alive = [run for run, status in zip(lanes, statuses, strict=True) if status.alive]
        waiting = [run for run, status in zip(lanes, statuses, strict=True) if status.state == "queued"]
        if not library.mine(lanes[0]):
            st.caption(common_wording.ONLY_LOOKING)
        elif alive:
            paused = all(status.state == "paused" for status in statuses if status.alive)
            ask(alive, *(("resume", "Resume", "play_arrow") if paused else ("pause", "Pause", "pause")))
            ask(alive, "stop", "Stop", "stop")
        elif waiting and hosting.current_caps() is not None:
            if st.button("Leave the queue", icon=":material/logout:", key=session.key(PAGE, "leave")):
                each(waiting, worker.leave_queue, "It is still in the queue")
        else:
            resumable = [run for run, status in zip(lanes, statuses, strict=True) if status.resumable]
            busy = any(worker.working(run) for run in resumable)
            if resumable and st.button(
                "Resume", type="primary", icon=":material/play_arrow:", disabled=busy, key=session.key(PAGE, "go on")
            ):
                go_on(resumable)
            if all(status.state == "finished" for status in statuses):
                further(lanes)
        if st.button("New race", icon=":material/add:", key=session.key(PAGE, "new")):
            session.close_race()
            st.rerun()
    if waiting and hosting.current_caps() is not None:
        st.info(wording.RACE_IN_QUEUE, icon=":material/hourglass_top:")


def ask(lanes: list[Run], kind: str, label: str, icon: str) -> None:
    """A button that asks every network of the race for the same."""
    if st.button(label, icon=f":material/{icon}:", key=session.key(PAGE, kind), help=wording.RACE_HELP.get(kind)):
        for run in lanes:
            try:
                library.request(run, kind)
            except UserError as error:
                widgets.problem("One of the networks did not hear this", error)


def each(lanes: list[Run], act: Callable[[Run], None], headline: str) -> None:
    for run in lanes:
        try:
            act(run)
        except UserError as error:
            widgets.problem(headline, error)
            return
    st.rerun()


def go_on(lanes: list[Run]) -> None:
    try:
        worker.start(*lanes)
    except UserError as error:
        widgets.problem("The race could not go on", error)
        return
    st.rerun()


def further(lanes: list[Run]) -> None:
    """Networks that came to the same end may go on together, as long again."""
    ends = {run.config.training.steps for run in lanes}
    steps = ends.pop()
    if ends or steps is None:
        return
    label = f"Train {steps:,} more steps"
    if st.button(label, icon=":material/forward:", help=wording.RACE_HELP["further"], key=session.key(PAGE, "further")):
        try:
            worker.go_further(steps, *lanes)
        except UserError as error:
            widgets.problem("The race could not go on", error)
            return
        st.rerun()


def explanations(titles: list[str], statuses: list[RunStatus]) -> None:
    """Why a network dropped out."""
    for name, status in zip(titles, statuses, strict=True):
        if status.state in ("failed", "diverged", "dead"):
            widgets.problem(f"{name}: {common_wording.STATE_HELP[status.state]}", status.message)


def progress(statuses: list[RunStatus], histories: list[LaneHistory]) -> None:
    total = max(status.total_steps or 0 for status in statuses)
    if not total:
        return
    step = max(status.step for status in statuses)
    text = f"step {step:,} of {total:,}"
    if any(status.state == "running" for status in statuses):
        # Each network's own clock stands while the others have their turn.
        lefts = [
            history.seconds_left(total)
            for history, status in zip(histories, statuses, strict=True)
            if status.state == "running"
        ]
        if all(left is not None for left in lefts):
            text += f" · {widgets.duration(sum(left for left in lefts if left is not None))} left"
    st.progress(min(1.0, step / total), text=text)


def standings(titles: list[str], statuses: list[RunStatus], histories: list[LaneHistory]) -> None:
    """Everybody in one table."""
    step = common_step([history.horizons for history in histories])
    # Each run tells its step a moment after the other; all who train have come at least to the lowest of them.
    reached = min((status.step for status in statuses if status.state == "running"), default=0)
    rows = []
    for name, status, history in zip(titles, statuses, histories, strict=True):
        horizon = history.horizons.get(step) if step is not None else None
        agreement = history.agreements.get(step) if step is not None else None
        half = None if horizon is None else horizon.half_life
        rows.append(
            {
                "network": name,
                "agreement": None if agreement is None or not agreement.gaps else 100 * race_verdict.overall(agreement),
                "learned after": race_verdict.learned_after(race_verdict.accuracies(history.agreements)),
                "loss": history.recent_loss(),
                "half-life": "–" if horizon is None else "beyond" if half is None else f"{half:.1f}",
                "step": reached if status.state == "running" else status.step,
                "state": common_wording.STATES[status.state],
                "parameters": parameter_count(history.run.config.model),
            }
        )
    st.dataframe(
        pd.DataFrame(rows),
        hide_index=True,
        placeholder="–",
        key=session.key(PAGE, "standings"),
        column_config={
            "loss": st.column_config.NumberColumn(format="%.3f", help="nats, over the last steps"),
            "half-life": st.column_config.TextColumn(
                help="words back at which the median gradient has fallen to one half; beyond: not within the probe"
            ),
            "agreement": st.column_config.NumberColumn(format="%.1f %%", help="over all distances"),
            "learned after": st.column_config.NumberColumn(
                format="localized", help="steps until the agreement was first measured at 95 % over all distances"
            ),
            "step": st.column_config.NumberColumn(format="localized"),
            "parameters": st.column_config.NumberColumn(format="localized"),
        },
    )


def common_step(measured: list[dict[int, HorizonMeasured]] | list[dict[int, AgreementMeasured]]) -> int | None:
    """The newest step of which all that were ever measured have a measurement."""
    known = [set(of_lane) for of_lane in measured if of_lane]
    shared = set.intersection(*known) if known else set()
    return max(shared) if shared else None


# --- the pictures -----------------------------------------------------------------------------------------------------


def the_race(together: dict[str, LaneHistory], statuses: list[RunStatus], unit: str) -> None:
    """What the networks were measured at over the steps, and how it ended: agreement, or where the text has none, the
    loss on the sentences kept aside.
    """
    over = not any(status.alive or status.state == "queued" for status in statuses)
    total = max((status.total_steps or 1 for status in statuses), default=1)
    if any(history.agreements for history in together.values()):
        measured = {name: history.agreements for name, history in together.items()}
        courses = {name: race_verdict.accuracies(found) for name, found in measured.items()}
        said = race_verdict.of_agreement(measured, over)
        table, learned = charts.course_table(courses, charts.ACCURACIES), race_verdict.LEARNED
        drawing, title = charts.accuracy_race(table, list(together), total, learned), "agreement race"
        alt_text = "Share of sentences in which the right word is likelier, over the steps, for every network"
    else:
        courses = {name: dict(sorted(history.validation.items())) for name, history in together.items()}
        said = race_verdict.of_loss(courses, unit, over)
        drawing, title = charts.validation_race(charts.course_table(courses), list(together), total, unit), "loss race"
        alt_text = "Loss on the sentences kept aside over the steps, for every network"
    widgets.chart(
        drawing,
        title=wording.RACE_PICTURES[title],
        reading=said or wording.RACE_EARLY,
        alt_text=alt_text,
        key=f"{title} chart",
    )


def losses(together: dict[str, LaneHistory], unit: str) -> None:
    recent = {name: loss for name, history in together.items() if (loss := history.recent_loss()) is not None}
    if recent:
        best, worst = min(recent, key=lambda name: recent[name]), max(recent, key=lambda name: recent[name])
        said = wording.RACE_LOSS if len(recent) > 1 else wording.RACE_LOSS_ALONE
        step = int(max(history.latest.get("step", 0) for history in together.values()))
        reading = said.format(step=step, best=best, worst=worst, lowest=recent[best], highest=recent[worst])
    else:
        reading = wording.RACE_EARLY
    widgets.chart(
        charts.loss_chart(loss_table(together), list(together), unit),
        title=wording.RACE_PICTURES["loss"],
        reading=reading,
        alt_text="Training loss of every network over the steps of the race",
        key="race loss chart",
    )


def loss_table(together: dict[str, LaneHistory]) -> pd.DataFrame:
    return charts.loss_table({name: (history.loss.steps, history.loss.values) for name, history in together.items()})


def newest_horizons(together: dict[str, LaneHistory]) -> dict[str, HorizonMeasured]:
    step = common_step([history.horizons for history in together.values()])
    return {name: history.horizons[step] for name, history in together.items() if step in history.horizons}


def horizons(together: dict[str, LaneHistory], unit: str) -> None:
    measured = newest_horizons(together)
    lag = min([FAR, *(len(found.median) - 1 for found in measured.values() if found.median)])
    shares = {name: found.median[lag] for name, found in measured.items() if len(found.median) > lag > 0}
    if shares:
        ordered = sorted(shares.items(), key=lambda item: -item[1])
        said = ", ".join(f"{name} **{share_left(share)}**" for name, share in ordered)
        reading = wording.RACE_HORIZON.format(lag=lag, shares=said)
    else:
        reading = wording.RACE_EARLY
    table = charts.horizon_table({name: found.median for name, found in measured.items()})
    widgets.chart(
        charts.horizon_chart(table, list(together), unit),
        title=wording.RACE_PICTURES["horizon"],
        reading=reading,
        alt_text="Median share of the gradient that is left over the lag, for every network",
        key="race horizon chart",
    )


def share_left(share: float) -> str:
    return f"{100 * share:.3g}\u00a0%" if share >= 1e-4 else f"{100 * share:.0e}\u00a0%"


def agreements(together: dict[str, LaneHistory]) -> None:
    step = common_step([history.agreements for history in together.values()])
    measured = {name: history.agreements[step] for name, history in together.items() if step in history.agreements}
    if not measured:
        anything = any(history.horizons for history in together.values())
        st.markdown(f"### {wording.RACE_PICTURES['agreement']}", anchors=False)
        st.markdown(wording.RACE_NO_AGREEMENT if anything else wording.RACE_EARLY)
        return
    first = next(iter(measured.values()))
    ordered = sorted(measured.items(), key=lambda item: -item[1].accuracy[-1])
    shares = ", ".join(f"{name} **{100 * found.accuracy[-1]:.0f}\u00a0%**" for name, found in ordered)
    widgets.chart(
        charts.agreement_chart(charts.agreement_table(measured), list(together)),
        title=wording.RACE_PICTURES["agreement"],
        reading=wording.RACE_AGREEMENT.format(gap=first.gaps[-1], items=first.items[-1], shares=shares),
        alt_text="Share of sentences in which the right word is likelier, over the words in between",
        key="race agreement chart",
    )


def behind() -> None:
    """The equations, and what their letters mean."""
    with st.expander("Equations", icon=":material/function:"):
        for equation in wording.RACE_EQUATIONS:
            st.latex(equation)
        st.markdown(wording.RACE_SYMBOLS)


page()
