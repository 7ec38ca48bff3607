"""`export`: a network's weights for another program."""

from __future__ import annotations

import argparse
from pathlib import Path

from rnn_core.cli.output import print_status
from rnn_core.cli.parser import Commands
from rnn_core.cli.weights import load_weights
from rnn_core.interop.pytorch import load_tutorial_model, to_torch_state_dict
from rnn_core.runs import Run, check_output_path, disk_error, tensors


def add(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add("export", export_command, "write a network's weights for another program", json=False)
    parser.add_argument("run", metavar="DIR", help="a run, or the tutorial's .npz")
    parser.add_argument("out", metavar="OUT", help="the .safetensors file to write")
    parser.add_argument("--format", choices=("torch",), default="torch")


def export_command(options: argparse.Namespace) -> int:
    """A run's weights, or the tutorial's .npz, under PyTorch's names."""
    source, target = Path(options.run), check_output_path(options.out)
    model = load_tutorial_model(source) if source.suffix == ".npz" else load_weights(Run.open(source)).model
    arrays = to_torch_state_dict(model.config, model.params)
    try:
        tensors.write_tensors(target, arrays, {"format": "pt"}, mode=0o666)  # not private, as a run's files are
    except OSError as error:
        raise disk_error(error, target) from None
    print_status(f"wrote {len(arrays)} arrays to {target}; PyTorch reads them with safetensors.torch.load_file.")
    return 0
