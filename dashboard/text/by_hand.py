"""The words of the page that follows BPTT by hand. Numbers are put in by the page."""

from __future__ import annotations

TITLE = "BPTT by hand"
INTRO = (
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
