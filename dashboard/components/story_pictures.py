"""The pictures of one experiment on the Story page: the sentence, its loss and accuracy, the lags, and ten seeds."""

from __future__ import annotations

import numpy as np
import streamlit as st

from dashboard.charts import story as charts
from dashboard.components import errors, formatting, pictures, polling, widgets
from dashboard.components.opened_run import older_state
from dashboard.components.pictures import Chart
from dashboard.components.unrolled import picture_data, unrolled_network, unrolled_picture
from dashboard.services import run_sentence, story
from dashboard.services.racing import LaneHistory
from dashboard.services.run_sentence import ArrivingGradients
from dashboard.services.story import StoryExperiment
from dashboard.state import session
from dashboard.text import general as common_wording
from dashboard.text import story as wording
from dashboard.text import training as training_wording
from rnn_core.errors import UserError
from rnn_core.runs import Run, RunStatus

UNROLLED = session.key("story", "unrolled network")

HARDLY = 0.6
"""Below this accuracy a network that does better than a coin is said to do hardly better."""


def describe(experiment: StoryExperiment) -> str:
    """The experiment in one line."""
    reach = "full gradients" if experiment.truncate is None else f"truncation {experiment.truncate}"
    return f"{wording.NETWORKS[experiment.network]}, gap {experiment.gap}, {reach}, seed {experiment.seed}"


def draw(run: Run, experiment: StoryExperiment, live: bool) -> None:
    """All pictures; drawn again several times a second while the run trains. live: whether it did when the page was
    drawn.
    """
    if live != polling.at_work(run):
        st.rerun()
    try:
        status = run.status()
        history = session.lane_history(run)
        history.update()
        steps = run.moments()
    except UserError as error:
        errors.problem("This training cannot be read", error)
        return
    _state(experiment, status, history)
    older_state(run)
    if status.state in ("failed", "diverged", "dead"):
        errors.problem(common_wording.STATE_HELP[status.state], status.message)
    if not steps:
        st.info(wording.STARTING, icon=":material/hourglass_top:")
        return
    try:
        folder, first, newest = str(run.folder), steps[0], steps[-1]
        shares, first_shares = story.lag_shares(folder, newest), story.lag_shares(folder, first)
        sentence = story.example(folder)
        arrives = run_sentence.gradients(folder, newest, sentence.tokens)
        at_first = run_sentence.gradients(folder, first, sentence.tokens) if first < newest else None
        finished = status.state == "finished"
        fresh = story.fresh_accuracy(folder, newest, experiment.gap) if finished else None
    except UserError:
        return  # a newer checkpoint took its place between the two looks; the next look finds it
    _what_arrives(experiment, sentence, arrives, at_first, first)
    left, right = st.columns(2, gap="large")
    with left:
        _loss(history, status)
    with right:
        _accuracy(history, status, fresh)
    left, right = st.columns(2, gap="large")
    with left:
        _by_lag(experiment, shares, first_shares)
    with right:
        _ten_seeds(experiment, fresh)


def before_training(experiment: StoryExperiment) -> None:
    """The sentence in the network that the first training will start from."""
    sentence, arrives = story.untrained(experiment)
    words = arrives.words
    st.markdown(
        wording.WAITING.format(
            target=words[sentence.target + 1],
            controller=words[sentence.controller],
            lag=sentence.target - sentence.controller,
        )
    )
    _unrolled(experiment, sentence, arrives)


def _state(experiment: StoryExperiment, status: RunStatus, history: LaneHistory) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        widgets.state_badge(status.state)
        st.caption(describe(experiment))
    if status.total_steps:
        text = f"step {status.step:,} of {status.total_steps:,}"
        left = history.seconds_left(status.total_steps)
        if status.alive and left is not None:
            text += f" · {formatting.duration(left)} left"
        elif not status.alive and len(history.clock.values):
            text += f" · trained for {formatting.duration(history.clock.values[-1])}"
        st.progress(min(1.0, status.step / status.total_steps), text=text)


def _heading(name: str) -> None:
    st.header(wording.PICTURES[name], anchor=False)


def _percent(share: float) -> str:
    """0.123 -> "12 %", 0.00012 -> "0.012 %", 1e-9 -> "1e-07 %", 4.89 -> "4.9 times"; no line breaks before the %."""
    if share >= 2:
        return f"{share:.1f} times"
    return f"{100 * share:.0f}\u00a0%" if share >= 0.1 else f"{100 * share:.2g}\u00a0%"


def _what_arrives(
    experiment: StoryExperiment,
    sentence: story.Example,
    now: ArrivingGradients,
    at_first: ArrivingGradients | None,
    first: int,
) -> None:
    """The sentence unrolled, and pale beside it what arrived before the training: that is where it vanishes."""
    drawing = unrolled_picture(now.words, now.norms, key=UNROLLED)
    pictures.heading(wording.PICTURES["sentence"], [drawing], level=2)
    lag = sentence.target - sentence.controller
    if experiment.truncate is not None and experiment.truncate < lag:
        last = now.words[sentence.target - experiment.truncate]
        if not last.isalpha():  # A word of the grammar is letters alone. Another's run may hold anything: no Markdown.
            last = "…"
        st.markdown(
            wording.SENTENCE_CUT.format(
                target=now.words[sentence.target + 1],
                reached=experiment.truncate,
                last=last,
                controller=now.words[sentence.controller],
                lag=lag,
            )
        )
    before_name = training_wording.BEFORE_STEP.format(step=first) if first else wording.BEFORE
    _unrolled(experiment, sentence, now, at_first, before_name)


def _unrolled(
    experiment: StoryExperiment,
    sentence: story.Example,
    now: ArrivingGradients,
    at_first: ArrivingGradients | None = None,
    before_name: str = "",
) -> None:
    unrolled_network(
        picture_data(
            now.words,
            now.norms,
            chosen=sentence.target,
            controller=sentence.controller,
            bound=now.bound,
            truncate=experiment.truncate,
            before=None if at_first is None else at_first.norms,
            before_name=before_name,
            unknown=now.unknown,
            size="compact",
        ),
        key=UNROLLED,
    )


def _loss(history: LaneHistory, status: RunStatus) -> None:
    last = history.recent_loss()
    caption = "" if last is None else wording.LOSS.format(first=history.loss.values[0], last=last)
    pictures.picture(
        wording.PICTURES["loss"],
        Chart(
            charts.loss(status.total_steps or 1),
            charts.loss_table(history.loss.steps, history.loss.values),
            "story loss",
            "Training loss over the steps",
        ),
        caption=caption,
    )


def _accuracy(history: LaneHistory, status: RunStatus, fresh: float | None) -> None:
    caption = ""
    measured = {step: found.accuracy[0] for step, found in history.agreements.items() if found.accuracy}
    if fresh is not None:
        verdict = wording.VERDICTS[_verdict_of(fresh)]
        caption = wording.FRESH.format(asked=story.ASKED, share=_percent(fresh), verdict=verdict)
    elif measured:
        step = max(measured)
        items = history.agreements[step].items[0]
        caption = wording.ACCURACY.format(step=step, share=_percent(measured[step]), items=items)
    pictures.picture(
        wording.PICTURES["accuracy"],
        Chart(
            charts.accuracy(status.total_steps or 1),
            charts.accuracy_table(measured),
            "story accuracy",
            "Share of sentences in which the right word is likelier, over the steps, beside a coin's half",
        ),
        caption=caption,
    )


def _verdict_of(accuracy: float) -> str:
    """ "learned"; "coin" where a coin would do as well (within two standard errors of a half, 19 times in 20); "hardly"
    below HARDLY; else "between".
    """
    if accuracy >= story.LEARNED:
        return "learned"
    if accuracy < 0.5 + 2 * (0.25 / story.ASKED) ** 0.5:
        return "coin"
    return "hardly" if accuracy < HARDLY else "between"


def _by_lag(experiment: StoryExperiment, now: story.LagShares, at_first: story.LagShares) -> None:
    share, first = float(now.shares[experiment.gap]), float(at_first.shares[experiment.gap])
    if experiment.truncate is not None and experiment.truncate < experiment.gap:
        caption = wording.LAGS_CUT.format(bars=experiment.truncate + 1, gap=experiment.gap)
    else:
        caption = wording.LAGS_FULL.format(gap=experiment.gap, share=_percent(share), at_first=_percent(first))
    pictures.picture(
        wording.PICTURES["lags"],
        Chart(
            charts.lag_shares(len(now.shares), experiment.gap),
            charts.lag_shares_table(now.shares),
            "story lags",
            "What each distance pays into the gradient of W",
        ),
        caption=caption,
    )


def _ten_seeds(experiment: StoryExperiment, fresh: float | None) -> None:
    beforehand = story.measured(experiment)
    if beforehand is None:
        _heading("seeds")
        st.markdown(wording.NO_SEEDS)
        return
    seeds = len(beforehand.accuracies)
    caption = wording.SEEDS.format(learned=beforehand.learned, seeds=seeds)
    if experiment.seed in range(seeds):
        then = beforehand.accuracies[experiment.seed]
        caption += " " + wording.THEN.format(seed=experiment.seed, then=then)
        if fresh is not None and (fresh >= story.LEARNED) != (then >= 100 * story.LEARNED):
            caption += " " + wording.OTHERWISE
    pictures.picture(
        wording.PICTURES["seeds"],
        Chart(
            charts.seeds(),
            charts.seeds_table(beforehand.accuracies, fresh),
            "story seeds",
            "Accuracy of ten seeds after the last step, and of this run",
        ),
        caption=caption,
    )
    if experiment.chapter == "tutorial":
        longer = story.LONGER.accuracies
        st.caption(
            wording.ECHO.format(
                steps=story.LONGER_STEPS, low=min(longer), high=max(longer), median=float(np.median(longer))
            )
        )
