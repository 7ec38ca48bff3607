"""Corpus: choose a text, and see what the network will see of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import streamlit as st

from dashboard import hosting
from dashboard.components import demo, widgets
from dashboard.components.setting_fields import SettingFields
from dashboard.components.text_upload import text_upload
from dashboard.services import sources
from dashboard.services.sources import Agreement, Nltk, Paste, PythonReference, Source, Upload
from dashboard.state import session
from dashboard.text import general as wording
from dashboard.text import stories as wording_stories
from rnn_core.config import UNITS, TextSettings, problems, settings_of
from rnn_core.data import BUILT_IN, UNKNOWN, UNKNOWN_ID, PreparedCorpus, columns, truncate_vocabulary
from rnn_core.errors import EncodingError, UserError

PAGE = "corpus"
SHOWN_SENTENCES = 12
SHOWN_WORDS = 20


def page() -> None:
    st.title("Corpus", anchor=False)
    if session.run_id() is None:
        first_visit()
    st.markdown(wording.CORPUS_INTRO)
    source = choose_source()
    if source is None:
        return
    read = read_source(source)
    if read is None:
        return
    corpus, settings = read
    session.choose_corpus(corpus, settings)
    show(corpus, settings)


# --- the first visit --------------------------------------------------------------------------------------------------


def first_visit() -> None:
    """One button from nothing to a network that trains."""
    with st.container(border=True):
        st.header(wording.FIRST_VISIT_TITLE, anchor=False)
        st.markdown(wording.FIRST_VISIT)
        if st.button(wording.FIRST_VISIT_BUTTON, type="primary", icon=":material/play_arrow:"):
            demo.start()
        st.page_link("views/story.py", label=wording_stories.STORY_LINK, icon=":material/auto_stories:")


# --- where the text comes from ----------------------------------------------------------------------------------------


def choose_source() -> Source | None:
    kind = st.segmented_control(
        "Where from",
        [kind for kind in wording.SOURCES if kind != "nltk" or hosting.current_caps() is None],
        default="upload",
        required=True,
        format_func=lambda kind: wording.SOURCES[kind],
        label_visibility="collapsed",
        **session.kept(PAGE, "source"),
    )
    st.caption(wording.SOURCE_HELP[kind])
    match kind:
        case "upload":
            return choose_upload()
        case "paste":
            return choose_paste()
        case "agreement":
            return choose_agreement()
        case "nltk":
            return choose_nltk()
        case _:
            return PythonReference()


def choose_upload() -> Upload | None:
    file = text_upload(PAGE)
    if file is not None:
        session.keep_upload(file)
    kept = session.upload()
    if file is None and kept is not None:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption("Still open:")
            st.text(kept.name)
    return kept


def choose_paste() -> Paste | None:
    content = st.text_area("Text", height=220, label_visibility="collapsed", **session.kept(PAGE, "pasted"))
    return Paste(content) if content else None


def choose_agreement() -> Agreement:
    left, right = st.columns(2)
    gap = left.slider(
        "Words in between",
        1,
        40,
        5,
        **session.kept(PAGE, "gap", {"gap": wording.GAP_HELP}),
    )
    count = right.select_slider("Sentences", [500, 1000, 2000, 4000, 8000, 16000], 4000, **session.kept(PAGE, "count"))
    return Agreement(gap, count)


def choose_nltk() -> Nltk | None:
    keys = [key for key, entry in BUILT_IN.items() if entry.needs_internet]
    chosen = st.selectbox("Which", keys, format_func=lambda key: BUILT_IN[key].title, **session.kept(PAGE, "nltk"))
    st.caption(BUILT_IN[chosen].description)
    # Only a click goes to the network; a look at the page never does.
    if st.button("Get it", icon=":material/download:"):
        session.ask_for(Nltk(chosen))
    return Nltk(chosen) if session.asked_for() == Nltk(chosen) else None


# --- how it is read ---------------------------------------------------------------------------------------------------


def read_source(source: Source) -> tuple[PreparedCorpus, TextSettings] | None:
    """The corpus, and the settings that were chosen for it; None after saying why there is none."""
    encoding = session.encoding() if isinstance(source, Upload) else None
    place = st.container(border=True)
    try:
        with place:
            settings = choose_settings(source, encoding)
        whole = read(source, replace(settings, vocabulary_size=sources.EVERY_WORD))
    except EncodingError as error:
        widgets.problem("This file does not say how its letters are written", error)
        ask_encoding(error)
        return None
    except UserError as error:
        widgets.problem("There is nothing to learn from here", error)
        return None
    with place:
        settings = replace(settings, vocabulary_size=choose_vocabulary(whole))
    return truncate_vocabulary(whole, settings.vocabulary_size), settings


def read(source: Source, settings: TextSettings) -> PreparedCorpus:
    """The corpus, with a bar while it is read. Drawing the bar is also where Streamlit ends the script of a visitor who
    has left, and with it the reading. Raises CorpusError, SettingsError."""
    place = st.empty()
    try:
        return sources.prepare(source, settings, lambda share, doing: place.progress(share, f"{doing.capitalize()} …"))
    finally:
        place.empty()


def choose_settings(source: Source, encoding: str | None) -> TextSettings:
    """How the source is cut into sentences and words. Raises CorpusError where it is no text."""
    if isinstance(source, Agreement):
        return TextSettings(sentences="lines")
    names = columns(source.data, source.name, encoding) if isinstance(source, Upload) else []
    fields = SettingFields(PAGE, TextSettings)
    reasons = problems(fields.read(TextSettings))
    first, second, third = st.columns(3)
    unit = first.segmented_control(
        "Unit",
        list(UNITS),
        default="word",
        required=True,
        format_func=lambda unit: UNITS[unit].label,
        key=fields.key("unit"),
        help=fields.declared["unit"].help,
        persist_state="session",
    )
    with second:
        fields.draw("sentences")
    column = None
    if names:
        # A table's column names are its author's; a selectbox shows its options as they are.
        column = third.selectbox("Column", names, help=fields.declared["column"].help, key=session.key(PAGE, "column"))
    fields.draw("lowercase")
    with st.expander("More", icon=":material/tune:"):
        first, second, third = st.columns(3)
        fraction = first.slider(
            "Kept aside for validation",
            0.02,
            0.5,
            0.1,
            0.01,
            format="percent",
            key=fields.key("validation_fraction"),
            help=fields.declared["validation_fraction"].help,
            persist_state="session",
        )
        with second:
            fields.draw("max_sentence_length", reasons.get("max_sentence_length"))
        with third:
            fields.draw("seed", reasons.get("seed"))
        if unit == "word":
            fields.draw("tokenizer")
    return fields.read(TextSettings, unit=unit, column=column, encoding=encoding, validation_fraction=fraction)


def ask_encoding(error: EncodingError) -> None:
    """Let a person say which preview reads right: detectors guess wrong without a word."""
    if error.candidates:
        widgets.table(
            {
                "encoding": [candidate.encoding for candidate in error.candidates],
                "how it would read": [candidate.preview for candidate in error.candidates],
            }
        )
    chosen = st.selectbox(
        "Encoding",
        [candidate.encoding for candidate in error.candidates],
        index=None,
        placeholder="choose the one that reads right",
        help=settings_of(TextSettings)["encoding"].help,
    )
    if chosen is not None:
        session.choose_encoding(chosen)
        st.rerun()


def choose_vocabulary(whole: PreparedCorpus) -> int:
    """How many of the corpus's words the network will know."""
    most = len(whole.vocabulary)
    if most <= 60:
        return most
    from dashboard.charts import corpus as charts

    sizes = charts.sizes(50, most)
    usual = max(size for size in sizes if size <= max(8000, sizes[0]))
    key = session.key(PAGE, "vocabulary_size")
    if st.session_state.get(key, usual) not in sizes:
        st.session_state.pop(key)
    return st.select_slider(
        "Vocabulary",
        sizes,
        usual,
        format_func=lambda size: f"{size:,}",
        key=key,
        help=settings_of(TextSettings)["vocabulary_size"].help,
        persist_state="session",
    )


# --- what was read ----------------------------------------------------------------------------------------------------


def show(corpus: PreparedCorpus, settings: TextSettings) -> None:
    from dashboard.charts import corpus as charts

    report, unit = corpus.report, widgets.unit(settings.unit)
    with st.container(horizontal=True, gap="medium"):
        widgets.number("Sentences", report.sentences, "{:,}")
        widgets.number(f"{unit.capitalize()}s", report.tokens, "{:,}")
        widgets.number(f"Different {unit}s", report.distinct_words, "{:,}")
        widgets.number("Vocabulary", len(corpus.vocabulary), "{:,}")
        widgets.number("Text covered", 100 * report.coverage, "{:.1f} %")
        widgets.number("Longest sentence", report.longest_sentence, "{:,}")
    for note in report.notes:
        st.text(note)
    if st.button("Train a network on this", type="primary", icon=":material/model_training:"):
        session.close_run()
        st.switch_page("views/train.py")
    left, right = st.columns(2, gap="large")
    with left:
        words = list(corpus.vocabulary.words[3 : 3 + SHOWN_WORDS])
        widgets.chart(
            charts.frequencies(words, corpus.vocabulary.counts[3 : 3 + SHOWN_WORDS]),
            title="Most frequent words",
            alt_text="The most frequent words and how often they occur",
            key="frequencies",
        )
    with right:
        widgets.chart(
            charts.coverage(charts.coverage_table(report.frequencies), len(corpus.vocabulary), unit),
            title="Coverage",
            alt_text="Share of the text that is covered by the most frequent words",
            key="coverage",
        )
        lengths = np.array([len(ids) - 2 for ids in (*corpus.train, *corpus.valid)])
        widgets.chart(
            charts.lengths(charts.lengths_table(lengths), unit),
            title="Length of sentences",
            alt_text="How many sentences have how many words",
            key="lengths",
        )
    st.header("As the network sees it", anchor=False)
    st.caption(f"`{UNKNOWN}` stands for every {unit} outside the vocabulary, `<s>` and `</s>` for start and end.")
    sentences = corpus.train[:SHOWN_SENTENCES]
    joint = "" if settings.unit == "char" else " "
    widgets.table(
        {
            "sentence": [joint.join(corpus.vocabulary.decode(ids)) for ids in sentences],
            f"{unit}s": [len(ids) - 2 for ids in sentences],
            "unknown": [int(np.count_nonzero(ids == UNKNOWN_ID)) for ids in sentences],
        },
        column_config={"sentence": st.column_config.TextColumn(width="large")},
    )


page()
