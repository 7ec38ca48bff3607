"""Weights in and out: PyTorch's names and layouts, and the tutorial's own trained models.

PyTorch's module for a model with an embedding is

    class Net(nn.Module):
        embedding = nn.Embedding(N, D);  rnn = nn.LSTM(D, H, layers);  decoder = nn.Linear(H, N)

and without one (`embedding_size=None`) the same with one-hot vectors fed to `rnn`, whose input size is then N.

Differences that are converted here: PyTorch's matrices act on column vectors (U is transposed); PyTorch orders the
gates of an LSTM i, f, g, o and this library o, i, f, g (each cell says its own order); PyTorch has two biases where one
suffices, and uses only their sum (except for GRU's b_n).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rnn_core.arrays import Array
from rnn_core.config import ModelConfig
from rnn_core.errors import CheckpointError, SettingsError
from rnn_core.nn.cells import Cell, cell_of
from rnn_core.nn.language_model import LanguageModel
from rnn_core.nn.parameters import layer_suffix, parameter_shapes


def _layout(config: ModelConfig) -> tuple[Cell, list[int]]:
    """The cell, and PyTorch's gates as places among ours. SettingsError for a cell that PyTorch does not have."""
    cell = cell_of(config)
    if cell.torch is None:
        raise SettingsError(cell.no_torch)
    return cell, [cell.gates.index(gate) for gate in cell.torch.gates]


def _reordered(matrix: Array, order: Sequence[int]) -> Array:
    """Blocks of equal height along axis 0, in another order. A copy that is C-contiguous: safetensors writes an array's
    memory as it is.
    """
    blocks = matrix.reshape(len(order), -1, *matrix.shape[1:])
    ordered = np.empty(matrix.shape, matrix.dtype)
    np.take(blocks, order, axis=0, out=ordered.reshape(blocks.shape), mode="clip")  # mode "raise" would copy twice
    return ordered


def _biased(cell: Cell, order: Sequence[int], hidden_size: int) -> slice:
    """The rows of PyTorch's `bias_hh` that are our b_n."""
    assert cell.biased_gate is not None
    place = order.index(cell.gates.index(cell.biased_gate))
    return slice(place * hidden_size, (place + 1) * hidden_size)


def to_torch_state_dict(
    config: ModelConfig, params_or_grads: dict[str, Array], gradients: bool = False
) -> dict[str, Array]:
    """Arrays under the names and layouts of torch.nn.Embedding "embedding", RNN/LSTM/GRU "rnn", Linear "decoder".

    Our one bias becomes PyTorch's `bias_ih`, and its `bias_hh` zero, so that the sum is right. With `gradients=True`
    both get the gradient of the sum, as autograd gives it. Raises SettingsError for a network that PyTorch does not
    have.

    >>> from rnn_core import LanguageModel, ModelConfig
    >>> model = LanguageModel(ModelConfig(cell="gru", vocabulary_size=6, hidden_size=4, bias=False))
    >>> for name, array in to_torch_state_dict(model.config, model.params).items():
    ...     print(name, array.shape)
    rnn.weight_ih_l0 (12, 6)
    rnn.weight_hh_l0 (12, 4)
    decoder.weight (6, 4)
    """
    cell, order = _layout(config)
    state: dict[str, Array] = {}
    if "E" in params_or_grads:
        state["embedding.weight"] = params_or_grads["E"].copy()
    for depth in range(config.layers):
        suffix = layer_suffix(depth)
        state[f"rnn.weight_ih_l{depth}"] = _reordered(params_or_grads["U" + suffix].T, order)
        state[f"rnn.weight_hh_l{depth}"] = _reordered(params_or_grads["W" + suffix], order)
        if config.bias:
            b = _reordered(params_or_grads["b" + suffix], order)
            recurrent = b.copy() if gradients else np.zeros_like(b)
            if cell.biased_gate is not None:
                recurrent[_biased(cell, order, config.hidden_size)] = params_or_grads["b_n" + suffix]
            state[f"rnn.bias_ih_l{depth}"], state[f"rnn.bias_hh_l{depth}"] = b, recurrent
    state["decoder.weight"] = params_or_grads["E" if config.tied else "V"].copy()
    if config.bias:
        state["decoder.bias"] = params_or_grads["c"].copy()
    return state


def from_torch_state_dict(config: ModelConfig, state: dict[str, Array]) -> dict[str, Array]:
    """The inverse of `to_torch_state_dict` for weights: `params` of a LanguageModel with this config.

    Raises SettingsError where a name is missing or unknown, or a shape does not fit.
    """
    cell, order = _layout(config)
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
    ours = [order.index(place) for place in range(len(order))]
    params: dict[str, Array] = {}
    if config.embedding_size is not None:
        params["E"] = given["embedding.weight"].copy()
    for depth in range(config.layers):
        suffix = layer_suffix(depth)
        params["U" + suffix] = _reordered(given[f"rnn.weight_ih_l{depth}"], ours).T.copy()
        params["W" + suffix] = _reordered(given[f"rnn.weight_hh_l{depth}"], ours)
        if config.bias:
            of_input, of_state = given[f"rnn.bias_ih_l{depth}"], given[f"rnn.bias_hh_l{depth}"]
            both = of_input + of_state
            if cell.biased_gate is not None:
                # Its two biases do different things: one is scaled by the reset gate, the other is not.
                biased = _biased(cell, order, config.hidden_size)
                both[biased] = of_input[biased]
                params["b_n" + suffix] = of_state[biased].copy()
            params["b" + suffix] = _reordered(both, ours)
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
