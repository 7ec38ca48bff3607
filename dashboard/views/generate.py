"""Generate: let the network write, see how sure it was of each word, and go on from another one."""

from __future__ import annotations

import dataclasses
from itertools import groupby

import streamlit as st

from dashboard.charts import generation as charts
from dashboard.components import demo, errors, formatting, pictures, python_popover, widgets
from dashboard.components.opened_run import no_weights, no_words, opened_run
from dashboard.components.pictures import Chart
from dashboard.components.setting_fields import SettingFields
from dashboard.components.written import written
from dashboard.services import differences, library, network, python_snippets
from dashboard.state import link, session
from dashboard.text import generate as wording
from rnn_core.config import SamplingSettings, problems
from rnn_core.errors import UserError
from rnn_core.runs import Run
from rnn_core.training import SampledToken, generate, read_prompt

PAGE = "generate"
MOST_SENTENCES, USUAL_SENTENCES = 20, 5
MOST_DRAWS = 10**9
TEMPERATURE = 0.8
LONGEST = {"word": 60, "char": 400}
"""Tokens of a sentence, until somebody chooses another number: some lines of text in either unit."""

PROMPT = session.key(PAGE, "prompt")
BESIDE = {"nothing": "nothing", "temperature": "another temperature", "run": "another run"}


def page() -> None:
    st.title("Generate", anchor=False)
    run = opened_run()
    if run is None:
        demo.offer(PAGE)
        return
    if no_words(run):
        return
    st.markdown(wording.INTRO)
    prompt, count, seed, settings = choose(run.config.text.unit)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        other = beside(run, settings)
        charted = widgets.linked_toggle("Charts", "charts", session.key(PAGE, "charts"))
    texts = [(run, settings), *([other] if other else [])]
    for number, (column, (of, drawn)) in enumerate(zip(st.columns(len(texts), gap="large"), texts, strict=True)):
        with column:
            write(number, of, prompt, count, seed, drawn, charted, named=other is not None)


def choose(unit: str) -> tuple[str, int, int, SamplingSettings]:
    """What to begin with, how many sentences, which draw, and how freely."""
    with st.container(border=True):
        link.prefill(PROMPT, "prompt", str)
        prompt = st.text_input(
            "Begin with",
            max_chars=1000,
            placeholder="nothing: the network begins by itself",
            **session.kept(PAGE, "prompt", wording.SAMPLING_HELP),
        )
        link.write("prompt", prompt or None)
        fields = SettingFields(PAGE, SamplingSettings, defaults={"temperature": TEMPERATURE})
        for name in ("temperature", "top_k", "top_p", "max_tokens"):
            link.prefill(fields.key(name), name, link.parse_number)
        link.prefill(fields.key("allow_unknown"), "allow_unknown", link.parse_yes)
        counted = link.field(session.key(PAGE, "count"), "count", link.whole(1, MOST_SENTENCES), USUAL_SENTENCES)
        link.prefill(session.key(PAGE, "draw"), "draw", link.whole(0, MOST_DRAWS))
        session.suggest(fields.key("max_tokens"), float(LONGEST[unit]))
        settings = fields.read(SamplingSettings)
        reasons = problems(settings)
        with st.container(horizontal=True, vertical_alignment="bottom"):
            with st.container(width=170):
                fields.draw("temperature", reasons.get("temperature"))
            count = st.slider(
                "Sentences",
                1,
                MOST_SENTENCES,
                width=170,
                help=wording.SAMPLING_HELP.get("count"),
                **counted,
            )
            with st.popover("More settings", icon=":material/tune:"):
                for name in ("top_k", "top_p"):
                    fields.draw(name, reasons.get(name))
                fields.draw("max_tokens", reasons.get("max_tokens"), f"Longest sentence, in {formatting.unit(unit)}s")
                fields.draw("allow_unknown")
            draw = session.value(session.key(PAGE, "draw"), 0)
            st.button(
                "Write again",
                type="primary",
                icon=":material/casino:",
                on_click=session.put,
                args=(session.key(PAGE, "draw"), draw + 1),
                key=session.key(PAGE, "again"),
            )
        _write_link(fields, settings, draw, unit)
    return prompt or "", int(count), draw, settings


def _write_link(fields: SettingFields, settings: SamplingSettings, draw: int, unit: str) -> None:
    defaults = {"temperature": TEMPERATURE, "top_k": None, "top_p": None, "max_tokens": LONGEST[unit]}
    for name, value in defaults.items():
        held = fields.value(name)
        link.write(name, None if held == value else link.short(held))
    link.write("allow_unknown", "1" if settings.allow_unknown else None)
    link.write("draw", str(draw) if draw else None)


def beside(run: Run, settings: SamplingSettings) -> tuple[Run, SamplingSettings] | None:
    """What stands beside it, on the same draw: the same network at another temperature, or another network."""
    options = link.choice("beside", BESIDE, "nothing")
    kind = st.selectbox("Beside it", list(BESIDE), format_func=BESIDE.__getitem__, width=220, **options)
    if kind == "temperature":
        second = session.key(PAGE, "second temperature")
        link.prefill(second, "temperature2", link.parse_number)
        session.start_with(second, 1.2)
        temperature = st.number_input("Its temperature", step=0.05, width=160, key=second, persist_state="session")
        link.write("temperature2", link.short(temperature))
        return run, dataclasses.replace(settings, temperature=temperature)
    if kind == "run":
        mine = [Run(summary.folder, summary.config) for summary in library.summaries() if summary.config is not None]
        others = [other for other in mine if other.id != run.id and differences.has_text(other)]
        if not others:
            st.caption(wording.NO_OTHER_RUN)
            return None
        by_id = {other.id: other for other in others}
        names = dict(zip(by_id, differences.labels(others), strict=True))
        options = link.choice("run2", by_id, others[0].id)
        chosen = st.selectbox("The other run", list(by_id), format_func=names.__getitem__, width=320, **options)
        return by_id[chosen], settings
    return None


def write(
    number: int, run: Run, prompt: str, count: int, seed: int, settings: SamplingSettings, charted: bool, named: bool
) -> None:
    """What one network writes in one way."""
    if named:
        st.text(f"{run.config.name}, temperature {settings.temperature:g}")
    loaded = network.newest(run)
    if loaded is None:
        no_weights(run)
        return
    try:
        explanation = read_prompt(loaded.vocabulary, prompt).explanation
        tokens = list(generate(loaded.model, loaded.vocabulary, prompt, count, settings, seed))
    except UserError as error:
        errors.problem("No sentence can be written this way", error)
        return
    if explanation:
        st.text(explanation)
    written(
        tokens,
        loaded.vocabulary.unit,
        key=session.key(PAGE, f"written {number}"),
        label="What the network wrote",
        on_choose=lambda text: session.put(PROMPT, text),
    )
    st.caption(f"weights of step {loaded.step:,} · {wording.WRITTEN_LEGEND}")
    if library.mine(run):
        snippet = python_snippets.generation(run, loaded.step, prompt, count, settings, seed)
        python_popover.draw(snippet, f"{PAGE} {number}")
    if charted:
        for sentence, group in groupby(tokens, key=lambda token: token.sentence):
            show(f"{number} {sentence}", list(group))


def show(name: str, tokens: list[SampledToken]) -> None:
    """The probability of each word of one sentence, and what else was considered."""
    words = [token.word for token in tokens]
    with st.container(border=True):
        table = charts.probabilities_table(
            words,
            [token.probability for token in tokens],
            [token.given for token in tokens],
            [token.alternatives[0][0] for token in tokens],
        )
        pictures.picture(
            "How sure it was",
            Chart(
                charts.probabilities(len(words), any(token.given for token in tokens)),
                table,
                f"probabilities {name}",
                "The network's probability of each word of this sentence",
            ),
        )
        with st.expander("What else it considered"):
            widgets.table(
                {
                    "word": words,
                    "probability": [token.probability for token in tokens],
                    "drawn with": [token.drawn_with for token in tokens],
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
