"""Why a training diverged, in a sentence for people."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from rnn_core.arrays import Array


def explained_divergence(
    loss_nats: float, params: Mapping[str, Array], norms: Sequence[float], learning_rate: float, clip: float | None
) -> str:
    """What is not finite, and what most likely brought it about.

    loss_nats  of the last batch, or of the validation
    params     the network's, after the last update
    norms      of the gradients of the last updates, the newest last
    """
    what = "the gradient" if math.isfinite(loss_nats) else "the loss"
    broken = [name for name, value in params.items() if not np.isfinite(value).all()]
    if broken:
        what += f" is not finite because the update before drove {broken[0]} beyond what a float32 holds"
        cure = f"the learning rate of {learning_rate:g} is far too high; lower it"
    else:
        largest = max((float(np.abs(value).max()) for value in params.values()), default=0.0)
        what += f" is not finite, with weights up to {largest:.3g}"
        if clip is None:
            cure = "the gradient exploded; switch clipping on (5 is usual), or lower the learning rate"
        else:
            cure = f"lower the learning rate of {learning_rate:g}, or clip more tightly than {clip:g}"
    if norms:
        what += f"; the gradient norms of the last steps were {', '.join(f'{norm:.3g}' for norm in norms[-3:])}"
    return f"{what}. Most likely {cure}."
