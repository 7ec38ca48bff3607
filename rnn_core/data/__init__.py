"""From a text to batches of ids: readers, tokenizer, vocabulary, built-in corpora, n-gram baselines.

A file's way: `documents` (bytes -> texts), `sentences` and `tokenizer` (texts -> tokens), `vocabulary` (tokens -> ids),
`preparation` (all of these, with a validation part held out), `batching`. NLTK, slow to import and large, is imported
only where a text is split: a process that loads a prepared corpus does without.
"""

from rnn_core.data.agreement import AGREEMENT, MAX_GAP, AgreementItem, agreement_items, agreement_sentences
from rnn_core.data.batching import Batch, batches, stream_batches
from rnn_core.data.built_in import BUILT_IN, BuiltIn, python_reference
from rnn_core.data.copies import Copies, Copy, find_copies
from rnn_core.data.corpus import CorpusReport, PreparedCorpus, predicted_tokens, truncate_vocabulary
from rnn_core.data.detokenizer import detokenize, written_pieces
from rnn_core.data.documents import columns, read_documents
from rnn_core.data.encodings import decode
from rnn_core.data.nltk_corpora import nltk_corpus
from rnn_core.data.preparation import (
    MIN_TOKENS,
    encode_documents,
    prepare,
    prepare_documents,
    prepare_sentences,
    without_text,
)
from rnn_core.data.progress import Progress
from rnn_core.data.sentences import cut_sentences, tokenize_sentences
from rnn_core.data.tokenizer import tokenize
from rnn_core.data.vocabulary import END, END_ID, START, START_ID, UNKNOWN, UNKNOWN_ID, Vocabulary
from rnn_core.data.word_lists import StandardOrder, parse_word_list, standard_order, with_special_entries

__all__ = [
    "AGREEMENT",
    "BUILT_IN",
    "END",
    "END_ID",
    "MAX_GAP",
    "MIN_TOKENS",
    "START",
    "START_ID",
    "StandardOrder",
    "UNKNOWN",
    "UNKNOWN_ID",
    "AgreementItem",
    "Batch",
    "BuiltIn",
    "Copies",
    "Copy",
    "CorpusReport",
    "PreparedCorpus",
    "Progress",
    "Vocabulary",
    "agreement_items",
    "agreement_sentences",
    "batches",
    "columns",
    "cut_sentences",
    "decode",
    "detokenize",
    "encode_documents",
    "find_copies",
    "nltk_corpus",
    "parse_word_list",
    "predicted_tokens",
    "prepare",
    "prepare_documents",
    "prepare_sentences",
    "python_reference",
    "read_documents",
    "standard_order",
    "stream_batches",
    "tokenize",
    "tokenize_sentences",
    "truncate_vocabulary",
    "with_special_entries",
    "without_text",
    "written_pieces",
]
