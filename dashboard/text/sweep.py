"""The words of the Sweep page."""

INTRO = (
    "Is it the network, or its seed? Train every combination of some settings, with several seeds, and see what makes "
    "the difference."
)
HOSTED = "On this server a sweep has up to {most} trainings; each takes its turn in the queue."
GRID_HELP = "The settings that are to differ; all others are as in the form."
VALUES_HELP = "Separated by commas: 50, 100, 200."
SEEDS_HELP = "Each combination is trained with so many seeds: how much the results differ is chance."
PARALLEL_HELP = "A line is a training, through the values of its settings to what it reached. The lower, the better."
BEST = "The best: {settings}, {measure} {mean} over {seeds}."
BEST_SO_FAR = "The best so far: {settings}, {measure} {mean} over {seeds}."
EQUALS = "As good: {others}; the least loss decides."
NOTHING_YET = "Nothing is trained to its end yet; the best stands here as soon as something is."
