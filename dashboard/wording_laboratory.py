"""The words of the gradient laboratory: names of its pictures, what they are for, their equations and letters."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Picture:
    """title and about: one line each; equation in LaTeX; symbols: what its letters mean, in Markdown."""

    title: str
    about: str
    equation: str
    symbols: str


INTRO = (
    "Each word's loss sends a gradient back through time. See how much of it arrives, find out why no more, "
    "and what the network pays for it. Every number comes out of the code that trains."
)

GROUPS = {"vanish": "See it vanish", "cause": "Find the cause", "cost": "What it costs"}

HELP = {
    "sentence": "Any sentence; words that the network does not know are read as `<unk>`.",
    "relative": "Divides each row by its own first norm, to compare rows. Absolute norms show what really arrives.",
    "moment": "The weights of this moment are in every picture. At the right end the page follows the training.",
    "asked": "The word whose loss is followed back. A click on a row of the triangle chooses it, too.",
    "layer": "Which of the recurrent layers, counted from the bottom.",
    "signal": "What goes through an activation function here.",
}

TAKE_HOME = "The picture itself: the ⋯ menu at its upper right corner saves it as PNG or SVG."

ONE_MOMENT = "Only the newest weights are kept of this training."
FOLLOWING = "following the training"

DIVERGED = (
    "The loss or the gradient was no longer finite, and training stopped there. "
    "The pictures show the last good weights: look at how the gradient grows on its way back."
)
CURE_BUTTON = "Train it again with clipping"
CURE_HELP = "The same network, text and seed, with the gradient's norm held to at most 5."
CURE_LIMIT = 5.0

PICTURES = {
    "triangle": Picture(
        "Triangle",
        "Each row is a word whose loss is asked, each column an earlier word. What has faded into the page did not "
        "arrive. Click a row to follow it.",
        r"\delta_{t,k} = \frac{\partial E_t}{\partial a_k} = \frac{\partial E_t}{\partial s_t}"
        r"\Bigl(\prod_{i=k+1}^{t}\frac{\partial s_i}{\partial s_{i-1}}\Bigr)\frac{\partial s_k}{\partial a_k}",
        "$E_t$: loss of word $t$ in nats, $a_k$: pre-activation at step $k$, $s_k$: state. "
        "Colour: $\\log_{10}\\lVert\\delta_{t,k}\\rVert$, over all layers together.",
    ),
    "row": Picture(
        "One row, on its way back",
        "How long the gradient of one word's loss is at every earlier word, and what it could be at most.",
        r"\lVert\delta_{t,k}\rVert \;\le\; \lVert\delta_{t,t}\rVert \prod_{i=k}^{t-1}"
        r"\bigl\lVert W\,\mathrm{diag}\,\varphi'(a_i)\bigr\rVert_2 \;\le\;"
        r"\lVert\delta_{t,t}\rVert\,\bigl(\lVert W\rVert_2 \max\varphi'\bigr)^{t-k}",
        "The product of the norms that *this sentence's* steps have bounds the gradient more tightly than the weights "
        "alone: $\\max\\varphi'$ is 1 for tanh and ReLU, 1/4 for the sigmoid (Pascanu, Mikolov & Bengio 2013).",
    ),
    "horizon": Picture(
        "Horizon",
        "What is left of a loss's gradient, j words back, over sentences that are always the same, beside three curves "
        "that are often taken for it.",
        r"\frac{\lVert\delta_{t,t-j}\rVert}{\lVert\delta_{t,t}\rVert} \qquad\text{beside}\qquad \rho(W)^j,\quad "
        r"\prod_i\lVert J_i\rVert_2,\quad \bigl(\lVert W\rVert_2\max\varphi'\bigr)^j",
        "$\\rho(W)$: largest $|\\text{eigenvalue}|$, where a linear network ends up; $\\lVert W\\rVert_2$: what one "
        "step can do at most; $J_i$: Jacobian of step $i$. The product over the sentence's own steps lies between the truth "
        "and the bound. For LSTM and GRU the state is the joint one, $[h\\,;c]$.",
    ),
    "film": Picture(
        "Horizon film",
        "Every column is the horizon at one moment of the training. Click one, or move the slider above: every picture "
        "goes to that moment.",
        r"\operatorname{median}_t \frac{\lVert\delta_{t,t-j}\rVert}{\lVert\delta_{t,t}\rVert}"
        r"\quad\text{after each measured step}",
        "Measured by the training itself every few seconds on the same sentences. The weights of at most 40 moments "
        "are kept; a click goes to the nearest of them.",
    ),
}
