"""Records what PyTorch computes, so that the tests can compare without PyTorch.

    pip install torch --index-url https://download.pytorch.org/whl/cpu   # and this project: pip install -e .
    python tests/recorded/record_pytorch.py

Each case becomes one .npz beside this file, all in float64 (`allow_pickle=False` reads it):

    config                    JSON of the ModelConfig that describes the same network
    inputs, targets, mask     (T, B), ragged: PyTorch sees them through pack_padded_sequence
    weights/NAME              state_dict of `Net` below; both biases of every gate random
    log_probabilities         (T, B, N), zero on padding
    state_h, state_c          (layers, B, H) after each sequence's last word; state_c for the LSTM only
    loss                      mean over the real words, nats
    gradients/NAME            autograd's, for every entry of the state_dict
    steps/VARIANT/losses      (11,) the loss before each of ten steps on that same batch, and after the last
    steps/VARIANT/weights     the whole state_dict after the ten steps, flattened and joined in its own order

PyTorch has two biases per gate and only their sum matters, except in the candidate of its GRU, where the reset gate
scales one and not the other; we have one. Forward pass, loss and gradients are therefore recorded with both biases at
random: ours must be their sum, and each of PyTorch's two gradients must be ours. For the optimizer steps two biases
would be two parameters, which move twice as far: there the sum is put into bias_ih, and bias_hh is held at zero by
a hook that zeroes its gradient (for the GRU, all of it but the candidate's block, which is our b_n).

The script also loads our weights into PyTorch with `load_state_dict(strict=True)`, from `to_torch_state_dict` and from
the files that `python -m rnn_core export` writes, and compares what both then predict.
"""

from __future__ import annotations

import dataclasses
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn.functional import cross_entropy, one_hot
from torch.nn.utils import clip_grad_norm_, clip_grad_value_
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent.parent))

from rnn_core import LanguageModel, ModelConfig, from_torch_state_dict, to_torch_state_dict  # noqa: E402
from rnn_core.cli.main import main as command_line  # noqa: E402
from rnn_core.runs import Run  # noqa: E402

WORDS, HIDDEN, EMBEDDING, STEPS, BATCH = 6, 3, 2, 5, 3
LENGTHS = torch.tensor([3, 5, 1])

CASES = {
    **{
        f"{cell}-{layers}": {"cell": cell, "layers": layers, "embedding_size": EMBEDDING}
        for cell in ("tanh", "relu", "lstm", "gru")
        for layers in (1, 2)
    },
    "tanh-one-hot-no-bias": {"cell": "tanh", "bias": False},
    "lstm-one-hot": {"cell": "lstm"},
    "gru-tied": {"cell": "gru", "layers": 2, "embedding_size": HIDDEN, "tied": True},
}

# Limits low enough to bite in every case, and a decay that is felt within ten steps.
VARIANTS = {
    "plain": {"weight_decay": 0.0, "clip_norm": None, "clip_value": None},
    "decay-norm": {"weight_decay": 0.03, "clip_norm": 0.2, "clip_value": None},
    "value": {"weight_decay": 0.0, "clip_norm": None, "clip_value": 0.02},
}

OPTIMIZERS = {
    "sgd": (lambda p, decay: torch.optim.SGD(p, lr=0.5, weight_decay=decay)),
    "momentum": (lambda p, decay: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=decay)),
    "nesterov": (lambda p, decay: torch.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True, weight_decay=decay)),
    "rmsprop": (lambda p, decay: torch.optim.RMSprop(p, lr=0.01, weight_decay=decay)),
    "adam": (lambda p, decay: torch.optim.Adam(p, lr=0.01, weight_decay=decay)),
    "adamw": (lambda p, decay: torch.optim.AdamW(p, lr=0.01, weight_decay=decay)),
}


class Net(nn.Module):
    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        if config.embedding_size is not None:
            self.embedding = nn.Embedding(config.vocabulary_size, config.embedding_size)
        inputs = config.embedding_size or config.vocabulary_size
        if config.cell in ("tanh", "relu"):
            self.rnn = nn.RNN(inputs, config.hidden_size, config.layers, nonlinearity=config.cell, bias=config.bias)
        else:
            kind = {"lstm": nn.LSTM, "gru": nn.GRU}[config.cell]
            self.rnn = kind(inputs, config.hidden_size, config.layers, bias=config.bias)
        self.decoder = nn.Linear(config.hidden_size, config.vocabulary_size, bias=config.bias)
        if config.tied:
            self.decoder.weight = self.embedding.weight

    def forward(self, inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
        """inputs (T, B) with lengths LENGTHS -> log p (T, B, N), h (layers, B, H), c or None."""
        if self.config.embedding_size is None:
            x = one_hot(inputs, self.config.vocabulary_size).to(self.decoder.weight.dtype)
        else:
            x = self.embedding(inputs)
        packed, last = self.rnn(pack_padded_sequence(x, LENGTHS, enforce_sorted=False))
        hidden, _ = pad_packed_sequence(packed, total_length=len(inputs))
        h, c = last if isinstance(last, tuple) else (last, None)
        return torch.log_softmax(self.decoder(hidden), dim=-1), h, c


def mean_loss(log_p: torch.Tensor, targets: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    # Cross-entropy of log-probabilities is their negative log-likelihood: log_softmax leaves them as they are.
    return cross_entropy(log_p[mask], targets[mask])


def numbers(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().numpy().copy()


def record_case(name: str, options: dict, seed: int) -> dict[str, np.ndarray]:
    config = ModelConfig(vocabulary_size=WORDS, hidden_size=HIDDEN, **options)
    torch.manual_seed(seed)
    inputs, targets = torch.randint(WORDS, (2, STEPS, BATCH))
    mask = torch.arange(STEPS)[:, None] < LENGTHS
    net = Net(config)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.normal_(0.0, 0.5)
    log_p, h, c = net(inputs)
    loss = mean_loss(log_p, targets, mask)
    loss.backward()
    parameters = dict(net.named_parameters(remove_duplicate=False))
    assert list(parameters) == list(net.state_dict())
    record = {
        "config": np.array(json.dumps(dataclasses.asdict(config))),
        "inputs": numbers(inputs),
        "targets": numbers(targets),
        "mask": numbers(mask),
        "log_probabilities": numbers(log_p * mask[..., None]),
        "state_h": numbers(h),
        "loss": numbers(loss),
    }
    if c is not None:
        record["state_c"] = numbers(c)
    for key, parameter in parameters.items():
        record[f"weights/{key}"] = numbers(parameter)
        record[f"gradients/{key}"] = numbers(parameter.grad)
    for optimizer in OPTIMIZERS:
        for variant in VARIANTS:
            losses, weights = ten_steps(net, optimizer, variant, inputs, targets, mask)
            record[f"steps/{optimizer}-{variant}/losses"] = losses
            record[f"steps/{optimizer}-{variant}/weights"] = weights
    check_exchange(config, net, inputs, mask)
    print(f"{name}: {sum(value.nbytes for value in record.values())} bytes, loss {loss.item():.4f}")
    return record


def ten_steps(
    start: Net, optimizer: str, variant: str, inputs: torch.Tensor, targets: torch.Tensor, mask: torch.Tensor
) -> tuple[np.ndarray, np.ndarray]:
    net = Net(start.config)
    net.load_state_dict(start.state_dict())
    hold_second_bias(net)
    settings = VARIANTS[variant]
    step = OPTIMIZERS[optimizer](net.parameters(), settings["weight_decay"])
    losses, clipped = [], 0
    for _ in range(10):
        step.zero_grad()
        loss = mean_loss(net(inputs)[0], targets, mask)
        loss.backward()
        losses.append(loss.item())
        if settings["clip_norm"] is not None:
            clipped += int(clip_grad_norm_(net.parameters(), settings["clip_norm"]) > settings["clip_norm"])
        if settings["clip_value"] is not None:
            largest = max(parameter.grad.abs().max() for parameter in net.parameters())
            clipped += int(largest > settings["clip_value"])
            clip_grad_value_(net.parameters(), settings["clip_value"])
        step.step()
    assert variant == "plain" or clipped, "the limit never bit: this case would prove nothing about clipping"
    losses.append(mean_loss(net(inputs)[0], targets, mask).item())
    return np.array(losses), np.concatenate([numbers(value).ravel() for value in net.state_dict().values()])


def hold_second_bias(net: Net) -> None:
    """bias_ih becomes the sum of both biases, bias_hh zero for ever; but for the candidate block of a GRU."""
    if not net.config.bias:
        return
    free_from = 2 * HIDDEN if net.config.cell == "gru" else None
    for depth in range(net.config.layers):
        of_input, of_state = getattr(net.rnn, f"bias_ih_l{depth}"), getattr(net.rnn, f"bias_hh_l{depth}")
        held = torch.ones_like(of_state)
        if free_from is not None:
            held[free_from:] = 0
        with torch.no_grad():
            of_input += of_state * held
            of_state *= 1 - held
        of_state.register_hook(lambda gradient, free=1 - held: gradient * free)


def check_exchange(config: ModelConfig, net: Net, inputs: torch.Tensor, mask: torch.Tensor) -> None:
    """Our weights in PyTorch's module, and PyTorch's in ours: strict names and shapes, the same predictions."""
    model = LanguageModel(config, np.random.default_rng(1), np.float64)
    theirs = Net(config)
    exported = {key: torch.from_numpy(value) for key, value in to_torch_state_dict(config, model.params).items()}
    theirs.load_state_dict(exported, strict=True)
    same_predictions(model, theirs, inputs, mask)
    state = {key: numbers(value) for key, value in net.state_dict().items()}
    same_predictions(LanguageModel(config, params=from_torch_state_dict(config, state)), net, inputs, mask)


def check_export_command(*options: str) -> None:
    """Train a run for three steps, export it, and let PyTorch take the file."""
    with tempfile.TemporaryDirectory() as folder:
        text, run, out = Path(folder, "text.txt"), str(Path(folder, "run")), Path(folder, "weights.safetensors")
        text.write_text("".join(f"one two three four number{n % 7} five six .\n" for n in range(60)), encoding="utf-8")
        train = ["train", str(text), "--run", run, "--sentences", "lines", "--hidden", "6", "--steps", "3", "--quiet"]
        assert command_line([*train, *options]) == 0
        assert command_line(["export", run, str(out), "--format", "torch"]) == 0
        model = Run.open(Path(run)).load_model()
        net = Net(model.config).float()
        net.load_state_dict(load_file(out), strict=True)
        inputs = torch.randint(model.config.vocabulary_size, (STEPS, BATCH))
        mask = torch.arange(STEPS)[:, None] < LENGTHS
        # A run's weights are float32, and its arithmetic with them.
        same_predictions(model, net, inputs, mask, within=1e-5)
    print("exported and loaded:", *options)


def same_predictions(
    model: LanguageModel, net: Net, inputs: torch.Tensor, mask: torch.Tensor, within: float = 1e-12
) -> None:
    ours, _ = model.log_probabilities(inputs.numpy())
    difference = np.abs(ours - numbers(net(inputs)[0]))[mask.numpy()].max()
    assert difference < within, difference


def main() -> None:
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)
    for seed, (name, options) in enumerate(CASES.items()):
        np.savez_compressed(HERE / f"{name}.npz", **record_case(name, options, seed))
    print("recorded with PyTorch", torch.__version__)
    check_export_command("--cell", "tanh")
    check_export_command("--cell", "relu", "--embedding", "5")
    check_export_command("--cell", "lstm", "--embedding", "6", "--tied", "--layers", "2")
    check_export_command("--cell", "gru", "--embedding", "5", "--layers", "3")


if __name__ == "__main__":
    main()
