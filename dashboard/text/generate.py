"""The words of the Generate page."""

from __future__ import annotations

INTRO = "Let the network write. Every word is drawn from the probabilities it predicts."

SAMPLING_HELP = {
    "prompt": "Words to begin with. Every sentence goes on from them.",
    "count": "How many sentences to write.",
}

WRITTEN_LEGEND = (
    "the stronger a word's background, the surer the network was; dotted: given. Point at a word for what else it "
    "considered, choose one to go on from there."
)
NO_OTHER_RUN = "There is no other run yet."
