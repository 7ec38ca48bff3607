"""The words of the lecture, the race and the first story. All of it is ours; numbers are put in by the pages."""

from __future__ import annotations

from rnn_core.config import CELLS

# --- BPTT by hand -----------------------------------------------------------------------------------------------------

BY_HAND_TITLE = "BPTT by hand"
BY_HAND_INTRO = (
    "Two units, five words, no biases: small enough to follow with a pencil. First the network reads; then one loss, "
    "$E_3$, walks back through time, and each place where $W$ was used pays its part into $\\partial E_3/\\partial W$. "
    "Change a weight at any moment: all numbers follow."
)
CHAIN = (
    r"\frac{\partial E_3}{\partial W} = \sum_{k=0}^{3} "
    r"\frac{\partial E_3}{\partial \hat y_3}\, \frac{\partial \hat y_3}{\partial s_3}\, "
    r"\frac{\partial s_3}{\partial s_k}\, \frac{\partial^{+} s_k}{\partial W}"
)
CHAIN_NOTES = (
    "$s_t = \\tanh(U x_t + W s_{t-1})$ and $\\hat y_t = \\mathrm{softmax}(V s_t)$ as in Britz's tutorial, Part 3, "
    "counted from 0; the code calls $\\hat y$ `o`. "
    "$\\partial^{+} s_k/\\partial W$ holds $s_{k-1}$ fixed: what came before is another term's business."
)

STEP_TITLES = {
    "forward": "Read “{word}”",
    "loss": "How wrong was it?",
    "error": "Where the gradient begins",
    "delta": "Into the hidden state",
    "term": "What W at “{word}” contributes",
    "back": "One word back",
    "done": "The finished sum",
}
STEP_TEXTS = {
    "forward": (
        "The column of $U$ that belongs to “{word}” and what $W$ makes of the state before are added; $\\tanh$ keeps "
        "each unit between −1 and 1. $V$ and softmax turn the state into probabilities: the word that really "
        "comes next, “{target}”, gets **{probability}**."
    ),
    "loss": (
        "After “{word}” the right word was “{target}”, and it got {probability}. "
        "The loss is $E_{t} = -\\ln {probability} = {loss}$ nats; knowing nothing would cost $\\ln 6 = 1.792$."
    ),
    "error": (
        "The loss sees only the probability of “{target}”, but softmax ties all six together: every wrong word is "
        "to lose what it got, and “{target}” is to gain what it lacks, 1 − {probability} = **{lack}**."
    ),
    "delta": (
        "$V$ carries the error down to the two units. Passing through $\\tanh$ multiplies it by $1 - s_{t}^2$, at most "
        "1: that is $\\delta_{t}$, of length **{norm}**."
    ),
    "term": (
        "At “{word}”, $W$ was multiplied with the state before it. Its share of $\\partial E_{t}/\\partial W$ is "
        "$\\delta_{k}$ times that state: a matrix of size **{size}**, where the term of “{asked}” itself has {own}."
    ),
    "term at the first word": (
        "At “{word}” the state before was zero, so $W$ had nothing to multiply: its term is exactly **0**. "
        "The gradient that arrives here, $\\delta_0$, is not lost on $U$, which did read “{word}”."
    ),
    "back": (
        "One word back means one more factor $\\partial s_{k}/\\partial s_{before} = "
        "\\mathrm{{diag}}(1 - s_{k}^2)\\, W$. The gradient goes from length {norm} to **{norm_before}**: "
        "times {ratio}."
    ),
    "done": (
        "Four terms, one gradient. Of $\\delta_{t}$'s length **{left}** is left three words back. "
        "Training adds the same sums of all five losses and takes a step against the result."
    ),
}
PRODUCT_NOTE = (
    "The code never forms these matrices: `delta_t` is the product of the first three, taken through $\\tanh$, "
    "and one outer product with $s_{k-1}$ does the rest."
)

W_PRESETS = {
    "given": "as given",
    "small": "a quarter of it",
    "rotation": "a rotation",
    "large": "twice as large",
}
W_HELP = "The factor that is met once more for every word back. What does its size do to the terms?"
CHECK_TITLE = "Is it right?"
CHECK_TEXT = (
    "The same gradient three times, from code that has nothing in common: the products on this page, the tutorial's "
    "two loops, and the network that trains in this app."
)

# --- the race ---------------------------------------------------------------------------------------------------------

RACE_TITLE = "Race"
RACE_INTRO = (
    "Up to four networks learn side by side, a step each in turn, on the very same batches. "
    "What differs is the network alone; so what differs in the pictures is the network's doing."
)
RACE_NETWORKS = {
    "tanh uniform": "tanh, uniform",
    "tanh orthogonal": "tanh, orthogonal",
    "tanh identity": "tanh, identity",
    "relu uniform": "ReLU, uniform",
    "relu identity": "ReLU, identity",
    "sigmoid uniform": "sigmoid, uniform",
    "lstm remembers": "LSTM, forget bias 3",
    **{name: cell.label for name, cell in CELLS.items() if name not in CELLS.having("omega")},
}
RACE_DATA = {"agreement": "Agreement sentences", "text": "The corpus chosen last", "task": "A task"}
RACE_HELP = {
    "on": "All networks read the same, in the same order.",
    "networks": "Cell and first values of W. Up to four.",
    "gap": "How many words stand between the queen or king and the word that must agree: each sentence has its own.",
    "hidden": "Units in the hidden state of every network. An LSTM has four times the weights for them, a GRU three.",
    "steps": "How long the race is. A step is one batch of 32 sentences, or sequences.",
    "pause": "All networks wait, and go on together.",
    "further": "All go on from their last step: the same bits as in a race that was so long from the start.",
}
RACE_OPEN = "Each network is a run: open one, and look into it"
RACE_NONE = "Choose at least one network."
RACE_GONE = "The runs of this race are not here any more."
RACE_EARLY = "The first measurement is on its way."
RACE_PICTURES = {
    "agreement race": "The race: “her” or “his”?",
    "loss race": "The race: held-out sentences",
    "loss": "Loss",
    "horizon": "Horizon",
    "agreement": "Agreement by distance",
}
RACE_TASK = "The race: {task}"
RACE_MEASURES = {
    "word": "nats a word",
    "character": "nats a character",
    "answer": "nats an answer",
    "": "squared error",
}
RACE_FIRST = "{names} learned it first, after {step:,} steps: {what}."
RACE_RIGHT = "right in at least {learned}, {gaps} words in between"
RACE_SOLVED = "{metric} at most {learned:.3g}, a tenth of what one gets without looking at the input"
RACE_LATER = "Then {later}."
RACE_NEVER = "It was never learned by {names}."
RACE_NOT_YET = "Not yet learned by {names}."
RACE_BEST = "**{name}** wins: {loss:.3f} nats a {unit} of the held-out sentences."
RACE_AHEAD = "**{name}** is ahead: {loss:.3f} nats a {unit} of the held-out sentences."
RACE_BEHIND = (
    "{name} is {behind:.3f} nats behind; to its best, {loss:.3f} after {needed:,} steps, {first} had come after "
    "{reached:,}."
)
RACE_BLIND = "Without looking at the input the {metric} is {baseline:.3g}."
RACE_LOSS = "After {step:,} steps **{best}** predicts best, at {lowest:.3f} {measure}; {worst} loses {highest:.3f}."
RACE_LOSS_ALONE = "After {step:,} steps **{best}** loses {lowest:.3f} {measure}."
RACE_HORIZON = "Of a loss's gradient, this much is left {lag} {unit}s back: {shares}."
RACE_TABLE = {
    "loss": "{measure}, over the last steps",
    "half-life": "{unit}s back at which the median gradient has fallen to one half; beyond: not within the probe",
    "agreement": "over all distances",
    "learned text": "steps until the agreement was first measured at 95 % over all distances",
    "learned task": "steps until it was first measured at a tenth of what one gets without looking at the input",
}
RACE_AGREEMENT = (
    "Is “her” likelier than “his” after a queen, and “his” after a king? With {gap} words in between, in {items} "
    "held-out sentences: {shares}. A coin is right in half."
)
RACE_NO_AGREEMENT = (
    "Agreement is counted in sentences of which it is known which word decides which: those of the agreement corpus. "
    "This text has none; its race is run over the loss on the held-out sentences."
)
_HORIZON = r"\operatorname*{median}_{t}\ \frac{\lVert \delta_{t,t-j} \rVert}{\lVert \delta_{t,t} \rVert}"
RACE_EQUATIONS = {
    "text": (
        r"E = \frac{1}{\text{words}} \sum_t -\ln p_t[y_t]",
        _HORIZON,
        r"\frac{\#\{p[\text{right}] > p[\text{wrong}]\}}{\#\ \text{sentences of this gap}}",
    ),
    "cross_entropy": (
        r"E = \frac{1}{\text{answers}} \sum_t -\ln p_t[y_t]",
        _HORIZON,
        r"\text{error rate} = \frac{\#\{\operatorname*{arg\,max} p_t \neq y_t\}}{\text{answers}}",
    ),
    "squared_error": (r"E = \frac{1}{\text{answers}} \sum_t \lVert o_t - y_t \rVert^2", _HORIZON),
}
RACE_SYMBOLS = (
    "Loss: of the training batches, smoothed. Horizon: $\\delta_{t,k} = \\partial E_t/\\partial a_k$ over the lag "
    "$j$, on a fixed batch. All networks are measured after the same step."
)
RACE_IN_QUEUE = "It waits for its turn on this server. Keep this page open: that keeps its place."

# --- the first story --------------------------------------------------------------------------------------------------

STORY_LINK = "Or see it vanish: a story in four short trainings"
STORY_TITLE = "The word that never received a gradient"
STORY_INTRO = (
    "Four experiments. Every number below is of a network that is trained here and now, in a process of its own; you "
    "can open it on every other page. On one core of an Intel Xeon such a training took {short:g} to {long:g} seconds."
)
STORY_CHAPTERS = {
    "tutorial": "1 · Four steps back",
    "reach": "2 · All the way",
    "distance": "3 · Twice as far",
    "cure": "4 · Two cures",
}
STORY_TEXTS = {
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
STORY_SEED = (
    "The story is told with seed {seed}: of those that learned at gap 10 and with both cures below, the one that came "
    "least far at gap 20, to {least} %. Of all {seeds}, {learned} learned it."
)
STORY_HELP = {
    "truncate": "How many steps back a loss may send its gradient. A new training starts as soon as you let go.",
    "gap": "How many words stand between queen and *her*. A new training starts as soon as you let go.",
    "network": "A new training starts as soon as you choose.",
    "seed": "Other first weights and another order, all else the same.",
}
STORY_NETWORKS = {
    "tanh uniform": "tanh, uniform W",
    "tanh orthogonal": "tanh, orthogonal W",
    "lstm remembers": "LSTM, forget bias 3",
    "lstm": "LSTM, forget bias 1",
}
STORY_WAITING = (
    "Before any training: so much of the gradient of “{target}” reaches “{controller}”, {lag} words back. "
    "Is that enough to learn from?"
)
STORY_STARTING = "The network is being set up."
STORY_PICTURES = {
    "sentence": "What arrives at each word",
    "loss": "Loss",
    "accuracy": "“her” or “his”?",
    "lags": "Gradient by lag",
    "seeds": "Ten seeds",
}
STORY_SENTENCE_CUT = (
    "The loss at “{target}” sends its gradient {reached} words back, to “{last}”, and is cut off there. The "
    "{controller} stands {lag} words back: of this sentence's gradient {controller} receives **nothing**."
)
STORY_LOSS = "From {first:.2f} down to **{last:.2f}** nats a word."
STORY_ACCURACY = "After {step:,} steps the right word is likelier in **{share}** of {items} held-out sentences."
STORY_FRESH = "Asked about {asked:,} fresh sentences, it is right in **{share}**: {verdict}."
STORY_VERDICTS = {
    "coin": "a coin flip",
    "hardly": "hardly better than a coin flip",
    "between": "better than a coin, but not learned",
    "learned": "learned",
}
STORY_LAGS_CUT = (
    "Training adds {bars} bars into the gradient of $W$, and then nothing. The queen stands at lag {gap}: **no bar**."
)
STORY_LAGS_FULL = (
    "At the queen's lag, {gap}, the bar has **{share}** of the length of the whole gradient of $W$; before the "
    "training it had {at_first}."
)
STORY_SEEDS = (
    "Measured beforehand with these very settings (`benchmarks/agreement.py`): **{learned} of {seeds}** seeds learned "
    "it, that is, were right in at least 95 %."
)
STORY_BEFORE = "before training"
STORY_THEN = "Seed {seed} came to {then} %."
STORY_OTHERWISE = "Here it came out otherwise: where the last digits are rounded differently, a seed's luck may turn."
STORY_NO_SEEDS = "For these settings ten seeds were not measured: this is one run, and speaks for itself alone."
STORY_ECHO = (
    "Trained for {steps:,} steps instead, ten seeds came to {low} to {high} % (median {median:g} %), and still none "
    "learned it. No gradient reaches the queen, but the forward pass carries a faint echo of her, and the output may "
    "learn to use it."
)
STORY_NOTES = (
    "A tanh network or LSTM with 64 units, one-hot input, Adam with learning rate 0.003, batches of 32, "
    "clipping at 5, 2,000 sentences; 600 steps for gaps up to 10, 1,500 beyond. Another machine, or another number of "
    "threads, rounds the last digit differently, and in the lottery that alone can turn a seed's luck. $G_j$ is the "
    "part of $\\partial E/\\partial W$ in which $W$ was used $j$ steps before the loss; "
    "$\\delta_{t,k} = \\partial E_t/\\partial a_k$."
)
STORY_EQUATIONS = (
    r"\frac{\partial E}{\partial W} = \sum_j G_j, \qquad G_j = \sum_t \delta_{t,t-j}\, s_{t-j-1}^{\top},"
    r"\qquad \text{truncation at } K:\ \sum_{j \le K} G_j"
)
