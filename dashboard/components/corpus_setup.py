"""The fields of the Corpus page: where a text comes from, and how it is read."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from dashboard import hosting
from dashboard.components import chosen_text, errors, settings_link
from dashboard.components.chosen_text import PAGE
from dashboard.components.setting_fields import SettingFields
from dashboard.components.text_upload import text_upload, with_encoding
from dashboard.services.sources import Agreement, Nltk, Paste, PythonReference, Source, Upload
from dashboard.state import session
from dashboard.text import corpus as wording
from rnn_core.config import UNITS, TextSettings, problems, settings_of
from rnn_core.data import BUILT_IN, PreparedCorpus, columns
from rnn_core.errors import UserError

LEAST_HELD_OUT, MOST_HELD_OUT = 0.02, 0.5


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
    source = _of_kind(kind)
    chosen_text.write_kind(kind)
    settings_link.show_refusals(fields)
    return source


def _of_kind(kind: str) -> Source | None:
    match kind:
        case "upload":
            return _choose_upload()
        case "paste":
            return _choose_paste()
        case "agreement":
            return _choose_agreement()
        case "nltk":
            return _choose_nltk()
        case _:
            return PythonReference()


def _choose_upload() -> Upload | None:
    file = text_upload(PAGE)
    if file is not None:
        session.keep_upload(file)
    kept = session.upload()
    if file is None and kept is not None:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption("Still open:")
            st.text(kept.name)
    return None if kept is None else with_encoding(PAGE, kept)


def _choose_paste() -> Paste | None:
    content = st.text_area("Text", height=220, label_visibility="collapsed", **session.kept(PAGE, "pasted"))
    return Paste(content) if content else None


def _choose_agreement() -> Agreement:
    left, right = st.columns(2)
    gap = left.slider(
        "Words in between", 1, chosen_text.LONGEST_GAP, **session.kept(PAGE, "gap", {"gap": wording.GAP_HELP})
    )
    count = right.select_slider("Sentences", chosen_text.COUNTS, **session.kept(PAGE, "count"))
    return Agreement(gap, count)


def _choose_nltk() -> Nltk | None:
    keys = chosen_text.CORPORA
    chosen = Nltk(
        st.selectbox("Which", keys, format_func=lambda key: BUILT_IN[key].title, **session.kept(PAGE, "nltk"))
    )
    return chosen if chosen_text.fetched(chosen) else None


def read_source(source: Source) -> tuple[PreparedCorpus, TextSettings] | None:
    """The corpus with every word, and the settings that were chosen for it; None after saying why there is none."""
    # How the grammar's sentences are cut is known: an empty frame would stand there.
    place = st.container(border=not isinstance(source, Agreement))
    try:
        with place:
            settings = _choose_settings(source)
        whole = chosen_text.read(source, settings)
    except UserError as error:
        errors.problem("There is nothing to learn from here", error)
        return None
    with place:
        settings = replace(settings, vocabulary_size=_choose_vocabulary(whole))
    return whole, settings


def _choose_settings(source: Source) -> TextSettings:
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
        session.put(fraction_key, min(max(session.value(fraction_key, 0.1), LEAST_HELD_OUT), MOST_HELD_OUT))
        fraction = first.slider(
            "Held out for validation",
            LEAST_HELD_OUT,
            MOST_HELD_OUT,
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


def _choose_vocabulary(whole: PreparedCorpus) -> int:
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
