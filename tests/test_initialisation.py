"""How a network starts, and which networks are refused, with the reason."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from rnn_core import LanguageModel, ModelConfig
from rnn_core.config import INITIALISATIONS
from rnn_core.errors import SettingsError
from rnn_core.nn.cells import CELL_FORMS
from rnn_core.nn.initialisation import recurrent_block
from rnn_core.nn.parameters import parameter_shapes
from rnn_core.randomness import stream

H = 24
CELLS = {cell.name: cell for cell in CELL_FORMS}
every_cell = pytest.mark.parametrize("cell", CELLS)
every_cell_with_recurrence = pytest.mark.parametrize("cell", [cell for cell in CELLS if CELLS[cell].recurrent_gates])


def fresh(seed: int = 0, dtype: type = np.float64, **options) -> LanguageModel:
    config = ModelConfig(**{"vocabulary_size": 50, "hidden_size": H, **options})
    return LanguageModel(config, np.random.default_rng(seed), dtype)


def gate_blocks(model: LanguageModel, name: str = "W") -> list[np.ndarray]:
    return np.split(model.params[name], len(CELLS[model.config.cell].gates))


# -- W ----------------------------------------------------------------------------------------------------------------


@every_cell_with_recurrence
def test_uniform_fills_plus_minus_one_over_the_root_of_the_inputs(cell: str) -> None:
    model = fresh(cell=cell, layers=2, embedding_size=9, embedding_init="uniform")
    inputs = {"E": 9, "U": 9, "W": H, "U2": H, "W2": H, "V": H}
    for name, fan_in in inputs.items():
        bound, largest = 1 / math.sqrt(fan_in), np.abs(model.params[name]).max()
        assert 0.95 * bound < largest <= bound, name
        assert model.params[name].std() == pytest.approx(bound / math.sqrt(3), rel=0.1), name


def test_one_hot_input_is_uniform_in_the_vocabulary_as_the_tutorial_has_it() -> None:
    U = fresh().params["U"]
    assert 0.95 / math.sqrt(50) < np.abs(U).max() <= 1 / math.sqrt(50)


@every_cell_with_recurrence
def test_glorot_fills_the_root_of_six_over_the_sum_of_the_fans(cell: str) -> None:
    for block in gate_blocks(fresh(cell=cell, init="glorot")):
        assert 0.95 * math.sqrt(6 / (2 * H)) < np.abs(block).max() <= math.sqrt(6 / (2 * H))


@every_cell_with_recurrence
@pytest.mark.parametrize("gain", [1.0, 0.7, 1.5])
def test_orthogonal_keeps_every_length_up_to_its_gain(cell: str, gain: float) -> None:
    for block in gate_blocks(fresh(cell=cell, init="orthogonal", init_scale=gain, layers=2), "W2"):
        np.testing.assert_allclose(block.T @ block, gain**2 * np.eye(H), atol=1e-13)


def test_orthogonal_matrices_have_no_favourite_direction() -> None:
    """QR alone would leave the sign of each column's projection fixed; over many draws the mean is zero."""
    rng = np.random.default_rng(0)
    mean = np.mean([recurrent_block("orthogonal", 3, 1.0, rng) for _ in range(3000)], axis=0)
    assert np.abs(mean).max() < 0.05


@every_cell_with_recurrence
@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_identity_is_the_identity_in_every_gate(cell: str, scale: float) -> None:
    for block in gate_blocks(fresh(cell=cell, init="identity", init_scale=scale)):
        np.testing.assert_array_equal(block, scale * np.eye(H))


@every_cell_with_recurrence
@pytest.mark.parametrize("radius", [1.0, 0.3, 2.0])
def test_spectral_has_the_given_radius(cell: str, radius: float) -> None:
    for block in gate_blocks(fresh(cell=cell, init="spectral", init_scale=radius)):
        assert np.abs(np.linalg.eigvals(block)).max() == pytest.approx(radius, rel=1e-12)


@pytest.mark.parametrize("init", [init for init in INITIALISATIONS if init != "identity"])
def test_gates_do_not_start_alike(init: str) -> None:
    blocks = gate_blocks(fresh(cell="lstm", init=init))
    assert not np.allclose(blocks[0], blocks[1])


def test_an_unknown_initialisation_of_a_block_is_an_error() -> None:
    with pytest.raises(ValueError, match="unknown initialisation"):
        recurrent_block("xavier", 3, 1.0, np.random.default_rng(0))


# -- Biases -----------------------------------------------------------------------------------------------------------


def biases(model: LanguageModel, suffix: str = "") -> list[np.ndarray]:
    return np.split(model.params["b" + suffix], len(CELLS[model.config.cell].gates))


@pytest.mark.parametrize("forget_bias", [1.0, 0.0, -2.5])
@pytest.mark.parametrize("suffix", ["", "2"])
def test_the_forget_bias_stands_in_b_and_nowhere_else(forget_bias: float, suffix: str) -> None:
    model = fresh(cell="lstm", forget_bias=forget_bias, layers=2)
    output, write, forget, candidate = biases(model, suffix)
    np.testing.assert_array_equal(forget, forget_bias)
    for other in (output, write, candidate):
        np.testing.assert_array_equal(other, 0)
    # Forward adds nothing to it: with b zeroed and no input, half of the cell is forgotten in a step.
    for name in ("U", "W", "b"):
        model.params[name][...] = 0
    _, end = model.log_probabilities(np.zeros((1, 1), int), [np.ones((1, 2 * H)), np.ones((1, 2 * H))])
    np.testing.assert_allclose(end[0][0, H:], 0.5, rtol=1e-15)


@every_cell
def test_all_other_biases_start_at_zero(cell: str) -> None:
    model = fresh(cell=cell, forget_bias=0.0, layers=2)
    for name, value in model.params.items():
        if name[0] in "bc":
            np.testing.assert_array_equal(value, 0, err_msg=name)


def test_a_network_without_biases_has_none() -> None:
    for cell in CELLS:
        assert not any(name[0] in "bc" for name in fresh(cell=cell, bias=False, layers=2).params)


@pytest.mark.parametrize("longest", [3, 20, 1000])
def test_chrono_biases_make_lstm_memories_last_up_to_the_longest_dependency(longest: int) -> None:
    """b_f = log(Uniform(1, T_max - 1)), b_i = -b_f (Tallec & Ollivier 2018): a memory lasts 1 + exp(b_f) steps."""
    model = fresh(cell="lstm", chrono=longest, hidden_size=500, vocabulary_size=2)
    output, write, forget, candidate = biases(model)
    np.testing.assert_array_equal(write, -forget)
    np.testing.assert_array_equal(output, 0)
    np.testing.assert_array_equal(candidate, 0)
    draws = np.exp(forget)
    assert draws.min() >= 1 - 1e-12
    assert draws.max() <= longest - 1 + 1e-9
    assert draws.mean() == pytest.approx(longest / 2, rel=0.1)


@pytest.mark.parametrize("gru_reset", ["after", "before"])
def test_chrono_biases_of_a_gru_keep_by_the_update_gate(gru_reset: str) -> None:
    model = fresh(cell="gru", chrono=50, gru_reset=gru_reset)
    reset, update, candidate = biases(model)
    np.testing.assert_array_equal(reset, 0)
    np.testing.assert_array_equal(candidate, 0)
    assert (update >= -1e-12).all()
    assert (np.exp(update) <= 49 + 1e-9).all()
    assert update.std() > 0.1


def test_chrono_biases_of_a_mingru_close_the_update_gate() -> None:
    """There an update gate of 0 keeps: a memory lasts 1 / z = 1 + exp(-b) steps."""
    update, candidate = biases(fresh(cell="mingru", chrono=50))
    np.testing.assert_array_equal(candidate, 0)
    assert (-update >= -1e-12).all()
    assert (np.exp(-update) <= 49 + 1e-9).all()
    assert update.std() > 0.1


# -- One seed ---------------------------------------------------------------------------------------------------------


@every_cell
@pytest.mark.parametrize("init", INITIALISATIONS)
def test_the_same_seed_gives_the_same_bits_and_another_seed_another_network(cell: str, init: str) -> None:
    one, same, other = (fresh(seed, cell=cell, init=init) for seed in (5, 5, 6))
    for name, value in one.params.items():
        np.testing.assert_array_equal(same.params[name], value)
    assert not np.array_equal(one.params["V"], other.params["V"])


def test_single_precision_starts_where_double_precision_starts() -> None:
    single, double = fresh(dtype=np.float32), fresh(dtype=np.float64)
    for name, value in double.params.items():
        np.testing.assert_array_equal(single.params[name], value.astype(np.float32))


def test_streams_of_different_names_seeds_and_counters_have_nothing_in_common() -> None:
    keys = [(0, "init"), (1, "init"), (0, "dropout", 0), (0, "dropout", 1), (0, "dropout", 0, 1), (0, "dropout/0", 1)]
    draws = [stream(*key).random(4).tolist() for key in keys]
    assert len({tuple(draw) for draw in draws}) == len(keys)
    assert draws == [stream(*key).random(4).tolist() for key in keys]


# -- Which parameters there are ---------------------------------------------------------------------------------------


@every_cell
@pytest.mark.parametrize("gru_reset", ["after", "before"])
def test_a_network_has_exactly_the_parameters_of_its_shape(cell: str, gru_reset: str) -> None:
    if cell != "gru":
        gru_reset = "after"
    G = len(CELLS[cell].gates)
    model = fresh(cell=cell, gru_reset=gru_reset, layers=3, embedding_size=7)
    expected = {"E": (50, 7)}
    for suffix, inputs in (("", 7), ("2", H), ("3", H)):
        expected |= {"U" + suffix: (inputs, G * H), "b" + suffix: (G * H,)}
        if CELLS[cell].recurrent_gates:
            expected["W" + suffix] = (G * H, H)
        if (cell, gru_reset) == ("gru", "after"):
            expected["b_n" + suffix] = (H,)
    expected |= {"V": (50, H), "c": (50,)}
    assert {name: value.shape for name, value in model.params.items()} == expected == parameter_shapes(model.config)
    assert model.parameter_count == sum(math.prod(shape) for shape in expected.values())


@pytest.mark.parametrize(
    ("kind", "deviation"), [("uniform", 1 / math.sqrt(3 * 40)), ("small_normal", 0.3), ("normal", 1.0)]
)
def test_word_vectors_start_as_they_are_asked_to(kind: str, deviation: float) -> None:
    E = fresh(embedding_size=40, embedding_init=kind).params["E"]
    assert float(E.std()) == pytest.approx(deviation, rel=0.05)
    assert abs(float(E.mean())) < 4 * deviation / math.sqrt(E.size)


def test_tied_weights_have_no_output_matrix_of_their_own() -> None:
    model = fresh(embedding_size=H, tied=True)
    assert "V" not in model.params
    assert model.output_matrix is model.params["E"]


def test_parameters_of_another_shape_are_refused() -> None:
    params = fresh().params
    with pytest.raises(SettingsError, match="do not fit the network's settings"):
        LanguageModel(ModelConfig(vocabulary_size=50, hidden_size=H + 1), params=params)
    with pytest.raises(SettingsError, match="do not fit"):
        LanguageModel(ModelConfig(vocabulary_size=50, hidden_size=H, bias=False), params=params)


# -- What makes no sense is refused -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"cell": "elman"}, "'elman' is not known; choose one of tanh, relu, sigmoid, lstm, gru"),
        ({"vocabulary_size": 1}, "at least 2 entries"),
        ({"vocabulary_size": -5}, "at least 2 entries"),
        ({"hidden_size": 0}, "at least 1 hidden unit"),
        ({"embedding_size": 0}, "or choose one-hot input"),
        ({"layers": 0}, "1 to 3 layers, not 0"),
        ({"layers": 4}, "1 to 3 layers, not 4"),
        ({"embedding_init": "normal"}, "one-hot input has no word vectors"),
        (
            {"embedding_size": 5, "embedding_init": "zero"},
            "word vectors start uniform, small_normal, normal, not 'zero'",
        ),
        ({"tied": True}, "the embedding size must equal the hidden size"),
        ({"tied": True, "embedding_size": 10, "hidden_size": 20}, r"hidden size \(20\); set it, or untie them"),
        ({"init": "xavier"}, "choose one of uniform, glorot, orthogonal, identity, spectral"),
        ({"init": "orthogonal", "init_scale": 0.0}, "positive number"),
        ({"init": "spectral", "init_scale": -1.0}, "positive number"),
        ({"init": "spectral", "init_scale": math.nan}, "positive number"),
        ({"init": "identity", "init_scale": math.inf}, "positive number"),
        ({"init": "uniform", "init_scale": 2.0}, "the uniform initialisation has no scale to set"),
        ({"init": "glorot", "init_scale": 2.0}, "the glorot initialisation has no scale to set"),
        ({"cell": "lstm", "forget_bias": math.nan}, "finite number"),
        ({"chrono": 20}, "sets the biases of gates; choose an LSTM, GRU"),
        ({"cell": "relu", "chrono": 20}, "sets the biases of gates"),
        ({"cell": "lstm", "chrono": 2}, "at least 3 steps"),
        ({"cell": "gru", "chrono": 20, "bias": False}, "this network has none; switch biases on"),
        ({"gru_reset": "during"}, "'after' or 'before' the matrix product"),
        ({"cell": "lstm", "gru_reset": "before"}, "only GRU has a reset gate"),
        ({"dropout": 1.0}, "probability from 0 up to, not including, 1"),
        ({"dropout": -0.1}, "probability"),
        ({"dropout": math.nan}, "probability"),
        ({"variational": True}, "needs a dropout probability above 0"),
    ],
    ids=str,
)
def test_a_senseless_network_is_refused_with_the_reason(options: dict, reason: str) -> None:
    config = ModelConfig(**options)
    with pytest.raises(SettingsError, match=reason) as caught:
        config.validate()
    assert str(caught.value).endswith("."), "a sentence"
    assert "\n" not in str(caught.value)
    with pytest.raises(SettingsError, match=reason):
        LanguageModel(config)


SENSIBLE = [
    {},
    {"cell": "lstm", "chrono": 3, "layers": 3, "dropout": 0.5, "variational": True},
    {"cell": "gru", "gru_reset": "before", "embedding_size": 100, "tied": True, "init": "orthogonal"},
    {"cell": "relu", "init": "identity", "init_scale": 0.5, "bias": False},
    {"init": "spectral", "init_scale": 1.2},
]


@pytest.mark.parametrize("options", SENSIBLE, ids=str)
def test_settings_go_through_json_and_come_back(options: dict) -> None:
    config = ModelConfig(**options)
    config.validate()
    assert ModelConfig.from_json(json.loads(json.dumps(config.to_json()))) == config


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"hidden": 10}, "no setting called 'hidden'"),
        ({"hidden_size": "10"}, "'hidden_size' should be of type int, not str"),
        ({"hidden_size": 10.0}, "'hidden_size' should be of type int, not float"),
        ({"hidden_size": True}, "'hidden_size' should be of type int, not bool"),
        ({"hidden_size": None}, "'hidden_size' should be of type int, not NoneType"),
        ({"tied": 1}, "'tied' should be of type bool, not int"),
        ({"dropout": "0.5"}, "'dropout' should be of type float, not str"),
        ({"dropout": False}, "'dropout' should be of type float, not bool"),
        ({"cell": ["lstm"]}, "'cell' should be of type str, not list"),
        ({"embedding_size": 1.5}, r"'embedding_size' should be of type int \| None, not float"),
        ({"layers": 7}, "1 to 3 layers"),
        ([], "not a JSON object"),
        (None, "not a JSON object"),
        ("lstm", "not a JSON object"),
    ],
    ids=str,
)
def test_json_that_does_not_fit_is_refused_by_name(values: object, reason: str) -> None:
    with pytest.raises(SettingsError, match=reason):
        ModelConfig.from_json(values)


def test_a_file_of_before_word_vectors_could_be_chosen_means_the_uniform_ones_that_there_were() -> None:
    then = ModelConfig(embedding_size=5).to_json()
    del then["embedding_init"]
    assert ModelConfig.from_json(then) == ModelConfig(embedding_size=5, embedding_init="uniform")
    assert ModelConfig.from_json(ModelConfig(embedding_size=5).to_json()).embedding_init == "small_normal"
    # Networks with one-hot input had it as their default, and say so.
    ModelConfig(embedding_init="uniform").validate()


def test_missing_settings_take_their_defaults_and_whole_numbers_may_stand_for_fractions() -> None:
    then = {"embedding_init": "small_normal"}  # the one that is not what it was before it could be set
    assert ModelConfig.from_json(then) == ModelConfig()
    assert ModelConfig.from_json({**then, "forget_bias": 2, "embedding_size": None}) == ModelConfig(forget_bias=2)
    assert ModelConfig.from_json({**then, "dropout": 0}) == ModelConfig(dropout=0)
