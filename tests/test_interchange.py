"""Weights in and out: PyTorch's names and layouts both ways, and the tutorial's own .npz."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rnn_core import LanguageModel, ModelConfig, from_torch_state_dict, load_tutorial_model, to_torch_state_dict
from rnn_core.errors import CheckpointError, SettingsError, UserError
from rnn_core.reference.small_networks import small_batch, small_model
from rnn_core.reference.tutorial import total_loss

EXCHANGEABLE = [
    {"cell": cell, "layers": layers, **options}
    for cell in ("tanh", "relu", "lstm", "gru")
    for layers in (1, 3)
    for options in ({}, {"embedding_size": 2}, {"embedding_size": 3, "tied": True}, {"bias": False})
]
every_network = pytest.mark.parametrize("options", EXCHANGEABLE, ids=str)


def model_of(options: dict) -> LanguageModel:
    return small_model(ModelConfig(vocabulary_size=5, hidden_size=3, **options))


@every_network
def test_out_and_in_again_is_the_same_network(options: dict) -> None:
    model = model_of(options)
    state = to_torch_state_dict(model.config, model.params)
    back = from_torch_state_dict(model.config, state)
    assert list(back) == list(model.params)
    for name, value in model.params.items():
        np.testing.assert_array_equal(back[name], value, err_msg=name)
    # ... and in and out again is the same state_dict, with the second bias at zero.
    again = to_torch_state_dict(model.config, back)
    assert list(again) == list(state)
    for name, value in state.items():
        np.testing.assert_array_equal(again[name], value, err_msg=name)


@every_network
def test_names_and_shapes_are_pytorchs(options: dict) -> None:
    model = model_of(options)
    gates = {"tanh": 1, "relu": 1, "lstm": 4, "gru": 3}[options["cell"]]
    expected = {"embedding.weight": (5, options["embedding_size"])} if "embedding_size" in options else {}
    for layer in range(options["layers"]):
        inputs = options.get("embedding_size", 5) if layer == 0 else 3
        expected[f"rnn.weight_ih_l{layer}"] = (gates * 3, inputs)
        expected[f"rnn.weight_hh_l{layer}"] = (gates * 3, 3)
        if options.get("bias", True):
            expected[f"rnn.bias_ih_l{layer}"] = (gates * 3,)
            expected[f"rnn.bias_hh_l{layer}"] = (gates * 3,)
    expected["decoder.weight"] = (5, 3)
    if options.get("bias", True):
        expected["decoder.bias"] = (5,)
    state = to_torch_state_dict(model.config, model.params)
    assert {name: value.shape for name, value in state.items()} == expected
    assert list(state) == list(expected), "in the order of PyTorch's own state_dict"
    assert all(value.flags["C_CONTIGUOUS"] and value.flags["OWNDATA"] for value in state.values())


@pytest.mark.parametrize("cell", ["tanh", "lstm", "gru"])
def test_two_biases_come_in_as_their_sum_except_where_the_reset_gate_scales_one(cell: str) -> None:
    model = model_of({"cell": cell})
    state = to_torch_state_dict(model.config, model.params)
    split = np.random.default_rng(0).standard_normal(state["rnn.bias_ih_l0"].shape)
    if cell == "gru":
        split[6:] = 0  # the candidate's two biases are two different things
    moved = {
        **state,
        "rnn.bias_ih_l0": state["rnn.bias_ih_l0"] - split,
        "rnn.bias_hh_l0": state["rnn.bias_hh_l0"] + split,
    }
    for name, value in from_torch_state_dict(model.config, moved).items():
        np.testing.assert_allclose(value, model.params[name], rtol=1e-14, atol=1e-15)


def test_an_export_shares_no_memory_with_the_network() -> None:
    model = model_of({"cell": "gru", "embedding_size": 3, "tied": True})
    for value in to_torch_state_dict(model.config, model.params).values():
        value[...] = 7
    assert not any((value == 7).any() for value in model.params.values())


def test_gradients_go_out_under_the_same_names() -> None:
    """Both of PyTorch's biases get the gradient of their sum, as autograd gives it."""
    model = model_of({"cell": "lstm", "layers": 2})
    _, gradients = model.loss_and_gradients(*small_batch())
    out = to_torch_state_dict(model.config, gradients, gradients=True)
    assert list(out) == list(to_torch_state_dict(model.config, model.params))
    for layer in (0, 1):
        np.testing.assert_array_equal(out[f"rnn.bias_ih_l{layer}"], out[f"rnn.bias_hh_l{layer}"])
    # PyTorch's rows are i, f, g, o; ours o, i, f, g.
    np.testing.assert_array_equal(out["rnn.weight_hh_l0"][9:], gradients["W"][:3])
    np.testing.assert_array_equal(out["rnn.weight_hh_l0"][:9], gradients["W"][3:])


@pytest.mark.parametrize(
    ("options", "reason"),
    [({"cell": "sigmoid"}, "tanh and ReLU only"), ({"cell": "gru", "gru_reset": "before"}, "cannot be exported")],
)
def test_what_pytorch_does_not_have_is_refused(options: dict, reason: str) -> None:
    model = model_of(options)
    with pytest.raises(SettingsError, match=reason):
        to_torch_state_dict(model.config, model.params)
    with pytest.raises(SettingsError, match=reason):
        from_torch_state_dict(model.config, {})


def test_weights_of_another_network_are_refused_by_name() -> None:
    model = model_of({"cell": "lstm", "embedding_size": 2})
    state = to_torch_state_dict(model.config, model.params)
    missing = {name: value for name, value in state.items() if name != "rnn.bias_hh_l0"}
    with pytest.raises(SettingsError, match=r"lack 'rnn\.bias_hh_l0'"):
        from_torch_state_dict(model.config, missing)
    with pytest.raises(SettingsError, match=r"have 'rnn\.weight_ih_l1'"):
        from_torch_state_dict(model.config, {**state, "rnn.weight_ih_l1": np.ones(3)})
    with pytest.raises(SettingsError, match=r"'decoder\.weight' has shape \(3, 5\); this config needs \(5, 3\)"):
        from_torch_state_dict(model.config, {**state, "decoder.weight": state["decoder.weight"].T})
    tied = model_of({"cell": "lstm", "embedding_size": 3, "tied": True})
    state = to_torch_state_dict(tied.config, tied.params)
    with pytest.raises(SettingsError, match="load with tied=False"):
        from_torch_state_dict(tied.config, {**state, "decoder.weight": state["decoder.weight"] + 1})


# -- The tutorial's .npz ----------------------------------------------------------------------------------------------


def tutorial_arrays(hidden: int = 4, words: int = 6) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    shapes = {"U": (hidden, words), "V": (words, hidden), "W": (hidden, hidden)}
    return {name: 0.6 * rng.standard_normal(shape) for name, shape in shapes.items()}


def test_a_model_of_the_tutorial_loads_and_has_the_tutorials_loss(tmp_path: Path) -> None:
    arrays = tutorial_arrays()
    np.savez(tmp_path / "rnn-theano.npz", **arrays)
    model = load_tutorial_model(tmp_path / "rnn-theano.npz")
    assert model.config == ModelConfig(cell="tanh", vocabulary_size=6, hidden_size=4, bias=False)
    assert model.dtype == np.float32
    x, y = np.random.default_rng(1).integers(0, 6, (2, 9))
    loss = model.loss(x[:, None], y[:, None])
    assert loss * 9 == pytest.approx(total_loss(x, y, arrays["U"], arrays["V"], arrays["W"]), rel=1e-6)


def changed(**arrays: np.ndarray) -> dict[str, np.ndarray]:
    return {**tutorial_arrays(), **arrays}


@pytest.mark.parametrize(
    "arrays",
    [
        changed(U=np.ones((6, 4))),
        changed(W=np.ones((4, 5))),
        changed(V=np.ones((7, 4))),
        changed(W=np.ones(4)),
        changed(W=np.full((4, 4), np.nan)),
        changed(V=np.full((6, 4), np.inf)),
        changed(V=np.full((6, 4), 1e300)),
        changed(W=np.ones((4, 4), int)),
        changed(W=np.ones((4, 4), complex)),
        changed(W=np.array([["a"] * 4] * 4)),
        changed(W=np.ones(())),
        {"U": np.ones((0, 6)), "V": np.ones((6, 0)), "W": np.ones((0, 0))},
    ],
    ids=lambda arrays: str({name: (value.dtype.str, value.shape) for name, value in arrays.items()}),
)
def test_arrays_that_are_no_tutorial_model_are_refused(tmp_path: Path, arrays: dict) -> None:
    np.savez(tmp_path / "model.npz", **arrays)
    with pytest.raises(CheckpointError, match=r"U \(H, N\), V \(N, H\) and W \(H, H\)"):
        load_tutorial_model(tmp_path / "model.npz")


def test_an_npz_that_lacks_a_matrix_says_which_are_needed(tmp_path: Path) -> None:
    arrays = tutorial_arrays()
    np.savez(tmp_path / "model.npz", U=arrays["U"], V=arrays["V"])
    with pytest.raises(CheckpointError, match="U, V and W"):
        load_tutorial_model(tmp_path / "model.npz")


class Trap:
    """Unpickling an instance of this would write a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


def test_an_npz_is_never_unpickled(tmp_path: Path) -> None:
    sprung = tmp_path / "sprung"
    arrays = changed(W=np.array([[Trap(sprung)]], dtype=object))
    np.savez(tmp_path / "model.npz", **arrays)
    with pytest.raises(CheckpointError, match="plain arrays"):
        load_tutorial_model(tmp_path / "model.npz")
    assert not sprung.exists()


@pytest.mark.parametrize(
    "content",
    [b"", b"PK\x03\x04", b"PK\x05\x06" + bytes(18), b"\x80\x04\x95", b"not a zip at all", b"\x93NUMPY\x01\x00"],
)
def test_a_file_of_something_else_is_a_sentence_and_no_traceback(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.npz").write_bytes(content)
    with pytest.raises(UserError):
        load_tutorial_model(tmp_path / "model.npz")


def test_a_truncated_npz_a_single_array_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "model.npz", **tutorial_arrays())
    whole = (tmp_path / "model.npz").read_bytes()
    for length in range(0, len(whole), 97):
        (tmp_path / "cut.npz").write_bytes(whole[:length])
        with pytest.raises(UserError):
            load_tutorial_model(tmp_path / "cut.npz")
    np.save(tmp_path / "single.npy", np.ones((3, 3)))
    with pytest.raises(CheckpointError):
        load_tutorial_model(tmp_path / "single.npy")
    with pytest.raises(CheckpointError, match="no such file"):
        load_tutorial_model(tmp_path / "absent.npz")
    with pytest.raises(CheckpointError):
        load_tutorial_model(tmp_path)


def test_a_damaged_npz_is_refused_wherever_the_damage_is(tmp_path: Path) -> None:
    np.savez(tmp_path / "model.npz", **tutorial_arrays())
    whole = bytearray((tmp_path / "model.npz").read_bytes())
    for place in range(0, len(whole), 41):
        damaged = bytearray(whole)
        damaged[place] ^= 0xFF
        (tmp_path / "damaged.npz").write_bytes(damaged)
        try:
            model = load_tutorial_model(tmp_path / "damaged.npz")
        except UserError:
            continue
        assert all(np.isfinite(value).all() for value in model.params.values())
