"""Networks that were trained elsewhere say of every sentence what they said before, under their own words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from rnn_core.cli.main import main
from rnn_core.config import ModelConfig
from rnn_core.data import parse_word_list
from rnn_core.errors import CorpusError, UserError
from rnn_core.interop.importing import import_network
from rnn_core.interop.pytorch import to_torch_state_dict
from rnn_core.nn.language_model import LanguageModel
from rnn_core.runs import Run

# As the tutorial's models have them: the start first, the unknown word last.
WORDS = ["SENTENCE_START", "SENTENCE_END", *(f"w{n}" for n in range(8)), "UNKNOWN_TOKEN"]
SIZE = len(WORDS)

NETWORKS = {
    "tanh, one-hot": {"cell": "tanh"},
    "relu, no bias": {"cell": "relu", "bias": False},
    "lstm, embedding": {"cell": "lstm", "embedding_size": 5, "layers": 2},
    "lstm, tied": {"cell": "lstm", "embedding_size": 6, "tied": True},
    "gru, one-hot": {"cell": "gru", "layers": 2},
}


def network(**choices: Any) -> LanguageModel:
    config = ModelConfig(vocabulary_size=SIZE, hidden_size=6, **choices)
    model = LanguageModel(config, np.random.default_rng(3))
    rng = np.random.default_rng(4)
    for value in model.params.values():
        value[...] = rng.normal(0, 0.5, value.shape)
    return model


def losses(model: LanguageModel, words: list[str], sentence: list[str]) -> Any:
    """E_t of each prediction in a sentence of words, as a list of words numbers them."""
    ids = np.array([[words.index(word)] for word in sentence])
    return model.token_losses(ids[:-1], ids[1:])[0][:, 0]


SENTENCE = ["w3", "UNKNOWN_TOKEN", "w0", "w7", "w7", "w1"]
THEIRS = ["SENTENCE_START", *SENTENCE, "SENTENCE_END"]
OURS = ["<s>", *("<unk>" if word == "UNKNOWN_TOKEN" else word for word in SENTENCE), "</s>"]


@pytest.mark.parametrize("choices", NETWORKS.values(), ids=NETWORKS)
@pytest.mark.parametrize("prefix", ["", "model.", "module.net."])
def test_an_imported_network_says_of_a_sentence_what_it_said_before(
    choices: dict[str, Any], prefix: str, tmp_path: Path
) -> None:
    model = network(**choices)
    state = to_torch_state_dict(model.config, model.params)
    save_file({prefix + name: value for name, value in state.items()}, tmp_path / "weights.safetensors")
    imported = import_network(tmp_path / "weights.safetensors", WORDS, choices["cell"])
    assert imported.words[:3] == ("<unk>", "<s>", "</s>")
    assert imported.model.config == model.config
    np.testing.assert_allclose(
        losses(imported.model, list(imported.words), OURS), losses(model, WORDS, THEIRS), rtol=1e-6
    )


def test_the_tutorials_network_says_of_a_sentence_what_it_said_before(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    U, V, W = (rng.normal(0, 0.5, shape) for shape in ((6, SIZE), (SIZE, 6), (6, 6)))
    np.savez(tmp_path / "model.npz", U=U, V=V, W=W)
    # The tutorial's forward pass, as it is written there.
    ids = [WORDS.index(word) for word in THEIRS]
    expected, state = [], np.zeros(6)
    for before, after in zip(ids[:-1], ids[1:], strict=True):
        state = np.tanh(U[:, before] + W @ state)
        scores = np.exp(V @ state)
        expected.append(-np.log(scores[after] / scores.sum()))
    imported = import_network(tmp_path / "model.npz", WORDS)
    np.testing.assert_allclose(losses(imported.model, list(imported.words), OURS), expected, rtol=1e-5)


def test_modules_by_other_names_and_a_bias_in_one_of_them_alone_are_understood(tmp_path: Path) -> None:
    model = network(cell="lstm", embedding_size=5)
    model.params["b"][...] = 0
    names = {"embedding": "encoder", "rnn": "lstm", "decoder": "fc"}
    state = {}
    for name, value in to_torch_state_dict(model.config, model.params).items():
        module, _, rest = name.partition(".")
        if module != "rnn" or "bias" not in rest:
            state[f"{names[module]}.{rest}"] = value
    save_file(state, tmp_path / "weights.safetensors")
    imported = import_network(tmp_path / "weights.safetensors", WORDS)
    np.testing.assert_allclose(
        losses(imported.model, list(imported.words), OURS), losses(model, WORDS, THEIRS), rtol=1e-6
    )


def test_what_the_weights_do_not_say_is_assumed_aloud(tmp_path: Path) -> None:
    for cell, assumed in (("tanh", True), ("gru", False)):
        model = network(cell=cell)
        save_file(to_torch_state_dict(model.config, model.params), tmp_path / "weights.safetensors")
        assert bool(import_network(tmp_path / "weights.safetensors", WORDS).assumed) == assumed
        assert not import_network(tmp_path / "weights.safetensors", WORDS, cell).assumed


# What a plain character model has: no marks, but a line break.
CHARACTERS = ["\n", " ", *"abcdefghi"]


@pytest.mark.parametrize("choices", NETWORKS.values(), ids=NETWORKS)
@pytest.mark.parametrize(
    "words", [CHARACTERS, ["x", *CHARACTERS[1:]], ["<eos>", *CHARACTERS[1:]]], ids=lambda w: repr(w[0])
)
def test_a_network_without_marks_says_of_its_words_what_it_said_before_and_expects_no_mark_that_it_never_saw(
    choices: dict[str, Any], words: list[str], tmp_path: Path
) -> None:
    model = network(**choices)
    save_file(to_torch_state_dict(model.config, model.params), tmp_path / "weights.safetensors")
    imported = import_network(tmp_path / "weights.safetensors", words, choices["cell"])
    ours, ends = list(imported.words), words[0] != "x"
    text = [words[0], *"cab ihg ", words[0], *"bad"]
    if ends:  # what ends a sentence also begins one
        text_here = ["</s>" if word == words[0] else word for word in text]
        np.testing.assert_array_equal(
            losses(imported.model, ours, ["<s>", *text_here[1:]]), losses(imported.model, ours, text_here)
        )
    else:
        text_here = text
    np.testing.assert_allclose(losses(imported.model, ours, text_here), losses(model, words, text), rtol=1e-5)
    for mark in ("<unk>", "<s>") if ends else ("<unk>", "<s>", "</s>"):
        assert (losses(imported.model, ours, [text_here[1], mark]) > 25).all()
        assert f"`{mark}`" in imported.assumed


def test_how_a_text_is_cut_is_read_from_the_words(tmp_path: Path) -> None:
    save_file(to_torch_state_dict((model := network()).config, model.params), tmp_path / "weights.safetensors")
    for words, unit, sentences in ((CHARACTERS, "char", "lines"), (WORDS, "word", "punkt")):
        text = import_network(tmp_path / "weights.safetensors", words).text
        assert (text.unit, text.sentences) == (unit, sentences)


def state_with(**changes: Any) -> dict[str, Any]:
    model = network(cell="lstm", embedding_size=5)
    state = {**to_torch_state_dict(model.config, model.params), **changes}
    return {name: value for name, value in state.items() if value is not None}


REFUSED: dict[str, tuple[Any, list[str], str | None, str]] = {
    "one word too few": (state_with(), WORDS[:-1], None, "has 10 words and these weights are for 11"),
    "two words for the end": (state_with(), [*WORDS[:-2], "<eos>", WORDS[-1]], None, "more than one of </s>"),
    "another cell": (state_with(), WORDS, "gru", "these weights are of the cell lstm, not gru"),
    "no decoder": (state_with(**{"decoder.weight": None, "decoder.bias": None}), WORDS, None, "no decoder"),
    "no recurrence": ({"fc.weight": np.zeros((11, 6), np.float32)}, WORDS, None, "no recurrent layer"),
    "both ways": (state_with(**{"rnn.weight_ih_l0_reverse": np.zeros((2, 2))}), WORDS, None, "there is no place for"),
    "attention": (state_with(**{"attn.weight": np.zeros((2, 2))}), WORDS, None, "there is no place for 'attn.weight'"),
    "a layer that no network has": (
        state_with(**{f"rnn.weight_hh_l{'9' * 5000}": np.zeros((2, 2), np.float32)}),
        WORDS,
        None,
        "there is no place for",
    ),
    "too many layers": (state_with(**{"rnn.weight_hh_l7": np.zeros((2, 2), np.float32)}), WORDS, None, "1 to 3 layers"),
    "no layer 0": (state_with(**{"rnn.weight_hh_l0": None}), WORDS, None, "lacks weight_ih_l0 or weight_hh_l0"),
    "a shape that fits nothing": (
        state_with(**{"rnn.weight_hh_l0": np.zeros((13, 6), np.float32)}),
        WORDS,
        None,
        "13 rows for 6 units",
    ),
    "two decoders": (state_with(**{"fc.weight": np.zeros((11, 6), np.float32)}), WORDS, None, "a second decoder"),
    "not a number": (state_with(**{"decoder.bias": np.full(11, np.nan, np.float32)}), WORDS, None, "finite numbers"),
    "whole numbers": (state_with(**{"decoder.bias": np.zeros(11, np.int64)}), WORDS, None, "finite numbers"),
    "a wrong embedding": (state_with(**{"embedding.weight": np.zeros((11, 4), np.float32)}), WORDS, None, "shape"),
}


@pytest.mark.parametrize("fault", REFUSED)
def test_weights_that_are_no_network_of_ours_are_refused_in_a_sentence(fault: str, tmp_path: Path) -> None:
    state, words, cell, sentence = REFUSED[fault]
    save_file(state, tmp_path / "weights.safetensors")
    with pytest.raises(UserError) as caught:
        import_network(tmp_path / "weights.safetensors", words, cell)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("data", [b"", b"junk", b"\xff" * 100, b"\x10\0\0\0\0\0\0\0{}"])
def test_a_file_that_is_no_weights_is_refused(data: bytes, tmp_path: Path) -> None:
    for name in ("weights.safetensors", "weights.npz", "weights"):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(UserError):
            import_network(tmp_path / name, WORDS)
    with pytest.raises(UserError, match="no file"):
        import_network(tmp_path / "nowhere.safetensors", WORDS)


# --- word lists -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        "<unk>\na\nb c\n[\n",
        "<unk>\r\na\r\nb c\r\n[",
        "\ufeff<unk>\na\nb c\n[\n",
        json.dumps(["<unk>", "a", "b c", "["]),
        json.dumps({"unit": "word", "words": ["<unk>", "a", "b c", "["]}),
    ],
)
def test_a_word_list_is_json_or_a_word_a_line(data: str) -> None:
    assert parse_word_list(data.encode()) == ["<unk>", "a", "b c", "["]


def test_a_list_of_lines_may_begin_with_a_bracket() -> None:
    assert parse_word_list(b"[\n]\na\n") == ["[", "]", "a"]


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"a\nb\na\n", "has 'a' twice (the second is entry 3)"),
        (b"a\n\nb\n", "entry 2 of the word list is no text"),
        (b'["a", 1]', "neither a JSON list of texts"),
        (b'{"counts": [1]}', "neither a JSON list of texts"),
        (b'["\\ud800"]', "entry 1 of the word list is no text"),
        (b"\xff\xfe", "not UTF-8"),
        (b"", "entry 1 of the word list is no text"),
    ],
)
def test_what_is_no_word_list_is_refused(data: bytes, sentence: str) -> None:
    with pytest.raises(CorpusError) as caught:
        parse_word_list(data)
    assert sentence in str(caught.value)


# --- the commands ---------------------------------------------------------------------------------------------


@pytest.fixture
def tutorial(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    np.savez(
        tmp_path / "model.npz",
        **{name: rng.normal(0, 0.5, shape) for name, shape in {"U": (6, SIZE), "V": (SIZE, 6), "W": (6, 6)}.items()},
    )
    (tmp_path / "words.json").write_text(json.dumps(WORDS))
    (tmp_path / "text.txt").write_text("w3 w1 w2 unheard-of w5\nw7 w7 w0 w1\n" * 20)
    return tmp_path


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


def test_training_from_weights_of_elsewhere_needs_their_words_and_takes_them_as_its_vocabulary(
    tutorial: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    start = ("--start-from", tutorial / "model.npz", "--sentences", "lines", "--steps", "1", "--quiet")
    train = ("train", tutorial / "text.txt", "--run", tutorial / "run", *start)
    assert run(*train) == 2
    assert "add --start-vocabulary FILE" in capsys.readouterr().err
    assert not (tutorial / "run").exists()
    assert run(*train, "--start-vocabulary", tutorial / "words.json", "--hidden", "7") == 2
    assert "these weights have hidden size 6, not 7" in capsys.readouterr().err
    assert run(*train, "--start-vocabulary", tutorial / "words.json") == 0
    trained = Run.open(tutorial / "run")
    expected = import_network(tutorial / "model.npz", WORDS)
    assert trained.vocabulary().words == expected.words
    assert trained.vocabulary().counts[0] == sum(int((ids == 0).sum()) for ids in trained.corpus().train) > 0
    for name, value in trained.load_model(step=0).params.items():
        np.testing.assert_array_equal(value, expected.model.params[name])


def test_an_imported_network_is_a_run_also_without_the_text_it_was_trained_on(
    tutorial: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tutorial / "run"
    command = ("import", tutorial / "model.npz", "--vocabulary", tutorial / "words.json", "--sentences", "lines")
    assert run(*command, "--run", folder, "--json") == 0
    assert json.loads(capsys.readouterr().out)["words"] == SIZE
    for arguments in (
        ("generate", folder),
        ("gradients", folder, "--text", "w1 w2"),
        ("export", folder, tutorial / "o"),
    ):
        assert run(*arguments) == 0
    capsys.readouterr()
    assert run("evaluate", folder, tutorial / "text.txt", "--json") == 0
    alone = json.loads(capsys.readouterr().out)
    assert alone["baselines"] == {"uniform": SIZE, "unigram": None, "bigram": None, "kneser_ney_trigram": None}
    assert run("resume", folder) == 2
    assert "no sentence to train on" in capsys.readouterr().err
    assert run(*command, "--run", tutorial / "with", "--corpus", tutorial / "text.txt") == 0
    capsys.readouterr()
    assert run("evaluate", tutorial / "with", tutorial / "text.txt", "--json") == 0
    beside = json.loads(capsys.readouterr().out)
    assert beside["loss_nats"] == alone["loss_nats"]
    assert beside["baselines"]["unigram"] < SIZE
    assert run("resume", tutorial / "with", "--steps", "1", "--quiet") == 0
