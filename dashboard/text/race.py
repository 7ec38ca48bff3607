"""The words of the Race page. Numbers are put in by the page; `race_verdict` makes the sentences of its end."""

from __future__ import annotations

from rnn_core.config import CELLS

TITLE = "Race"
INTRO = (
    "Up to four networks learn side by side, a step each in turn, on the very same batches. "
    "What differs is the network alone; so what differs in the pictures is the network's doing."
)
NETWORKS = {
    "tanh uniform": "tanh, uniform",
    "tanh orthogonal": "tanh, orthogonal",
    "tanh identity": "tanh, identity",
    "relu uniform": "ReLU, uniform",
    "relu identity": "ReLU, identity",
    "sigmoid uniform": "sigmoid, uniform",
    "lstm remembers": "LSTM, forget bias 3",
    **{name: cell.label for name, cell in CELLS.items() if name not in CELLS.having("omega")},
}
DATA = {"agreement": "Agreement sentences", "text": "The corpus chosen last", "task": "A task"}
HELP = {
    "on": "All networks read the same, in the same order.",
    "networks": "Cell and first values of W. Up to four.",
    "gap": "How many words stand between the queen or king and the word that must agree: each sentence has its own.",
    "hidden": "Units in the hidden state of every network. An LSTM has four times the weights for them, a GRU three.",
    "steps": "How long the race is. A step is one batch of 32 sentences, or sequences.",
    "pause": "All networks wait, and go on together.",
    "further": "All go on from their last step: the same bits as in a race that was so long from the start.",
}
OPEN = "Each network is a run: open one, and look into it"
NONE = "Choose at least one network."
GONE = "The runs of this race are not here any more."
EARLY = "The first measurement is on its way."
PICTURES = {
    "agreement race": "The race: “her” or “his”?",
    "loss race": "The race: held-out sentences",
    "loss": "Loss",
    "horizon": "Horizon",
    "agreement": "Agreement by distance",
}
TASK = "The race: {task}"
MEASURES = {
    "word": "nats a word",
    "character": "nats a character",
    "answer": "nats an answer",
    "": "squared error",
}
FIRST = "{names} learned it first, after {step:,} steps: {what}."
RIGHT = "right in at least {learned}, {gaps} words in between"
SOLVED = "{metric} at most {learned:.3g}, a tenth of what one gets without looking at the input"
LATER = "Then {later}."
NEVER = "It was never learned by {names}."
NOT_YET = "Not yet learned by {names}."
BEST = "**{name}** wins: {loss:.3f} nats a {unit} of the held-out sentences."
AHEAD = "**{name}** is ahead: {loss:.3f} nats a {unit} of the held-out sentences."
BEHIND = (
    "{name} is {behind:.3f} nats behind; to its best, {loss:.3f} after {needed:,} steps, {first} had come after "
    "{reached:,}."
)
BLIND = "Without looking at the input the {metric} is {baseline:.3g}."
LOSS = "After {step:,} steps **{best}** predicts best, at {lowest:.3f} {measure}; {worst} loses {highest:.3f}."
LOSS_ALONE = "After {step:,} steps **{best}** loses {lowest:.3f} {measure}."
HORIZON = "Of a loss's gradient, this much is left {lag} {unit}s back: {shares}."
TABLE = {
    "loss": "{measure}, over the last steps",
    "half-life": "{unit}s back at which the median gradient has fallen to one half; beyond: not within the probe",
    "agreement": "over all distances",
    "learned text": "steps until the agreement was first measured at 95 % over all distances",
    "learned task": "steps until it was first measured at a tenth of what one gets without looking at the input",
}
AGREEMENT = (
    "Is “her” likelier than “his” after a queen, and “his” after a king? With {gap} words in between, in {items} "
    "held-out sentences: {shares}. A coin is right in half."
)
NO_AGREEMENT = (
    "Agreement is counted in sentences of which it is known which word decides which: those of the agreement corpus. "
    "This text has none; its race is run over the loss on the held-out sentences."
)
_HORIZON_EQUATION = r"\operatorname*{median}_{t}\ \frac{\lVert \delta_{t,t-j} \rVert}{\lVert \delta_{t,t} \rVert}"
EQUATIONS = {
    "text": (
        r"E = \frac{1}{\text{words}} \sum_t -\ln p_t[y_t]",
        _HORIZON_EQUATION,
        r"\frac{\#\{p[\text{right}] > p[\text{wrong}]\}}{\#\ \text{sentences of this gap}}",
    ),
    "cross_entropy": (
        r"E = \frac{1}{\text{answers}} \sum_t -\ln p_t[y_t]",
        _HORIZON_EQUATION,
        r"\text{error rate} = \frac{\#\{\operatorname*{arg\,max} p_t \neq y_t\}}{\text{answers}}",
    ),
    "squared_error": (r"E = \frac{1}{\text{answers}} \sum_t \lVert o_t - y_t \rVert^2", _HORIZON_EQUATION),
}
SYMBOLS = (
    "Loss: of the training batches, smoothed. Horizon: $\\delta_{t,k} = \\partial E_t/\\partial a_k$ over the lag "
    "$j$, on a fixed batch. All networks are measured after the same step."
)
IN_QUEUE = "It waits for its turn on this server. Keep this page open: that keeps its place."
