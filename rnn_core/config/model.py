"""The settings of a language model: its shape, and how it starts."""

from __future__ import annotations

from dataclasses import dataclass

from rnn_core.config.choices import CELLS, EMBEDDING_INITIALISATIONS, INITIALISATIONS, Choice, Choices
from rnn_core.config.fields import NETWORK, REGULARIZATION, START, Need, Settings, setting

GRU_RESETS = Choices({"after": Choice("after the matrix product"), "before": Choice("before it (2014)")})


@dataclass(frozen=True)
class ModelConfig(Settings):
    """The shape of a network and how it starts. `validate` refuses what makes no sense, with the reason."""

    cell: str = setting(
        "tanh",
        label="Network",
        help="The recurrent cell. In a plain RNN gradients fade fast; a gated cell, such as an LSTM, lets them pass.",
        group=NETWORK,
        basic=True,
        flag="--cell",
        choices=CELLS,
        refusal="cell {value!r} is not known; choose one of {choices}.",
    )
    vocabulary_size: int = setting(
        8000,
        label="Vocabulary",
        help="N, the number of different words, `<unk>`, `<s>` and `</s>` included: those of the text.",
        group=NETWORK,
        low=2,
        refusal="the vocabulary needs at least 2 entries.",
    )
    hidden_size: int = setting(
        100,
        label="Hidden units",
        help="H, the units of a layer's state s_t: how much the state can hold.",
        group=NETWORK,
        basic=True,
        flag="--hidden",
        low=1,
        step=8,
        refusal="the network needs at least 1 hidden unit.",
    )
    embedding_size: int | None = setting(
        None,
        label="Numbers in a word vector",
        help="Gives each word a learnt vector first, instead of a column of U of its own. Saves parameters.",
        group=NETWORK,
        flag="--embedding",
        low=1,
        step=8,
        none="one-hot",
        refusal="an embedding needs at least 1 dimension; or choose one-hot input.",
    )
    layers: int = setting(
        1,
        label="Layers",
        help="Recurrent layers on top of each other.",
        group=NETWORK,
        flag="--layers",
        low=1,
        high=3,
        refusal="the network can have 1 to 3 layers, not {value}.",
    )
    tied: bool = setting(
        False,
        label="Tie output to word vectors",
        help="Uses the word vectors as output matrix V as well (Press & Wolf 2017; Inan et al. 2017).",
        group=NETWORK,
        flag="--tied",
        needs=(
            Need(
                ("embedding_size", "hidden_size"),
                lambda given: given.embedding_size == given.hidden_size,
                "tied weights use the embedding as output matrix, so the embedding size must equal the hidden size "
                "({hidden_size}); set it, or untie them.",
            ),
        ),
    )
    bias: bool = setting(
        True,
        label="Biases",
        help="Biases b and c, which the tutorial's network does not have.",
        group=NETWORK,
        flag="--no-bias",
    )
    init: str = setting(
        "uniform",
        label="First values of W",
        help="How W starts: it decides whether gradients fade, keep or explode before anything is learnt.",
        group=START,
        flag="--init",
        choices=INITIALISATIONS,
        refusal="initialisation {value!r} is not known; choose one of {choices}.",
    )
    init_scale: float = setting(
        1.0,
        label="Scale of W",
        help="Gain of orthogonal, scale of identity, or spectral radius: above 1 gradients grow, below they fade.",
        group=START,
        flag="--init-scale",
        above=0,
        step=0.05,
        refusal="the scale of the initialisation must be a positive number.",
        only_with="init",
        refusal_if_unused="the {init} initialisation has no scale to set; leave it at 1, or choose {names}.",
    )
    # Chosen by a comparison: docs/defaults.md.
    embedding_init: str = setting(
        "small_normal",
        label="First word vectors",
        help="How word vectors start: N(0, 0.3²); uniform, as the other matrices; or N(0, 1), as PyTorch's.",
        group=START,
        flag="--embedding-init",
        choices=EMBEDDING_INITIALISATIONS,
        refusal="word vectors start {choices}, not {value!r}.",
        only_with="embedding_size",
        refusal_if_unused="one-hot input has no word vectors to start; choose an embedding, or leave this as it is.",
        before="uniform",
    )
    forget_bias: float = setting(
        1.0,
        label="Forget-gate bias",
        help="Start of the forget gate's bias: 1 keeps most of the memory from the first step on "
        "(Jozefowicz et al. 2015).",
        group=START,
        flag="--forget-bias",
        step=0.5,
        refusal="the forget bias must be a finite number.",
        only_with="cell",
    )
    chrono: int | None = setting(
        None,
        label="Longest dependency (chrono)",
        help="Starts the gates so that memories last from 1 up to this many steps (Tallec & Ollivier 2018).",
        group=START,
        flag="--chrono",
        low=3,
        none="off",
        refusal="chrono initialisation needs a longest dependency of at least 3 steps.",
        only_with="cell",
        refusal_if_unused="chrono initialisation sets the biases of gates; choose an {labels}, or switch it off.",
        excludes=("forget_bias",),
        needs=(
            Need(
                ("bias",),
                lambda given: given.bias,
                "chrono initialisation sets biases, and this network has none; switch biases on.",
            ),
        ),
    )
    gru_reset: str = setting(
        "after",
        label="Reset gate",
        help="Where the reset gate acts: after the matrix product (PyTorch, cuDNN), or before it (Cho et al. 2014).",
        group=NETWORK,
        flag="--gru-reset",
        choices=GRU_RESETS,
        refusal="the reset gate acts 'after' or 'before' the matrix product.",
        only_with="cell",
        refusal_if_unused="only {labels} has a reset gate to place; choose that network, or leave the gate 'after'.",
    )
    dropout: float = setting(
        0.0,
        label="Dropout",
        help="Share of units set to zero at random between layers, against overfitting (Zaremba et al. 2014).",
        group=REGULARIZATION,
        flag="--dropout",
        low=0,
        below=1,
        step=0.05,
        refusal="dropout is a probability from 0 up to, not including, 1.",
    )
    variational: bool = setting(
        False,
        label="Variational dropout",
        help="Drops the same units at every step of a sentence, in the recurrence too (Gal & Ghahramani 2016).",
        group=REGULARIZATION,
        flag="--variational",
        needs=(
            Need(
                ("dropout",),
                lambda given: given.dropout > 0,
                "variational dropout needs a dropout probability above 0; set one, or switch it off.",
            ),
        ),
    )
