"""The words about tasks: synthetic problems that need a memory."""

LEARN = {"text": "A text", "task": "A task"}
LEARN_HELP = "A text is predicted word by word; a task asks for one thing that was read long before."

NO_WORDS = "This network learns a task and no text: there are no words to show here. Its gradients can be looked at."
ERROR_HELP = "On sequences that no training step sees; without looking at the input one gets {baseline:.3g}."
