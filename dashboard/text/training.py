"""The words of the Train page: a network and its training."""

from __future__ import annotations

INTRO = "Choose a network, start it, and watch it learn. Training goes on when you leave or close this page."
MONITORED = "Made by another program, which the Monitor watches."
MONITORED_HELP = {
    "loss": "Mean over the last steps, in the unit of the program's own loss.",
    "half_life": "How many time steps back the median gradient has fallen to one half, at the newest measurement.",
    "horizon": (
        "Every column is one measurement: how much of a loss's gradient is left so many time steps back. The line is "
        "the half-life."
    ),
}

FURTHER_HELP = "How much longer than it was trained already."
FURTHER_EXACT = "It goes on from its very last step: the same bits as if it had been asked for all of it at first."
FURTHER_STRETCHED = (
    "It goes on from its last step, with the schedule stretched to the new end: the learning rate, which has come "
    "down, jumps up again. One training asked for all of it at first would have had it come down but once."
)
FURTHER_VALIDATED = (
    "It goes on from its last step. That one was inside an epoch and was validated as the last, and the schedule "
    "counts that validation: it may lower the learning rate where one training asked for all of it at first would not."
)

ARRIVES_TITLE = "How far the gradient gets"
ARRIVES_HELP = (
    "One sentence in the newest weights: the loss of one word on its way back to every earlier one. In a sentence of "
    "the agreement grammar it is followed from *her* or *his* to the queen or king that decides it."
)
BEFORE_STEP = "step {step:,}"
BEFORE_CURE = "the {cell} before the cure"
CELL_CURE = "Cure it: train an LSTM on the same text"
CELL_CURE_HELP = "The same text, steps and seed; an LSTM whose forget gates start open, so that the gradient can pass."

ONE_STEP_HELP = "Pause first; each click then trains on one batch."
NUMBER_HELP = {
    "training": "Mean loss in nats over the last steps, before each update.",
    "validation": "Mean loss in nats on the validation sentences, which are never trained on.",
    "perplexity": "exp(validation loss): among how many equally likely words the network hesitates.",
    "gradient": "L2 norm of the gradient of all parameters together, before clipping.",
}

FORK_HELP = "Another training that goes on from a stored moment of this one, with other settings."
FORK_EXACT = "With optimizer and random state as they were: with nothing changed it goes on bit for bit like this one."
FORK_WEIGHTS = "Only the weights of this moment were kept: the optimizer's running averages begin anew."

REFERENCES = {
    "uniform": "uniform",
    "unigram": "unigram",
    "bigram": "bigram",
    "kneser_ney_trigram": "KN trigram",
}
"""What guessers without a network are called where their line ends."""

REFERENCES_HELP = (
    "Dashed: the loss on the validation sentences without any network. **Uniform**: every word is equally "
    "likely, ln(vocabulary). **Unigram**: how often each word occurs, whatever came before. **Bigram**: which words "
    "follow the one word before. **KN trigram**: the two words before, smoothed after Kneser and Ney (1995), the best "
    "that counting did for years. A network that stays above the unigram has learnt frequencies at most; one below "
    "the trigram uses more than two words."
)
HALF_LIFE_HELP = (
    "After how many steps back half of a gradient is left, measured on the same sentences all along (the median over "
    "their losses). A ring: at least so many, as far as the sentences go."
)
