"""What turns a gradient into a change of the weights: clipping, optimizers, learning-rate schedules."""

from rnn_core.optim.clipping import clip_by_global_norm, clip_by_value, global_norm
from rnn_core.optim.optimizers import OPTIMIZERS, Optimizer, make_optimizer
from rnn_core.optim.schedules import Schedule, make_schedule

__all__ = [
    "OPTIMIZERS",
    "Optimizer",
    "Schedule",
    "clip_by_global_norm",
    "clip_by_value",
    "global_norm",
    "make_optimizer",
    "make_schedule",
]
