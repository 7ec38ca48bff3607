"""Experiments of the literature: what came out here, beside what was published or what a closed form says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import altair as alt
import numpy as np
import numpy.typing as npt
import pandas as pd

from dashboard.charts import line_ends
from dashboard.charts.common import FAINT, SHORT, layered, logarithmic
from dashboard.charts.specification import plottable

Floats = npt.NDArray[np.floating]
HEIGHT = 320
OURS, THEIRS = "here", "published"


def course_chart(
    courses: Mapping[str, Sequence[tuple[Sequence[float], Sequence[float]]]], metric: str
) -> alt.LayerChart:
    """By setting, for each seed (updates, errors) -> the error over the updates, a thin line a seed."""
    parts = [
        pd.DataFrame({"setting": setting, "line": f"{setting} {seed}", "x": updates, "y": errors, "seed": seed})
        for setting, trials in courses.items()
        for seed, (updates, errors) in enumerate(trials)
    ]
    table = pd.concat(parts, ignore_index=True)
    # An error of exactly 0 has no place on a logarithm's axis.
    table["y"] = table["y"].clip(lower=1e-4)
    base = alt.Chart().encode(
        x=alt.X("x:Q", title="updates", axis=alt.Axis(grid=False, labelExpr=SHORT)), y=logarithmic("y", metric)
    )
    colour = alt.Color(
        "setting:N",
        title=None,
        scale=alt.Scale(domain=list(courses)),
        legend=alt.Legend(orient="top", symbolType="stroke", columns=2),
    )
    # Settings that learn nothing have the same course: the dashes let the one beneath be seen.
    dashes = alt.Scale(domain=list(courses), range=[[1, 0], [1, 0], [5, 5]])
    dash = alt.StrokeDash("setting:N", scale=dashes, legend=None)
    tooltip = [
        "setting:N",
        "seed:Q",
        alt.Tooltip("x:Q", title="updates"),
        alt.Tooltip("y:Q", title=metric, format=".4f"),
    ]
    lines = base.mark_line(strokeWidth=1.6, opacity=0.8).encode(color=colour, strokeDash=dash, detail="line:N")
    points = base.mark_point(filled=True, size=22, opacity=0).encode(color=colour, tooltip=tooltip)
    return layered(table, lines, points, height=HEIGHT)


def learning_curve_chart(
    ours: Sequence[float], published: Sequence[float], others: Sequence[Sequence[float]]
) -> alt.LayerChart:
    """Losses by epoch, from 0, in nats; others: from other first weights, faint."""
    behind = _lines_table({f"first weights {number}": losses for number, losses in enumerate(others, start=2)})
    table = _lines_table({OURS: ours, THEIRS: published})
    y = alt.Y("y:Q", title="loss (nats per word)", scale=_NOT_FROM_0)
    return _named_lines(table, (OURS, THEIRS), "epochs", y, behind=behind)


def attractor_chart(errors: pd.DataFrame) -> alt.LayerChart:
    """errors: (x attractors, y wrong answers in per cent, series the network, seed) -> the mean as a line, points."""
    means = errors.groupby(["series", "x"], sort=False)["y"].mean().reset_index()
    series = tuple(means["series"].unique())
    table = line_ends.with_names(means, "x", "y", "series", height=HEIGHT, domain=(0, 100))
    points = errors.assign(kind="seed")
    x = alt.X("x:Q", title="attractors", scale=_NOT_FROM_0, axis=alt.Axis(grid=False, tickMinStep=1, format="d"))
    y = alt.Y("y:Q", title="wrong answers (%)", scale=alt.Scale(domain=[0, 100]))
    colour = alt.Color("series:N", scale=alt.Scale(domain=list(series)), legend=None)
    base = alt.Chart().encode(x=line_ends.room(x, series), y=y, color=colour)
    mean = base.transform_filter("datum.kind == 'mean'")
    seeds = base.transform_filter("datum.kind == 'seed'").mark_point(filled=True, size=34, opacity=0.55)
    tooltip = ["series:N", "seed:Q", alt.Tooltip("x:Q", title="attractors"), alt.Tooltip("y:Q", format=".3g")]
    return layered(
        pd.concat([table.assign(kind="mean"), points], ignore_index=True),
        mean.mark_line(strokeWidth=2.2),
        seeds.encode(tooltip=tooltip),
        line_ends.names(mean, "series"),
        height=HEIGHT,
    )


def film_chart(norms: Mapping[str, Floats]) -> alt.LayerChart:
    """By network: (lags,) the gradient's norm -> its fall over the steps back, log axis."""
    table = _lines_table({name: values / values[0] for name, values in norms.items()})
    return _named_lines(
        plottable(table, "y"), tuple(norms), "steps back", logarithmic("y", "share of the gradient left"), log=True
    )


def half_life_chart(measured: pd.DataFrame, biases: Floats, closed_form: Floats) -> alt.LayerChart:
    """measured: (x the bias, y the half-life, series the weights); the closed form as a line -> log axis."""
    line = pd.DataFrame({"x": biases, "y": closed_form, "series": "closed form", "kind": "form"})
    return _points_on_lines(
        pd.concat([line, measured.assign(kind="measured")], ignore_index=True),
        "bias of the forget gates",
        logarithmic("y", "half-life (steps back)"),
    )


def sensitivity_chart(measured: pd.DataFrame, times: Floats, forms: Mapping[str, Floats]) -> alt.LayerChart:
    """measured: (x the memory 1/(1-lambda), y, series); forms: by series (n,) over `times` -> both axes log."""
    lines = [pd.DataFrame({"x": times, "y": values, "series": name, "kind": "form"}) for name, values in forms.items()]
    axis = alt.X(
        "x:Q",
        title="memory in steps, 1/(1 − λ)",
        scale=alt.Scale(type="log", nice=False),
        axis=alt.Axis(grid=False, values=[1, 2, 5, 10, 20, 50, 100]),
    )
    return _points_on_lines(
        pd.concat([*lines, measured.assign(kind="measured")], ignore_index=True),
        axis,
        logarithmic("y", "mean of the square"),
    )


def cliff_chart(w: Floats, b: Floats, error: Floats, paths: Mapping[str, tuple[Floats, Floats]]) -> alt.LayerChart:
    """error (m, n) over w (n,) and b (m,), evenly spaced; paths: by name (w, b) of a descent, the start first.

    What leaves the window is cut off at its edge.
    """
    half_w, half_b = (w[1] - w[0]) / 2, (b[1] - b[0]) / 2
    W, B = np.meshgrid(w, b)
    cells = pd.DataFrame(
        {
            # Cells overlap a little: else the page shines through where two of them share a pixel.
            "series": "surface",
            "x": (W - half_w).ravel(),
            "x2": (W + 1.15 * half_w).ravel(),
            "y": (B - half_b).ravel(),
            "y2": (B + 1.15 * half_b).ravel(),
            "error": error.ravel(),
        }
    )
    window_x, window_y = [w[0] - half_w, w[-1] + half_w], [b[0] - half_b, b[-1] + half_b]
    walks = [
        pd.DataFrame({"series": name, "step": np.arange(len(path_w)), "x": path_w, "y": path_b})
        for name, (path_w, path_b) in paths.items()
    ]
    table = pd.concat([cells, *walks], ignore_index=True)
    x = alt.X("x:Q", title="w", scale=alt.Scale(domain=window_x, nice=False), axis=alt.Axis(grid=False))
    y = alt.Y("y:Q", title="b", scale=alt.Scale(domain=window_y, nice=False), axis=alt.Axis(grid=False))
    surface = (
        alt.Chart()
        .transform_filter("datum.series == 'surface'")
        .mark_rect(clip=True)
        .encode(
            x=x,
            x2="x2:Q",
            y=y,
            y2="y2:Q",
            color=alt.Color("error:Q", title="E", legend=alt.Legend(orient="right", gradientLength=160)),
            tooltip=[alt.Tooltip("error:Q", format=".4f")],
        )
    )
    walk = alt.Chart().transform_filter("datum.series != 'surface'").encode(x=x, y=y)
    colour = alt.Stroke(
        "series:N",
        title=None,
        scale=alt.Scale(domain=list(paths), range=["#e0562a", "#b0389a"]),
        legend=alt.Legend(orient="top", symbolType="stroke"),
    )
    lines = walk.mark_line(clip=True, strokeWidth=1.8).encode(stroke=colour, order="step:Q", detail="series:N")
    points = walk.mark_point(clip=True, filled=False, size=12, strokeWidth=1.2).encode(
        stroke=colour, tooltip=["series:N", "step:Q", alt.Tooltip("x:Q", title="w"), alt.Tooltip("y:Q", title="b")]
    )
    return layered(table, surface, lines, points, height=420)


_NOT_FROM_0 = alt.Scale(zero=False, nice=True)


def _lines_table(lines: Mapping[str, Sequence[float] | Floats]) -> pd.DataFrame:
    parts = [pd.DataFrame({"series": name, "x": np.arange(len(y)), "y": y}) for name, y in lines.items()]
    return pd.concat(parts, ignore_index=True)


def _named_lines(
    table: pd.DataFrame,
    series: tuple[str, ...],
    title: str,
    y: alt.Y,
    log: bool = False,
    behind: pd.DataFrame | None = None,
) -> alt.LayerChart:
    """A line for each series, its name at its end; behind them faint ones without a name."""
    parts = [table.assign(behind=False)] + ([] if behind is None else [behind.assign(behind=True)])
    table = pd.concat(parts, ignore_index=True)
    table = line_ends.with_names(table, "x", "y", "series", height=HEIGHT, log=log, among=series)
    x = line_ends.room(alt.X("x:Q", title=title, axis=alt.Axis(grid=False, tickMinStep=1, format="d")), series)
    colour = alt.Color("series:N", scale=alt.Scale(domain=list(series)), legend=None)
    base = alt.Chart().encode(x=x, y=y, color=colour).transform_filter("!datum.behind")
    others = alt.Chart().encode(x=x, y=y, detail="series:N").transform_filter("datum.behind")
    lines = base.mark_line(strokeWidth=2.2)
    tooltip = ["series:N", alt.Tooltip("x:Q", title=title), alt.Tooltip("y:Q", format=".4g")]
    points = base.mark_point(filled=True, size=26, opacity=0).encode(tooltip=tooltip)
    faint = others.mark_line(strokeWidth=1, color=FAINT)
    return layered(table, faint, lines, points, line_ends.names(base, "series"), height=HEIGHT)


def _points_on_lines(table: pd.DataFrame, x: alt.X | str, y: alt.Y) -> alt.LayerChart:
    """Rows of kind "form" are lines, those of kind "measured" points."""
    if isinstance(x, str):
        x = alt.X("x:Q", title=x, axis=alt.Axis(grid=False, tickMinStep=1))
    legend = alt.Legend(orient="top", columns=2, labelLimit=220)
    colour = alt.Color("series:N", title=None, scale=alt.Scale(domain=list(table["series"].unique())), legend=legend)
    base = alt.Chart().encode(x=x, y=y, color=colour)
    lines = base.transform_filter("datum.kind == 'form'").mark_line(strokeWidth=2, color=FAINT)
    points = base.transform_filter("datum.kind == 'measured'").mark_point(filled=True, size=70)
    return layered(
        table, lines, points.encode(tooltip=["series:N", "x:Q", alt.Tooltip("y:Q", format=".4g")]), height=HEIGHT
    )
