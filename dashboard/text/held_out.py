"""The words about the text on which a network is judged: of the Evaluate and Units pages."""

from __future__ import annotations

TEXTS = {"own": "Held out", "paste": "Paste", "upload": "Upload"}
TEXTS_HELP = (
    "On what the network is looked at: the part of its own text that it never trained on, or a text of yours. It is "
    "read as the training text was."
)
NO_TEXT = "Give a text of at least a few sentences, of the kind that the network was trained on."
LEFT_OUT = "Of this text the first {read} {unit}s are read."
