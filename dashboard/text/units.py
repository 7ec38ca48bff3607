"""The words of the Units page."""

from __future__ import annotations

FOLLOW_HELP = "What a unit may follow. Offered is what there is something of in this text."
NOTHING_TO_FOLLOW = (
    "This text has no lines, quotation marks, brackets, sentences or open agreements that a unit could follow, or all "
    "of them in one half of it. Choose a longer text."
)
MEASURING = "reading the text, all units at once"
EXPLAINED = (
    "The units are ranked on the first half of the text; *held out* is the correlation on the second half, which was "
    "not used for that. Of many units the best one correlates with anything by chance: *p* is how often the best of "
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
