"""The settings by which a text becomes ids."""

from __future__ import annotations

from dataclasses import dataclass

from rnn_core.config.choices import Choice, Choices
from rnn_core.config.fields import TEXT, Settings, setting

UNITS = Choices({"word": Choice("Words"), "char": Choice("Characters")})
TOKENIZERS = Choices({"nltk": Choice("NLTK's"), "whitespace": Choice("At white space alone")})
SENTENCES = Choices({"punkt": Choice("Found in the text (Punkt)"), "lines": Choice("One a line")})


@dataclass(frozen=True)
class TextSettings(Settings):
    """How a text becomes ids. `validate` refuses what makes no sense, with the reason."""

    unit: str = setting(
        "word",
        label="Unit",
        help="What one time step reads. Characters need longer sentences and far smaller vocabularies.",
        group=TEXT,
        flag="--unit",
        choices=UNITS,
        refusal="unit must be 'word' or 'char'.",
    )
    tokenizer: str = setting(
        "nltk",
        label="Words",
        help="How words are told apart. Corpora that come in tokens, such as Penn Treebank, are split at white space.",
        group=TEXT,
        flag="--tokenizer",
        choices=TOKENIZERS,
        refusal="tokenizer must be 'nltk' or 'whitespace'.",
    )
    vocabulary_size: int = setting(
        8000,
        label="Vocabulary",
        help="How many of the most frequent words are kept; the rest become `<unk>`. Three places are taken "
        "by `<unk>`, `<s>` and `</s>`.",
        group=TEXT,
        flag="--vocabulary",
        low=4,
        high=1_000_000,
        refusal="vocabulary_size must be a whole number from 4 to 1,000,000.",
    )
    lowercase: bool = setting(
        False,
        label="Lower-case everything",
        help="Makes “The” and “the” one word: fewer words to learn, no names in the output.",
        group=TEXT,
        flag="--lowercase",
    )
    sentences: str = setting(
        "punkt",
        label="Sentences",
        help="How the text is cut into training examples.",
        group=TEXT,
        flag="--sentences",
        choices=SENTENCES,
        refusal="sentences must be 'punkt' (found in the text) or 'lines' (one in each line).",
    )
    column: str | None = setting(
        None,
        label="Column",
        help="Which column of a .csv or .jsonl holds the text; left out, the one with the most words.",
        group=TEXT,
        flag="--column",
    )
    encoding: str | None = setting(
        None,
        label="Encoding",
        help="How the file's bytes spell letters; left out, UTF-8, or as its byte order mark says.",
        group=TEXT,
        flag="--encoding",
    )
    validation_fraction: float = setting(
        0.1,
        label="Held out for validation",
        help="The share of sentences held out to measure the loss on text the network never trains on. 0: none; the "
        "loss is measured on the sentences it trains on.",
        group=TEXT,
        flag="--validation-fraction",
        low=0,
        high=0.9,
        step=0.05,
        refusal="the share held out for validation must be from 0 to 0.9; 0.1 is usual.",
    )
    max_sentence_length: int = setting(
        200,
        label="Longest sentence",
        help="In tokens. Longer sentences are cut into pieces, so that one of them cannot fill the memory.",
        group=TEXT,
        flag="--max-sentence-length",
        low=2,
        high=10_000,
        refusal="the longest sentence has from 2 to 10,000 tokens.",
    )
    seed: int = setting(
        0,
        label="Seed of the split",
        help="Which sentences are held out. The same seed gives the same split.",
        group=TEXT,
        low=0,
        high=2**63 - 1,
        refusal="the seed must be a whole number from 0 to 9,223,372,036,854,775,807.",
    )
