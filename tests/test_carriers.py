"""Which unit carries the subject over the gap: against the definitions, sentence by sentence."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rnn_core.config import ModelConfig, NetworkConfig
from rnn_core.data import AgreementItem, Vocabulary, agreement_items
from rnn_core.data.tasks import Agreement
from rnn_core.diagnostics import agreement_accuracy, agreement_question, carriers, number_question
from rnn_core.diagnostics.carriers import right_answers
from rnn_core.diagnostics.text_walk import Unit
from rnn_core.errors import CorpusError
from rnn_core.nn.language_model import LanguageModel
from rnn_core.nn.network import Network
from tests.test_units import ClampingCell

HIDDEN = 5


def vocabulary_of(items: list[AgreementItem]) -> Vocabulary:
    words = sorted({token for item in items for token in item.tokens})
    return Vocabulary(("<unk>", "<s>", "</s>", *words))


def network(vocabulary: Vocabulary, **choices: Any) -> LanguageModel:
    config = ModelConfig(vocabulary_size=len(vocabulary), hidden_size=HIDDEN, **choices)
    return LanguageModel(config, np.random.default_rng(2), dtype=np.float64)


def test_the_question_is_found_in_a_text_of_the_agreement_corpus() -> None:
    items = agreement_items((1, 6), 40)
    vocabulary = vocabulary_of(items)
    others = [vocabulary.encode_sentence(("the", "crown", "."))]
    question = agreement_question(vocabulary, others + [vocabulary.encode_sentence(item.tokens) for item in items])
    assert len(question.at) == len(items)
    for column, item in enumerate(items):
        read = vocabulary.decode(question.inputs[: question.at[column] + 1, column].tolist())
        assert read == ["<s>", *item.tokens[: item.target]]
        assert read[question.subject[column]] == item.tokens[item.controller]
        assert vocabulary.words[question.right[column]] == item.tokens[item.target]
        assert vocabulary.words[question.wrong[column]] == item.competitor
    her = [item.tokens[item.target] == "her" for item in items]
    assert len({(kind, word) for kind, word in zip(question.kind.tolist(), her, strict=True)}) == 2
    model = network(vocabulary)
    assert right_answers(model, question).mean() == pytest.approx(agreement_accuracy(model, vocabulary, items).overall)
    with pytest.raises(CorpusError, match="0 sentences"):
        agreement_question(vocabulary, others)


@pytest.mark.parametrize("choices", [{"cell": "tanh"}, {"cell": "lstm", "layers": 2}])
def test_carriers_tell_the_two_kinds_of_sentence_apart_before_the_answer(choices: dict[str, Any]) -> None:
    items = agreement_items((2, 5), 30)
    vocabulary = vocabulary_of(items)
    model = network(vocabulary, **choices)
    question = agreement_question(vocabulary, [vocabulary.encode_sentence(item.tokens) for item in items])
    found = carriers(model, question, shuffles=30)
    kind = np.array([1.0 if word == question.right.min() else -1.0 for word in question.right])

    def shown(unit: Unit, place: np.ndarray) -> np.ndarray:
        values = []
        for column, at in enumerate(place.tolist()):
            layer = model.forward(question.inputs[: at + 1, [column]]).layers[unit.layer]
            signals = dict(zip(model.cell.states, layer.blocks[:, -1, 0], strict=True))
            if model.cell.gated:
                signals |= {name: gate[-1, 0] for name, gate in model.cell.gate_values(layer.cache).items()}
            values.append(signals[unit.signal][unit.number])
        return np.array(values)

    for rank in (0, 3, len(found.ranking.units) - 1):
        values = shown(found.ranking.units[rank], question.at)
        assert found.ranking.correlation[rank] == pytest.approx(np.corrcoef(values[:15], kind[:15])[0, 1])
        assert found.ranking.held_out[rank] == pytest.approx(np.corrcoef(values[15:], kind[15:])[0, 1])
    chance, own = found.ranking.chance, np.abs(found.ranking.correlation)
    assert found.ranking.p_value.tolist() == [(1 + (chance >= r).sum()) / 31 for r in own]
    best = found.ranking.units[0]
    assert len(found.over_gap) == 3  # from the subject over the two words that stand before every answer
    for words, correlation in enumerate(found.over_gap):
        assert correlation == pytest.approx(np.corrcoef(shown(best, question.subject + words), kind)[0, 1])
    assert len(found.without) == HIDDEN * model.config.layers
    for layer, number in [(0, 1), (model.config.layers - 1, 4)]:
        hidden = model.forward(question.inputs).layers[layer].hidden[..., number]
        read = np.concatenate([hidden[: at + 1, column] for column, at in enumerate(question.at.tolist())])
        clamped = network(vocabulary, **choices)
        answers = []
        for column, at in enumerate(question.at.tolist()):
            clamped.cell = ClampingCell(model, layer, number, float(read.mean()))  # type: ignore[assignment]
            state = clamped.initial_state(1)
            for word in question.inputs[: at + 1, column].tolist():
                log_p, state = clamped.advance(np.array([word]), state)
            answers.append(log_p[0, question.right[column]] > log_p[0, question.wrong[column]])
        assert found.without[layer, number] == pytest.approx(np.mean(answers))


def test_a_planted_number_unit_is_found_and_everything_hangs_on_it() -> None:
    items = agreement_items((1, 6), 200)
    vocabulary = vocabulary_of(items)
    model = network(vocabulary, cell="relu", bias=False)
    for value in model.params.values():
        value[...] = 0
    queen, her = vocabulary.encode(["queen", "her"])
    model.params["U"][queen, 3] = 1
    model.params["W"][3, 3] = 1  # unit 3 remembers whether there was a queen
    model.params["U"][1, 4] = model.params["W"][4, 4] = 1  # unit 4 is always 1
    model.params["V"][her, 3], model.params["V"][her, 4] = 2, -1
    found = carriers(model, agreement_question(vocabulary, [vocabulary.encode_sentence(i.tokens) for i in items]))
    assert found.ranking.units[0] == Unit(0, "h", 3)
    assert found.ranking.follows.tolist() == [True, False, False, False, False]
    assert np.abs(found.over_gap) == pytest.approx(1)
    assert found.accuracy == 1
    assert found.without[0, 3] < 0.6
    assert [found.without[0, number] for number in (0, 1, 2)] == [1, 1, 1]


def test_the_number_prediction_task_asks_the_same_question() -> None:
    task = Agreement()
    batch = task.batch(60, 0, 0)
    question = number_question(task, batch)
    for column, at in enumerate(question.at.tolist()):
        words = [task.vocabulary[word] for word in batch.inputs[: at + 1, column]]
        subject = words[question.subject[column]]
        assert subject.endswith("s") == bool(question.right[column])  # the verb's number is the subject's
        assert question.wrong[column] == 1 - question.right[column]
    config = NetworkConfig(cell="gru", vocabulary_size=task.symbols, hidden_size=HIDDEN, outputs=2)
    model = Network(config, np.random.default_rng(0), dtype=np.float64)
    found = carriers(model, question, shuffles=9)
    outputs, _ = model.outputs(batch.inputs)
    assert 1 - found.accuracy == pytest.approx(task.metric(outputs, batch))
