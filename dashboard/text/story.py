"""The words of the first story. Numbers are put in by the page."""

from __future__ import annotations

LINK = "Or see it vanish: a story in four short trainings"
TITLE = "The word that never received a gradient"
INTRO = (
    "Four experiments. Every number below is of a network that is trained here and now, in a process of its own; you "
    "can open it on every other page. On one core of an Intel Xeon such a training took {short:g} to {long:g} seconds."
)
CHAPTERS = {
    "tutorial": "1 · Four steps back",
    "reach": "2 · All the way",
    "distance": "3 · Twice as far",
    "cure": "4 · Two cures",
}
TEXTS = {
    "tutorial": (
        "*The **queen** … ten words … lost **her** crown*: only the queen or king decides between *her* and *his*. "
        "A tanh network with the tutorial's uniform start learns such sentences, and as in the tutorial each word's "
        "gradient is cut after 4 steps back. Will it learn who the sentence is about?"
    ),
    "reach": (
        "Now drag the truncation to *full*: each loss may send its gradient back to the first word. "
        "Nothing else changes, neither the network nor its first weights."
    ),
    "distance": (
        "Full gradients are not enough at every distance: drag the gap to 20. On its way to the queen the first "
        "gradient now shrinks twice as often. Whether the network finds her in time becomes a lottery over the first "
        "weights; draw other seeds."
    ),
    "cure": (
        "The gap stays at 20. Start $W$ as an orthogonal matrix, which neither shrinks nor stretches what passes "
        "through it; or take an LSTM, whose cell carries the gradient past $W$. With a forget bias "
        "of 3 it begins by remembering; with the usual 1 only $0.73^{20}$, 0.2 % of the cell, is left after the gap at "
        "first."
    ),
}
SEED = (
    "The story uses seed {seed}: of those that learned at gap 10 and with both cures below, the one that came "
    "least far at gap 20, to {least} %. Of all {seeds}, {learned} learned it."
)
HELP = {
    "truncate": "How many steps back a loss may send its gradient. A new training starts as soon as you let go.",
    "gap": "How many words stand between queen and *her*. A new training starts as soon as you let go.",
    "network": "A new training starts as soon as you choose.",
    "seed": "Other first weights and another order, all else the same.",
}
NETWORKS = {
    "tanh uniform": "tanh, uniform W",
    "tanh orthogonal": "tanh, orthogonal W",
    "lstm remembers": "LSTM, forget bias 3",
    "lstm": "LSTM, forget bias 1",
}
WAITING = (
    "Before any training: so much of the gradient of “{target}” reaches “{controller}”, {lag} words back. "
    "Is that enough to learn from?"
)
STARTING = "The network is being set up."
PICTURES = {
    "sentence": "What arrives at each word",
    "loss": "Loss",
    "accuracy": "“her” or “his”?",
    "lags": "Gradient by lag",
    "seeds": "Ten seeds",
}
SENTENCE_CUT = (
    "The loss at “{target}” sends its gradient {reached} words back, to “{last}”, and is cut off there. The "
    "{controller} stands {lag} words back: of this sentence's gradient {controller} receives **nothing**."
)
LOSS = "From {first:.2f} down to **{last:.2f}** nats a word."
ACCURACY = "After {step:,} steps the right word is likelier in **{share}** of {items} held-out sentences."
FRESH = "Asked about {asked:,} fresh sentences, it is right in **{share}**: {verdict}."
VERDICTS = {
    "coin": "a coin flip",
    "hardly": "hardly better than a coin flip",
    "between": "better than a coin, but not learned",
    "learned": "learned",
}
LAGS_CUT = (
    "Training adds {bars} bars into the gradient of $W$, and then nothing. The queen stands at lag {gap}: **no bar**."
)
LAGS_FULL = (
    "At the queen's lag, {gap}, the bar has **{share}** of the length of the whole gradient of $W$; before the "
    "training it had {at_first}."
)
SEEDS = (
    "Measured beforehand with these very settings (`benchmarks/agreement.py`): **{learned} of {seeds}** seeds learned "
    "it, that is, were right in at least 95 %."
)
BEFORE = "before training"
THEN = "Seed {seed} came to {then} %."
OTHERWISE = "Here it came out otherwise: where the last digits are rounded differently, a seed's luck may turn."
NO_SEEDS = "For these settings ten seeds were not measured: this is one run, and another seed may come out otherwise."
ECHO = (
    "Trained for {steps:,} steps instead, ten seeds came to {low} to {high} % (median {median:g} %), and still none "
    "learned it. No gradient reaches the queen, but the forward pass carries a faint echo of her, and the output may "
    "learn to use it."
)
NOTES = (
    "A tanh network or LSTM with 64 units, one-hot input, Adam with learning rate 0.003, batches of 32, "
    "clipping at 5, 2,000 sentences; 600 steps for gaps up to 10, 1,500 beyond. Another machine, or another number of "
    "threads, rounds the last digit differently, and in the lottery that alone can turn a seed's luck. $G_j$ is the "
    "part of $\\partial E/\\partial W$ in which $W$ was used $j$ steps before the loss; "
    "$\\delta_{t,k} = \\partial E_t/\\partial a_k$."
)
EQUATIONS = (
    r"\frac{\partial E}{\partial W} = \sum_j G_j, \qquad G_j = \sum_t \delta_{t,t-j}\, s_{t-j-1}^{\top},"
    r"\qquad \text{truncation at } K:\ \sum_{j \le K} G_j"
)
