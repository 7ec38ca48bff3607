"""Networks from elsewhere: PyTorch's weights and modules, the tutorial's own models, and their words."""

from rnn_core.interop.importing import ImportedNetwork, import_network
from rnn_core.interop.pytorch import from_torch_state_dict, load_tutorial_model, to_torch_state_dict
from rnn_core.interop.torch_flow import network_of, torch_gradient_flow
from rnn_core.interop.torch_probe import TorchProbe

__all__ = [
    "ImportedNetwork",
    "TorchProbe",
    "from_torch_state_dict",
    "import_network",
    "load_tutorial_model",
    "network_of",
    "to_torch_state_dict",
    "torch_gradient_flow",
]
