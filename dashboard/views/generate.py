"""Generate: let the network write, and see how sure it was of each word."""

from __future__ import annotations

from itertools import groupby

import streamlit as st

from dashboard.charts import generation as charts
from dashboard.components import demo, python_popover, widgets
from dashboard.components.setting_fields import SettingFields
from dashboard.services import library, network, python_snippets
from dashboard.state import session
from dashboard.text import general as wording
from rnn_core.config import SamplingSettings, problems
from rnn_core.data import detokenize
from rnn_core.errors import UserError
from rnn_core.training import SampledToken, generate, read_prompt

PAGE = "generate"
MOST_SENTENCES = 20
LONGEST = {"word": 60, "char": 400}
"""Tokens of a sentence, until somebody chooses another number: some lines of text in either unit."""


def page() -> None:
    st.title("Generate", anchor=False)
    run = widgets.opened_run()
    if run is None:
        demo.offer(PAGE)
        return
    if widgets.no_words(run):
        return
    st.markdown(wording.GENERATE_INTRO)
    prompt, count, seed, settings = choose(run.config.text.unit)
    loaded = network.newest(run)
    if loaded is None:
        widgets.no_weights(run)
        return
    try:
        explanation = read_prompt(loaded.vocabulary, prompt).explanation
        tokens = list(generate(loaded.model, loaded.vocabulary, prompt, count, settings, seed))
    except UserError as error:
        widgets.problem("No sentence can be written this way", error)
        return
    if explanation:
        st.text(explanation)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(f"weights of step {loaded.step:,}", width="content")
        if library.mine(run):
            snippet = python_snippets.generation(run, loaded.step, prompt, count, settings, seed)
            python_popover.draw(snippet, PAGE)
    for number, sentence in groupby(tokens, key=lambda token: token.sentence):
        show(number, list(sentence), loaded.vocabulary.unit)


def choose(unit: str) -> tuple[str, int, int, SamplingSettings]:
    """What to begin with, how many sentences, which draw, and how freely."""
    with st.container(border=True):
        prompt = st.text_input(
            "Begin with",
            max_chars=500,
            placeholder="nothing: the network begins by itself",
            **session.kept(PAGE, "prompt", wording.SAMPLING_HELP),
        )
        first, second, third, fourth = st.columns(4)
        fields = SettingFields(PAGE, SamplingSettings, defaults={"temperature": 0.8})
        session.suggest(fields.key("max_tokens"), float(LONGEST[unit]))
        settings = fields.read(SamplingSettings)
        reasons = problems(settings)
        for place, name in ((first, "temperature"), (second, "top_k"), (third, "top_p")):
            with place:
                fields.draw(name, reasons.get(name))
        count = fourth.slider("Sentences", 1, MOST_SENTENCES, 5, **session.kept(PAGE, "count", wording.SAMPLING_HELP))
        with st.container(horizontal=True, vertical_alignment="bottom"):
            draw = session.value(session.key(PAGE, "draw"), 0)
            st.button(
                "Write again",
                type="primary",
                icon=":material/casino:",
                on_click=session.put,
                args=(session.key(PAGE, "draw"), draw + 1),
                key=session.key(PAGE, "again"),
            )
            fields.draw("allow_unknown")
            fields.draw("max_tokens", reasons.get("max_tokens"), f"Longest sentence, in {widgets.unit(unit)}s")
    return (
        prompt or "",
        int(count),
        draw,
        settings,
    )


def show(number: int, tokens: list[SampledToken], unit: str) -> None:
    """One sentence as it reads, and under it the probability of each of its words."""
    words = [token.word for token in tokens]
    with st.container(border=True):
        st.text(detokenize(words, unit))
        widgets.chart(
            charts.probabilities(
                words,
                [token.probability for token in tokens],
                [token.given for token in tokens],
                [token.alternatives[0][0] for token in tokens],
            ),
            title="How sure it was",
            alt_text="The network's probability of each word of this sentence",
            key=f"probabilities {number}",
        )
        with st.expander("What else it considered"):
            widgets.table(
                {
                    "word": words,
                    "probability": [token.probability for token in tokens],
                    "drawn with": [token.odds for token in tokens],
                    "likeliest words": [
                        ", ".join(f"{word} {share:.1%}" for word, share in token.alternatives) for token in tokens
                    ],
                },
                column_config={
                    "probability": st.column_config.NumberColumn(format="percent"),
                    "drawn with": st.column_config.NumberColumn(format="percent"),
                },
            )


page()
