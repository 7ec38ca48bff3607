"""The recurrent cells, a file for each family. `Cell` says what a cell must tell, `CELL_FORMS` lists all."""

from __future__ import annotations

from rnn_core.config.choices import CELLS, Choice
from rnn_core.config.model import ModelConfig
from rnn_core.nn.cells.base import ALL, Cell, Signal, TorchLayout, Weights, merge_gates, split_gates
from rnn_core.nn.cells.gru import GRUCell, ResetBeforeGRUCell
from rnn_core.nn.cells.lstm import LSTMCell
from rnn_core.nn.cells.min_gru import MinGRUCell
from rnn_core.nn.cells.simple import SimpleCell

CELL_FORMS: tuple[Cell, ...] = (
    SimpleCell("tanh", "tanh RNN"),
    SimpleCell("relu", "ReLU RNN"),
    SimpleCell("sigmoid", "sigmoid RNN"),
    LSTMCell(),
    GRUCell(),
    ResetBeforeGRUCell(),
    MinGRUCell(),
)
"""Every cell; several may share a name, and then differ in where their reset gate acts. The first is the default."""

for _cell in CELL_FORMS:
    CELLS.register(_cell.name, Choice(_cell.label, dict.fromkeys(_cell.settings, "")))


def make_cell(name: str, gru_reset: str = "after") -> Cell:
    """The cell called `name` (a key of CELLS); `gru_reset` is "after" (PyTorch) or "before" (the 2014 paper).

    Raises ValueError for a name that no cell has.
    """
    for cell in CELL_FORMS:
        if cell.name == name and cell.reset in (None, gru_reset):
            return cell
    raise ValueError(f"unknown cell {name!r}; choose one of {', '.join(CELLS)}")


def cell_of(config: ModelConfig) -> Cell:
    """The cell that a config asks for."""
    return make_cell(config.cell, config.gru_reset)


__all__ = [
    "ALL",
    "CELL_FORMS",
    "Cell",
    "Signal",
    "TorchLayout",
    "Weights",
    "cell_of",
    "make_cell",
    "merge_gates",
    "split_gates",
]
