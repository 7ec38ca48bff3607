"""What several pages say. (What a setting is called, and its help, is declared with it in `rnn_core.config`.)

Everything here is ours and may hold Markdown; text that came from a user never passes through this file.
"""

from __future__ import annotations

APP = "see-bptt"
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

PYTHON = "The same in Python"

LINK_REFUSED = "Part of this link was not taken"

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

EXAMPLE_SENTENCE = "The man who wore a wig on his head went inside"

NOT_SHOWN = "This cannot be shown"
INTERNAL_ERROR = (
    "Something went wrong here, and it is our mistake, not yours. Trainings are safe in their folders. "
    "Reload the page, or go on with another one."
)
REPORT_HELP = (
    "One file that needs nothing else, no network either: settings, curves, the gradients of one sentence, what it "
    "writes, and how to repeat it."
)
