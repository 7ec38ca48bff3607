"""`units`: which units of a network follow something in a text, and what the network loses without them."""

from __future__ import annotations

import argparse
import sys
from typing import Any

import numpy as np
from tqdm import tqdm

from rnn_core.arrays import Array
from rnn_core.cli.corpus import add_file_flags, file_settings, sentences_of_file
from rnn_core.cli.output import finite, one_line, print_status, refresh_seconds, show
from rnn_core.cli.parser import Commands
from rnn_core.cli.weights import load_weights, weights_json
from rnn_core.data import Vocabulary, detokenize
from rnn_core.diagnostics import (
    FEATURES,
    Carriers,
    Ranking,
    ablation_cost,
    agreement_question,
    carriers,
    ends,
    features_of,
    rank_units,
    read_tokens,
    strongest_places,
    text_losses,
    unit_series,
)
from rnn_core.errors import CorpusError
from rnn_core.nn.language_model import LanguageModel
from rnn_core.runs import Run

SHOWN, SHOWN_OF_ONE = 3, 10
"""Units listed for each feature; for the only one, with --follow."""

ABLATED = 3
"""Units whose ablation is measured, with --follow."""

PLACES = 8
"""Places listed at which the best unit is strongest."""

CONTEXT = 40
"""Characters, or a fifth as many words, that are shown before a place."""


def add(commands: Commands) -> None:
    """Add the command."""
    help = "which units of a network follow something in a text (layers and units count from 0)"
    parser = commands.add("units", units_command, help)
    parser.add_argument("run", metavar="DIR")
    parser.add_argument("text", metavar="TEXT", help="a .txt, .csv or .jsonl file")
    parser.add_argument("--follow", choices=tuple(FEATURES), help="look at one thing alone, and closer (all)")
    add_file_flags(parser)


def units_command(options: argparse.Namespace) -> int:
    """The units that follow each feature best; with --follow, their strongest places and what is lost without them."""
    run = Run.open(options.run)
    text = file_settings(run.config.text, options)
    vocabulary = run.vocabulary()
    sentences = sentences_of_file(options.text, text, vocabulary)
    carried = run.config.training.batching == "stream"
    tokens = read_tokens(vocabulary, sentences, lines=carried and text.sentences == "lines")
    features = features_of(tokens)
    names = tuple(FEATURES) if options.follow is None else (options.follow,)
    if not any(name in features for name in names):
        what = FEATURES[options.follow].label if options.follow else "what a unit could follow"
        raise CorpusError(f"{what} is the same all over this text, or in one half of it; choose another text.")
    weights = load_weights(run)
    with tqdm(total=100, unit="%", leave=False, mininterval=refresh_seconds(), file=sys.stderr) as bar:
        rankings = rank_units(
            weights.model,
            sentences,
            carried,
            {name: features[name] for name in names if name in features},
            progress=lambda share: bar.update(round(100 * share) - bar.n),
        )
    values: dict[str, Any] = {"tokens": len(tokens), "features": {}}
    lines = [f"{len(tokens):,} tokens; r: correlation on the first half of them, held out: on the second; *: follows"]
    for name in names:
        if name not in rankings:
            lines += ["", f"{FEATURES[name].label}: the same all over this text, or in one half of it."]
            continue
        found, more = _of_feature(name, rankings[name], SHOWN if options.follow is None else SHOWN_OF_ONE)
        values["features"][name] = found
        lines += ["", *more]
    if options.follow is not None:
        found, more = _ablation_and_places(
            weights.model, vocabulary, sentences, carried, tokens, features, options.follow, rankings
        )
        values |= found
        lines += more
    if options.follow == "agreement":
        try:
            found, more = _subject_carriers(carriers(weights.model, agreement_question(vocabulary, sentences)))
            values |= found
            lines += more
        except CorpusError as problem:
            print_status(f"note: {problem}")
    values |= weights_json(weights)
    show(options, values, lines)
    return 0


def _of_feature(name: str, ranking: Ranking, count: int) -> tuple[dict[str, Any], list[str]]:
    """The best units for one feature, and a sentence where none of them follows it."""
    rows = []
    for place in ranking.top(count):
        numbers = (ranking.correlation, ranking.held_out, ranking.p_value)
        correlation, held_out, p_value = (float(column[place]) for column in numbers)
        follows = bool(ranking.follows[place])
        unit = ranking.units[place]._asdict()
        rows.append({**unit, "correlation": correlation, "held_out": held_out, "p_value": p_value, "follows": follows})
    label = FEATURES[name].label
    lines = [f"{label}:"]
    if not any(row["follows"] for row in rows):
        lines = [f"{label}: no unit follows it, for all that chance and the second half of the text say. The nearest:"]
    lines.append(f"{'layer':>7s} {'unit':>5s}  {'signal':10s} {'r':>6s} {'held out':>9s} {'p':>6s}")
    lines += [
        f"{row['layer']:7d} {row['number']:5d}  {row['signal']:10s} {row['correlation']:6.2f} {row['held_out']:9.2f} "
        f"{row['p_value']:6.3f}" + (" *" if row["follows"] else "")
        for row in rows
    ]
    return {"label": label, "followed": any(row["follows"] for row in rows), "units": rows}, lines


def _ablation_and_places(
    model: LanguageModel,
    vocabulary: Vocabulary,
    sentences: list[Array],
    carried: bool,
    tokens: list[str],
    features: dict[str, Array],
    name: str,
    rankings: dict[str, Ranking],
) -> tuple[dict[str, Any], list[str]]:
    """What the loss becomes without each of the best units, and where the best is strongest."""
    ranking, ending = rankings[name], ends(features[name])
    top = ranking.top(ABLATED)
    losses = text_losses(model, sentences, carried)
    lines = ["", "with h of the unit held at its mean the loss rises, in nats, where this ends and elsewhere:"]
    ablations = []
    for place in top:
        unit = ranking.units[place]
        cost = ablation_cost(model, sentences, carried, (unit.layer, unit.number), ending, losses)
        at_ends, elsewhere = finite(cost.at_ends), finite(cost.elsewhere)
        ablations.append({"layer": unit.layer, "number": unit.number, "at_ends": at_ends, "elsewhere": elsewhere})
        lines.append(f"{unit.layer:7d} {unit.number:5d} {cost.at_ends:9.4f} {cost.elsewhere:9.4f}")
    best = ranking.units[top[0]]
    series = unit_series(model, sentences, carried, [best])[:, 0]
    sense = np.sign(ranking.correlation[top[0]]) or 1.0
    before = CONTEXT if vocabulary.unit == "char" else CONTEXT // 5
    places = []
    lines += ["", f"where {best.signal} of unit {best.number} is {'largest' if sense > 0 else 'smallest'}:"]
    for place in strongest_places(sense * series, PLACES).tolist():
        context = detokenize(tokens[max(0, place - before) : place + 1], vocabulary.unit)
        places.append({"place": place, "value": float(series[place]), "text": context})
        lines.append(f"{series[place]:9.3f}  … {one_line(context)}")
    return {"ablation": ablations, "places": places, "ends": int(ending.sum())}, lines


def _subject_carriers(found: Carriers) -> tuple[dict[str, Any], list[str]]:
    """Which unit carries the subject to the word that must agree with it, and the share of right answers without each
    unit.
    """
    best = found.ranking.units[0]
    missed = sorted(found.without.items(), key=lambda item: item[1])
    over_gap = ", ".join(f"{correlation:.2f}" for correlation in found.over_gap)
    lines = [
        "",
        f"{best.signal} of unit {best.number} tells the kind of the subject apart, word by word after it: r {over_gap}",
        f"right answers: {found.accuracy:.1%}; without the units that are missed most:",
        *(f"{layer:7d} {number:5d} {accuracy:8.1%}" for (layer, number), accuracy in missed[:ABLATED]),
    ]
    without = [{"layer": layer, "number": number, "accuracy": accuracy} for (layer, number), accuracy in missed]
    values = {
        **best._asdict(),
        "held_out": float(found.ranking.held_out[0]),
        "p_value": float(found.ranking.p_value[0]),
        "over_gap": found.over_gap.tolist(),
        "accuracy": found.accuracy,
        "without": without,
    }
    return {"carriers": values}, lines
