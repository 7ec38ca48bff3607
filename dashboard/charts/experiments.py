"""Experiments of the literature: what came out here, beside what was published or what a closed form says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import altair as alt
import numpy as np
import numpy.typing as npt
import pandas as pd

from dashboard.charts import line_ends
from dashboard.charts.common import FAINT, SHORT, logarithmic
from dashboard.charts.specification import plottable, specification, stacked

Floats = npt.NDArray[np.floating]
HEIGHT = 320
OURS, THEIRS = "here", "published"


def course_table(courses: Mapping[str, Sequence[tuple[Sequence[float], Sequence[float]]]]) -> pd.DataFrame:
    """By setting, for each seed (updates, errors) -> long table (setting, line, x, y, seed)."""
    parts = [
        pd.DataFrame({"setting": setting, "line": f"{setting} {seed}", "x": updates, "y": errors, "seed": seed})
        for setting, trials in courses.items()
        for seed, (updates, errors) in enumerate(trials)
    ]
    table = pd.concat(parts, ignore_index=True)
    # An error of exactly 0 has no place on a logarithm's axis.
    return table.assign(y=table["y"].clip(lower=1e-4))


@specification
def course_chart(settings: tuple[str, ...], metric: str) -> alt.LayerChart:
    """The error over the updates, a thin line for each seed of each setting."""
    base = alt.Chart().encode(
        x=alt.X("x:Q", title="updates", axis=alt.Axis(grid=False, labelExpr=SHORT)), y=logarithmic("y", metric)
    )
    colour = alt.Color(
        "setting:N",
        title=None,
        scale=alt.Scale(domain=list(settings)),
        legend=alt.Legend(orient="top", symbolType="stroke", columns=2),
    )
    # Settings that learn nothing have the same course: the dashes let the one beneath be seen.
    dashes = alt.Scale(domain=list(settings), range=[[1, 0], [1, 0], [5, 5]])
    dash = alt.StrokeDash("setting:N", scale=dashes, legend=None)
    tooltip = [
        "setting:N",
        "seed:Q",
        alt.Tooltip("x:Q", title="updates"),
        alt.Tooltip("y:Q", title=metric, format=".4f"),
    ]
    lines = base.mark_line(strokeWidth=1.6, opacity=0.8).encode(color=colour, strokeDash=dash, detail="line:N")
    points = base.mark_point(filled=True, size=22, opacity=0).encode(color=colour, tooltip=tooltip)
    return stacked(lines, points, height=HEIGHT)


def learning_curve_table(
    ours: Sequence[float], published: Sequence[float], others: Sequence[Sequence[float]]
) -> pd.DataFrame:
    """Losses by epoch, from 0, in nats; others: from other first weights, faint."""
    behind = _lines_table({f"first weights {number}": losses for number, losses in enumerate(others, start=2)})
    return _named(_lines_table({OURS: ours, THEIRS: published}), behind)


@specification
def learning_curve_chart() -> alt.LayerChart:
    """What was measured beside what was published."""
    return _named_lines((OURS, THEIRS), "epochs", alt.Y("y:Q", title="loss (nats per word)", scale=_NOT_FROM_0))


def attractor_table(errors: pd.DataFrame) -> pd.DataFrame:
    """errors: (x attractors, y wrong answers in per cent, series the network, seed) -> their means, and themselves."""
    means = errors.groupby(["series", "x"], sort=False)["y"].mean().reset_index()
    table = line_ends.with_names(means, "x", "y", "series", height=HEIGHT, domain=(0, 100))
    return pd.concat([table.assign(kind="mean"), errors.assign(kind="seed")], ignore_index=True)


@specification
def attractor_chart(series: tuple[str, ...]) -> alt.LayerChart:
    """Each network's mean as a line, and its seeds as points."""
    x = alt.X("x:Q", title="attractors", scale=_NOT_FROM_0, axis=alt.Axis(grid=False, tickMinStep=1, format="d"))
    y = alt.Y("y:Q", title="wrong answers (%)", scale=alt.Scale(domain=[0, 100]))
    colour = alt.Color("series:N", scale=alt.Scale(domain=list(series)), legend=None)
    base = alt.Chart().encode(x=line_ends.room(x, series), y=y, color=colour)
    mean = base.transform_filter("datum.kind == 'mean'")
    seeds = base.transform_filter("datum.kind == 'seed'").mark_point(filled=True, size=34, opacity=0.55)
    tooltip = ["series:N", "seed:Q", alt.Tooltip("x:Q", title="attractors"), alt.Tooltip("y:Q", format=".3g")]
    return stacked(
        mean.mark_line(strokeWidth=2.2),
        seeds.encode(tooltip=tooltip),
        line_ends.names(mean, "series"),
        height=HEIGHT,
    )


def film_table(norms: Mapping[str, Floats]) -> pd.DataFrame:
    """By network: (lags,) the gradient's norm -> long table (series, x, y), shares of the norm at lag 0."""
    table = _lines_table({name: values / values[0] for name, values in norms.items()})
    return _named(plottable(table, "y"), log=True)


@specification
def film_chart(networks: tuple[str, ...]) -> alt.LayerChart:
    """The fall of the gradient over the steps back, log axis."""
    return _named_lines(networks, "steps back", logarithmic("y", "share of the gradient left"))


def points_on_lines_table(measured: pd.DataFrame, x: Floats, forms: Mapping[str, Floats]) -> pd.DataFrame:
    """measured: (x, y, series); forms: by series (n,) over `x` (n,) -> long table (x, y, series, kind)."""
    lines = [pd.DataFrame({"x": x, "y": values, "series": name, "kind": "form"}) for name, values in forms.items()]
    return pd.concat([*lines, measured.assign(kind="measured")], ignore_index=True)


@specification
def half_life_chart(series: tuple[str, ...]) -> alt.LayerChart:
    """The half-life over the bias, measured and by its closed form, log axis."""
    x = alt.X("x:Q", title="bias of the forget gates", axis=alt.Axis(grid=False, tickMinStep=1))
    return _points_on_lines(series, x, logarithmic("y", "half-life (steps back)"))


@specification
def sensitivity_chart(series: tuple[str, ...]) -> alt.LayerChart:
    """The mean square over the memory 1/(1-lambda), measured and by its closed forms, both axes log."""
    axis = alt.X(
        "x:Q",
        title="memory in steps, 1/(1 − λ)",
        scale=alt.Scale(type="log", nice=False),
        axis=alt.Axis(grid=False, values=[1, 2, 5, 10, 20, 50, 100]),
    )
    return _points_on_lines(series, axis, logarithmic("y", "mean of the square"))


def cliff_table(w: Floats, b: Floats, error: Floats, paths: Mapping[str, tuple[Floats, Floats]]) -> pd.DataFrame:
    """error (m, n) over w (n,) and b (m,), evenly spaced; paths: by name (w, b) of a descent, the start first -> the
    cells of the surface (x, x2, y, y2, error) and the steps of the descents (series, step, x, y).
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
    walks = [
        pd.DataFrame({"series": name, "step": np.arange(len(path_w)), "x": path_w, "y": path_b})
        for name, (path_w, path_b) in paths.items()
    ]
    return pd.concat([cells, *walks], ignore_index=True)


def window(places: Floats) -> tuple[float, float]:
    """Of an axis with a cell around each of these places (n,), evenly spaced."""
    half = (places[1] - places[0]) / 2
    return float(places[0] - half), float(places[-1] + half)


@specification
def cliff_chart(w: tuple[float, float], b: tuple[float, float], paths: tuple[str, ...]) -> alt.LayerChart:
    """The error's surface, and descents on it. What leaves the windows `w` and `b` is cut off at their edge."""
    x = alt.X("x:Q", title="w", scale=alt.Scale(domain=list(w), nice=False), axis=alt.Axis(grid=False))
    y = alt.Y("y:Q", title="b", scale=alt.Scale(domain=list(b), nice=False), axis=alt.Axis(grid=False))
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
    return stacked(surface, lines, points, height=420)


_NOT_FROM_0 = alt.Scale(zero=False, nice=True)


def _lines_table(lines: Mapping[str, Sequence[float] | Floats]) -> pd.DataFrame:
    parts = [pd.DataFrame({"series": name, "x": np.arange(len(y)), "y": y}) for name, y in lines.items()]
    return pd.concat(parts, ignore_index=True)


def _named(lines: pd.DataFrame, behind: pd.DataFrame | None = None, *, log: bool = False) -> pd.DataFrame:
    """The table of `_named_lines`, of the lines in front and those behind."""
    parts = [lines.assign(behind=False)] + ([] if behind is None else [behind.assign(behind=True)])
    among = list(lines["series"].unique())
    table = pd.concat(parts, ignore_index=True)
    return line_ends.with_names(table, "x", "y", "series", height=HEIGHT, log=log, among=among)


def _named_lines(series: tuple[str, ...], title: str, y: alt.Y) -> alt.LayerChart:
    """A line for each series, its name at its end; behind them faint ones without a name."""
    x = line_ends.room(alt.X("x:Q", title=title, axis=alt.Axis(grid=False, tickMinStep=1, format="d")), series)
    colour = alt.Color("series:N", scale=alt.Scale(domain=list(series)), legend=None)
    base = alt.Chart().encode(x=x, y=y, color=colour).transform_filter("!datum.behind")
    others = alt.Chart().encode(x=x, y=y, detail="series:N").transform_filter("datum.behind")
    lines = base.mark_line(strokeWidth=2.2)
    tooltip = ["series:N", alt.Tooltip("x:Q", title=title), alt.Tooltip("y:Q", format=".4g")]
    points = base.mark_point(filled=True, size=26, opacity=0).encode(tooltip=tooltip)
    faint = others.mark_line(strokeWidth=1, color=FAINT)
    return stacked(faint, lines, points, line_ends.names(base, "series"), height=HEIGHT)


def _points_on_lines(series: tuple[str, ...], x: alt.X, y: alt.Y) -> alt.LayerChart:
    """Rows of kind "form" are lines, those of kind "measured" points."""
    legend = alt.Legend(orient="top", columns=2, labelLimit=220)
    colour = alt.Color("series:N", title=None, scale=alt.Scale(domain=list(series)), legend=legend)
    base = alt.Chart().encode(x=x, y=y, color=colour)
    lines = base.transform_filter("datum.kind == 'form'").mark_line(strokeWidth=2, color=FAINT)
    points = base.transform_filter("datum.kind == 'measured'").mark_point(filled=True, size=70)
    return stacked(lines, points.encode(tooltip=["series:N", "x:Q", alt.Tooltip("y:Q", format=".4g")]), height=HEIGHT)
