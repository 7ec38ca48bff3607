"""The arrays of a run's safetensors files: names, types and shapes, and the conversions from and to them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from rnn_core.arrays import Array
from rnn_core.config import ModelConfig, TaskSettings
from rnn_core.data import Vocabulary
from rnn_core.errors import RunError
from rnn_core.nn.language_model import LanguageModel
from rnn_core.nn.network import Network
from rnn_core.nn.parameters import parameter_shapes
from rnn_core.runs.run_config import CorpusFacts, RunConfig
from rnn_core.runs.tensors import Spec, Specs
from rnn_core.threads import thread_count
from rnn_core.training import TrainingState, state_arrays

VOCABULARY_FILE = "vocabulary.json"
CORPUS_FILE = "corpus.safetensors"


def flattened(part: str, sentences: Sequence[Array]) -> dict[str, Array]:
    """Sentences as two arrays: all ids in a row, and where each sentence begins and ends."""
    ids = np.concatenate(sentences) if sentences else np.zeros(0, np.int32)
    offsets = np.cumsum([0, *map(len, sentences)])
    return {f"{part}_ids": ids.astype("<i4"), f"{part}_offsets": offsets.astype("<i8")}


def corpus_specs(facts: CorpusFacts) -> dict[str, Spec]:
    """Names, types and shapes of the arrays in corpus.safetensors, by what config.json says of the text."""
    specs = {}
    for part, sentences, tokens in (
        ("train", facts.train_sentences, facts.train_tokens),
        ("valid", facts.valid_sentences, facts.valid_tokens),
    ):
        specs[f"{part}_ids"] = Spec(np.dtype("<i4"), (tokens + sentences,))
        specs[f"{part}_offsets"] = Spec(np.dtype("<i8"), (sentences + 1,))
    return specs


def sentences_of(ids: Array, offsets: Array, vocabulary_size: int) -> list[Array]:
    """The reverse of `flattened`. Raises RunError where the arrays do not fit each other or the vocabulary."""
    whole = offsets[0] == 0 and offsets[-1] == len(ids) and (np.diff(offsets) >= 2).all()
    if not whole or (len(ids) and not (ids.min() >= 0 and ids.max() < vocabulary_size)):
        raise RunError("corpus.safetensors is damaged: its sentences make no sense.")
    return [ids[start:stop] for start, stop in zip(offsets[:-1], offsets[1:], strict=True)]


def checkpoint_specs(config: RunConfig) -> Specs:
    """Every array that a checkpoint of this run must hold, with type and shape."""
    specs = parameter_specs(config.model)
    for name, (kind, shape) in state_arrays(config.model, config.training, config.plan()).items():
        specs[name] = Spec(np.dtype(kind), shape)
    return specs


def parameter_specs(model: ModelConfig) -> dict[str, Spec]:
    """The weights that a checkpoint or a snapshot of this network must hold, with type and shape."""
    return {f"model/{name}": Spec(np.dtype("<f4"), shape) for name, shape in parameter_shapes(model).items()}


def named_parameters(params: Mapping[str, Array]) -> dict[str, Array]:
    """The network's parameters under the names that files have for them; the way back is `parameters_of`."""
    return {f"model/{name}": value for name, value in params.items()}


def checkpoint_arrays(params: Mapping[str, Array], state: TrainingState) -> dict[str, Array]:
    """The arrays of a checkpoint, as `checkpoint_specs` lists them."""
    return named_parameters(params) | state.arrays()


def checkpoint_state(state: TrainingState, history: Mapping[str, Any], vocabulary: str) -> dict[str, Any]:
    """What a checkpoint holds beside arrays, as JSON: the training's counters; `history`, from `HistoryWriter.pending`;
    the number of threads, on which the last bits depend; the digest of the words, or of the task, of its weights.
    """
    return {"training": state.to_json(), "history": history, "threads": thread_count(), "vocabulary": vocabulary}


def vocabulary_digest(vocabulary: Vocabulary) -> str:
    """SHA-256 of the words in the order of their ids, and of how a text is read; stored with
    weights, to refuse another vocabulary for them.
    """
    words = json.dumps([vocabulary.unit, vocabulary.lowercase, *vocabulary.words], ensure_ascii=True)
    return hashlib.sha256(words.encode("ascii")).hexdigest()


def task_digest(task: TaskSettings) -> str:
    """SHA-256 of a task's settings, apart from how many sequences it is validated on; as `vocabulary_digest`."""
    values = {name: value for name, value in task.to_json().items() if name != "validation_sequences"}
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode("ascii")).hexdigest()


def parameters_of(arrays: Mapping[str, Array]) -> dict[str, Array]:
    """The network's parameters among a checkpoint's arrays."""
    return {name.removeprefix("model/"): value for name, value in arrays.items() if name.startswith("model/")}


def network_of(config: RunConfig, arrays: Mapping[str, Array]) -> Network:
    """The network with a checkpoint's parameters: a LanguageModel, or for a run on a task a Network."""
    kind = LanguageModel if config.task is None else Network
    return kind(config.model, params=parameters_of(arrays))
