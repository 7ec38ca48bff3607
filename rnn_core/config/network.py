"""The settings of a network that is no language model: its inputs and outputs need not be words of one vocabulary."""

from __future__ import annotations

from dataclasses import dataclass

from rnn_core.config.choices import Choice, Choices
from rnn_core.config.fields import NETWORK, Need, setting
from rnn_core.config.model import ModelConfig

LOSSES = Choices(
    {
        "cross_entropy": Choice("softmax cross-entropy"),
        "squared_error": Choice("squared error"),
    }
)


@dataclass(frozen=True)
class NetworkConfig(ModelConfig):
    """A network with ids or vectors as inputs, and classes or numbers as outputs.

    With the defaults of the three settings here it is a `ModelConfig`: words of one vocabulary go in and come out.
    """

    input_size: int | None = setting(
        None,
        label="Numbers in an input",
        help="D, the real numbers that are read at each step, in place of ids of the vocabulary.",
        group=NETWORK,
        low=1,
        none="ids",
        refusal="an input needs at least 1 number; or let the network read ids.",
        needs=(
            Need(
                ("embedding_size",),
                lambda given: given.embedding_size is None,
                "an embedding is of ids, and this network reads vectors; choose one of the two.",
            ),
            Need(
                ("outputs",),
                lambda given: given.outputs is not None,
                "a network that reads vectors has no vocabulary to predict; say how many outputs it has.",
            ),
        ),
    )
    outputs: int | None = setting(
        None,
        label="Outputs",
        help="Classes to choose from, or numbers to give, in place of the words of the vocabulary.",
        group=NETWORK,
        low=1,
        none="the vocabulary",
        refusal="a network needs at least 1 output.",
        needs=(
            Need(
                ("tied",),
                lambda given: not given.tied,
                "tied weights make the words the outputs; untie them to have outputs of their own.",
            ),
        ),
    )
    loss: str = setting(
        "cross_entropy",
        label="Loss",
        help="Softmax cross-entropy over classes, or the squared error of numbers.",
        group=NETWORK,
        choices=LOSSES,
        refusal="the loss {value!r} is not known; choose one of {choices}.",
        needs=(
            Need(
                ("outputs",),
                lambda given: given.outputs is not None,
                "a squared error is of numbers; say how many outputs there are.",
            ),
        ),
    )
