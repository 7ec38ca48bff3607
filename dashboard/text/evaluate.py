"""The words of the Evaluate page."""

from __future__ import annotations

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
