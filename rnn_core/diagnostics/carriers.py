"""Which unit carries the number of the subject over the gap, and what happens without it? (Lakretz et al. 2019: "The
emergence of number and syntax units in LSTM language models".)

The question is put to sentences in which one of two answers is right, and something read long before says which. A unit
that carries it tells the two kinds of sentence apart just before the answer; a unit that the network relies upon is one
without which the answer goes wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rnn_core.arithmetic import arithmetic
from rnn_core.arrays import Array
from rnn_core.data import AGREEMENT, Vocabulary
from rnn_core.data.tasks import Agreement as NumberTask
from rnn_core.data.tasks import TaskBatch
from rnn_core.diagnostics.ablation import without_unit
from rnn_core.diagnostics.text_walk import unit_values, units_of
from rnn_core.diagnostics.units import SHIFTS, Ranking, ranking_of
from rnn_core.errors import CorpusError
from rnn_core.nn.network import Network
from rnn_core.nn.softmax import logits

LEAST_SENTENCES = 20


@dataclass(frozen=True, eq=False)
class Question:
    """N sentences with a subject and, later, an answer that depends on it.

    inputs   (T, N) what is read
    subject  (N,) the step at which the subject is read
    at       (N,) the step after which the answer is given
    right, wrong  (N,) the outputs (words, or classes) that are right and wrong there
    """

    inputs: Array
    subject: Array
    at: Array
    right: Array
    wrong: Array

    @property
    def kind(self) -> Array:
        """(N,) 1 for the sentences with one of the two answers, -1 for those with the other."""
        return np.where(self.right == self.right.min(), 1.0, -1.0)


def agreement_question(vocabulary: Vocabulary, sentences: Sequence[Array]) -> Question:
    """Of sentences of ids from <s> to </s> those of the agreement corpus: from "queen" to "her", from "king" to "his".

    Raises CorpusError for fewer than LEAST_SENTENCES, or where all have the same answer.
    """
    controllers, answers = (vocabulary.encode(words) for words in (AGREEMENT.keys(), AGREEMENT.values()))
    rows = []
    for ids in sentences:
        subjects = np.flatnonzero(np.isin(ids, controllers[controllers > 0]))
        places = np.flatnonzero(np.isin(ids, answers[answers > 0]))
        if len(subjects) and (places > subjects[0]).any():
            answer = int(places[places > subjects[0]][0])
            right = int(ids[answer])
            rows.append((ids, int(subjects[0]), answer - 1, right, int(answers[answers != right][0])))
    if len(rows) < LEAST_SENTENCES or len({row[3] for row in rows}) < 2:
        raise CorpusError(
            f"this text has {len(rows)} sentences of the agreement corpus; the question needs {LEAST_SENTENCES} at "
            "least, with both answers among them."
        )
    inputs = np.zeros((max(row[2] for row in rows) + 1, len(rows)), np.int32)
    for column, (ids, _, last, _, _) in enumerate(rows):
        inputs[: last + 1, column] = ids[: last + 1]
    return Question(inputs, *(np.array([row[part] for row in rows]) for part in (1, 2, 3, 4)))


def number_question(task: NumberTask, batch: TaskBatch) -> Question:
    """The task "number prediction": is the verb that comes next singular or plural?"""
    at = batch.loss_weights.argmax(axis=0)
    right = batch.targets[at, np.arange(len(at))]
    return Question(batch.inputs, task.subjects(batch.inputs), at, right, 1 - right)


@arithmetic()
def right_answers(model: Network, question: Question) -> Array:
    """(N,) 1 where the right answer is likelier than the wrong one, 0 where it is not, 1/2 for a tie."""
    columns = np.arange(len(question.at))
    hidden = model.forward(question.inputs).hidden[question.at, columns]
    outputs = logits(hidden, model.output_matrix, model.params.get("c"))
    right, wrong = outputs[columns, question.right], outputs[columns, question.wrong]
    return (right > wrong) + 0.5 * (right == wrong)


@dataclass(frozen=True, eq=False)
class Carriers:
    """ranking: the units by the correlation of what they show just before the answer with which answer is right, on the
    first half of the sentences; held out: on the second; p by shuffling which sentence is of which kind
    over_gap  (G + 1,) of the best of them, after each word from the subject on that all sentences have before their
              answer: the same correlation, over all sentences
    accuracy  share of right answers of the whole network
    without   {(layer, number): share of right answers without this unit}, its h clamped to its mean
    """

    ranking: Ranking
    over_gap: Array
    accuracy: float
    without: dict[tuple[int, int], float]


@arithmetic()
def carriers(model: Network, question: Question, shuffles: int = SHIFTS, seed: int = 0) -> Carriers:
    """Question -> Carriers. The sentences are independent of each other, so that here a plain shuffle is the right
    permutation (within a text it is not: `rank_units`). Raises CorpusError where half of the sentences is of one kind.
    """
    trace = model.forward(question.inputs)
    kind, count = question.kind, len(question.at)
    half = count // 2
    if len(set(kind[:half])) < 2 or len(set(kind[half:])) < 2:
        raise CorpusError("the first or the second half of these sentences has the same answer all through; mix them.")
    values = unit_values(trace, (question.at, np.arange(count))).astype(np.float64)
    rng = np.random.default_rng(seed)
    kinds = np.stack([kind[:half], *(rng.permutation(kind[:half]) for _ in range(shuffles))], axis=1)
    ranking = ranking_of(
        units_of(model), _correlations(values[:half], kinds), _correlations(values[half:], kind[half:, None])[:, 0]
    )
    best = ranking.units[0]
    column = units_of(model).index(best)
    gap = int((question.at - question.subject).min())
    over_gap = [
        _correlations(unit_values(trace, (question.subject + words, np.arange(count)))[:, [column]], kind[:, None])
        for words in range(gap + 1)
    ]
    read = np.arange(len(question.inputs))[:, None] <= question.at
    without = {}
    for layer, found in enumerate(trace.layers):
        for number, mean in enumerate(found.hidden[read].mean(axis=0, dtype=np.float64).tolist()):
            ablated = without_unit(model, layer, number, mean)
            without[layer, number] = float(right_answers(ablated, question).mean())
    accuracy = float(right_answers(model, question).mean())
    return Carriers(ranking, np.concatenate(over_gap)[:, 0], accuracy, without)


def _correlations(values: Array, kinds: Array) -> Array:
    """values (N, U), kinds (N, K) -> (U, K); 0 for a unit that stands still."""
    values, kinds = values - values.mean(axis=0), kinds - kinds.mean(axis=0)
    size, deviation = np.sqrt((kinds**2).sum(axis=0)), np.sqrt((values**2).sum(axis=0))
    moves = deviation > 1e-12 * np.sqrt(len(values))
    return np.where(moves[:, None], values.T @ kinds / np.where(moves, deviation, 1.0)[:, None] / size, 0.0)
