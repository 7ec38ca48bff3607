"""The words about tasks: synthetic problems that need a memory."""

LEARN = {"text": "A text", "task": "A task"}
LEARN_HELP = "A text is predicted word by word; a task asks for one thing that was read long before."

ABOUT = {
    "temporal_order": "Two symbols among many: which came first? Asked at the end.",
    "adding": "Two of many numbers are marked; their sum is asked at the end.",
    "copy_memory": "Some symbols, a long silence, and then the same symbols again.",
    "prefix_parity": "Has the number of ones so far been odd? Asked at every step, and no step may be lost.",
    "agreement": "Singular or plural: the verb's number is its subject's, whatever nouns stand in between.",
    "latching": "One bit at the start, then noise; the bit is asked at the end.",
}

NO_WORDS = "This network learns a task and no text: there are no words to show here. Its gradients can be looked at."
ERROR_HELP = "On sequences that no training step sees; without looking at the input one gets {baseline:.3g}."
