"""The result of an experiment as one HTML file: the claim and its rule, ours beside the published, every seed."""

from __future__ import annotations

from xml.etree.ElementTree import Element

import numpy as np

from rnn_core.arrays import Array
from rnn_core.experiments.base import Picture, Trial
from rnn_core.experiments.results import VERDICTS, Result
from rnn_core.report.page import html, new_page, table
from rnn_core.report.svg import Plot, add

CLASSES = ("first", "second", "third")
FAINT, PUBLISHED = "faint", "published"


def result_html(result: Result) -> str:
    """The report as HTML."""
    experiment = result.experiment
    page, body = new_page(experiment.title)
    add(body, "p", result.facts, class_="facts")
    add(body, "p", experiment.claim, class_="verdict")
    _verdict(body, result)
    add(body, "p", f"Source: {experiment.source}.")
    if result.finished:
        add(body, "h2", "Here, beside the published")
        add(body, "p", f"{experiment.measures[0].upper()}{experiment.measures[1:]}.")
        _rows(body, result)
        if experiment.picture is not None:
            _picture(body, result, experiment.picture)
    add(body, "h2", "Settings")
    names = list(dict.fromkeys(name for given in experiment.settings.values() for name in given if name != "row"))
    every = [(setting, *(settings.get(name) for name in names)) for setting, settings in experiment.settings.items()]
    table(body, ("setting", *names), every)
    add(body, "h2", "How to repeat it")
    add(body, "pre", result.command)
    add(body, "p", f"Made with {', '.join(f'{name} {version}' for name, version in result.versions.items())}.")
    return html(page)


def _verdict(body: Element, result: Result) -> None:
    if not result.whole:
        add(
            body,
            "p",
            f"{len(result.finished)} of {result.total} trials are done; what follows is of these.",
            class_="note",
        )
        return
    verdict = VERDICTS[result.reproduced]
    rule = f" By its rule: {result.experiment.rule}" if result.experiment.rule else ""
    add(body, "p", f"{verdict[0].upper()}{verdict[1:]}.{rule}")


def _rows(body: Element, result: Result) -> None:
    """The mean of every row, what was published, and the number of each seed."""
    seeds: dict[str, list[str]] = {}
    for setting in result.experiment.settings:
        for trial in result.trials_of(setting):
            for name, value in trial.measured.items():
                seeds.setdefault(name, []).append(_figure(value))
    rows = [
        (
            row.setting,
            _figure(row.measured),
            "–" if row.published is None else f"{row.published:.5g}",
            ", ".join(seeds[row.setting]) if row.seeds > 1 else None,
        )
        for row in result.rows
    ]
    table(body, ("setting", "here", "published", "each seed"), rows)


def _figure(value: float | None) -> str:
    return "beyond" if value is None else f"{value:.4g}"


def _picture(body: Element, result: Result, picture: Picture) -> None:
    """A line for each seed; a setting's name stands at the end of its last one."""
    named = picture.names or {setting: setting for setting in result.experiment.settings}
    classes = dict(zip([*named, PUBLISHED], CLASSES, strict=False))
    lines = [
        (setting, *_curve(trial, picture))
        for setting in sorted(result.experiment.settings, key=lambda setting: setting in named)  # the faint ones behind
        for trial in result.trials_of(setting)
    ]
    if picture.published:
        lines.append((PUBLISHED, np.arange(len(picture.published)), np.array(picture.published)))
    values = np.concatenate([y for _, _, y in lines])
    values = values[np.isfinite(values) & ((values > 0) | (not picture.log))]
    if not len(values):
        return
    across, up = picture.titles
    add(body, "h2", f"{up[0].upper()}{up[1:]} over the {across}")
    low, high = float(values.min()), float(values.max())
    last = max(float(x[-1]) for _, x, _ in lines if len(x))
    described = f"{up} over the {across}, a line for each seed"
    plot = Plot(body, described, (0.0, last), (low, high), titles=picture.titles, log=picture.log)
    ends = {}
    for setting, x, y in lines:
        # An error of exactly 0 has no place on a logarithm's axis: it stands at the foot.
        y = np.maximum(y, low)
        plot.line(x, y, classes.get(setting, FAINT))
        if setting in classes and np.isfinite(y).any():
            ends[setting] = float(y[np.isfinite(y)][-1])
    plot.names([(end, named.get(setting, setting), classes[setting]) for setting, end in ends.items()])


def _curve(trial: Trial, picture: Picture) -> tuple[Array, Array]:
    y = np.asarray(trial.curves.get(picture.y, ()), dtype=float)
    x = np.asarray(trial.curves.get(picture.x, ()), dtype=float) if picture.x else np.arange(len(y))
    return x[: len(y)], y[: len(x)]  # as far as a stranger's file has both
