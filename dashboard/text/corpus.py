"""The words of the Corpus page: where a text comes from."""

from __future__ import annotations

INTRO = "Choose a text. The network will learn to predict each next word of its sentences."

FIRST_VISIT_TITLE = "New here? See a network learn in seconds"
FIRST_VISIT = (
    "One click makes sentences in which the last word must agree with a word 20 words before (*queen … her*), trains a "
    "small network on them, and shows how little of the gradient gets there; one more click trains the cure. Nothing "
    "is downloaded."
)

SOURCES = {
    "upload": "Upload",
    "paste": "Paste",
    "agreement": "Agreement sentences",
    "python": "Python reference",
    "nltk": "NLTK corpus",
}
WHICH_ENCODING = "The encoding of this file is unknown"
NOT_IN_LINK = "The link of this page has every setting, but not your text."
SOURCE_HELP = {
    "upload": "A .txt, .csv or .jsonl file. It stays on the machine that runs this app.",
    "paste": "Any text of at least a few sentences.",
    "agreement": (
        "Sentences from a small grammar in which one word decides another many words later. "
        "The distance is yours to set: the cleanest way to see what a network can remember."
    ),
    "python": "The Python language reference, about 65,000 words. It ships with Python, so it is always there.",
    "nltk": "A classic corpus (Brown, Gutenberg, …). Fetched from the internet where the machine has it.",
}

GAP_HELP = "How many words stand between the queen or king and the word that must agree."
