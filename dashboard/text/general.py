"""What several pages say. (What a setting is called, and its help, is declared with it in `rnn_core.config`.)

Everything here is ours and may hold Markdown; text that came from a user never passes through this file.
"""

from __future__ import annotations

APP = "see-bptt"

# --- pages ------------------------------------------------------------------------------------------------------------

CORPUS_INTRO = "Choose a text. The network will learn to predict each next word of its sentences."
TRAIN_INTRO = "Choose a network, start it, and watch it learn. Training goes on when you leave or close this page."
GENERATE_INTRO = "Let the network write. Every word is drawn from the probabilities it predicts."
RUNS_INTRO = "Every training is a folder: settings, history, weights. Open one, or take it with you."

FIRST_VISIT_TITLE = "New here? See a network learn in seconds"
FIRST_VISIT = (
    "One click makes sentences in which the last word must agree with a word 20 words before (*queen … her*), trains a "
    "small network on them, and shows how little of the gradient gets there; one more click trains the cure. Nothing "
    "is downloaded."
)
FIRST_VISIT_BUTTON = "Train the demo"

PRESENT = "Present"
PRESENT_HELP = "For a projector: large type, and nothing but the pictures. The address keeps it."
LEAVE_PRESENTATION = "End"

NEXT_STEPS = {
    "sweep": ("compare", "Next: compare some of them in one picture"),
    "by_hand": ("story", "Next: a word that never received a gradient"),
    "corpus": ("train", "Next: train a network on it"),
    "train": ("gradients", "Next: look into this network"),
    "gradients": ("race", "Next: let networks race"),
    "evaluate": ("units", "Next: see what its units follow"),
    "units": ("generate", "Next: let it write"),
    "generate": ("gradients", "Next: see which words its gradients reach"),
    "compare": ("gradients", "Next: look into this network"),
    "runs": ("compare", "Next: see them in one picture"),
    "race": ("gradients", "Next: look into the winner"),
    "experiments": ("race", "Next: let networks race"),
}
"""By the page's address: the page that goes on with the story, and what is said of it. (Home and the story end with
ways on of their own.)"""

SAVE = "Save"
EQUATION = "Equation"
NOT_DRAWN = "It is just being drawn: try again."

WOULD_SHOW = {
    "train": (
        "Here a network learns while you watch: its loss, its gradient, what it writes. Choose a text of your own, or "
        "train the demo: sentences in which *her* or *his* depends on a queen or king 20 words before."
    ),
    "sweep": (
        "A sweep needs a text. Choose one of your own, or train the demo: its sentences, in which *her* or *his* "
        "depends on a queen or king 20 words before, stay chosen."
    ),
    "gradients": (
        "Here you look into a network: how much of each word's gradient arrives at every word before it, where it is "
        "lost, and what that costs. The demo has a network to look into after a few seconds."
    ),
    "evaluate": (
        "Here a network is judged on text that it has not seen: beside counting, word by word, how far back it uses "
        "what it has read, and whether it copies. The demo has a network to judge after a few seconds."
    ),
    "units": (
        "Here you look at single units of a network along a text: which of them follow the line, a quotation or a "
        "bracket, and what the network is without them. The demo has a network to look into after a few seconds."
    ),
    "generate": (
        "Here a network writes, word by word, with the probabilities it had to choose from. The demo has one after a "
        "few seconds."
    ),
    "compare": (
        "Here trainings stand in one picture: losses, gradients, how far they reach, and the settings in which they "
        "differ. The demo makes the first one."
    ),
    "runs": "Here every training is kept, to be opened, compared, downloaded. The demo makes the first one.",
}
NO_CHECKPOINT = "This training has not saved its weights yet. Start it, and look again in a moment."

MONITORED_NO_WEIGHTS = (
    "This training is made by another program, which keeps its weights and its words: here are its curves, on the "
    "Train page. Save the network there as safetensors, and open it on the Runs page."
)
MONITORED = "Made by another program, which the Monitor watches."
MONITORED_HELP = {
    "loss": "Mean over the last steps, in the unit of the program's own loss.",
    "half_life": "How many time steps back the median gradient has fallen to one half, at the newest measurement.",
    "horizon": (
        "Every column is one measurement: how much of a loss's gradient is left so many time steps back. The line is "
        "the half-life."
    ),
}

# --- where a text comes from ------------------------------------------------------------------------------------------

SOURCES = {
    "upload": "Upload",
    "paste": "Paste",
    "agreement": "Agreement sentences",
    "python": "Python reference",
    "nltk": "NLTK corpus",
}
WHICH_ENCODING = "This file does not say how its letters are written"
NOT_IN_LINK = "The link of this page has every setting, but not your text."
SOURCE_HELP = {
    "upload": "A .txt, .csv or .jsonl file. It stays on the machine that runs this app.",
    "paste": "Any text of at least a few sentences.",
    "agreement": (
        "Sentences from a small grammar in which one word decides another many words later. "
        "The distance is yours to set: the cleanest way to see what a network can remember."
    ),
    "python": "The Python language reference, about 65,000 words. It ships with Python, so it is always there.",
    "nltk": "A classic corpus (Brown, Gutenberg, …). Fetched from the internet where the machine has it.",
}

GAP_HELP = "How many words stand between the queen or king and the word that must agree."

# --- the network and its training -------------------------------------------------------------------------------------

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

PYTHON = "The same in Python"

LINK_REFUSED = "Part of this link was not taken"

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

STATES = {
    "created": "ready to start",
    "queued": "waiting to start",
    "running": "training",
    "paused": "paused",
    "stopped": "stopped",
    "finished": "finished",
    "failed": "failed",
    "diverged": "diverged",
    "dead": "interrupted",
}
OLDER_STATE = (
    "The newest checkpoint of this training is damaged. What is shown of its network is an older state; going on "
    "with the training makes the lost steps again."
)

STATE_HELP = {
    "created": "Nothing has been trained yet.",
    "queued": "Other trainings come first.",
    "stopped": "The weights are saved. Resume goes on from the very step.",
    "failed": "Training ended with an error.",
    "diverged": "The loss or gradient was no longer finite. The last good weights were kept.",
    "dead": "Its process ended unexpectedly. Resume goes on from the last checkpoint.",
}

# --- writing ----------------------------------------------------------------------------------------------------------

SAMPLING_HELP = {
    "prompt": "Words to begin with. Every sentence goes on from them.",
    "count": "How many sentences to write.",
}

WRITTEN_LEGEND = (
    "the stronger a word's background, the surer the network was; dotted: given. Point at a word for what else it "
    "considered, choose one to go on from there."
)
NO_OTHER_RUN = "There is no other run yet."

# --- gradients (the rest is in `laboratory`) --------------------------------------------------------------------

EXAMPLE_SENTENCE = "The man who wore a wig on his head went inside"

# --- when something is wrong, and on a hosted server ------------------------------------------------------------------

NOT_SHOWN = "This cannot be shown"
INTERNAL_ERROR = (
    "Something went wrong here, and it is our mistake, not yours. Trainings are safe in their folders. "
    "Reload the page, or go on with another one."
)
NOT_SET_UP = "This server is not set up"
ONLY_LOOKING = "Somebody shared this training with you: you can look at everything, and change nothing."
SHARE = (
    "To show this training to somebody, give them the address of this page: they can look at it and at its sentences, "
    "and cannot change it. Your own trainings are yours by a cookie of this browser."
)
NOT_IN_QUEUE = "It is not in the queue any more. Resume it to queue again."
KEEP_OPEN = "It begins by itself when it is its turn. Keep this page open: whoever leaves for a minute loses the place."


def hosted_training(minutes: float, steps: int, unwatched_minutes: float) -> str:
    """What a hosted server gives a training."""
    return (
        f"This server is shared: a training may take {minutes:g} minutes and {steps:,} steps, and may have to wait for "
        f"its turn. One that nobody looks at for {unwatched_minutes:g} minutes is stored and stopped."
    )


def hosted_runs(days: float, most: int) -> str:
    """What becomes of runs on a hosted server."""
    return (
        f"Here are yours, up to {most}. They are deleted {days:g} days after anybody last looked at them, or sooner "
        "where space runs out: download what you want to keep."
    )


# --- runs -------------------------------------------------------------------------------------------------------------

FILTER_PLACEHOLDER = "name, tag, corpus, network, …"
SELECT_ROWS = "Select a row to open, rename, delete or download it, several to compare them."
IMPORT_HELP = "A zip that *Download* made, here or on another machine. Every file in it is checked before it is taken."
NETWORK_HELP = (
    "A network that you trained in PyTorch (an embedding or one-hot words, nn.RNN, nn.LSTM or nn.GRU, a linear "
    "decoder), saved by `safetensors.torch.save_file(model.state_dict(), …)`, and its words in the order of its rows: "
    "a JSON list, or one in each line. Words or characters; with or without entries for the unknown word (`<unk>`), "
    "the start (`<s>`) and the end (`</s>`) of a sentence."
)
DOWNLOAD_HELP = "A zip of the run's folder: settings, words, weights and its whole history. No Python pickle is in it."
REPORT_HELP = (
    "One file that needs nothing else, no network either: settings, curves, the gradients of one sentence, what it "
    "writes, and how to repeat it."
)
DELETE_WARNING = "Its weights and history will be gone. Download it first if you may want it back."
