"""What a page shows, as lines of Python that run as they stand.

Whatever a user has written (sentences, prompts, folders) stands in them as Python's own quotation of it, and nowhere
else.
"""

from __future__ import annotations

from collections.abc import Sequence

from dashboard import hosting
from rnn_core.config import SamplingSettings, Settings
from rnn_core.runs import Run
from rnn_core.training import BY_HAND, SettingChanged


def training(run: Run) -> str:
    """Train page: its curves, and the same training once more, with every change that was made by hand."""
    lines = [
        "from rnn_core.runs import Run",
        "",
        *_opened(run),
        "curves = run.metrics()",
        'print("recorded", curves["step"][-1:], curves["loss_nats"][-1:], curves["gradient_norm"][-1:])',
    ]
    if run.config.forked is not None:
        return _joined(lines)  # It began with another one's weights.
    make, kind = ("new_model", "ModelConfig") if run.config.task is None else ("new_network", "NetworkConfig")
    changes = _changes_by_hand(run)
    steering = [
        "    for setting, value in changes.pop(state.step, {}).items():",
        f"        state.change(setting, value, {BY_HAND!r})",
    ]
    return _joined(
        [
            f"from rnn_core import {kind}, TrainingSettings, train",
            *lines[:1],
            f"from rnn_core.training import StepDone, TrainingState, {make}",
            *lines[1:],
            "",
            *_call("config", kind, run.config.model),
            *_call("settings", "TrainingSettings", run.config.training),
            *(
                ["changes = {", *(f"    {step}: {values!r}," for step, values in changes.items()), "}"]
                if changes
                else []
            ),
            f"model = {make}(config, settings)",
            "state = TrainingState.fresh(model, settings, run.config.plan())",
            "for event in train(model, run.source(), settings, state):",
            "    if isinstance(event, StepDone):",
            "        print(event.step, event.loss_nats, event.gradient_norm)",
            *(steering if changes else []),
        ]
    )


def gradients(run: Run, step: int, words: Sequence[str], chosen: int) -> str:
    """Gradients page: the flow of one sentence (without <s> and </s>) in the weights of `step`, and what of the loss
    at position `chosen`, from 0, arrives at each word.
    """
    return _joined(
        [
            "from rnn_core import gradient_flow",
            "from rnn_core.runs import Run",
            "",
            *_opened(run),
            f"model = run.load_model({step})",
            f"words = {list(words)!r}",
            "ids = run.vocabulary().encode_sentence(words)",
            "flow = gradient_flow(model, ids[:-1], ids[1:])",
            "print(flow.half_life, flow.losses_nats.mean(), flow.full_gradient_norm)",
            f'for word, norm in zip(["<s>", *words], flow.delta_norms[{chosen}, : {chosen + 1}]):',
            "    print(word, norm)",
        ]
    )


def gradients_of_task(run: Run, step: int, number: int, chosen: int) -> str:
    """The same of a task's sequence `number`, from 0, in the place of a sentence."""
    return _joined(
        [
            "from rnn_core import gradient_flow",
            "from rnn_core.data.tasks import make_task",
            "from rnn_core.randomness import stream",
            "from rnn_core.runs import Run",
            "",
            *_opened(run),
            f"model, task = run.load_network({step}).model, make_task(run.config.task)",
            f'batch = task.draw(1, stream({number}, f"task {{task.name}} shown"))',
            "flow = gradient_flow(model, batch.inputs, batch.targets, loss_weights=batch.loss_weights)",
            "print(flow.half_life, flow.losses_nats.sum() / flow.mask.sum(), flow.full_gradient_norm)",
            f"for name, norm in zip(task.input_names(batch, 0), flow.delta_norms[{chosen}, : {chosen + 1}]):",
            "    print(name, norm)",
        ]
    )


def generation(run: Run, step: int, prompt: str, count: int, settings: SamplingSettings, seed: int) -> str:
    """Generate page: the sentences that the weights of `step` write with this seed."""
    return _joined(
        [
            "from rnn_core.config import SamplingSettings",
            "from rnn_core.runs import Run",
            "from rnn_core.training import generate, sentences_of",
            "",
            *_opened(run),
            f"model, vocabulary = run.load_model({step}), run.vocabulary()",
            *_call("settings", "SamplingSettings", settings),
            f"tokens = generate(model, vocabulary, {prompt!r}, {count}, settings, {seed})",
            "for sentence in sentences_of(tokens, vocabulary.unit):",
            "    print(sentence)",
        ]
    )


def _opened(run: Run) -> list[str]:
    """From where it lies; on a server of strangers from where its zip unpacks to."""
    if hosting.current_caps() is None:
        return [f"run = Run.open({str(run.folder)!r})"]
    return [f"run = Run.open({run.id!r})  # the folder in the zip that the Runs page gives"]


def _changes_by_hand(run: Run) -> dict[int, dict[str, object]]:
    """By step: what was changed after it, and to what."""
    changes: dict[int, dict[str, object]] = {}
    for change in run.recorded(SettingChanged).values():
        if change.why == BY_HAND:
            changes.setdefault(change.step, {})[change.setting] = change.new
    return changes


def _call(name: str, kind: str, settings: Settings) -> list[str]:
    """`name` = `kind`(…) with what differs from the defaults."""
    return [f"{name} = {kind}(", *(f"    {key}={value!r}," for key, value in settings.changed().items()), ")"]


def _joined(lines: Sequence[str]) -> str:
    return "\n".join(lines) + "\n"
