"""What one visitor looks at just now: which sentence in which network, which loss, absolute or relative."""

from __future__ import annotations

from dataclasses import dataclass

from dashboard.laboratory import figures, refresh
from dashboard.laboratory.sentence_analysis import SentenceAnalysis
from dashboard.state import link, session
from rnn_core.runs import Run

CHOSEN, CHOSEN_OF, MOMENT = figures.key("chosen"), figures.key("chosen of"), figures.key("moment")
LAST_STEP = 10**12
UNROLLED = figures.key("unrolled network")


@dataclass(frozen=True)
class ViewState:
    """What the pictures of one visitor depend on.

    run       as this visitor may have it
    analysis  the sentence in the network of the chosen moment
    chosen    position, from 0, of the word whose loss is followed back
    relative  each row of the triangle divided by its own first norm
    unit      "word" or "character"
    moments   the training steps whose weights are kept
    layer     counted from 0, of the pictures that are of one layer
    before    the same sentence in the network that this one is to cure; None: there is none
    """

    run: Run
    analysis: SentenceAnalysis
    chosen: int
    relative: bool
    unit: str
    moments: list[int]
    layer: int
    before: SentenceAnalysis | None = None

    def choose_clicked_row(self) -> None:
        """After a click on the triangle: follow the loss of that row."""
        clicked = figures.clicked("triangle", "row", "t")
        if clicked is not None:
            session.put(CHOSEN, int(clicked) - 1)

    def choose_clicked_word(self) -> None:
        """After a click on the unrolled network: follow the loss that is taken there."""
        picked = session.value(UNROLLED, {}).get("chosen")
        if picked is not None:
            session.put(CHOSEN, int(picked))

    def hold_clicked_moment(self) -> None:
        """After a click on the film: go to the nearest moment of which there are weights."""
        clicked = figures.clicked("film", "moment", "step")
        if clicked is not None:
            hold(self.run, refresh.nearest(self.moments, int(clicked)), self.moments)


def held(run: Run, moments: list[int]) -> int | None:
    """The moment at which this visitor stays, or the one next to it that is still kept; None: follow the training. A
    link says it at the start of a visit.
    """
    link.prefill(_held_key(run), "moment", link.whole(0, LAST_STEP))
    step = session.value(_held_key(run), None)
    return None if step is None else refresh.nearest(moments, step)


def hold(run: Run, step: int, moments: list[int]) -> None:
    """Stay at this moment; at the newest, follow the training."""
    session.put(_held_key(run), None if step == moments[-1] else step)


def _held_key(run: Run) -> str:
    return figures.key(f"held moment of {run.id}")
