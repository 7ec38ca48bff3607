"""The naive versions that everything is checked against: the tutorial's BPTT, BPTT by hand, the gradient check."""

from rnn_core.reference.gradcheck import GradientCheck, check_all, check_cell, check_gradients
from rnn_core.reference.mean_loss import mean_loss, states_before
from rnn_core.reference.tutorial import TutorialGradients, bptt

__all__ = [
    "GradientCheck",
    "TutorialGradients",
    "bptt",
    "check_all",
    "check_cell",
    "check_gradients",
    "mean_loss",
    "states_before",
]
