"""Agreement in a run on an agreement corpus: its held-out sentences, and in how many a network names the right word."""

from __future__ import annotations

from collections.abc import Sequence

from rnn_core.data import AGREEMENT, AgreementItem, PreparedCorpus
from rnn_core.diagnostics import agreement_accuracy
from rnn_core.nn.language_model import LanguageModel
from rnn_core.runs.events import AgreementMeasured

MOST_ITEMS = 1000


def agreement_items_of(corpus: PreparedCorpus, most: int = MOST_ITEMS) -> list[AgreementItem]:
    """The first `most` held-out sentences, as `agreement_items` would have made them. [] for
    any other corpus: every sentence must be of the grammar's form, or none counts.
    """
    if not set(AGREEMENT.values()) <= set(corpus.vocabulary.words):
        return []
    items = [_agreement_item(tuple(corpus.vocabulary.decode(ids[1:-1]))) for ids in corpus.valid]
    known = [item for item in items if item is not None]
    return known[:most] if len(known) == len(items) else []


def _agreement_item(tokens: tuple[str, ...]) -> AgreementItem | None:
    """ "the" ("queen" | "king") FILLER ("her" | "his") THING ".": where the agreement is; None for other sentences."""
    if len(tokens) < 6 or tokens[0] != "the" or tokens[-1] != "." or tokens[1] not in AGREEMENT:
        return None
    target = len(tokens) - 3
    (competitor,) = set(AGREEMENT.values()) - {AGREEMENT[tokens[1]]}
    agreeing = [place for place, token in enumerate(tokens) if token in AGREEMENT.values()]
    if agreeing != [target] or tokens[target] == competitor:
        return None
    return AgreementItem(tokens, 1, target, competitor)


def measured_agreement(
    model: LanguageModel, corpus: PreparedCorpus, items: Sequence[AgreementItem], step: int
) -> AgreementMeasured:
    """Accuracy by gap of these weights, which are of step `step`."""
    found = agreement_accuracy(model, corpus.vocabulary, items)
    accuracy = tuple(round(float(share), 4) for share in found.accuracy)
    return AgreementMeasured(step, tuple(map(int, found.gaps)), tuple(map(int, found.items)), accuracy)
