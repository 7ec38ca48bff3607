"""Sweep: one training for every combination of some settings, and for several seeds."""

from __future__ import annotations

import time

import streamlit as st

from dashboard import hosting
from dashboard.charts import sweep as charts
from dashboard.components import chosen_text, demo, settings_form, task_form, widgets
from dashboard.services import library, sweeps
from dashboard.state import link, session
from dashboard.text import sweep as wording
from rnn_core.config import ModelConfig, TaskSettings, TextSettings, TrainingSettings, settings_of
from rnn_core.data import PreparedCorpus
from rnn_core.data.tasks import make_task
from rnn_core.errors import UserError
from rnn_core.experiments.sweep import ENDED, Grid, PointResult, Sweep, bands, find_setting, parse_grid
from rnn_core.experiments.sweeping import corpus_digest

PAGE = "sweep"
POLL_SECONDS = 2.0
NOT_OFFERED = ("vocabulary_size", "seed", "task", "validation_sequences")
USUAL = ("hidden_size",)
LONGEST_VALUES, MOST_SEEDS = 500, 20


def page() -> None:
    st.title("Sweep", anchor=False)
    sweep_id = session.sweep_id()
    if sweep_id is not None:
        try:
            _, results = sweeps.opened(sweep_id)
        except UserError as error:
            session.close_sweep()
            widgets.problem("This sweep cannot be opened", error)
        else:
            watch(sweep_id, sweeps.at_work(sweep_id, results))
            return
    set_up()


# --- a new sweep ------------------------------------------------------------------------------------------------------


def set_up() -> None:
    caps = hosting.current_caps()
    st.markdown(wording.INTRO)
    if caps is not None:
        st.markdown(wording.HOSTED.format(most=caps.trainings_per_visitor))
    settings_form.fill_from_link(PAGE)
    learn = task_form.choose_kind()
    task: TaskSettings | None = None
    corpus: PreparedCorpus | None = None
    text = TextSettings()
    if learn == "task":
        task, made = task_form.choose_task()
        size, sentences, possible = (made.symbols or 2) if made else 2, task_form.SENTENCES, made is not None
    else:
        chosen = chosen_text.find()
        if chosen is None:
            demo.offer("train")
            return
        corpus, text = chosen.corpus, chosen.settings
        chosen_text.show(chosen)
        size, sentences, possible = len(corpus.vocabulary), len(corpus.train), True
    grid, seeds = choose_grid(task)
    limits = {} if caps is None else caps.of_settings()
    with st.expander("All other settings", icon=":material/tune:"):
        form = settings_form.draw(PAGE, size, sentences, limits, of_task=task is not None)
    plan = made_plan(grid, seeds, form.model, form.training, task, text, corpus) if possible and grid else None
    refusal = form.report()
    if refusal:
        widgets.problem("This cannot be trained", refusal)
    elif plan is not None:
        st.caption(f"{widgets.count(len(plan.points), 'training')}")
    if st.button(
        "Start the sweep", type="primary", icon=":material/play_arrow:", disabled=plan is None or bool(refusal)
    ):
        assert plan is not None
        try:
            begun = sweeps.begin(plan, corpus)
            settings_form.leave_link(PAGE)
            task_form.leave_link()
            chosen_text.leave_link()
            for parameter in ("grid", "seeds", *(f"values_{name}" for name in plan.grid)):
                link.write(parameter, None)
            session.open_sweep(begun)
        except UserError as error:
            widgets.problem("This sweep could not be started", error)
            return
        st.rerun()


def choose_grid(task: TaskSettings | None) -> tuple[Grid | None, int]:
    """What is swept over; None, after saying why, where that makes no sense."""
    classes = (ModelConfig, TrainingSettings, *(() if task is None else (TaskSettings,)))
    declared = {name: setting for part in classes for name, setting in settings_of(part).items()}
    offered = [name for name in declared if name not in NOT_OFFERED]

    def listed(names: str) -> list[str]:
        """Of a link; KeyError for what is not offered."""
        return [{name: name for name in offered}[name] for name in names.split(",")]

    with st.container(border=True):
        names = st.multiselect(
            "Settings that differ",
            offered,
            format_func=lambda name: declared[name].label,
            help=wording.GRID_HELP,
            **link.field(session.key(PAGE, "names"), "grid", listed, list(USUAL), ",".join),
        )
        texts = []
        for name in names:
            setting = declared[name]
            choices = ", ".join(setting.choices) if setting.choices is not None else ""
            widget, usual = session.key(PAGE, f"values of {name}"), choices or _usual_values(setting.default)
            values = st.text_input(
                setting.label,
                max_chars=LONGEST_VALUES,
                help=f"{wording.VALUES_HELP} {choices}",
                **link.field(widget, f"values_{name}", link.words(LONGEST_VALUES), usual),
            )
            texts.append(f"{name}={values}")
        seeds = st.number_input(
            "Seeds",
            min_value=1,
            max_value=MOST_SEEDS,
            width=160,
            help=wording.SEEDS_HELP,
            **link.field(session.key(PAGE, "seeds"), "seeds", link.whole(1, MOST_SEEDS), 3),
        )
    try:
        return (parse_grid(texts, task is not None) if names else None), int(seeds)
    except UserError as error:
        widgets.problem("These values make no sense", error)
        return None, int(seeds)


def _usual_values(default: object) -> str:
    """Something to begin with: the default, its half and its double."""
    if isinstance(default, bool):
        return "yes, no"
    if isinstance(default, int):
        return ", ".join(str(max(1, value)) for value in dict.fromkeys((default // 2, default, 2 * default)))
    return f"{default:g}" if isinstance(default, float) else ""


def made_plan(
    grid: Grid,
    seeds: int,
    model: ModelConfig,
    training: TrainingSettings,
    task: TaskSettings | None,
    text: TextSettings,
    corpus: PreparedCorpus | None,
) -> Sweep | None:
    try:
        digest = "" if corpus is None else corpus_digest(corpus)
        return Sweep(grid, seeds, model, training, task, text, digest, beside=True)
    except UserError as error:
        widgets.problem("This sweep makes no sense", error)
        return None


# --- a sweep that is under way, or over -------------------------------------------------------------------------------


def watch(sweep_id: str, moving: bool) -> None:
    st.fragment(widgets.error_boundary(state), run_every=POLL_SECONDS if moving else None)(sweep_id, moving)


def state(sweep_id: str, moving: bool) -> None:
    """How all points stand; drawn again and again while they move."""
    plan, results = sweeps.opened(sweep_id)
    if sweeps.at_work(sweep_id, results) != moving:
        st.rerun()
    controls(sweep_id, results, moving)
    progress(sweep_id, results, moving)
    if hosting.current_caps() is not None and moving:
        for result in results:
            if result.state in ("queued", "running"):
                library.open_run(sweeps.run_id(sweep_id, plan, result)).watch()
    measure = "validation loss (nats)" if plan.task is None else make_task(plan.task).metric_name
    best(sweep_id, plan, results, measure, moving)
    tables(results, measure, titles(plan))


def controls(sweep_id: str, results: list[PointResult], moving: bool) -> None:
    left = any(result.state not in (*ENDED, "failed") for result in results)
    with st.container(horizontal=True, vertical_alignment="center"):
        if (
            sweeps.mine(sweep_id)
            and moving
            and st.button("Stop", icon=":material/stop:", key=session.key(PAGE, "stop"))
        ):
            act(sweeps.stop, sweep_id)
        if (
            sweeps.mine(sweep_id)
            and left
            and not moving
            and st.button("Go on", type="primary", icon=":material/play_arrow:", key=session.key(PAGE, "go on"))
        ):
            act(sweeps.start, sweep_id)
        if st.button("New sweep", icon=":material/add:", key=session.key(PAGE, "new")):
            session.close_sweep()
            st.rerun()


def act(what: object, sweep_id: str) -> None:
    assert callable(what)
    try:
        what(sweep_id)
    except UserError as error:
        widgets.problem("That was not possible", error)
        return
    st.rerun()


def progress(sweep_id: str, results: list[PointResult], moving: bool) -> None:
    share = sum(result.fraction for result in results) / len(results)
    ended = sum(result.state in ENDED for result in results)
    said = f"{ended:,} of {widgets.count(len(results), 'training')} done"
    if moving:
        since, first = session.first_seen(f"sweep {sweep_id}", share)
        gone = time.monotonic() - since
        if share > first and gone > 2 * POLL_SECONDS:
            said += f" · {widgets.duration((1 - share) * gone / (share - first))} left"
    st.progress(min(1.0, share), text=said)


def titles(plan: Sweep) -> dict[str, str]:
    """What the screen calls the settings that are swept over; by its own name one whose label another has too."""
    labels = {name: find_setting(name, plan.task is not None).label for name in plan.grid}
    return {name: label if [*labels.values()].count(label) == 1 else name for name, label in labels.items()}


def best(sweep_id: str, plan: Sweep, results: list[PointResult], measure: str, moving: bool) -> None:
    found, named = bands(results), titles(plan)
    if not found:
        st.text(wording.NOTHING_YET)
        return
    settings = ", ".join(
        f"{named[name]} {'none' if value is None else value}" for name, value in found[0].settings.items()
    )
    seeds, equals = widgets.count(found[0].seeds, "seed"), sum(band.mean == found[0].mean for band in found[1:])
    reading = wording.READING_SO_FAR if moving else wording.READING
    said = reading.format(settings=settings, measure=measure, mean=f"{found[0].mean:.4g}", seeds=seeds)
    st.text(f"{said} {wording.EQUALS.format(others=widgets.count(equals, 'other'))}" if equals else said)
    ended = sorted(results, key=lambda result: result.rank)
    known = [
        ({named[name]: value for name, value in result.point.settings.items()}, result.measured)
        for result in ended
        if result.measured is not None
    ]
    widgets.live_chart(
        charts.parallel,
        charts.parallel_table(known, measure),
        *named.values(),
        measure,
        title="All trainings",
        about=wording.PARALLEL_HELP,
        alt_text="A line for each training through the values of its settings to what it reached",
        key="sweep chart",
    )
    if st.button("Open the best training", icon=":material/emoji_events:", key=session.key(PAGE, "best")):
        session.open_run(sweeps.run_id(sweep_id, plan, ended[0]))
        st.switch_page("views/train.py")


def tables(results: list[PointResult], measure: str, named: dict[str, str]) -> None:
    found = bands(results)
    if found:
        columns: dict[str, list[object]] = {
            named[name]: ["none" if band.settings[name] is None else str(band.settings[name]) for band in found]
            for name in found[0].settings
        }
        columns |= {
            measure: [float(f"{band.mean:.4g}") for band in found],
            "lowest": [float(f"{band.low:.4g}") for band in found],
            "highest": [float(f"{band.high:.4g}") for band in found],
            "seeds": [band.seeds for band in found],
        }
        widgets.table(columns)
    wrong = [result for result in results if result.state in ("failed", "diverged", "dead")]
    if wrong:
        with st.expander(f"What went wrong ({len(wrong)})"):
            widgets.table(
                {
                    "training": [result.point.label for result in wrong],
                    "state": [result.state for result in wrong],
                    "why": [result.message for result in wrong],
                }
            )


page()
