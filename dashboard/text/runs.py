"""The words of the Runs page."""

from __future__ import annotations

INTRO = "Every training is a folder: settings, history, weights. Open one, or take it with you."

FILTER_PLACEHOLDER = "name, tag, corpus, network, …"
SELECT_ROWS = "Select a row to open, rename, delete or download it, several to compare them."
IMPORT_HELP = "A zip that *Download* made, here or on another machine. Every file in it is checked before it is taken."
NETWORK_HELP = (
    "A network that you trained in PyTorch (an embedding or one-hot words, nn.RNN, nn.LSTM or nn.GRU, a linear "
    "decoder), saved by `safetensors.torch.save_file(model.state_dict(), …)`, and its words in the order of its rows: "
    "a JSON list, or one in each line. Words or characters; with or without entries for the unknown word (`<unk>`), "
    "the start (`<s>`) and the end (`</s>`) of a sentence."
)
DOWNLOAD_HELP = "A zip of the run's folder: settings, words, weights and its whole history. No Python pickle is in it."
DELETE_WARNING = "Its weights and history will be gone. Download it first if you may want it back."
