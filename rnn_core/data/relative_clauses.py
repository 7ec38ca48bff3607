"""Sentences like the tutorial's: who went where is decided before a relative clause that has nothing to do with it.

"The man who wore a wig on his head went inside": the sentence is about a man going inside, and not about the wig
(Britz, "Recurrent Neural Networks Tutorial, Part 3"). Here every subject has a verb of its own, so whatever predicts
the verb has carried the subject across the clause.
"""

from __future__ import annotations

from rnn_core.randomness import stream

_SUBJECTS = {
    "man": ("his", "went"),
    "woman": ("her", "came"),
    "boy": ("his", "ran"),
    "girl": ("her", "walked"),
    "king": ("his", "rode"),
    "queen": ("her", "sailed"),
}
_WORN = {"wig": "head", "hat": "head", "ring": "finger", "scarf": "neck", "glove": "hand", "bell": "ankle"}
_COLOURS = ("red", "old", "small", "golden")
_PLACES = ("inside", "outside", "home", "away", "upstairs")


def relative_clauses(count: int, seed: int = 0) -> list[list[str]]:
    """`count` sentences, each a list of tokens, as `prepare_sentences` takes them.

        S -> "The" SUBJECT "who wore" ("a" | "a" COLOUR) WORN "on" POSSESSIVE BODY VERB PLACE

    SUBJECT decides POSSESSIVE (5 or 6 words later) and VERB (7 or 8 words later), WORN decides BODY; PLACE is free.
    """
    random = stream(seed, "relative clauses")

    def pick(options: tuple[str, ...]) -> str:
        return options[int(random.random() * len(options))]

    sentences = []
    for _ in range(count):
        subject, worn = pick(tuple(_SUBJECTS)), pick(tuple(_WORN))
        possessive, verb = _SUBJECTS[subject]
        described = [pick(_COLOURS)] if random.random() < 0.5 else []
        clause = ["who", "wore", "a", *described, worn, "on", possessive, _WORN[worn]]
        sentences.append(["The", subject, *clause, verb, pick(_PLACES)])
    return sentences
