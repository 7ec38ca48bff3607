"""The text that a new network learns: chosen on the Corpus page, and in the link of every page that trains on it.

A text that has a name (a built-in one) stands in the link with how it is read, and whoever opens the link gets it. A
file or words of the visitor's own never do: they stay where they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import streamlit as st

from dashboard.components import errors, progress, settings_link, widgets
from dashboard.components.setting_fields import SettingFields
from dashboard.services import sources
from dashboard.services.sources import Agreement, Nltk, Paste, PythonReference, Source, Upload
from dashboard.state import link, session
from dashboard.state.session import ChosenCorpus
from dashboard.text import corpus as wording
from rnn_core.config import TextSettings
from rnn_core.data import BUILT_IN, PreparedCorpus
from rnn_core.errors import UserError

PAGE = "corpus"
"""The page whose fields these keys name; other pages read what they hold."""

KIND, GAP, COUNT, NLTK = (session.key(PAGE, name) for name in ("source", "gap", "count", "nltk"))
DEFAULT_KIND, DEFAULT_GAP, DEFAULT_COUNT = "upload", 5, 4000
LONGEST_GAP = 40
COUNTS = (500, 1000, 2000, 4000, 8000, 16000)
CORPORA = tuple(key for key, entry in BUILT_IN.items() if entry.needs_internet)

PREFIX = "text_"
"""Of the text's settings in a link: its seed is not that of the training."""

READING = ("unit", "sentences", "lowercase", "validation_fraction", "max_sentence_length", "seed", "tokenizer")
SIZE = "vocabulary_size"
LEAST, FEW = 50, 60
"""Words of the smallest vocabulary that is offered; of a text so small that there is nothing to choose."""
DEFAULT_SIZE = TextSettings().vocabulary_size
"""Words of the largest vocabulary that a text gets without being asked."""

AGREEMENT = TextSettings(sentences="lines")
"""How the agreement sentences are read, which come one a line."""


def start() -> SettingFields:
    """The fields of the Corpus page, filled with what its link says; before they are drawn."""
    fields = SettingFields(PAGE, TextSettings)
    link.prefill(KIND, "corpus", {kind: kind for kind in wording.SOURCES}.__getitem__)
    link.prefill(GAP, PREFIX + "gap", link.whole(1, LONGEST_GAP))
    link.prefill(COUNT, PREFIX + "count", {str(count): count for count in COUNTS}.__getitem__)
    link.prefill(NLTK, PREFIX + "nltk", {key: key for key in CORPORA}.__getitem__)
    for key, default in ((KIND, DEFAULT_KIND), (GAP, DEFAULT_GAP), (COUNT, DEFAULT_COUNT), (NLTK, CORPORA[0])):
        session.start_with(key, default)
    settings_link.fill(fields, (*READING, SIZE), PREFIX)
    return fields


def write_kind(kind: str) -> None:
    """Write into the link where the text comes from, as the fields of the Corpus page hold it."""
    link.write("corpus", None if kind == DEFAULT_KIND else kind)
    gap, count, key = (session.value(field, None) for field in (GAP, COUNT, NLTK))
    link.write(PREFIX + "gap", str(gap) if kind == "agreement" and gap != DEFAULT_GAP else None)
    link.write(PREFIX + "count", str(count) if kind == "agreement" and count != DEFAULT_COUNT else None)
    link.write(PREFIX + "nltk", key if kind == "nltk" and key != CORPORA[0] else None)


def write_reading(fields: SettingFields, chosen: ChosenCorpus) -> None:
    """Write into the link how the text is read."""
    # The agreement sentences are made as they are read: of their settings only the vocabulary is anybody's choice.
    names = (SIZE,) if isinstance(chosen.source, Agreement) else (*READING, SIZE)
    settings_link.clear(fields, READING, PREFIX)
    values = {**chosen.settings.to_json(), SIZE: len(chosen.corpus.vocabulary)}
    defaults = {**fields.defaults, SIZE: size_for(chosen.most, None)}
    settings_link.write(fields, names, values, defaults, PREFIX)


def clear_link() -> None:
    """Take the text out of the page's link."""
    settings_link.clear(SettingFields(PAGE, TextSettings), (*READING, SIZE), PREFIX)
    link.write("corpus", None)
    for name in ("gap", "count", "nltk"):
        link.write(PREFIX + name, None)


def find() -> ChosenCorpus | None:
    """The text that was chosen during this visit, else the one that the link names; None, after showing what is
    missing in the latter, where there is none.
    """
    return session.corpus() or _named()


def show(chosen: ChosenCorpus) -> None:
    """The text in one line of a page that trains on it, whose link names it from here on."""
    widgets.corpus_line(chosen.corpus)
    if isinstance(chosen.source, Upload | Paste):
        clear_link()
        st.caption(wording.NOT_IN_LINK)
    else:
        write_kind(NAMES[type(chosen.source)])
        write_reading(SettingFields(PAGE, TextSettings), chosen)


NAMES: Mapping[type, str] = {Agreement: "agreement", PythonReference: "python", Nltk: "nltk"}
"""What a text that is not the visitor's own is called in the link."""


def _named() -> ChosenCorpus | None:
    """The text that the link names, read; None where it names none, or none that can be had."""
    if link.read("corpus") not in NAMES.values():
        return None
    fields = start()
    source: Source = PythonReference()
    settings = fields.read(TextSettings, column=None, encoding=None)
    if link.read("corpus") == "agreement":
        source = Agreement(session.value(GAP, DEFAULT_GAP), session.value(COUNT, DEFAULT_COUNT))
        settings = AGREEMENT
    elif link.read("corpus") == "nltk":
        source = Nltk(session.value(NLTK, CORPORA[0]))
        if not fetched(source):
            return None
    try:
        whole = read(source, settings)
    except UserError as error:
        errors.problem("The text of this link cannot be read", error)
        return None
    size = size_for(len(whole.vocabulary), session.value(fields.key(SIZE), None))
    return session.choose_corpus(whole, replace(settings, vocabulary_size=size), source)


def fetched(source: Nltk) -> bool:
    """Whether this visitor has requested the corpus; a button to do so. Only a click goes to the network; looking at a
    page never does.
    """
    st.caption(BUILT_IN[source.key].description)
    if st.button("Get it", icon=":material/download:"):
        session.request_corpus(source)
    return session.requested_corpus() == source


def read(source: Source, settings: TextSettings) -> PreparedCorpus:
    """The whole of it, with every word, and with a bar while it is read. Raises CorpusError, SettingsError."""
    with progress.bar() as show:
        return sources.prepare(source, replace(settings, vocabulary_size=sources.EVERY_WORD), show)


def sizes(most: int) -> list[int]:
    """The vocabularies that are offered for a text with so many different words."""
    from dashboard.charts import corpus as charts

    return charts.sizes(LEAST, most) if most > FEW else [most]


def size_for(most: int, wanted: float | None) -> int:
    """The one of them that is nearest to what is wanted; None: the default."""
    offered = sizes(most)
    if wanted is None:
        return max(size for size in offered if size <= max(DEFAULT_SIZE, offered[0]))
    return min(offered, key=lambda size: abs(size - wanted))
