"""The spectrum of W itself.

The spectral radius says where a linear recurrence ends up, the norm what it can do in one step; the network that reads
a text is neither. What a sentence does to a gradient over j steps, `product_spectrum` has; what a long text does per
step, `lyapunov`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rnn_core.arithmetic import arithmetic
from rnn_core.arrays import Array
from rnn_core.nn.network import Network


@dataclass(frozen=True, eq=False)
class BlockSpectrum:
    """eigenvalues (H,) complex, largest |.| first; radius = |largest|; norm = ||.||_2, for one (H, H) block of W."""

    layer: int  # from 0 at the bottom
    gate: str  # "" for the plain cells
    eigenvalues: Array
    radius: float
    norm: float


@arithmetic()
def recurrent_spectrum(model: Network, layer: int | None = None) -> list[BlockSpectrum]:
    """Of every gate's block of W, of one layer or (None) of all. Only for the plain cells is this the spectrum of a
    linearised step. A cell without W (minGRU) has no blocks.
    """
    H = model.config.hidden_size
    result = []
    for depth in range(model.config.layers) if layer is None else [layer]:
        W = model.recurrent_matrix(depth).astype(np.float64)
        for index, gate in enumerate(model.cell.recurrent_gates):
            block = W[index * H : (index + 1) * H]
            eigenvalues = np.linalg.eigvals(block).astype(np.complex128)
            eigenvalues = eigenvalues[np.argsort(-np.abs(eigenvalues), kind="stable")]
            norm = float(np.linalg.norm(block, 2))
            result.append(BlockSpectrum(depth, gate, eigenvalues, float(np.abs(eigenvalues[0])), norm))
    return result
