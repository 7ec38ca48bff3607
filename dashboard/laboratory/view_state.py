"""What one visitor looks at just now: the analysis, the word whose loss is asked, absolute or relative."""

from __future__ import annotations

from dataclasses import dataclass

from dashboard.laboratory import figures, refresh
from dashboard.laboratory.sentence_analysis import SentenceAnalysis
from dashboard.state import session
from rnn_core.runs import Run

ASKED, ASKED_OF, MOMENT = figures.key("asked"), figures.key("asked of"), figures.key("moment")


@dataclass(frozen=True)
class ViewState:
    """run: as this visitor may have it; asked: position of the word whose loss is followed, from 0; moments: the steps
    whose weights are kept.
    """

    run: Run
    analysis: SentenceAnalysis
    asked: int
    relative: bool
    unit: str
    moments: list[int]

    def ask_clicked_row(self) -> None:
        """After a click on the triangle: follow the loss of that row."""
        clicked = figures.clicked("triangle", "row", "t")
        if clicked is not None:
            session.put(ASKED, int(clicked) - 1)

    def hold_clicked_moment(self) -> None:
        """After a click on the film: go to the nearest moment of which there are weights."""
        clicked = figures.clicked("film", "moment", "step")
        if clicked is not None:
            hold(self.run, refresh.nearest(self.moments, int(clicked)), self.moments)


def held(run: Run, moments: list[int]) -> int | None:
    """The moment at which this visitor stays, or the one next to it that is still kept; None: follow the training."""
    step = session.value(_held_key(run), None)
    return None if step is None else refresh.nearest(moments, step)


def hold(run: Run, step: int, moments: list[int]) -> None:
    """Stay at this moment; at the newest, follow the training."""
    session.put(_held_key(run), None if step == moments[-1] else step)


def _held_key(run: Run) -> str:
    return figures.key(f"held moment of {run.id}")
