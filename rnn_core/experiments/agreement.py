"""Agreement with attractors: a gated network and a plain one name the number of a verb, whatever nouns precede it."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from rnn_core.config import NetworkConfig, TrainingSettings
from rnn_core.data import batches
from rnn_core.data.tasks import Agreement, NumberPrediction, TaskBatch, read_number_prediction
from rnn_core.data.tasks.agreement import number_prediction_batch
from rnn_core.errors import CorpusError, SettingsError
from rnn_core.experiments.base import Experiment, Picture, Row, Settings, Trial, measured
from rnn_core.nn.network import Network
from rnn_core.randomness import stream
from rnn_core.training import PROBE_SENTENCES, Plan, Source, Validated, new_network, train
from rnn_core.training.source import Validation

CELLS = {"LSTM": "lstm", "tanh": "tanh"}
ATTRACTORS = (1, 2, 3, 4, 5)
UNITS = 50
HELD_OUT = 0.1
GOOD_ENOUGH = 7.0  # per cent of wrong answers
UNKNOWN = 0
AT_A_TIME = 250

OWN_SENTENCES = 15_000
ORDINARY, TESTING = 0.1, 0.8
"""Probability that a noun of the own sentences is an attractor: seldom in what is read, as in texts; often in tests."""

TRAINING = TrainingSettings(
    optimizer="adam",
    learning_rate=0.002,
    # A schedule that looked at the validation would look at the sentences that the result is counted on.
    schedule="constant",
    batch_size=32,
    clip=5.0,
    epochs=8,
    sample_every_seconds=None,
    horizon_every_seconds=None,
)


@dataclasses.dataclass(frozen=True)
class Sentences:
    """What is trained on, and what is tested: a held-out part, and by number of attractors sentences that have them.

    No sentence that was trained on is tested.
    """

    train: list[NumberPrediction]
    held_out: list[NumberPrediction]
    by_attractors: Mapping[int, list[NumberPrediction]]

    @property
    def ids(self) -> dict[str, int]:
        """A number for each word of the training; `UNKNOWN`, whose vector stays as it starts, is for all others."""
        words = dict.fromkeys(word for sentence in self.train for word in sentence.words)
        return {word: place for place, word in enumerate(words, start=UNKNOWN + 1)}


def read_sentences(texts: Sequence[Path] = ()) -> Sentences:
    """Files of Linzen's format: those whose name ends in a number, as `numpred.test.3`, are tests with so many
    attractors; of the others' sentences nine tenths are trained on. Without files, sentences of our own.

    Raises CorpusError where there is nothing to train on.
    """
    if not texts:
        return _own_sentences()
    sentences: list[NumberPrediction] = []
    tests: dict[int, list[NumberPrediction]] = {}
    for path in texts:
        if number := re.search(r"\.([0-9]+)$", path.name):
            attractors = int(number[1])
            tests.setdefault(attractors, []).extend(read_number_prediction(path, attractors))
        else:
            sentences += read_number_prediction(path)
    if len(sentences) < 1 / HELD_OUT:
        raise CorpusError("there is nothing to train on; give a file of sentences whose name does not end in a number.")
    return _split(sentences, tests)


def _split(sentences: list[NumberPrediction], tests: Mapping[int, list[NumberPrediction]]) -> Sentences:
    """Keep the last tenth aside, and leave out of it and of the tests every sentence that is trained on."""
    cut = round(len(sentences) * (1 - HELD_OUT))
    known = {sentence.words for sentence in sentences[:cut]}

    def new(tested: Iterable[NumberPrediction]) -> list[NumberPrediction]:
        return [sentence for sentence in tested if sentence.words not in known]

    by_attractors = {attractors: new(tested) for attractors, tested in sorted(tests.items())}
    return Sentences(sentences[:cut], new(sentences[cut:]), by_attractors)


def _own_sentences() -> Sentences:
    """Sentences of a small grammar, always the same: a trial's seed changes the network and nothing else."""
    most = max(ATTRACTORS)
    rng = stream(0, "agreement sentences")
    ordinary, testing = (Agreement(most_nouns=most, attractor_probability=share) for share in (ORDINARY, TESTING))
    tests: dict[int, list[NumberPrediction]] = {attractors: [] for attractors in ATTRACTORS}
    sentences = [ordinary.sentence(rng) for _ in range(OWN_SENTENCES)]
    for sentence in (testing.sentence(rng) for _ in range(OWN_SENTENCES)):
        if sentence.attractors in tests:
            tests[sentence.attractors].append(sentence)
    return _split(sentences, tests)


class SentenceSource(Source):
    """Sentences up to their verb; an epoch reads each once, beside others of similar length."""

    def __init__(self, sentences: Sentences) -> None:
        self.sentences, self.ids = sentences, sentences.ids
        # `batches` sorts by length, and takes the last entry of a sentence for a target that is not read: hence the 1.
        self._lengths = [np.zeros(len(sentence.words) + 1, np.int32) for sentence in sentences.train]
        self._epoch: tuple[int, list[np.ndarray]] = (-1, [])

    def config(self, cell: str) -> NetworkConfig:
        """The settings of a network that reads these sentences and answers singular or plural."""
        return NetworkConfig(
            cell=cell,
            vocabulary_size=len(self.ids) + 1,
            hidden_size=UNITS,
            embedding_size=UNITS,
            embedding_init="uniform",
            outputs=2,
        )

    def check(self, network: Network) -> None:
        if network.config != self.config(network.config.cell):
            raise SettingsError("this network does not read these sentences; make its config with `config`.")

    def plan(self, settings: TrainingSettings) -> Plan:
        return Plan.of(settings, len(self.sentences.train), len(self.sentences.train))

    def batch(self, settings: TrainingSettings, epoch: int, position: int) -> TaskBatch:
        if self._epoch[0] != epoch:
            drawn = batches(self._lengths, settings.batch_size, stream(settings.seed, "shuffle", epoch))
            self._epoch = (epoch, [batch.sentences for batch in drawn])
        return self.as_batch([self.sentences.train[number] for number in self._epoch[1][position]])

    def validation(self, network: Network) -> Iterator[Validation]:
        done = loss = errors = 0.0
        for batch in self.batches_of(self.sentences.held_out):
            wrong, losses = answers(network, batch)
            done, loss, errors = done + len(wrong), loss + float(losses.sum()), errors + float(wrong.sum())
            yield Validation(done / len(self.sentences.held_out), loss / done, errors / done)

    def probe(self) -> TaskBatch:
        return self.as_batch(self.sentences.train[:PROBE_SENTENCES])

    def as_batch(self, sentences: Sequence[NumberPrediction]) -> TaskBatch:
        """These sentences as one batch."""
        return number_prediction_batch(sentences, self.ids, UNKNOWN)

    def batches_of(self, sentences: Sequence[NumberPrediction]) -> Iterator[TaskBatch]:
        """These sentences as batches of at most AT_A_TIME."""
        for start in range(0, len(sentences), AT_A_TIME):
            yield self.as_batch(sentences[start : start + AT_A_TIME])

    def error_rate(self, network: Network, sentences: Sequence[NumberPrediction]) -> float | None:
        """Wrong answers in per cent; None for no sentences."""
        wrong = [answer for batch in self.batches_of(sentences) for answer in answers(network, batch)[0]]
        return 100 * float(np.mean(wrong)) if wrong else None


def answers(network: Network, batch: TaskBatch) -> tuple[np.ndarray, np.ndarray]:
    """(B,) which answers are wrong, and (B,) their losses in nats."""
    outputs, losses = network.outputs_and_losses(batch.inputs, batch.targets, batch.mask, batch.loss_weights)
    asked = batch.loss_weights > 0
    wrong = (outputs.argmax(axis=-1) != batch.targets) & asked
    return wrong.any(axis=0), (losses * batch.loss_weights).sum(axis=0, dtype=np.float64)


def trial(settings: Settings, seed: int, texts: Sequence[Path] = ()) -> Trial:
    """Train, and count the wrong answers: of the held-out sentences, and of those with each number of attractors."""
    source = SentenceSource(read_sentences(texts))
    training = dataclasses.replace(TRAINING, seed=seed)
    network = new_network(source.config(settings["cell"]), training)
    metrics = [event.metric for event in train(network, source, training) if isinstance(event, Validated)]
    found = {row_name(settings["row"]): source.error_rate(network, source.sentences.held_out)}
    for attractors, sentences in source.sentences.by_attractors.items():
        found[row_name(settings["row"], attractors)] = source.error_rate(network, sentences)
    return Trial(found, {"errors": [metric for metric in metrics if metric is not None]})


def row_name(network: str, attractors: int | None = None) -> str:
    """The row of the sentences with so many attractors; without a number, of the held-out ones, whatever they have."""
    if attractors is None:
        return f"{network}, all"
    return f"{network}, {attractors} {'attractor' if attractors == 1 else 'attractors'}"


def _reproduced(rows: Sequence[Row]) -> bool:
    lstm, tanh = ([measured(rows, row_name(name, attractors)) for attractors in (None, *ATTRACTORS)] for name in CELLS)
    rising = all(a < b for errors in (lstm, tanh) for a, b in zip(errors, errors[1:], strict=False))
    return lstm[0] < GOOD_ENOUGH and rising and all(a < b for a, b in zip(lstm, tanh, strict=True))


EXPERIMENT = Experiment(
    name="agreement",
    title="Agreement with attractors",
    claim="The more nouns of the other number stand between subject and verb, the more often a network errs about the "
    "verb's number, and a plain network more than an LSTM.",
    source="after Linzen, Dupoux & Goldberg 2016, number prediction",
    measures="wrong answers in per cent, of sentences that were not trained on",
    rule="The LSTM errs in fewer than 7 % of all sentences, and less than the plain network in all and at each number "
    "of attractors from 1 to 5; both err more at one attractor than in all, and more with each attractor more.",
    settings={row: {"row": row, "cell": cell} for row, cell in CELLS.items()},
    seeds=3,
    trial=trial,
    picture=Picture("errors", ("epochs", "share of wrong answers")),
    reproduced=_reproduced,
    reads="Linzen's files, numpred.val and numpred.test.1 to .5; without, sentences of our own, which are easier",
)
