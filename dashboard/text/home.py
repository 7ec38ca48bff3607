"""The words of the first page. All of it is ours; numbers are put in by the page."""

from __future__ import annotations

from dataclasses import dataclass

TITLE = "See back-propagation through time"
INTRO = (
    "A network reads a sentence and learns from every word. How much of what it learns at *went* still reaches *man*? "
    "**Point at a word** to follow its loss back."
)

PRESETS = {"vanishing": "Vanishing", "edge": "The edge", "explosion": "Explosion", "cure": "The cure: LSTM"}
PRESET_HELP = {
    "vanishing": "W shrinks whatever passes through it: a little less arrives at every word further back.",
    "edge": "An orthogonal W keeps lengths as they are: only the slopes of tanh take something away.",
    "explosion": "W multiplies by up to 4 a word, more than the slopes of tanh take back: the gradient grows.",
    "cure": "The same size of W, another cell: gates give the gradient a way around W.",
}
STARTS = {"orthogonal": "orthogonal", "identity": "identity", "spectral": "random"}

HELP = {
    "sentence": "Any sentence. An untrained network gets a row of U for each word; a trained one knows its own words.",
    "cell": "The recurrent cell. A gated one, such as an LSTM, lets a gradient pass around W.",
    "size": "The spectral radius of W, of each block in a gated cell. Trained weights have a size of their own.",
    "start": "The form of W before training. An orthogonal one changes no length, a random one stretches and squeezes.",
    "reach": "How many words back a loss may send its gradient; the rest is discarded. The tutorial uses 4.",
    "trained": "Weights that have learnt sentences like this one, shipped with the app.",
}

UNTRAINED = "Untrained: {hidden} units, weights as drawn from one seed."
GATES = " Its gates start so that memories last up to {steps} words (chrono initialisation)."
NO_W = " This cell has no W: its gates read the input alone."
TRAINED = (
    "Trained beforehand, shipped with the app: {steps} steps on {sentences:,} sentences of this form, in which the "
    "subject alone decides the verb (*man … went*); of {seeds} seeds the one with the median validation loss."
)


@dataclass(frozen=True)
class Door:
    """A way on from the first page."""

    page: str
    title: str
    about: str
    icon: str


DOORS = (
    Door(
        "views/story.py",
        "The story",
        "A word that never received a gradient, and two cures, trained while you watch.",
        ":material/auto_stories:",
    ),
    Door(
        "views/corpus.py",
        "Your own text",
        "Upload or paste it, train a network on it, look inside at any moment.",
        ":material/upload_file:",
    ),
    Door(
        "views/by_hand.py",
        "By hand",
        "Two units, five words, every factor of the chain rule with its value.",
        ":material/edit:",
    ),
)
