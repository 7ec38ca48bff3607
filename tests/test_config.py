"""A setting is declared once: what is declared holds, and every reader has it from there."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnn_core.cli.main import make_parser
from rnn_core.cli.parser import read_settings
from rnn_core.config import (
    CELLS,
    INITIALISATIONS,
    OPTIMIZERS,
    SCHEDULES,
    ModelConfig,
    SamplingSettings,
    Settings,
    TaskSettings,
    TextSettings,
    TrainingSettings,
    check,
    problems,
    settings_of,
    unused_settings,
)
from rnn_core.config.fields import GROUPS, Setting
from rnn_core.config.page import settings_page
from rnn_core.errors import SettingsError
from rnn_core.nn.cells import make_cell
from rnn_core.nn.initialisation import recurrent_block
from rnn_core.optim import optimizers
from rnn_core.optim.schedules import make_schedule

CLASSES: tuple[type[Settings], ...] = (
    TextSettings,
    TaskSettings,
    ModelConfig,
    TrainingSettings,
    SamplingSettings,
)
EVERY = [pytest.param(part, name, id=f"{part.__name__}.{name}") for part in CLASSES for name in settings_of(part)]


def declared(part: type[Settings], name: str) -> Setting:
    return settings_of(part)[name]


def another_value(setting: Setting) -> Any:
    """A value that is allowed and is not the default."""
    if setting.kind is bool:
        return not setting.default
    if setting.choices is not None:
        return next(name for name in setting.choices if name != setting.default)
    if setting.kind is str:
        return "something"
    candidates = (3, 7, 0.25) if setting.kind is float else (3, 7, 40)
    return next(value for value in candidates if setting.allows(value) and value != setting.default)


def out_of_bounds(setting: Setting) -> list[Any]:
    """The nearest values beyond each bound."""
    step = 1 if setting.kind is int else 1e-9
    found: list[Any] = [setting.low - step] if setting.low is not None else []
    found += [setting.high + step] if setting.high is not None else []
    found += [bound for bound in (setting.above, setting.below) if bound is not None]
    found += [10**400] if setting.kind in (int, float) else []  # which no float can be
    return found + ([math.nan, math.inf, -math.inf] if setting.kind is float else [])


@pytest.mark.parametrize(("part", "name"), EVERY)
def test_a_setting_has_its_words_and_its_group(part: type[Settings], name: str) -> None:
    setting = declared(part, name)
    assert setting.label
    assert setting.help.endswith(".")
    assert "\n" not in setting.help
    assert setting.group in GROUPS
    assert setting.fits(setting.default)
    assert setting.allows(setting.default)


@pytest.mark.parametrize(("part", "name"), EVERY)
def test_what_is_out_of_bounds_is_refused_in_the_settings_own_words(part: type[Settings], name: str) -> None:
    setting = declared(part, name)
    wrong = ["no such name"] if setting.choices is not None else out_of_bounds(setting)
    if not wrong:
        assert setting.kind in (bool, str)
    for value in wrong:
        reasons = problems(part(**{name: value}))
        assert reasons[name] == setting.refusal.format(value=value, choices=", ".join(setting.choices or ()))
        assert reasons[name].endswith(".")
        with pytest.raises(SettingsError):
            part.from_json({name: value})


@pytest.mark.parametrize(("part", "name"), EVERY)
def test_a_bound_itself_is_allowed(part: type[Settings], name: str) -> None:
    setting = declared(part, name)
    for bound in (setting.low, setting.high):
        if bound is not None:
            assert setting.allows(setting.kind(bound))


@pytest.mark.parametrize(("part", "name"), EVERY)
def test_another_type_is_refused_by_name(part: type[Settings], name: str) -> None:
    setting = declared(part, name)
    for value in ({}, [], "7" if setting.kind is not str else 7, 1.5 if setting.kind is int else {}):
        with pytest.raises(SettingsError, match=f"'{name}' should be of type"):
            part.from_json({name: value})


@pytest.mark.parametrize("part", [ModelConfig, TrainingSettings, SamplingSettings])
def test_numpys_numbers_are_numbers(part: type[Settings]) -> None:
    for name, setting in settings_of(part).items():
        if setting.kind in (int, float) and setting.default is not None:
            number = np.int64(setting.default) if setting.kind is int else np.float32(setting.default)
            assert name not in problems(part(**{name: number}))


@pytest.mark.parametrize(
    ("part", "name"),
    [pytest.param(part, name, id=name) for part in CLASSES for name in settings_of(part) if declared(part, name).flag],
)
def test_every_flag_reaches_its_setting(part: type[Settings], name: str) -> None:
    setting = declared(part, name)
    value = another_value(setting)
    command = ["generate", "DIR"] if part is SamplingSettings else ["train", "CORPUS", "--run", "DIR"]
    given = [setting.flag] if setting.kind is bool else [setting.flag, str(value)]
    parser = make_parser()
    assert getattr(read_settings(part, parser.parse_args(command)), name) == setting.default
    assert getattr(read_settings(part, parser.parse_args([*command, *given])), name) == value
    if setting.none:
        assert getattr(read_settings(part, parser.parse_args([*command, setting.flag, setting.none])), name) is None


def test_no_two_settings_have_one_flag() -> None:
    flags = [setting.flag for part in CLASSES for setting in settings_of(part).values() if setting.flag]
    assert len(flags) == len(set(flags))


def test_one_seed_and_one_vocabulary_are_asked_for_and_reach_both() -> None:
    options = make_parser().parse_args(["train", "CORPUS", "--run", "DIR", "--seed", "5", "--vocabulary", "70"])
    text, model, training = (read_settings(part, options) for part in (TextSettings, ModelConfig, TrainingSettings))
    assert (text.seed, training.seed) == (5, 5)
    assert (text.vocabulary_size, model.vocabulary_size) == (70, 70)


def test_each_of_two_that_share_a_name_keeps_its_own_bounds() -> None:
    assert problems(TextSettings(vocabulary_size=3), ModelConfig(vocabulary_size=3)) == {
        "vocabulary_size": declared(TextSettings, "vocabulary_size").refusal
    }


def test_steps_take_the_place_of_epochs_and_both_are_refused() -> None:
    parser = make_parser()
    options = parser.parse_args(["train", "CORPUS", "--run", "DIR", "--steps", "9"])
    training = read_settings(TrainingSettings, options)
    assert (training.steps, training.epochs) == (9, None)
    for rivals in (["--steps", "9", "--epochs", "3"], ["--chrono", "9", "--forget-bias", "3"]):
        with pytest.raises(SettingsError, match="not allowed with"):
            parser.parse_args(["train", "CORPUS", "--run", "DIR", *rivals])


def test_every_problem_is_told_not_only_the_first() -> None:
    reasons = problems(ModelConfig(hidden_size=0, layers=9), TrainingSettings(epochs=0))
    assert reasons == {
        "hidden_size": "the network needs at least 1 hidden unit.",
        "layers": "the network can have 1 to 3 layers, not 9.",
        "epochs": "train for at least 1 epoch.",
    }


def test_a_rule_between_a_network_and_its_training_is_asked_where_both_are_at_hand() -> None:
    training = TrainingSettings(omega=1.0)
    check(training)
    check(ModelConfig(), training)
    with pytest.raises(SettingsError, match="Omega is defined for the plain recurrent network"):
        check(ModelConfig(cell="gru"), training)


@pytest.mark.parametrize(
    ("model", "training", "idle"),
    [
        (
            {},
            {},
            {
                *("forget_bias", "chrono", "gru_reset", "init_scale", "embedding_init"),
                *("sequence_length", "warmup_steps"),
            },
        ),
        (
            {"cell": "lstm", "embedding_size": 9},
            {"schedule": "cosine", "clip": None},
            {"gru_reset", "init_scale", "sequence_length", "omega", "clip_mode"},
        ),
        (
            {"cell": "lstm", "chrono": 9, "init": "spectral"},
            {"batching": "stream", "steps": 5},
            {"forget_bias", "gru_reset", "embedding_init", "warmup_steps", "omega", "epochs"},
        ),
    ],
)
def test_what_has_no_effect_is_known(model: dict[str, Any], training: dict[str, Any], idle: set[str]) -> None:
    assert unused_settings(ModelConfig(**model), TrainingSettings(**training)) == idle


def test_the_cells_that_have_a_setting_are_named_where_it_is_set_without_effect() -> None:
    for name in ("chrono", "gru_reset"):
        value = another_value(declared(ModelConfig, name))
        for cell in CELLS:
            config = ModelConfig(**{"cell": cell, name: value})
            assert (name in problems(config)) == (cell not in CELLS.having(name))


def test_every_name_that_is_offered_is_one_that_works() -> None:
    rng = np.random.default_rng(0)
    for name in CELLS:
        assert make_cell(name).name == name
    for name in INITIALISATIONS:
        assert recurrent_block(name, 3, 1.0, rng).shape == (3, 3)
    for name in SCHEDULES:
        assert make_schedule(name, 0.1, 10).learning_rate(3) > 0
    assert list(OPTIMIZERS) == list(optimizers.OPTIMIZERS)
    for name, optimizer in optimizers.OPTIMIZERS.items():
        assert TrainingSettings(optimizer=name).initial_learning_rate == optimizer.default_learning_rate


def test_the_page_of_settings_is_up_to_date() -> None:
    page = Path(__file__).parents[1] / "docs" / "settings.md"
    assert page.read_text(encoding="utf-8") == settings_page(), "run `python -m rnn_core.config docs/settings.md`"
