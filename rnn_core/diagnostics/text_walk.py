"""A whole text read by a network, a batch at a time: nothing of it is kept but what the caller takes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from rnn_core.arithmetic import arithmetic
from rnn_core.arrays import Array
from rnn_core.data import batches, predicted_tokens, stream_batches
from rnn_core.errors import CorpusError
from rnn_core.nn.bptt import LayerTrace
from rnn_core.nn.language_model import LanguageModel
from rnn_core.nn.network import Network, Trace, last_states

_BATCH_SIZE = 64
_TOKENS_OF_A_COLUMN = 1000
_CHUNK_LENGTH = 50


class Unit(NamedTuple):
    """One unit and what of it is looked at: layer and number from 0; signal: a state or a gate of the cell, by name."""

    layer: int
    signal: str
    number: int


class TextPart(NamedTuple):
    """Part of a text: `places` (R,) in the order of the text, whose tokens stand at [mask] of the trace (T, B)."""

    places: Array
    mask: Array
    targets: Array
    trace: Trace


def text_length(sentences: Sequence[Array]) -> int:
    """n, how many tokens are read, and so predicted. Raises CorpusError for none."""
    count = predicted_tokens(sentences)
    if not count:
        raise CorpusError("there is no token to read; give a longer text.")
    return count


def text_parts(model: LanguageModel, sentences: Sequence[Array], carried: bool) -> Iterator[TextPart]:
    """Sentences of ids from <s> to </s> -> every token that is read, once.

    Each sentence is read from a fresh state, or (`carried`) the text without a break, in columns side by side that
    begin with a fresh state.
    """
    inputs = np.concatenate([ids[:-1] for ids in sentences])
    targets = np.concatenate([ids[1:] for ids in sentences])
    starts = np.cumsum([0, *(len(ids) - 1 for ids in sentences)])
    # The batches of these "sentences" hold places in the text instead of words.
    places = [np.arange(start, end + 1) for start, end in zip(starts[:-1], starts[1:], strict=True)]
    columns = min(_BATCH_SIZE, max(1, len(inputs) // _TOKENS_OF_A_COLUMN))
    found = stream_batches(places, columns, _CHUNK_LENGTH, None) if carried else batches(places, _BATCH_SIZE, None)
    state = None
    for batch in found:
        with arithmetic():
            trace = model.forward(inputs[batch.inputs], state)
        state = last_states(trace) if carried else None
        yield TextPart(batch.inputs[batch.mask], batch.mask, targets[batch.inputs], trace)


def signal_names(model: Network) -> tuple[str, ...]:
    """What can be looked at of every unit: the cell's states, and what the gates of a gated one let through."""
    cell = model.cell
    return (*cell.states, *cell.gates) if cell.gated else cell.states


def units_of(model: Network) -> list[Unit]:
    """Every unit with every signal, in the order of the columns of `unit_values`."""
    size = model.config.hidden_size
    return [
        Unit(layer, signal, number)
        for layer in range(model.config.layers)
        for signal in signal_names(model)
        for number in range(size)
    ]


def unit_values(trace: Trace, where: Array | tuple[Array, Array]) -> Array:
    """(R, units) what every unit shows after each of R tokens: where they stand in the trace, as an index of (T, B)."""
    return np.concatenate([values[where] for layer in trace.layers for values in _signals(layer)], axis=1)


def _signals(layer: LayerTrace) -> list[Array]:
    """(T, B, H) of each of `signal_names`."""
    gates = layer.cell.gate_values(layer.cache).values() if layer.cell.gated else ()
    return [*layer.blocks[:, 1:], *gates]


def unit_series(model: LanguageModel, sentences: Sequence[Array], carried: bool, units: Sequence[Unit]) -> Array:
    """(n, len(units)) float32: these units along the text."""
    found = np.empty((text_length(sentences), len(units)), np.float32)
    names = signal_names(model)
    for part in text_parts(model, sentences, carried):
        signals = [_signals(layer) for layer in part.trace.layers]
        for column, unit in enumerate(units):
            values = signals[unit.layer][names.index(unit.signal)][..., unit.number]
            found[part.places, column] = values[part.mask]
    return found


def text_losses(model: LanguageModel, sentences: Sequence[Array], carried: bool) -> Array:
    """(n,) the loss in nats of the prediction made at each token."""
    found = np.empty(text_length(sentences))
    for part in text_parts(model, sentences, carried):
        with arithmetic():
            found[part.places] = model.losses_of(part.trace, part.targets, part.mask)[part.mask]
    return found
