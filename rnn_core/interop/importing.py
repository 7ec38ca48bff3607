"""Networks that were trained elsewhere, with their own words: the tutorial's .npz, or PyTorch's weights in safetensors.

The settings of the network are read from the shapes of its arrays. Which word each row belongs to is not in the file:
a word list says it, and becomes the vocabulary. Every vocabulary here begins with <unk>, <s> and </s>, so they are
moved to the front of the list, and their rows of the arrays with them: the network gives each sentence the same loss as
before. A list without these marks gets them (`standard_order` says what they are read as), with a bias by which the
network hardly ever predicts one that it was not trained to predict.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rnn_core.arrays import Array
from rnn_core.config import ModelConfig, TextSettings
from rnn_core.data import StandardOrder, standard_order
from rnn_core.data.word_lists import UNEXPECTED_NATS
from rnn_core.errors import CheckpointError, SettingsError
from rnn_core.interop.pytorch import from_torch_state_dict, load_tutorial_model
from rnn_core.nn.cells import CELL_FORMS
from rnn_core.nn.language_model import LanguageModel
from rnn_core.nn.parameters import parameter_shapes

# Usual names, in lower case, of the modules before and after the recurrent one.
EMBEDDINGS = ("embedding", "embeddings", "embed", "emb", "encoder", "word_embedding", "word_embeddings")
DECODERS = ("decoder", "linear", "fc", "out", "output", "head", "lm_head", "proj", "projection")

_RECURRENT = re.compile(r"(?:(?P<module>.*)\.)?(?P<name>(?:weight|bias)_[ih]h_l(?P<layer>\d{1,4}))")


@dataclass(frozen=True)
class ImportedNetwork:
    """A network and its words, <unk>, <s> and </s> first. text: how a text is read for it, as far as its words tell;
    assumed: sentences on what the files left open, or "".
    """

    model: LanguageModel
    words: tuple[str, ...]
    text: TextSettings
    assumed: str = ""


def import_network(path: str | Path, words: Sequence[str], cell: str | None = None) -> ImportedNetwork:
    """A network from `path` (.npz of the tutorial's code, or .safetensors under PyTorch's names); `words`: the word of
    each of its rows, in their order.

    `cell` settles what PyTorch's names leave open: whether an RNN is tanh (the default) or relu. Raises CheckpointError
    for a file that is something else, CorpusError for words that `standard_order` refuses, SettingsError where the
    words or the cell do not fit the file.
    """
    path = Path(path)
    if path.suffix == ".npz":
        model, assumed = load_tutorial_model(path), ""
        if cell not in (None, "tanh"):
            raise SettingsError(f"the tutorial's weights are a tanh network, not {cell}; leave the cell out.")
    else:
        model, assumed = _from_torch(_read_safetensors(path), cell)
    size = model.config.vocabulary_size
    if len(words) != size:
        raise SettingsError(f"the word list has {len(words):,} words and these weights are for {size:,}; give theirs.")
    order = standard_order(words)
    assumed = " Also, ".join(sentence for sentence in (assumed, order.assumed) if sentence)
    return ImportedNetwork(_reordered(model, order), order.words, order.text, assumed)


def _reordered(model: LanguageModel, order: StandardOrder) -> LanguageModel:
    """The same network with the rows of its words in another order, and with rows for the marks that it lacked."""
    config = dataclasses.replace(
        model.config, vocabulary_size=len(order.words), bias=model.config.bias or bool(order.unseen)
    )
    # Of the words that it had; with the biases that the marks it lacked need.
    shapes = parameter_shapes(dataclasses.replace(model.config, bias=config.bias))
    params = {name: model.params.get(name, np.zeros(shape, np.float32)) for name, shape in shapes.items()}
    for name in ("V", "c", "U" if config.embedding_size is None else "E"):
        if name in params:  # tied, it has no V
            average = params[name].mean(axis=0, keepdims=True)
            rows = [-1 if row is None else row for row in order.rows]
            params[name] = np.concatenate([params[name], average])[rows]  # row -1: the average
    for mark in order.unseen:
        params["c"][order.words.index(mark)] -= UNEXPECTED_NATS
    return LanguageModel(config, params=params)


def _read_safetensors(path: Path) -> dict[str, Array]:
    """The arrays of a file, as float32. Raises CheckpointError."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    if not path.is_file():
        raise CheckpointError(f"there is no file {path.name}; check the path.")
    try:
        arrays = load_file(path)
    except (SafetensorError, ValueError, KeyError, TypeError, OSError):
        raise CheckpointError(
            f"{path.name} is neither an .npz nor a safetensors file of plain numbers; write the network's state_dict "
            "with safetensors.torch.save_file, as float32."
        ) from None
    for name, array in arrays.items():
        if not np.issubdtype(array.dtype, np.floating) or not np.isfinite(array.astype(np.float32)).all():
            raise CheckpointError(f"{name[:60]!r} in {path.name} is not made of finite numbers.")
    return {name: array.astype(np.float32) for name, array in arrays.items()}


def _from_torch(arrays: Mapping[str, Array], cell: str | None) -> tuple[LanguageModel, str]:
    """The network with these arrays, its words in the file's order; and a sentence on what was assumed, or ""."""
    state = _standard_names(arrays)
    config, assumed = _config_of(state, cell)
    if config.bias:
        # Some networks have a bias in one module only, which is the same as a bias of 0 in the other.
        rows = len(state["rnn.weight_ih_l0"])
        for layer in range(config.layers):
            for name in (f"rnn.bias_ih_l{layer}", f"rnn.bias_hh_l{layer}"):
                state.setdefault(name, np.zeros(rows, np.float32))
        state.setdefault("decoder.bias", np.zeros(config.vocabulary_size, np.float32))
    return LanguageModel(config, params=from_torch_state_dict(config, state)), assumed


def _standard_names(arrays: Mapping[str, Array]) -> dict[str, Array]:
    """The arrays under the names embedding, rnn and decoder, whatever their modules are called."""
    state: dict[str, Array] = {}
    modules = set()
    for name, array in arrays.items():
        if (match := _RECURRENT.fullmatch(name)) is not None:
            modules.add(match["module"])
            state[f"rnn.{match['name']}"] = array
            continue
        module, _, kind = name.rpartition(".")
        module = module.rpartition(".")[2].lower()
        part = "embedding" if module in EMBEDDINGS else "decoder" if module in DECODERS else None
        if part is None or kind not in ("weight", "bias") or (part, kind) == ("embedding", "bias"):
            raise CheckpointError(
                f"there is no place for {name[:60]!r} here. A network is an embedding (or one-hot words), one-way "
                "RNN, LSTM or GRU layers, and a linear decoder."
            )
        if f"{part}.{kind}" in state:
            raise CheckpointError(f"there is a second {part}, {name[:60]!r}; a network has one.")
        state[f"{part}.{kind}"] = array
    if len(modules) != 1:
        found = "several recurrent modules" if modules else "no recurrent layer (weight_ih_l0, weight_hh_l0, …)"
        raise CheckpointError(f"the file has {found}; a network has one nn.RNN, nn.LSTM or nn.GRU.")
    return state


def _config_of(state: Mapping[str, Array], cell: str | None) -> tuple[ModelConfig, str]:
    """The settings of the network, read from the shapes; and a sentence on what was assumed, or ""."""
    recurrent, of_input = state.get("rnn.weight_hh_l0"), state.get("rnn.weight_ih_l0")
    if recurrent is None or of_input is None or recurrent.ndim != 2 or of_input.ndim != 2 or not recurrent.size:
        raise CheckpointError("the first recurrent layer lacks weight_ih_l0 or weight_hh_l0, or they are no matrices.")
    hidden = recurrent.shape[1]
    embedding, decoder = state.get("embedding.weight"), state.get("decoder.weight")
    if decoder is None:
        raise CheckpointError("the file has no decoder (decoder.weight): nothing that says which word comes next.")
    candidates = [form.name for form in CELL_FORMS if form.torch and len(form.torch.gates) * hidden == len(recurrent)]
    if not candidates:
        raise CheckpointError(
            f"weight_hh_l0 has {len(recurrent)} rows for {hidden} units, which is no RNN, LSTM or GRU of PyTorch."
        )
    if cell is not None and cell not in candidates:
        raise SettingsError(f"these weights are of the cell {' or '.join(candidates)}, not {cell}.")
    chosen = cell or ("tanh" if "tanh" in candidates else candidates[0])
    assumed = ""
    if cell is None and len(candidates) > 1:
        assumed = f"the weights do not say whether the cell is {' or '.join(candidates)}; it is taken for {chosen}."
    tied = embedding is not None and embedding.shape == decoder.shape and np.array_equal(embedding, decoder)
    config = ModelConfig(
        cell=chosen,
        vocabulary_size=len(decoder),
        hidden_size=hidden,
        embedding_size=None if embedding is None else embedding.shape[-1],
        layers=1 + max(int(name.rpartition("_l")[2]) for name in state if name.startswith("rnn.weight_hh")),
        bias=any(name.endswith("bias") or name.startswith("rnn.bias") for name in state),
        tied=tied,
    )
    config.validate()
    return config, assumed


def with_training_settings(network: ModelConfig, wanted: ModelConfig) -> ModelConfig:
    """The settings of a network from elsewhere, with the dropout of `wanted`. Raises SettingsError where `wanted` asks
    for another network than this one.
    """
    plain = ModelConfig()
    for name in ("cell", "hidden_size", "embedding_size", "layers", "bias", "tied"):
        asked, has = getattr(wanted, name), getattr(network, name)
        if asked not in (has, getattr(plain, name)):  # At its default it was not asked for.
            what = name.replace("_", " ")
            raise SettingsError(f"these weights have {what} {has}, not {asked}; leave that option out.")
    return dataclasses.replace(network, dropout=wanted.dropout, variational=wanted.variational)
