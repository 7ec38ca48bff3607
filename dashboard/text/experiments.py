"""The words of the Experiments page."""

INTRO = "What the papers found, computed again: theirs beside what came out here, with every seed."
VERDICTS = {True: "Reproduced", False: "Not reproduced", None: "Nothing published to compare with"}
BEYOND = "beyond"
ROW_HELP = "Mean over the seeds; “beyond”: further than was measured, in at least one of them."
START = "Run it here"
AGAIN = "Run it again"
GO_ON = "Go on"
STOP = "Stop"
REPORT_HELP = "One file that needs nothing else, no network either: ours beside the published, with every seed."
FROM_PACKAGE = "came with the program"
FROM_HERE = "computed here"
WORKING = "{done} of {total} trials"
READS = "It reads {what}."
NOT_YET = "No full result has come with the program yet: run it here."

PICTURES = {
    "temporal-order": "Wrong answers over the updates, a line for each seed",
    "agreement": "Wrong answers by number of attractors, a point for each seed",
    "adding": "Squared error over the updates, a line for each seed",
    "copy": "Wrong answers over the updates, a line for each seed",
    "learning-curve": "Loss of the hundred sentences by epoch; faint, from other first weights",
    "cliff": "The error of one unit, and two descents from the same start",
    "forget-bias": "Half-life of the cell's gradient",
    "gradient-film": "What is left of the error of step 128 on its way back",
    "curse-of-memory": "The state and its sensitivity: points measured, lines the closed forms",
    "interpretable-units": "How closely a unit follows each, a point for each seed; dashed: where following begins",
    "effective-context": "What it costs when only the nearest words are left as they are; dashed: 1 %",
}
