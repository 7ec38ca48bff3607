"""Recurrent language models written from scratch in NumPy, with back-propagation through time that can be looked at."""

from typing import TYPE_CHECKING, Any

from rnn_core.config import ModelConfig, NetworkConfig, TrainingSettings
from rnn_core.diagnostics import GradientFlow, gradient_flow
from rnn_core.interop.pytorch import from_torch_state_dict, load_tutorial_model, to_torch_state_dict
from rnn_core.interop.torch_flow import torch_gradient_flow
from rnn_core.nn.language_model import LanguageModel
from rnn_core.nn.network import Network
from rnn_core.training import train

if TYPE_CHECKING:
    from rnn_core.runs.monitor import Monitor

__all__ = [
    "GradientFlow",
    "LanguageModel",
    "ModelConfig",
    "Monitor",
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


def __getattr__(name: str) -> Any:
    # It writes runs, of which nobody who only looks at a network has need.
    if name == "Monitor":
        from rnn_core.runs.monitor import Monitor

        return Monitor
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
