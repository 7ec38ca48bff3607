"""The settings of a synthetic task of the literature that is trained on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rnn_core.config.choices import TASKS, Choice, Choices
from rnn_core.config.fields import TASK, Settings, setting

MARKERS = Choices(
    {
        "halves": Choice("one in each half (Le et al. 2015)"),
        "early": Choice("both early (Hochreiter & Schmidhuber 1997)"),
    }
)

TASK_DEFAULTS: dict[str, Any] = {"schedule": "constant"}
"""Defaults of a training's settings on a task, where they are others than on a text: before a task is solved its loss
stays the same for thousands of steps, which is no reason to halve the learning rate."""

_UNUSED = "only {labels} can be set up so; choose that task, or leave the setting as it is."


@dataclass(frozen=True)
class TaskSettings(Settings):
    """A task and what can be set of it. `validate` refuses what makes no sense, with the reason."""

    task: str = setting(
        "temporal_order",
        label="Task",
        help="What is to be learnt: each task needs a memory over many steps.",
        group=TASK,
        basic=True,
        flag="--task",
        choices=TASKS,
        refusal="the task {value!r} is not known; choose one of {choices}.",
    )
    task_steps: int = setting(
        50,
        label="Steps of a sequence",
        help="T: how long one sequence is. Every step more is one more over which the gradient can vanish.",
        group=TASK,
        basic=True,
        flag="--task-steps",
        low=1,
        high=10_000,
        step=10,
        refusal="a sequence has from 1 to 10,000 steps.",
        only_with="task",
        refusal_if_unused=_UNUSED,
    )
    markers: str = setting(
        "halves",
        label="Marked numbers",
        help="Where the two numbers stand that are to be added.",
        group=TASK,
        flag="--markers",
        choices=MARKERS,
        refusal="the numbers to add are marked in one of the ways {choices}, not {value!r}.",
        only_with="task",
        refusal_if_unused=_UNUSED,
    )
    delay: int = setting(
        50,
        label="Delay",
        help="Blank steps between reading the symbols and repeating them.",
        group=TASK,
        basic=True,
        flag="--delay",
        low=1,
        high=10_000,
        step=10,
        refusal="the delay is from 1 to 10,000 steps.",
        only_with="task",
        refusal_if_unused=_UNUSED,
    )
    copied: int = setting(
        10,
        label="Symbols to copy",
        help="How many symbols are to be repeated.",
        group=TASK,
        flag="--copied",
        low=1,
        high=1000,
        refusal="from 1 to 1,000 symbols can be copied.",
        only_with="task",
        refusal_if_unused=_UNUSED,
    )
    alphabet: int = setting(
        8,
        label="Different symbols",
        help="How many kinds of symbols there are to copy.",
        group=TASK,
        flag="--alphabet",
        low=2,
        high=1000,
        refusal="the alphabet has from 2 to 1,000 symbols.",
        only_with="task",
        refusal_if_unused=_UNUSED,
    )
    signal_steps: int = setting(
        3,
        label="Steps of the signal",
        help="For how many steps at the start the bit is shown that is to be held.",
        group=TASK,
        flag="--signal-steps",
        low=1,
        high=10_000,
        refusal="the signal takes from 1 to 10,000 steps.",
        only_with="task",
        refusal_if_unused=_UNUSED,
    )
    noise: float = setting(
        0.2,
        label="Noise",
        help="Standard deviation of what is read after the signal, which is 1 or -1.",
        group=TASK,
        flag="--noise",
        low=0,
        step=0.1,
        refusal="the noise must be 0 or a number above 0.",
        only_with="task",
        refusal_if_unused=_UNUSED,
    )
    most_nouns: int = setting(
        4,
        label="Nouns in between",
        help="At most so many nouns stand between the subject and its verb.",
        group=TASK,
        flag="--most-nouns",
        low=0,
        high=100,
        refusal="from 0 to 100 nouns can stand between subject and verb.",
        only_with="task",
        refusal_if_unused=_UNUSED,
    )
    attractor_probability: float = setting(
        0.5,
        label="Attractors",
        help="With this probability a noun in between has the other number, and attracts the verb.",
        group=TASK,
        flag="--attractors",
        low=0,
        high=1,
        step=0.1,
        refusal="the probability of an attractor is from 0 to 1.",
        only_with="task",
        refusal_if_unused=_UNUSED,
    )
    validation_sequences: int = setting(
        2000,
        label="Sequences to validate on",
        help="How many sequences, always the same, tell how well it is learnt: with 2,000, an error of 1 % has a "
        "standard error of 0.2 %.",
        group=TASK,
        flag="--validation-sequences",
        low=1,
        high=1_000_000,
        step=1000,
        refusal="a task is validated on 1 to 1,000,000 sequences.",
    )
