"""Recurrent language models written from scratch in NumPy, with back-propagation through time that can be looked at."""

from rnn_core.config import ModelConfig, NetworkConfig, TrainingSettings
from rnn_core.diagnostics import GradientFlow, gradient_flow
from rnn_core.interop.pytorch import from_torch_state_dict, load_tutorial_model, to_torch_state_dict
from rnn_core.interop.torch_flow import torch_gradient_flow
from rnn_core.nn.language_model import LanguageModel
from rnn_core.nn.network import Network
from rnn_core.training import train

__all__ = [
    "GradientFlow",
    "LanguageModel",
    "ModelConfig",
    "Network",
    "NetworkConfig",
    "TrainingSettings",
    "from_torch_state_dict",
    "gradient_flow",
    "load_tutorial_model",
    "to_torch_state_dict",
    "torch_gradient_flow",
    "train",
]
