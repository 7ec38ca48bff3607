"""What the Units and Evaluate pages say. Ours alone, and may hold Markdown."""

from __future__ import annotations

TEXTS = {"own": "Held out", "paste": "Paste", "upload": "Upload"}
TEXTS_HELP = (
    "On what the network is looked at: the part of its own text that it never trained on, or a text of yours. It is "
    "read as the training text was."
)
NO_TEXT = "Give a text of at least a few sentences, of the kind that the network was trained on."
LEFT_OUT = "Of this text the first {read} {unit}s are read."

# --- units ------------------------------------------------------------------------------------------------------------

FOLLOW_HELP = "What a unit may follow. Offered is what there is something of in this text."
NOTHING_TO_FOLLOW = (
    "This text has no lines, quotation marks, brackets, sentences or open agreements that a unit could follow, or all "
    "of them in one half of it. Choose a longer text."
)
MEASURING = "reading the text, all units at once"
EXPLAINED = (
    "The units are ranked on the first half of the text; *held out* is the correlation on the second half, which had "
    "no say in that. Of many units the best one correlates with anything by chance: *p* says how often the best of "
    "**all** {units:,} signals does as well when the feature is shifted along the text (a permutation test; circular "
    "shifts, because neighbours in a text resemble each other). A unit *follows* where p ≤ {significant:g} and its "
    "held-out correlation is at least {least:g}."
)
ALL_THE_SAME = "Look at the nearest all the same"
ABLATING = "Reading the text without the unit …"
PLACES = "Strongest places"
ABLATION = "Without it"
ENDS = {
    "line": "where a line ends",
    "quotes": "where a quotation closes",
    "brackets": "where a bracket closes",
    "sentence": "where a sentence ends",
    "agreement": "at the word that must agree",
}
"""By feature: the predictions for which a unit that follows it is good."""

# --- evaluate ---------------------------------------------------------------------------------------------------------

EVALUATING = "Reading the text …"
DIVERGED = (
    "The network's weights are so large that its loss is no number; it has diverged. Train it again with a lower "
    "learning rate, or with clipping."
)
COLOURS = {"surprise": "Surprise", "trigram": "Against the trigram"}
COLOUR_HELP = (
    "How surprised the network was by each word, -ln p; or who predicted it better, the network or the Kneser–Ney "
    "trigram that is counted in its training text."
)
MORE = {"context": "How far back does it use what it has read?", "copies": "Does it copy?"}
MEASURING_CONTEXT = "reading it again with less and less of its context, {done:,} of {total:,} contexts"
WRITING = "Letting it write …"
LARGER = {
    "context": "It uses {unit}s from further back than its gradient reaches.",
    "gradient": "Its gradient reaches further back than the {unit}s that it uses.",
    None: "It uses {unit}s from as far back as its gradient reaches.",
}
"""By `Reach.larger`."""
