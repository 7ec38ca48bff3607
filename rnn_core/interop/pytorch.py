"""Weights in and out: PyTorch's names and layouts, and the tutorial's own trained models.

PyTorch's module for a model with an embedding is

    class Net(nn.Module):
        embedding = nn.Embedding(N, D);  rnn = nn.LSTM(D, H, layers);  decoder = nn.Linear(H, N)

and without one (`embedding_size=None`) the same with one-hot vectors fed to `rnn`, whose input size is then N.

Differences that are converted here: matrices act on column vectors there (U is transposed); gates are ordered i, f, g,
o there and o, i, f, g here (LSTM); PyTorch has two biases where one suffices, and uses only their sum (but for GRU's
b_n).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from rnn_core.arrays import Array
from rnn_core.config import ModelConfig
from rnn_core.errors import CheckpointError, SettingsError
from rnn_core.nn.language_model import LanguageModel, layer_suffix, parameter_shapes

# Row blocks of PyTorch's matrices, as positions among ours.
_TORCH_GATES = {"lstm": (1, 2, 3, 0)}
_OUR_GATES = {"lstm": (3, 0, 1, 2)}


def _reordered(matrix: Array, order: tuple[int, ...] | None) -> Array:
    """Blocks of equal height along axis 0, in another order."""
    if order is None:
        return matrix
    blocks = np.split(matrix, len(order))
    return np.concatenate([blocks[k] for k in order])


def _check_expressible(config: ModelConfig) -> None:
    if config.cell == "sigmoid":
        raise SettingsError("PyTorch's RNN has tanh and ReLU only; a sigmoid network cannot be exported to it.")
    if config.cell == "gru" and config.gru_reset == "before":
        raise SettingsError(
            "PyTorch's GRU resets after the matrix product; a network with the original form cannot be exported to it."
        )


def to_torch_state_dict(
    config: ModelConfig, params_or_grads: dict[str, Array], gradients: bool = False
) -> dict[str, Array]:
    """Arrays under the names and layouts of torch.nn.Embedding "embedding", RNN/LSTM/GRU "rnn", Linear "decoder".

    Our one bias becomes PyTorch's `bias_ih`, and its `bias_hh` zero, so that the sum is right. With `gradients=True`
    both get the gradient of the sum, as autograd gives it. Raises SettingsError for a network that PyTorch does not
    have.
    """
    _check_expressible(config)
    order = _TORCH_GATES.get(config.cell)
    state: dict[str, Array] = {}
    if "E" in params_or_grads:
        state["embedding.weight"] = params_or_grads["E"].copy()
    for depth in range(config.layers):
        suffix = layer_suffix(depth)
        state[f"rnn.weight_ih_l{depth}"] = _reordered(params_or_grads["U" + suffix].T, order).copy()
        state[f"rnn.weight_hh_l{depth}"] = _reordered(params_or_grads["W" + suffix], order).copy()
        if config.bias:
            b = _reordered(params_or_grads["b" + suffix], order).copy()
            recurrent = b.copy() if gradients else np.zeros_like(b)
            if config.cell == "gru":
                recurrent[2 * config.hidden_size :] = params_or_grads["b_n" + suffix]
            state[f"rnn.bias_ih_l{depth}"], state[f"rnn.bias_hh_l{depth}"] = b, recurrent
    state["decoder.weight"] = params_or_grads["E" if config.tied else "V"].copy()
    if config.bias:
        state["decoder.bias"] = params_or_grads["c"].copy()
    return state


def from_torch_state_dict(config: ModelConfig, state: dict[str, Array]) -> dict[str, Array]:
    """The inverse of `to_torch_state_dict` for weights: `params` of a LanguageModel with this config.

    Raises SettingsError where a name is missing or unknown, or a shape does not fit.
    """
    _check_expressible(config)
    template = {name: np.empty(shape, np.bool_) for name, shape in parameter_shapes(config).items()}
    expected = {name: value.shape for name, value in to_torch_state_dict(config, template).items()}
    given = {name: np.asarray(value) for name, value in state.items()}
    for name in sorted(expected.keys() | given.keys()):
        if name not in given:
            raise SettingsError(
                f"the PyTorch weights lack {name!r}; check cell, layers, bias and embedding of the config."
            )
        if name not in expected:
            raise SettingsError(f"the PyTorch weights have {name!r}, which this config has no place for.")
        if given[name].shape != expected[name]:
            raise SettingsError(f"{name!r} has shape {given[name].shape}; this config needs {expected[name]}.")
    order = _OUR_GATES.get(config.cell)
    params: dict[str, Array] = {}
    if config.embedding_size is not None:
        params["E"] = given["embedding.weight"].copy()
    for depth in range(config.layers):
        suffix = layer_suffix(depth)
        params["U" + suffix] = _reordered(given[f"rnn.weight_ih_l{depth}"], order).T.copy()
        params["W" + suffix] = _reordered(given[f"rnn.weight_hh_l{depth}"], order).copy()
        if config.bias:
            of_input, of_state = given[f"rnn.bias_ih_l{depth}"], given[f"rnn.bias_hh_l{depth}"]
            if config.cell == "gru":
                # The candidate's two biases do different things: one is scaled by the reset gate, the other is not.
                split = 2 * config.hidden_size
                params["b" + suffix] = np.concatenate([of_input[:split] + of_state[:split], of_input[split:]])
                params["b_n" + suffix] = of_state[split:].copy()
            else:
                params["b" + suffix] = _reordered(of_input + of_state, order)
    if not config.tied:
        params["V"] = given["decoder.weight"].copy()
    elif not np.array_equal(given["decoder.weight"], params["E"]):
        raise SettingsError(
            "the PyTorch decoder differs from its embedding, so the two are not tied; load with tied=False."
        )
    if config.bias:
        params["c"] = given["decoder.bias"].copy()
    return {name: params[name] for name in parameter_shapes(config)}


def load_tutorial_model(path: str | Path) -> LanguageModel:
    """A model saved by the tutorial's code: an .npz with U (H, N), V (N, H), W (H, H) -> a tanh RNN without biases,
    float32.

    Read with allow_pickle=False. Raises CheckpointError where the file is something else.
    """
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = {name: np.asarray(archive[name]) for name in ("U", "V", "W")}
    except KeyError:
        raise CheckpointError(
            "this .npz lacks one of the arrays U, V and W; a model of the tutorial has all three."
        ) from None
    except FileNotFoundError:
        raise CheckpointError("there is no such file; check the path.") from None
    except Exception:
        # Damaged bytes show where zipfile, zlib or NumPy's parser of headers trips over them, each with its own error.
        raise CheckpointError(
            "this is not a readable .npz of plain arrays; save U, V and W with numpy.savez."
        ) from None
    U, V, W = arrays["U"], arrays["V"], arrays["W"]
    hidden = W.shape[0] if W.ndim == 2 else 0
    fits = (
        W.shape == (hidden, hidden) and U.ndim == 2 and V.shape == U.shape[::-1] and U.shape[0] == hidden and hidden > 0
    )
    # Finite in float32, too: a float64 may be beyond its range.
    largest = float(np.finfo(np.float32).max)
    real = all(np.issubdtype(a.dtype, np.floating) and (np.abs(a) <= largest).all() for a in arrays.values())
    if not (fits and real):
        raise CheckpointError("the arrays should be finite real numbers of shapes U (H, N), V (N, H) and W (H, H).")
    config = ModelConfig(cell="tanh", vocabulary_size=U.shape[1], hidden_size=hidden, bias=False)
    params = {"U": np.ascontiguousarray(U.T), "W": W, "V": V}
    return LanguageModel(config, params={name: value.astype(np.float32) for name, value in params.items()})
