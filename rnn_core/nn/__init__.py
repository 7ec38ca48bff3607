"""Recurrent networks: cells, back-propagation through time, the loss, and the language model made of them."""

from rnn_core.nn.cells import CELL_FORMS, Cell, make_cell
from rnn_core.nn.language_model import LanguageModel
from rnn_core.nn.network import Network, Trace
from rnn_core.nn.parameters import parameter_count, parameter_shapes

__all__ = [
    "CELL_FORMS",
    "Cell",
    "LanguageModel",
    "Network",
    "Trace",
    "make_cell",
    "parameter_count",
    "parameter_shapes",
]
