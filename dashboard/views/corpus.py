"""Corpus: choose a text, and see what the network will see of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import streamlit as st

from dashboard import hosting
from dashboard.components import chosen_text, demo, errors, formatting, pictures, settings_link, widgets
from dashboard.components.setting_fields import SettingFields
from dashboard.components.text_upload import text_upload, with_encoding
from dashboard.services.sources import Agreement, Nltk, Paste, PythonReference, Source, Upload
from dashboard.state import session
from dashboard.text import corpus as wording
from dashboard.text import general as common_wording
from dashboard.text import story as story_wording
from rnn_core.config import UNITS, TextSettings, problems, settings_of
from rnn_core.data import BUILT_IN, UNKNOWN, UNKNOWN_ID, PreparedCorpus, columns
from rnn_core.errors import UserError

PAGE = "corpus"
SHOWN_SENTENCES = 12
SHOWN_WORDS = 20
LEAST_ASIDE, MOST_ASIDE = 0.02, 0.5


def page() -> None:
    st.title("Corpus", anchor=False)
    if session.run_id() is None:
        first_visit()
    st.markdown(wording.INTRO)
    source = choose_source()
    if source is None:
        return
    read = read_source(source)
    if read is None:
        return
    chosen = session.choose_corpus(*read, source)
    chosen_text.write_reading(SettingFields(PAGE, TextSettings), chosen)
    show(chosen.corpus, chosen.settings)


# --- the first visit --------------------------------------------------------------------------------------------------


def first_visit() -> None:
    """One button from nothing to a network that trains."""
    with st.container(border=True):
        st.header(wording.FIRST_VISIT_TITLE, anchor=False)
        st.markdown(wording.FIRST_VISIT)
        if st.button(common_wording.FIRST_VISIT_BUTTON, type="primary", icon=":material/play_arrow:"):
            demo.start()
        st.page_link("views/story.py", label=story_wording.LINK, icon=":material/auto_stories:")


# --- where the text comes from ----------------------------------------------------------------------------------------


def choose_source() -> Source | None:
    """The text that the fields say, which the link says too; None where there is none yet."""
    fields = chosen_text.start()
    kinds = [kind for kind in wording.SOURCES if kind != "nltk" or hosting.current_caps() is None]
    if session.value(chosen_text.KIND, None) not in kinds:
        session.put(chosen_text.KIND, chosen_text.DEFAULT_KIND)
    kind: str = st.segmented_control(
        "Where from",
        kinds,
        required=True,
        format_func=lambda kind: wording.SOURCES[kind],
        label_visibility="collapsed",
        **session.kept(PAGE, "source"),
    )
    st.caption(wording.SOURCE_HELP[kind])
    source = of_kind(kind)
    chosen_text.write_kind(kind)
    settings_link.show_refusals(fields)
    return source


def of_kind(kind: str) -> Source | None:
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
    return None if kept is None else with_encoding(PAGE, kept)


def choose_paste() -> Paste | None:
    content = st.text_area("Text", height=220, label_visibility="collapsed", **session.kept(PAGE, "pasted"))
    return Paste(content) if content else None


def choose_agreement() -> Agreement:
    left, right = st.columns(2)
    gap = left.slider(
        "Words in between", 1, chosen_text.LONGEST_GAP, **session.kept(PAGE, "gap", {"gap": wording.GAP_HELP})
    )
    count = right.select_slider("Sentences", chosen_text.COUNTS, **session.kept(PAGE, "count"))
    return Agreement(gap, count)


def choose_nltk() -> Nltk | None:
    keys = chosen_text.CORPORA
    chosen = Nltk(
        st.selectbox("Which", keys, format_func=lambda key: BUILT_IN[key].title, **session.kept(PAGE, "nltk"))
    )
    return chosen if chosen_text.fetched(chosen) else None


# --- how it is read ---------------------------------------------------------------------------------------------------


def read_source(source: Source) -> tuple[PreparedCorpus, TextSettings] | None:
    """The corpus with every word, and the settings that were chosen for it; None after saying why there is none."""
    place = st.container(border=True)
    try:
        with place:
            settings = choose_settings(source)
        whole = chosen_text.read(source, settings)
    except UserError as error:
        errors.problem("There is nothing to learn from here", error)
        return None
    with place:
        settings = replace(settings, vocabulary_size=choose_vocabulary(whole))
    return whole, settings


def choose_settings(source: Source) -> TextSettings:
    """How the source is cut into sentences and words. Raises CorpusError where it is no text."""
    if isinstance(source, Agreement):
        return chosen_text.AGREEMENT
    names, encoding = [], None
    if isinstance(source, Upload):
        names, encoding = columns(source.data, source.name, source.encoding), source.encoding
    fields = SettingFields(PAGE, TextSettings)
    reasons = problems(fields.read(TextSettings))
    first, second, third = st.columns(3)
    session.start_with(fields.key("unit"), fields.defaults["unit"])
    unit = first.segmented_control(
        "Unit",
        list(UNITS),
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
        fraction_key = fields.key("validation_fraction")
        session.put(fraction_key, min(max(session.value(fraction_key, 0.1), LEAST_ASIDE), MOST_ASIDE))
        fraction = first.slider(
            "Held out for validation",
            LEAST_ASIDE,
            MOST_ASIDE,
            step=0.01,
            format="percent",
            key=fraction_key,
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


def choose_vocabulary(whole: PreparedCorpus) -> int:
    """How many of the corpus's words the network will know."""
    sizes, key = chosen_text.sizes(len(whole.vocabulary)), session.key(PAGE, chosen_text.SIZE)
    if len(sizes) == 1:
        return sizes[0]
    session.put(key, chosen_text.size_for(sizes[-1], session.value(key, None)))
    return int(
        st.select_slider(
            "Vocabulary",
            sizes,
            format_func=lambda size: f"{size:,}",
            key=key,
            help=settings_of(TextSettings)["vocabulary_size"].help,
            persist_state="session",
        )
    )


# --- what was read ----------------------------------------------------------------------------------------------------


def show(corpus: PreparedCorpus, settings: TextSettings) -> None:
    from dashboard.charts import corpus as charts

    report, unit = corpus.report, formatting.unit(settings.unit)
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
        pictures.chart(
            charts.frequencies(words, corpus.vocabulary.counts[3 : 3 + SHOWN_WORDS]),
            title="Most frequent words",
            alt_text="The most frequent words and how often they occur",
            key="frequencies",
        )
    with right:
        pictures.chart(
            charts.coverage(charts.coverage_table(report.frequencies), len(corpus.vocabulary), unit),
            title="Coverage",
            alt_text="Share of the text that is covered by the most frequent words",
            key="coverage",
        )
        lengths = np.array([len(ids) - 2 for ids in (*corpus.train, *corpus.valid)])
        pictures.chart(
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
