"""A character LSTM in plain PyTorch, watched while it trains and then opened in see-bptt.

    pip install -e '.[dashboard]' torch      # in a checkout of see-bptt
    see-bptt app                             # in another terminal: the training shows up on the Runs page
    python examples/train_pytorch_lstm.py book.txt

The last line that it prints is the command that opens the trained network in the app.
"""

import argparse
import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn.functional import cross_entropy

from rnn_core import Monitor

STEPS, BATCH = 64, 32  # characters in a row, and sequences side by side
SPECIAL = ["<unk>", "<s>", "</s>"]  # an unknown character, the start and the end of a line


class CharacterLSTM(nn.Module):
    """Embedding, LSTM, linear decoder: the names under which see-bptt finds them in the saved file."""

    def __init__(self, characters: int, hidden: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(characters, 64)
        self.rnn = nn.LSTM(64, hidden)
        self.decoder = nn.Linear(hidden, characters)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """ids (T, B) -> logits (T, B, characters) of each next one."""
        outputs, _ = self.rnn(self.embedding(ids))
        return self.decoder(outputs)


def loss_of(model: CharacterLSTM, text: torch.Tensor) -> torch.Tensor:
    """Mean loss, in nats per character, over BATCH stretches of a text at random places."""
    starts = torch.randint(0, len(text) - STEPS - 1, (BATCH,))
    window = text[starts + torch.arange(STEPS + 1)[:, None]]
    return cross_entropy(model(window[:-1]).flatten(0, 1), window[1:].flatten())


def main() -> None:
    """Train, save, and say how to go on."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("text", type=Path)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--hidden", type=int, default=128)
    parser.add_argument("--out", type=Path, default=Path("pytorch-lstm"), help="folder for weights and characters")
    options = parser.parse_args()

    lines = [line for line in options.text.read_text(encoding="utf-8").splitlines() if line.strip()]
    characters = SPECIAL + sorted({character for line in lines for character in line})
    number = {character: place for place, character in enumerate(characters)}
    ids = [number[character] for line in lines for character in ("<s>", *line, "</s>")]
    text = torch.tensor(ids)
    training, validation = text[: len(text) * 9 // 10], text[len(text) * 9 // 10 :]

    torch.manual_seed(0)
    model = CharacterLSTM(len(characters), options.hidden)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    with Monitor(model, name=f"PyTorch LSTM on {options.text.name}", optimizer=optimizer) as monitor:
        for step in range(1, options.steps + 1):
            loss = loss_of(model, training)
            optimizer.zero_grad()
            loss.backward()
            norm = nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            monitor.step(loss, gradient_norm=norm)
            if step % 200 == 0 or step == options.steps:
                with torch.no_grad():
                    left_aside = loss_of(model, validation)
                monitor.validated(left_aside)
                print(f"step {step}: {loss:.3f} nats per character, {left_aside:.3f} on the text left aside")

    options.out.mkdir(exist_ok=True)
    save_file(model.state_dict(), options.out / "model.safetensors")
    (options.out / "vocabulary.json").write_text(json.dumps(characters), encoding="utf-8")
    print(
        f"see-bptt import {options.out}/model.safetensors --vocabulary {options.out}/vocabulary.json --unit char "
        f"--sentences lines --corpus {options.text} --run runs/imported"
    )


if __name__ == "__main__":
    main()
