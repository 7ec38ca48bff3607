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


STEPS = {
    "arrives": "What arrives",
    "allowed": "What was allowed",
    "lost": "Where it is lost",
    "units": "What the units do",
    "cost": "What it costs",
}
"""The argument of the page, in reading order."""

VERDICT = "Verdict"
NO_WAY_BACK = "This sentence has one position only: there is no way back. Type at least one word."
CURES = "Train a remedy on the same text, and come back with this network drawn pale behind it:"
NOT_YOUR_CURE = "The owner of this training can train a remedy from here."

MORE = {
    "arrives": "Over the training",
    "lost": "Gate by gate",
    "units": "In the long run, and over the training",
    "cost": "Truncation, words that mattered, clipping",
}

HELP = {
    "sentence": "Any sentence; words that the network does not know are read as `<unk>`.",
    "relative": "Divides each row by its own first norm, to compare rows. Absolute norms show what really arrives.",
    "moment": "The weights of this moment are in every picture. At the right end the page follows the training.",
    "chosen": "Whose loss is followed back. A click on a word of the network, or on a row of the triangle, chooses.",
    "gate": "Which gate's values are shown under the words.",
    "spike": "The steps with the largest gradient before clipping.",
    "replaced": "What stands in place of each earlier word, one at a time.",
    "layer": "Which of the recurrent layers, counted from the bottom.",
    "signal": "What goes through an activation function here.",
    "look": "On which part of their curve the units work, over all words; how that changes from word to "
    "word; and how many of them are at an end of it.",
}

ONE_MOMENT = "Only the newest weights are kept of this training."

DIVERGED = "The pictures show the last good weights: look at how the gradient grows on its way back."

PICTURES = {
    "unrolled": Picture(
        "Unrolled network",
        "The sentence, and the gradient of one word's loss on its way back. A click on a word follows its loss; so do "
        "the arrow keys.",
        r"\frac{\lVert\delta_{t,k}\rVert}{\lVert\delta_{t,t}\rVert},\qquad"
        r"\delta_{t,k} = \frac{\partial E_t}{\partial a_k}",
        "$E_t$: loss of word $t$ in nats, $a_k$: pre-activation at step $k$. Bars and arcs are relative to the norm "
        "where the loss is taken.",
    ),
    "triangle": Picture(
        "Triangle",
        "Each row is the loss at a word, each column an earlier word. What has faded into the page did not "
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
        "step can do at most; $J_i$: Jacobian of step $i$. The product over the sentence's own steps lies between the "
        "truth and the bound. The state is all that a cell carries: of an LSTM $[h\\,;c]$.",
    ),
    "film": Picture(
        "Horizon over the training",
        "Every column is the horizon at one moment of the training. Click one, or move the slider above: every picture "
        "goes to that moment.",
        r"\operatorname{median}_t \frac{\lVert\delta_{t,t-j}\rVert}{\lVert\delta_{t,t}\rVert}"
        r"\quad\text{after each measured step}",
        "Measured by the training itself every few seconds on the same sentences. The weights of at most 40 moments "
        "are kept; a click goes to the nearest of them.",
    ),
    "where lost": Picture(
        "W against φ′",
        "A waterfall, read from right to left: at every word on the gradient's way back, what the recurrent weights "
        "give and what the slope of the activation takes. The two add up to the whole change, exactly.",
        r"\ln\frac{\lVert\delta_k\rVert}{\lVert\delta_{k+1}\rVert} ="
        r"\underbrace{\ln\frac{\lVert\delta_{k+1}W\rVert}{\lVert\delta_{k+1}\rVert}}_{\text{gain by }W} +"
        r"\underbrace{\ln\frac{\lVert\delta_{k+1}W\odot\varphi'(a_k)\rVert}{\lVert\delta_{k+1}W\rVert}}"
        r"_{\text{damping by }\varphi'}",
        "In a gated cell the gradient of the whole state is split: what the carry alone keeps, and what the way "
        "through $W$ adds or cancels. With several layers there is a third part, from the layer above.",
    ),
    "path shares": Picture(
        "Which path",
        "Of the gradient that arrives at a word: how much of it came along which gate's path. Below zero a path works "
        "against the others.",
        r"\text{share}_p = \frac{\langle g_p,\; g\rangle}{\lVert g\rVert^2},\qquad g = \sum_p g_p"
        r" = \frac{\partial E_t}{\partial\,\text{state}_{k}}",
        "The shares of one word add up to 1.",
    ),
    "saturation": Picture(
        "Saturation",
        "On which part of their curve the units work: on the steep part gradients pass, on the flat ends they die.",
        r"\frac{\partial s_t}{\partial s_{t-1}} = \mathrm{diag}\bigl(\varphi'(a_t)\bigr)\,W,\qquad"
        r"\tanh' = 1-\tanh^2 \le 1,\quad \sigma' = \sigma(1-\sigma) \le \tfrac14",
        "A tanh counts as saturated beyond ±0.9, a gate below 0.1 and above 0.9 (Karpathy, Johnson & Fei-Fei 2015), a "
        "ReLU at 0. $\\lVert J_k\\rVert$ is of the layer's whole state, $[h\\,;c]$ for an LSTM: $h$ alone misleads, "
        "since $c$ may keep what $h$ forgets.",
    ),
    "spectrum": Picture(
        "Spectrum",
        "Eigenvalues show where a linear network ends up, norms what one step can do, Lyapunov exponents what the "
        "network really does per step on a text.",
        r"\lambda_i = \lim_{T\to\infty}\frac1T\sum_{t=1}^{T}\ln\bigl|R_t^{(ii)}\bigr|,\qquad Q_{t}R_t = J_tQ_{t-1}",
        "The dial shows the largest exponent $\\lambda_1$ in nats a step: below 0 gradients shrink by $e^{\\lambda_1}$ "
        "each word, above 0 they grow (QR method; Benettin et al. 1980, Engelken, Wolf & Abbott 2020). Singular values "
        "are of the product $J_T\\cdots J_{T-j+1}$ of this sentence's Jacobians, of all that the layer carries "
        "(LSTM: $h$ and $c$).",
    ),
    "two paths": Picture(
        "Two paths",
        "In a gated cell a gradient can go back along the carry, multiplied by what a gate keeps and by nothing else, "
        "or through W.",
        r"\frac{\partial E_t}{\partial c_k} = \underbrace{\kappa_{k+1}\odot\cdots\odot\kappa_t\odot"
        r"\frac{\partial E_t}{\partial c_t}}_{\text{along the carry}} + \text{all that went another way}",
        "$c$: what the cell carries past $W$, $\\kappa_t$: what step $t$ keeps of it. The two parts add up as vectors, "
        "so their lengths may add up to more than the whole.",
    ),
    "gradient by lag": Picture(
        "Gradient by lag",
        "How much of the gradient of W comes from losses j words after its use. The whole does not vanish while every "
        "distant part does: the network learns, but nothing from long ago.",
        r"\frac{\partial E}{\partial W} = \sum_{j\ge0} G_j,\qquad"
        r"G_j = \frac1{\text{tokens}}\sum_t \frac{\partial E_t}{\partial a_{t-j}}\,s_{t-j-1}^{\top}",
        "Of the mean loss of this sentence, in nats per token, all layers' $W$ together. $\\lVert\\partial E/\\partial "
        "W\\rVert$ comes from ordinary BPTT and not from the bars: their sum is checked against it.",
    ),
    "truncation": Picture(
        "Truncation",
        "What is lost when every loss may look back K words only: direction (cosine) and size of the error.",
        r"\cos\angle(C_K, G) = \frac{\langle C_K, G\rangle}{\lVert C_K\rVert\lVert G\rVert},\qquad"
        r"\frac{\lVert C_K-G\rVert}{\lVert G\rVert},\qquad C_K=\sum_{j\le K}G_j",
        "$C_K$ is the very gradient that a training with truncation $K$ uses for this sentence. The dashed line is the "
        "$K$ of this training (at the right end: full).",
    ),
    "clipping": Picture(
        "Clipping",
        "The gradient's norm at every step of the training, before and after clipping. Click a spike to see which "
        "sentence caused it, and over which distance.",
        r"g \leftarrow g\cdot\min\Bigl(1,\frac{c}{\lVert g\rVert+10^{-6}}\Bigr),\qquad g=\sum_b g_b,\qquad"
        r"\text{share}_b = \frac{\langle g_b,g\rangle}{\lVert g\rVert^2}",
        "$c$: limit, $g_b$: part of sentence $b$ in its batch. Which sentences were in a batch is a function of the "
        "seed and the step alone; the weights are the kept ones nearest before that step, without dropout.",
    ),
    "which words": Picture(
        "Which words mattered",
        "Which earlier words a prediction depends on: what the gradient shows, and what really happens when a word is "
        "replaced.",
        r"\Bigl\lVert\frac{\partial\log p_t(y_t)}{\partial x_k}\Bigr\rVert \qquad\text{and}\qquad"
        r"\log p_t(y_t\mid x_k\to x')-\log p_t(y_t) \;\approx\;"
        r"\frac{\partial\log p_t(y_t)}{\partial x_k}\cdot(x'-x_k)",
        "$x_k$: what word $k$ is to the network (its embedding, or its column of $U$). Other words are drawn by how "
        "frequent they are, the same ones for every place; the lines are one standard error to either side.",
    ),
}

PICTURES |= {
    "gate": Picture(
        "A gate, unit by unit",
        "Each row is a unit, each column a word: what a gate lets through.",
        PICTURES["two paths"].equation,
        PICTURES["two paths"].symbols,
    ),
    "product": Picture(
        "All steps together",
        "Singular values of the product of the sentence's Jacobians: the longest and the shortest that can come out.",
        PICTURES["spectrum"].equation,
        PICTURES["spectrum"].symbols,
    ),
    "spectra": Picture(
        "W over the training",
        "Spectral radius and norm of W, as the training measured them.",
        PICTURES["spectrum"].equation,
        PICTURES["spectrum"].symbols,
    ),
}

CARRY = "This {cell} carries on ${equation}$; $\\kappa_t$ is the factor of ${carry}_{{t-1}}$."
NO_GATES = (
    "A plain RNN has one path only: all of its gradient goes through W. A gated cell, such as an LSTM, has a second "
    "one; train one and look here again."
)
NO_SPECTRA = "This training has not recorded the spectrum of W."
NOTHING_TO_REPLACE = (
    "This network reads numbers and no symbols: there is nothing to put in the place of one, to see what changes."
)
TOO_LONG = "A sequence of this task has {steps} steps, and the pictures are of up to {most}: train on a shorter one."
NO_SPIKE = "Click a step in the chart, or choose one of the highest here."
STREAM_NOTE = "A chunk of the stream is looked at from an empty state; what its training carried over is not kept."
NOT_YOUR_SENTENCES = "Only whoever made this training may read its sentences."
REPLACEMENTS = {"others": "other words", "unknown": "<unk>"}
BY_SENTENCE = "How the batch's gradient divides among its sentences, the largest share first:"
