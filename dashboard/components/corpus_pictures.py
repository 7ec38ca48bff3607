"""What was read of a corpus, and what a network will see of it."""

from __future__ import annotations

import numpy as np
import streamlit as st

from dashboard.components import formatting, pictures, widgets
from dashboard.components.pictures import Chart
from dashboard.state import session
from rnn_core.config import TextSettings
from rnn_core.data import UNKNOWN, UNKNOWN_ID, PreparedCorpus

SHOWN_SENTENCES = 12
SHOWN_WORDS = 20


def draw(corpus: PreparedCorpus, settings: TextSettings) -> None:
    """Its numbers, its words, and its first sentences as the network sees them; and the way to the Train page."""
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
        pictures.picture(
            "Most frequent words",
            Chart(
                charts.frequencies(len(words)),
                charts.frequencies_table(words, corpus.vocabulary.counts[3 : 3 + SHOWN_WORDS]),
                "frequencies",
                "The most frequent words and how often they occur",
            ),
        )
    with right:
        pictures.picture(
            "Coverage",
            Chart(
                charts.coverage(len(corpus.vocabulary), unit),
                charts.coverage_table(report.frequencies),
                "coverage",
                "Share of the text that is covered by the most frequent words",
            ),
        )
        lengths = np.array([len(ids) - 2 for ids in (*corpus.train, *corpus.valid)])
        pictures.picture(
            "Length of sentences",
            Chart(
                charts.lengths(unit),
                charts.lengths_table(lengths),
                "lengths",
                "How many sentences have how many words",
            ),
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
