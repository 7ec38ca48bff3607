"""The word that never received a gradient: four experiments, each trained on the spot."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import streamlit as st

from dashboard.charts import story as charts
from dashboard.components import pictures, widgets
from dashboard.components.unrolled import unrolled_network, unrolled_picture
from dashboard.services import arriving, library, racing, story, worker
from dashboard.services.arriving import Arriving
from dashboard.services.racing import LaneHistory
from dashboard.services.story import Setting
from dashboard.state import link, session
from dashboard.text import general as common_wording
from dashboard.text import stories as wording
from rnn_core.errors import UserError
from rnn_core.runs import Run, RunStatus

PAGE = "story"
CHAPTER = session.key(PAGE, "chapter")
TURNED = session.key(PAGE, "chapter turned to")
READ = "story chapter"
UNROLLED = session.key(PAGE, "unrolled network")
FIRST = {
    "tutorial": Setting(),
    "reach": Setting(),
    "distance": Setting(truncate=None),
    "cure": Setting(gap=20, truncate=None),
}
"""What each chapter shows before anything was trained: what its control stands at."""
POLL_SECONDS = 0.8
FULL = "full"


def page() -> None:
    st.title(wording.STORY_TITLE, anchor=False)
    st.markdown(wording.STORY_INTRO.format(short=story.SECONDS[0], long=story.SECONDS[1]))
    problem = session.take_problem()
    if problem is not None:
        widgets.problem("This could not be trained", problem)
    run, setting = opened()
    with st.container(key=READ):
        chapter = choose_chapter(setting)
        st.markdown(wording.STORY_TEXTS[chapter])
        if chapter == "distance":
            accuracies, learned = story.HARD
            st.markdown(
                wording.STORY_SEED.format(
                    seed=story.SEED, least=accuracies[story.SEED], learned=learned, seeds=len(accuracies)
                )
            )
        control(chapter, setting)
    if session.value(TURNED, None) == chapter:
        bring_into_view(chapter)
    if run is None or setting is None:
        before_training(FIRST[chapter])
    else:
        live = widgets.at_work(run)
        st.fragment(widgets.error_boundary(look), run_every=POLL_SECONDS if live else None)(run, setting, live)
    onwards(chapter)
    with st.expander("Equations and settings", icon=":material/function:"):
        st.latex(wording.STORY_EQUATIONS)
        st.markdown(wording.STORY_NOTES)


def opened() -> tuple[Run | None, Setting | None]:
    """The open run, if it is one of the story's, and which experiment it is."""
    run_id = session.run_id()
    if run_id is None:
        return None, None
    try:
        run = library.open_run(run_id)
    except UserError:
        return None, None  # deleted, or a damaged one: the story can begin all the same
    return run, story.recognise(run.config)


# --- where the story stands -------------------------------------------------------------------------------------------


def choose_chapter(setting: Setting | None) -> str:
    """Which part is read: as the link says, else that of the open run."""
    usual = "tutorial" if setting is None else setting.chapter
    chosen: str = st.segmented_control(
        "Part",
        list(story.CHAPTERS),
        required=True,
        format_func=lambda name: wording.STORY_CHAPTERS[name],
        label_visibility="collapsed",
        **link.field(CHAPTER, "part", {name: name for name in story.CHAPTERS}.__getitem__, usual),
    )
    return chosen


def onwards(chapter: str) -> None:
    place = story.CHAPTERS.index(chapter) + 1
    if place < len(story.CHAPTERS):
        following = story.CHAPTERS[place]
        st.button(
            wording.STORY_CHAPTERS[following],
            icon=":material/arrow_forward:",
            on_click=turn_to,
            args=(following,),
            key=session.key(PAGE, "onwards"),
        )
        return
    with st.container(horizontal=True):
        st.page_link("views/gradients.py", label="Look into this network", icon=":material/gradient:")
        st.page_link("views/race.py", label="Let networks race", icon=":material/flag:")
        st.page_link("views/by_hand.py", label="Follow the gradient by hand", icon=":material/edit:")


def turn_to(chapter: str) -> None:
    """From the button at the page's end: what is to be read next stands at its top."""
    session.put(CHAPTER, chapter)
    session.put(TURNED, chapter)


def bring_into_view(chapter: str) -> None:
    """Scroll to the words of the chapter, once: the browser runs a script when it first stands on the page, and the
    chapter's name (ours) makes each chapter's another.
    """
    place = "st-key-" + READ.replace(" ", "-")
    st.html(
        f"<script>/* {chapter} */ document.querySelector('.{place}').scrollIntoView()</script>",
        unsafe_allow_javascript=True,
    )


# --- what the visitor may change --------------------------------------------------------------------------------------


def control(chapter: str, setting: Setting | None) -> None:
    """The one thing to try in this part. Whoever changes it starts a new training."""
    here = setting if setting is not None and setting.chapter == chapter else None
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        match chapter:
            case "tutorial":
                st.button(
                    "Train it",
                    type="primary" if here is None else "secondary",
                    icon=":material/play_arrow:",
                    on_click=begin,
                    args=(Setting(),),
                    key=session.key(PAGE, "train"),
                )
            case "reach":
                names = [FULL if reach is None else str(reach) for reach in story.REACHES]
                at = "4" if here is None else FULL if here.truncate is None else str(here.truncate)
                slider("Truncation", "truncate", names, at, lambda name: Setting(truncate=reach_of(name)))
            case "distance":
                at = "10" if here is None else str(here.gap)
                slider("Gap", "gap", list(map(str, story.GAPS)), at, lambda name: Setting(int(name), None))
            case "cure":
                key = session.key(PAGE, "network")
                st.segmented_control(
                    "Network",
                    list(story.NETWORKS),
                    default="tanh uniform" if here is None else here.network,
                    required=True,
                    format_func=lambda name: wording.STORY_NETWORKS[name],
                    help=wording.STORY_HELP["network"],
                    on_change=lambda: begin(Setting(20, None, session.value(key, "tanh uniform"))),
                    wrap=True,
                    key=key,
                )
        if setting is not None:
            st.button(
                "Another seed",
                icon=":material/casino:",
                help=wording.STORY_HELP["seed"],
                on_click=begin,
                args=(dataclasses.replace(setting, seed=setting.seed + 1),),
                key=session.key(PAGE, "seed"),
            )


def slider(label: str, name: str, options: list[str], at: str, setting_of: Callable[[str], Setting]) -> None:
    key = session.key(PAGE, name)
    st.select_slider(
        label,
        options,
        at if at in options else options[0],
        help=wording.STORY_HELP[name],
        on_change=lambda: begin(setting_of(session.value(key, at))),
        width=360,
        key=key,
    )


def reach_of(name: str) -> int | None:
    return None if name == FULL else int(name)


def begin(setting: Setting) -> None:
    """Train this experiment now, and look at it; the one before it stops."""
    before, known = opened()
    try:
        if before is not None and known is not None and before.status().alive and library.mine(before):
            library.request(before, "stop")
        name = f"Story: {describe(setting)}"
        race_id = worker.begin_race({name: setting.model()}, setting.corpus(), story.TEXT, setting.training())
    except UserError as error:
        session.leave_problem(error)
        return
    session.open_run(racing.lane_id(race_id, 1))


def describe(setting: Setting) -> str:
    reach = "full gradients" if setting.truncate is None else f"truncation {setting.truncate}"
    return f"{wording.STORY_NETWORKS[setting.network]}, gap {setting.gap}, {reach}, seed {setting.seed}"


# --- the pictures -----------------------------------------------------------------------------------------------------


def look(run: Run, setting: Setting, live: bool) -> None:
    """One look at the experiment. Drawn again several times a second while it trains."""
    if live != widgets.at_work(run):
        st.rerun()
    try:
        status = run.status()
        history = session.lane_history(run)
        history.update()
        steps = run.moments()
    except UserError as error:
        widgets.problem("This training cannot be read", error)
        return
    state(setting, status, history)
    widgets.older_state(run)
    if status.state in ("failed", "diverged", "dead"):
        widgets.problem(common_wording.STATE_HELP[status.state], status.message)
    if not steps:
        st.info(wording.STORY_STARTING, icon=":material/hourglass_top:")
        return
    try:
        folder, first, newest = str(run.folder), steps[0], steps[-1]
        shares, first_shares = story.lag_shares(folder, newest), story.lag_shares(folder, first)
        sentence = story.example(folder)
        arrives = arriving.arriving(folder, newest, sentence.tokens)
        at_first = arriving.arriving(folder, first, sentence.tokens) if first < newest else None
        finished = status.state == "finished"
        fresh = story.fresh_accuracy(folder, newest, setting.gap) if finished else None
    except UserError:
        return  # a newer checkpoint took its place between the two looks; the next look finds it
    what_arrives(setting, sentence, arrives, at_first, first)
    left, right = st.columns(2, gap="large")
    with left:
        loss(history, status)
    with right:
        accuracy(history, status, fresh)
    left, right = st.columns(2, gap="large")
    with left:
        by_lag(setting, shares, first_shares)
    with right:
        ten_seeds(setting, fresh)


def before_training(setting: Setting) -> None:
    """The sentence in the network that the first training will start from."""
    sentence, arrives = story.untrained(setting)
    words = arrives.words
    st.markdown(
        wording.STORY_WAITING.format(
            target=words[sentence.target + 1],
            controller=words[sentence.controller],
            lag=sentence.target - sentence.controller,
        )
    )
    unrolled(setting, sentence, arrives)


def state(setting: Setting, status: RunStatus, history: LaneHistory) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        widgets.state_badge(status.state)
        st.caption(describe(setting))
    if status.total_steps:
        text = f"step {status.step:,} of {status.total_steps:,}"
        left = history.seconds_left(status.total_steps)
        if status.alive and left is not None:
            text += f" · {widgets.duration(left)} left"
        elif not status.alive and len(history.clock.values):
            text += f" · trained for {widgets.duration(history.clock.values[-1])}"
        st.progress(min(1.0, status.step / status.total_steps), text=text)


def heading(name: str) -> None:
    st.header(wording.STORY_PICTURES[name], anchor=False)


def percent(share: float) -> str:
    """0.123 -> "12 %", 0.00012 -> "0.012 %", 1e-9 -> "1e-07 %", 4.89 -> "4.9 times"; no line breaks before the %."""
    if share >= 2:
        return f"{share:.1f} times"
    return f"{100 * share:.0f}\u00a0%" if share >= 0.1 else f"{100 * share:.2g}\u00a0%"


def what_arrives(
    setting: Setting, sentence: story.Example, now: Arriving, at_first: Arriving | None, first: int
) -> None:
    """The sentence unrolled, and pale beside it what arrived before the training: that is where it vanishes."""
    drawing = unrolled_picture(now.words, now.norms, key=UNROLLED)
    pictures.heading(wording.STORY_PICTURES["sentence"], [drawing], level=2)
    lag = sentence.target - sentence.controller
    if setting.truncate is not None and setting.truncate < lag:
        last = now.words[sentence.target - setting.truncate]
        if not last.isalpha():  # A word of the grammar is letters alone. Another's run may hold anything: no Markdown.
            last = "…"
        st.markdown(
            wording.STORY_SENTENCE_CUT.format(
                target=now.words[sentence.target + 1],
                reached=setting.truncate,
                last=last,
                controller=now.words[sentence.controller],
                lag=lag,
            )
        )
    before_name = common_wording.BEFORE_STEP.format(step=first) if first else wording.STORY_BEFORE
    unrolled(setting, sentence, now, at_first, before_name)


def unrolled(
    setting: Setting, sentence: story.Example, now: Arriving, at_first: Arriving | None = None, before_name: str = ""
) -> None:
    unrolled_network(
        now.words,
        now.norms,
        key=UNROLLED,
        chosen=sentence.target,
        listener=sentence.controller,
        bound=now.bound,
        truncate=setting.truncate,
        before=None if at_first is None else at_first.norms,
        before_name=before_name,
        unknown=now.unknown,
        size="compact",
    )


def loss(history: LaneHistory, status: RunStatus) -> None:
    last = history.recent_loss()
    reading = "" if last is None else wording.STORY_LOSS.format(first=history.loss.values[0], last=last)
    widgets.chart(
        charts.loss(charts.loss_table(history.loss.steps, history.loss.values), status.total_steps or 1),
        title=wording.STORY_PICTURES["loss"],
        reading=reading,
        alt_text="Training loss over the steps",
        key="story loss",
    )


def accuracy(history: LaneHistory, status: RunStatus, fresh: float | None) -> None:
    reading = ""
    measured = {step: found.accuracy[0] for step, found in history.agreements.items() if found.accuracy}
    if fresh is not None:
        verdict = wording.STORY_VERDICTS[verdict_of(fresh)]
        reading = wording.STORY_FRESH.format(asked=story.ASKED, share=percent(fresh), verdict=verdict)
    elif measured:
        step = max(measured)
        items = history.agreements[step].items[0]
        reading = wording.STORY_ACCURACY.format(step=step, share=percent(measured[step]), items=items)
    widgets.chart(
        charts.accuracy(charts.accuracy_table(measured), status.total_steps or 1),
        title=wording.STORY_PICTURES["accuracy"],
        reading=reading,
        alt_text="Share of sentences in which the right word is likelier, over the steps, beside a coin's half",
        key="story accuracy",
    )


def verdict_of(accuracy: float) -> str:
    """A coin's accuracy over ASKED sentences lies within two standard errors of a half, 19 times in 20."""
    if accuracy >= story.LEARNED:
        return "learned"
    if accuracy < 0.5 + 2 * (0.25 / story.ASKED) ** 0.5:
        return "coin"
    return "hardly" if accuracy < 0.6 else "between"


def by_lag(setting: Setting, now: story.LagShares, at_first: story.LagShares) -> None:
    share, first = float(now.shares[setting.gap]), float(at_first.shares[setting.gap])
    if setting.truncate is not None and setting.truncate < setting.gap:
        reading = wording.STORY_LAGS_CUT.format(bars=setting.truncate + 1, gap=setting.gap)
    else:
        reading = wording.STORY_LAGS_FULL.format(gap=setting.gap, share=percent(share), at_first=percent(first))
    widgets.chart(
        charts.lag_shares(charts.lag_shares_table(now.shares), len(now.shares), setting.gap),
        title=wording.STORY_PICTURES["lags"],
        reading=reading,
        alt_text="What each distance pays into the gradient of W",
        key="story lags",
    )


def ten_seeds(setting: Setting, fresh: float | None) -> None:
    beforehand = story.measured(setting)
    if beforehand is None:
        heading("seeds")
        st.markdown(wording.STORY_NO_SEEDS)
        return
    seeds = len(beforehand.accuracies)
    reading = wording.STORY_SEEDS.format(learned=beforehand.learned, seeds=seeds)
    if setting.seed in range(seeds):
        then = beforehand.accuracies[setting.seed]
        reading += " " + wording.STORY_THEN.format(seed=setting.seed, then=then)
        if fresh is not None and (fresh >= story.LEARNED) != (then >= 100 * story.LEARNED):
            reading += " " + wording.STORY_OTHERWISE
    widgets.chart(
        charts.seeds(charts.seeds_table(beforehand.accuracies, fresh)),
        title=wording.STORY_PICTURES["seeds"],
        reading=reading,
        alt_text="Accuracy of ten seeds after the last step, and of this run",
        key="story seeds",
    )
    if setting.chapter == "tutorial":
        longer = story.LONGER.accuracies
        st.caption(
            wording.STORY_ECHO.format(
                steps=story.LONGER_STEPS, low=min(longer), high=max(longer), median=float(np.median(longer))
            )
        )


page()
