"""The Train page of a training that another program makes and the Monitor records: what it measured, live."""

from __future__ import annotations

import streamlit as st

from dashboard.charts import horizons, monitored, spectra
from dashboard.charts import training as charts
from dashboard.charts.specification import highest_decade
from dashboard.components import errors, pictures, polling, widgets
from dashboard.components.pictures import Chart
from dashboard.services.history import History
from dashboard.state import session
from dashboard.text import training as wording
from rnn_core.errors import UserError
from rnn_core.nn.cells import cell_of
from rnn_core.runs import Run
from rnn_core.training import HorizonMeasured

POLL_SECONDS = 2.0
UNIT = "step"


def draw(run: Run) -> None:
    """All of it; again every few seconds while the other program is at work."""
    seconds = polling.poll_seconds(run, POLL_SECONDS)
    st.fragment(errors.error_boundary(_live), run_every=seconds)(run, seconds)


def _live(run: Run, seconds: float | None) -> None:
    try:
        status = run.status()
        history = session.history(run)
        history.update()
    except UserError as error:
        errors.problem("This training cannot be read", error)
        return
    if seconds is not None and not status.alive:
        st.rerun()
    st.text(run.config.name)
    with st.container(horizontal=True, vertical_alignment="center"):
        widgets.state_badge(status.state, monitored=True)
        st.caption(wording.MONITORED)
        if st.button("New training", icon=":material/add:", key=session.key("monitored", "new")):
            session.close_run()
            st.rerun()
    if status.message:
        st.text(status.message)
    measured = {step: found for step, found in history.horizons.items() if found.median}
    _numbers(history, measured)
    _curves(history)
    if measured:
        _inside(run, measured)
    with st.expander("What is known of its network"):
        model = run.config.model
        facts = {
            "cell": model.cell,
            "units": model.hidden_size,
            "layers": model.layers,
            "numbers in an input": model.embedding_size,
            "bias": model.bias,
        }
        widgets.table({"setting": list(facts), "value": list(map(str, facts.values()))})


def _numbers(history: History, measured: dict[int, HorizonMeasured]) -> None:
    latest = history.latest
    validation = history.validation[max(history.validation)] if history.validation else None
    with st.container(horizontal=True, gap="medium"):
        widgets.number("Step", latest.get("step"), "{:,.0f}")
        widgets.number("Training loss", history.recent_loss(), "{:.3f}", help=wording.MONITORED_HELP["loss"])
        widgets.number("Validation loss", validation, "{:.3f}")
        if measured:
            newest = measured[max(measured)]
            reach = len(newest.median) - 1
            half = newest.half_life
            widgets.number(
                "Half-life",
                reach if half is None else half,
                f"> {{:.0f}} {UNIT}s" if half is None else f"{{:.1f}} {UNIT}s",
                help=wording.MONITORED_HELP["half_life"],
            )
        widgets.number("Gradient norm", latest.get("gradient_norm"), "{:.3g}", help=wording.NUMBER_HELP["gradient"])
        if latest.get("learning_rate"):
            widgets.number("Learning rate", latest["learning_rate"], "{:.3g}")
        widgets.number("Steps read per second", latest.get("tokens_per_second"), "{:,.0f}")


def _curves(history: History) -> None:
    wide, narrow = st.columns([3, 2], gap="large")
    with wide:
        names = [monitored.TRAINING, *([monitored.VALIDATION] if history.validation else [])]
        pictures.picture(
            "Loss",
            Chart(
                monitored.over_steps(monitored.LOSS, *names),
                monitored.loss_table(history.loss.steps, history.loss.values, history.validation),
                "monitored loss chart",
                "Training and validation loss over the steps of the training",
            ),
        )
    with narrow:
        before, after = history.norm_before, history.norm_after
        pictures.picture(
            "Gradient norm",
            Chart(
                charts.gradient_norm_chart(),
                charts.gradient_norm_table((before.steps, before.values), (after.steps, after.values), []),
                "monitored gradient norm chart",
                "Norm of the gradient over the steps of the training, before and after clipping",
            ),
        )


def _inside(run: Run, measured: dict[int, HorizonMeasured]) -> None:
    """How far back the gradient goes, and what makes it so."""
    newest = max(measured)
    table = horizons.film_table(measured, newest)
    pictures.picture(
        "Horizon over the training",
        Chart(
            horizons.film(highest_decade(table["left"].clip(upper=1e12), 0.0), UNIT),
            table,
            "monitored horizon",
            "What is left of the gradient, over the training step and the distance in time steps",
        ),
        caption=wording.MONITORED_HELP["horizon"],
    )
    wide, narrow = st.columns(2, gap="large")
    cell = cell_of(run.config.model)
    # What else stands in a run's file may be a stranger's.
    signals = [name for name in ("state", *cell.gates, "cell") if name in measured[newest].signals]
    with wide:
        pictures.picture(
            "Saturation",
            Chart(
                monitored.over_steps(monitored.SATURATED, *signals),
                monitored.saturation_table(measured, signals),
                "monitored saturation chart",
                "Share of the units of the top layer that are saturated, over the steps of the training",
            ),
        )
    with narrow:
        gates = cell.recurrent_gates if cell.gated else ("",)
        blocks = [len(gates) * (run.config.model.layers - 1) + place for place in range(len(gates))]
        pictures.picture(
            "Spectral radius and norm of W",
            Chart(
                spectra.spectra(gates),
                spectra.spectra_table(measured, blocks, gates),
                "monitored spectra",
                "Spectral radius and norm of W of the top layer, over the steps of the training",
            ),
        )
