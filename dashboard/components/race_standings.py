"""All networks of a race in one table."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from dashboard.components.race_pictures import Race, common_step
from dashboard.services.racing import LaneHistory
from dashboard.state import session
from dashboard.text import general as common_wording
from dashboard.text import race as wording
from dashboard.text import race_verdict
from rnn_core.nn.parameters import parameter_count

PAGE = "race"


def draw(race: Race) -> None:
    """How each stands: what it learnt and when, its loss, how far its gradient reaches."""
    histories = list(race.networks.values())
    horizons = common_step([history.horizons for history in histories])
    agreements = common_step([history.agreements for history in histories])
    # Each run tells its step a moment after the other; all who train have come at least to the lowest of them.
    reached = min((status.step for status in race.statuses if status.state == "running"), default=0)
    rows = []
    for (name, history), status in zip(race.networks.items(), race.statuses, strict=True):
        horizon = None if horizons is None else history.horizons.get(horizons)
        half = None if horizon is None else horizon.half_life
        rows.append(
            {
                "network": name,
                **(_agreement(history, agreements) if race.task is None else _error(race, history)),
                "loss": history.recent_loss(),
                "half-life": "–" if horizon is None else "beyond" if half is None else f"{half:.1f}",
                "step": reached if status.state == "running" else status.step,
                "state": common_wording.STATES[status.state],
                "parameters": parameter_count(history.run.config.model),
            }
        )
    unit, lost = race.units
    learned = wording.TABLE["learned text" if race.task is None else "learned task"]
    st.dataframe(
        pd.DataFrame(rows),
        hide_index=True,
        placeholder="–",
        key=session.key(PAGE, "standings"),
        column_config={
            "loss": st.column_config.NumberColumn(
                format="%.3f", help=wording.TABLE["loss"].format(measure=wording.MEASURES[lost])
            ),
            "half-life": st.column_config.TextColumn(help=wording.TABLE["half-life"].format(unit=unit)),
            "agreement": st.column_config.NumberColumn(format="%.1f %%", help=wording.TABLE["agreement"]),
            "learned after": st.column_config.NumberColumn(format="localized", help=learned),
            "step": st.column_config.NumberColumn(format="localized"),
            "parameters": st.column_config.NumberColumn(format="localized"),
        },
    )


def _agreement(history: LaneHistory, step: int | None) -> dict[str, Any]:
    found = None if step is None else history.agreements.get(step)
    return {
        "agreement": None if found is None or not found.gaps else 100 * race_verdict.overall(found),
        "learned after": race_verdict.learned_after(race_verdict.accuracies(history.agreements)),
    }


def _error(race: Race, history: LaneHistory) -> dict[str, Any]:
    assert race.task is not None
    newest = history.metric[max(history.metric)] if history.metric else None
    return {
        race.task.metric_name: None if newest is None else float(f"{newest:.3g}"),
        "learned after": race_verdict.solved_after(history.metric, race.task.baseline),
    }
