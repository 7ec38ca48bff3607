"""`export`: a network's weights for another program."""

from __future__ import annotations

import argparse
from pathlib import Path

from rnn_core.cli.output import tell
from rnn_core.cli.parser import Commands
from rnn_core.errors import SettingsError
from rnn_core.interop.pytorch import load_tutorial_model, to_torch_state_dict
from rnn_core.runs import Run, disk_error, tensors


def add(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add("export", export_command, "write a network's weights for another program", json=False)
    parser.add_argument("run", metavar="DIR", help="a run, or the tutorial's .npz")
    parser.add_argument("out", metavar="OUT", help="the .safetensors file to write")
    parser.add_argument("--format", choices=("torch",), default="torch")


def export_command(options: argparse.Namespace) -> int:
    """A run's weights, or the tutorial's .npz, under PyTorch's names."""
    source, target = Path(options.run), Path(options.out)
    model = load_tutorial_model(source) if source.suffix == ".npz" else Run.open(source).load_model()
    arrays = to_torch_state_dict(model.config, model.params)
    if target.is_dir():
        raise SettingsError(f"{target} is a folder; give the name of a file, such as {target / 'model.safetensors'}.")
    if not target.absolute().parent.is_dir():
        raise SettingsError(f"there is no folder {target.parent}; make it first, or choose another place.")
    try:
        tensors.write_tensors(target, arrays, {"format": "pt"})
    except OSError as error:
        raise disk_error(error, target) from None
    tell(f"wrote {len(arrays)} arrays to {target}; PyTorch reads them with safetensors.torch.load_file.")
    return 0
