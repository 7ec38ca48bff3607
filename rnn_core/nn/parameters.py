"""Names, shapes and first values of a network's parameters.

E   vectors of the inputs' ids, where there is an embedding
U, W, b, b_n   of the first recurrent layer; U2, W2, ... of the second
V, c   of the outputs
"""

from __future__ import annotations

import math

import numpy as np

from rnn_core.arrays import Array
from rnn_core.config import ModelConfig
from rnn_core.nn.cells import cell_of
from rnn_core.nn.initialisation import embedding, recurrent_block, uniform
from rnn_core.nn.inputs import inputs_of
from rnn_core.nn.losses import loss_of


def parameter_shapes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """Name and shape of every parameter, in the order in which they are initialised."""
    cell, inputs, outputs = cell_of(config), inputs_of(config), loss_of(config).outputs
    H = config.hidden_size
    shapes = inputs.parameter_shapes()
    for depth in range(config.layers):
        own = cell.parameter_shapes(H if depth else inputs.width, H, config.bias)
        shapes |= {name + layer_suffix(depth): shape for name, shape in own.items()}
    if not config.tied:
        shapes["V"] = (outputs, H)
    if config.bias:
        shapes["c"] = (outputs,)
    return shapes


def parameter_count(config: ModelConfig) -> int:
    """How many numbers the parameters are."""
    return sum(math.prod(shape) for shape in parameter_shapes(config).values())


def layer_suffix(depth: int) -> str:
    """Parameters of the first layer are U, W, b; of the second U2, W2, b2; ..."""
    return "" if depth == 0 else str(depth + 1)


def layer_of(name: str) -> tuple[str, int]:
    """The reverse: "W2" -> ("W", 1), the parameter's kind and its layer from 0."""
    kind = name.rstrip("0123456789")
    return kind, int(name[len(kind) :] or 1) - 1


def initial_parameters(config: ModelConfig, rng: np.random.Generator) -> dict[str, Array]:
    """Fresh float64 parameters. Matrices but W: uniform in +-1/sqrt(inputs); biases: 0, but for the gates that config
    names.
    """
    cell = cell_of(config)
    H = config.hidden_size
    params: dict[str, Array] = {}
    for name, shape in parameter_shapes(config).items():
        kind, _ = layer_of(name)
        if kind == "W":
            blocks = [recurrent_block(config.init, H, config.init_scale, rng) for _ in cell.recurrent_gates]
            params[name] = np.concatenate(blocks)
        elif kind == "E":
            params[name] = embedding(config.embedding_init, (shape[0], shape[1]), rng)
        elif kind in ("U", "V"):
            params[name] = uniform(shape, shape[0] if kind == "U" else shape[1], rng)
        elif kind == "b":
            params[name] = cell.initial_bias(H, config.forget_bias, config.chrono, rng)
        else:
            params[name] = np.zeros(shape)
    return params
