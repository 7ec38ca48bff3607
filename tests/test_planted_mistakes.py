"""A test of the tests: mistakes are planted in rnn_core, one at a time, and its own tests must catch each of them.

Every entry of MISTAKES replaces one piece of real source text, runs a real test of this folder on the package so
changed, and expects an AssertionError (not a crash: these are mistakes that nobody would notice). When a line named
here is rewritten, the entry fails and says so: put the new text of that line into the table.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, NamedTuple

import numpy as np
import pytest

import rnn_core

PACKAGE, TESTS = Path(rnn_core.__file__).parent, Path(__file__).parent


class Witness(NamedTuple):
    """A test of this folder, called with these arguments."""

    file: str
    test: str
    arguments: tuple[Any, ...] = ()


class Mistake(NamedTuple):
    """In rnn_core/`file`, `right` (which must stand there exactly once) becomes `wrong`."""

    what: str
    file: str
    right: str
    wrong: str
    witness: Witness


def complex_step(cell: str, gru_reset: str = "after", layers: int = 1, mask: str | None = None) -> Witness:
    name = "test_every_gradient_is_the_derivative_of_the_loss"
    return Witness("test_gradients", name, (cell, gru_reset, layers, mask))


def truncated_complex_step(cell: str, layers: int = 1, truncate: int = 1) -> Witness:
    name = "test_truncation_freezes_everything_further_back_than_k_steps"
    return Witness("test_gradients", name, (cell, "after", layers, truncate))


def dropped_complex_step(layers: int = 1, variational: bool = False) -> Witness:
    name = "test_dropout_is_dropped_on_the_way_back_too"
    return Witness("test_gradients", name, ("tanh", "after", layers, variational))


def textbook(cell: str, gru_reset: str = "after") -> Witness:
    return Witness("test_cells", "test_the_forward_pass_is_the_textbooks", (cell, gru_reset, None))


def published_rule(optimizer: str, decay: float = 0.0) -> Witness:
    return Witness("test_optimizers", "test_a_rule_does_to_every_number_what_its_paper_says", (optimizer, decay))


MISTAKES = [
    # The cells.
    Mistake(
        "a wrong transposition",
        "nn/cells/simple.py",
        "        return weights.masked(delta @ weights.W)[None]\n",
        "        return weights.masked(delta @ weights.W_T[0])[None]\n",
        complex_step("tanh"),
    ),
    Mistake(
        "a dropped term: c does not act through h",
        "nn/cells/lstm.py",
        "d_c = d_h * h_by_c ",
        "d_c = np.zeros_like(d_h) ",
        complex_step("lstm"),
    ),
    Mistake(
        "a forgotten factor in the LSTM's forget gate",
        "nn/cells/lstm.py",
        "sigmoid_slope(forget, c_by_forget, times=c_before)",
        "np.multiply(forget, c_before, out=c_by_forget)",
        complex_step("lstm"),
    ),
    Mistake(
        "a forgotten factor in the GRU's reset gate",
        "nn/cells/gru.py",
        "np.subtract(1, reset, out=h_by_reset)",
        "h_by_reset[...] = 1",
        complex_step("gru"),
    ),
    Mistake(
        "the reset gate taken for 1 on the original GRU's way back",
        "nn/cells/gru.py",
        "weights.masked(d_inner * reset + through",
        "weights.masked(d_inner + through",
        complex_step("gru", "before"),
    ),
    Mistake(
        "the bias inside the GRU's reset gets the gradient of the one outside",
        "nn/cells/gru.py",
        'gradients["b_n"] = q',
        'gradients["b_n"] = n',
        complex_step("gru"),
    ),
    Mistake(
        "two gates of the GRU in each other's place, forward and back alike",
        "nn/cells/gru.py",
        "        np.subtract(h_before, candidate, out=h)\n        h *= update\n        h += candidate\n\n"
        "    def slopes(self, cache: Array, before: Array, after: Array, weights: Weights, out: Array) -> None:\n"
        '        """Fills out (5, ..., H): dh/da_n, dh/da_r, dh/da_z, dh/dq',
        "        np.subtract(candidate, h_before, out=h)\n        h *= update\n        h += h_before\n\n"
        "    def slopes(self, cache: Array, before: Array, after: Array, weights: Weights, out: Array) -> None:\n"
        '        """Fills out (5, ..., H): dh/da_n, dh/da_r, dh/da_z, dh/dq',
        textbook("gru"),
    ),
    Mistake(
        "minGRU's update gate keeps where it should let go, on the way back alone",
        "nn/cells/min_gru.py",
        "np.subtract(1, update, out=carry)",
        "carry[...] = update",
        complex_step("mingru"),
    ),
    Mistake(
        "a forget bias of 1 hidden in the forward pass, where no gradient check can see it",
        "nn/cells/lstm.py",
        "        gates = weights.project(weights.masked(h_before))\n",
        "        gates = weights.project(weights.masked(h_before))\n        gates[2] += 1\n",
        textbook("lstm"),
    ),
    Mistake(
        "a sigmoid that is a little too steep, with the right slope for the wrong curve",
        "nn/activations.py",
        "np.multiply(pre, 0.5, out=out)",
        "np.multiply(pre, 0.6, out=out)",
        textbook("sigmoid"),
    ),
    # The walks.
    Mistake(
        "truncation one step short",
        "nn/bptt.py",
        "in lag_steps(stack, d_hidden, window):",
        "in lag_steps(stack, d_hidden, window - 1):",
        truncated_complex_step("tanh"),
    ),
    Mistake(
        "truncation one step long",
        "nn/bptt.py",
        "in lag_steps(stack, d_hidden, window):",
        "in lag_steps(stack, d_hidden, window + 1):",
        truncated_complex_step("lstm"),
    ),
    Mistake(
        "the oracle's truncation one step short",
        "reference/tutorial.py",
        "max(0, t - bptt_truncate)",
        "max(0, t - bptt_truncate + 1)",
        Witness("test_tutorial", "test_its_truncated_gradients_are_complex_steps_with_the_distant_past_frozen", (4,)),
    ),
    Mistake(
        "each loss hands its gradient to its own position again",
        "nn/bptt.py",
        "d_blocks = [gradient[:, 1:] for gradient in before]",
        "d_blocks = [gradient[:, :-1] for gradient in before]",
        truncated_complex_step("gru"),
    ),
    Mistake(
        "a carried state is forgotten",
        "nn/bptt.py",
        "states[:, 0] = split_gates(initial, size)",
        "states[:, 0] = 0",
        textbook("tanh"),
    ),
    Mistake(
        "the lower layer hears nothing of the upper in a truncated walk",
        "nn/bptt.py",
        "+= layer.input_gradient(d_preactivation, here)",
        "+= 0 * layer.input_gradient(d_preactivation, here)",
        truncated_complex_step("tanh", layers=2),
    ),
    # Padding.
    Mistake(
        "padding runs through the state",
        "nn/batch.py",
        "if mask.all() or np.array_equal(mask, np.arange(len(mask))[:, None] < lengths):\n",
        "if True:\n",
        complex_step("tanh", mask="anywhere"),
    ),
    Mistake(
        "the state that is carried on is the padding's",
        "nn/network.py",
        "layer.blocks[:, lengths, columns]",
        "layer.blocks[:, -1][:, columns]",
        Witness(
            "test_gradients",
            "test_the_state_after_training_is_the_state_after_the_last_real_word",
            ("lstm", "after"),
        ),
    ),
    Mistake(
        "the mean is taken over the padding, too",
        "nn/network.py",
        "1 / max(count, 1), self.dtype)",
        "1 / counted.size, self.dtype)",
        complex_step("tanh", mask="behind"),
    ),
    # Words.
    Mistake(
        "a word that occurs twice is learnt from once",
        "nn/gradients.py",
        "values[having] += theirs.swapaxes(0, 1)",
        "pass",
        Witness("test_laws", "test_the_row_form_equals_the_dense_one_in_value_norm_and_update"),
    ),
    Mistake(
        "a character that occurs twice is learnt from once",
        "nn/gradients.py",
        "np.repeat(np.arange(len(indicator)), counts[frequent]), columns] = 1",
        "np.repeat(np.arange(len(indicator)), counts[frequent]), 0] = 1",
        Witness("test_laws", "test_the_row_form_equals_the_dense_one_in_value_norm_and_update"),
    ),
    Mistake(
        "a tied matrix loses the gradient of one of its roles",
        "nn/network.py",
        "add(gradients[name], of_input) if name in gradients else of_input",
        "gradients[name] if name in gradients else of_input",
        Witness("test_gradients", "test_embedding_tying_and_missing_biases", ("tanh", "after", 1)),
    ),
    Mistake(
        "the softmax forgets the weight of a position",
        "nn/softmax.py",
        "scale = weights[rows] / total",
        "scale = 1 / total",
        complex_step("sigmoid"),
    ),
    Mistake(
        "the softmax forgets which word was right",
        "nn/softmax.py",
        "-= total[mine]",
        "-= 0 * total[mine]",
        complex_step("tanh"),
    ),
    Mistake(
        "the hidden state does not hear which word was right",
        "nn/softmax.py",
        "d_hidden -= V[targets]",
        "d_hidden -= 0",
        complex_step("tanh"),
    ),
    Mistake(
        "the softmax takes every logit for a small one",
        "nn/softmax.py",
        "if np.all((total > 1 / SAFE_TOTAL) & (total < SAFE_TOTAL)):",
        "if True:",
        Witness("test_output", "test_logits_of_any_size_overflow_nowhere", (np.float32, 2)),
    ),
    Mistake(
        "the words after the last whole piece of a product are left out",
        "nn/softmax.py",
        "np.matmul(block[cut:].T, V[cut:], out=out)",
        "out[...] = 0",
        Witness("test_output", "test_one_sentence_over_many_words_is_the_formula_too", (2500,)),
    ),
    # Dropout.
    Mistake(
        "dropout between the layers is not dropped on the way back",
        "nn/bptt.py",
        "return d_input * (mask if mask.shape[0] == 1 else mask[positions])",
        "return d_input",
        dropped_complex_step(layers=2),
    ),
    Mistake(
        "dropout below the softmax is not dropped on the way back",
        "nn/network.py",
        "d_hidden *= trace.top_mask",
        "d_hidden *= 1",
        dropped_complex_step(),
    ),
    Mistake(
        "variational dropout is not dropped on the recurrent way back",
        "nn/cells/simple.py",
        "        return weights.masked(delta @ weights.W)[None]\n",
        "        return (delta @ weights.W)[None]\n",
        dropped_complex_step(variational=True),
    ),
    # Omega.
    Mistake(
        "Omega with the wrong sign",
        "nn/regularizers.py",
        "4 * (ratios - 1)",
        "4 * (1 - ratios)",
        Witness("test_regularizers", "test_omega_is_the_papers", ("tanh",)),
    ),
    Mistake(
        "Omega looks at dE/ds before the step's own loss has joined",
        "nn/bptt.py",
        "                d_state[0] += d_hidden[t, own]\n"
        "                if d_states is not None:\n"
        "                    d_states[t, own] = merge_gates(d_state)\n",
        "                if d_states is not None:\n"
        "                    d_states[t, own] = merge_gates(d_state)\n"
        "                d_state[0] += d_hidden[t, own]\n",
        Witness(
            "test_regularizers",
            "test_training_with_omega_adds_its_immediate_gradient_to_w_alone",
            ("tanh", 1, None),
        ),
    ),
    Mistake(
        "Omega pairs a step's error with the slope of the step before",
        "nn/regularizers.py",
        "slopes[1:].reshape(-1, size)",
        "slopes[:-1].reshape(-1, size)",
        Witness("test_regularizers", "test_omega_is_the_papers", ("sigmoid",)),
    ),
    # The softmax.
    Mistake(
        "a bias that is a factor is left out of V's gradient",
        "nn/softmax.py",
        "        d_V *= factor[:, None]\n",
        "",
        Witness("test_output", "test_a_bias_that_is_a_factor_and_one_that_is_added_do_the_same", (19.0,)),
    ),
    # Optimizers and clipping.
    Mistake(
        "Adam's bias correction is missing",
        "optim/optimizers.py",
        "learning_rate * root / (1 - self.beta_mean**updates)",
        "learning_rate * root",
        published_rule("adam"),
    ),
    Mistake(
        "Nesterov looks too far ahead",
        "optim/optimizers.py",
        "super()._apply_moments(parameter, moments, self.mu * learning_rate)",
        "parameter -= learning_rate * moments[0] - learning_rate * self.mu * moments[0] / 2",
        published_rule("nesterov"),
    ),
    Mistake(
        "AdamW decays by lambda instead of eta lambda",
        "optim/optimizers.py",
        "            parameter *= 1 - learning_rate * self.weight_decay\n",
        "            parameter *= 1 - self.weight_decay\n",
        published_rule("adamw", 0.3),
    ),
    Mistake(
        "clipping lengthens short gradients",
        "optim/clipping.py",
        "min(1.0, limit / (norm + 1e-6))",
        "limit / (norm + 1e-6)",
        Witness("test_clipping", "test_a_gradient_within_the_limit_is_left_as_it_is"),
    ),
    # Processes.
    Mistake(
        "the gradients of another process are forgotten",
        "parallel/data_parallel.py",
        "gradients[name] = add(gradients[name], worker.gradient(name, rows))",
        "pass",
        Witness("test_data_parallel", "test_a_batch_that_is_shared_has_the_gradients_of_the_whole"),
    ),
    Mistake(
        "every process counts alike, however few its tokens",
        "parallel/data_parallel.py",
        "weight=own_tokens / max(tokens, 1)",
        "weight=1 / parts",
        Witness("test_data_parallel", "test_a_batch_that_is_shared_has_the_gradients_of_the_whole"),
    ),
    Mistake(
        "the states of a shared batch come back in another order",
        "parallel/data_parallel.py",
        "whole[part :: len(layers)] = layer",
        "whole[part * len(layer) : (part + 1) * len(layer)] = layer",
        Witness("test_data_parallel", "test_a_batch_that_is_shared_has_the_gradients_of_the_whole"),
    ),
    # Interchange.
    Mistake(
        "two gates of PyTorch's LSTM exchanged",
        "nn/cells/lstm.py",
        '("input", "forget", "candidate", "output")',
        '("input", "forget", "output", "candidate")',
        Witness("test_pytorch", "test_loss_and_gradients_are_pytorchs", ("lstm-1",)),
    ),
    Mistake(
        "one of PyTorch's two biases is lost",
        "interop/pytorch.py",
        "both = of_input + of_state",
        "both = of_input.copy()",
        Witness("test_pytorch", "test_predictions_and_states_are_pytorchs", ("tanh-2",)),
    ),
]


class _MistakenLoader(importlib.machinery.SourceFileLoader):
    """Loads a module from changed source text, past Python's cache of compiled files."""

    def __init__(self, name: str, path: Path, source: str) -> None:
        super().__init__(name, str(path))
        self.source = source

    def get_code(self, fullname: str) -> CodeType:
        return compile(self.source, self.path, "exec")


class _Mistaken(importlib.abc.MetaPathFinder):
    def __init__(self, path: Path, source: str) -> None:
        module = path.relative_to(PACKAGE.parent).with_suffix("")
        self.name, self.path, self.source = ".".join(module.parts), path, source

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        if fullname != self.name:
            return None
        return importlib.util.spec_from_loader(fullname, _MistakenLoader(fullname, self.path, self.source))


@contextmanager
def fresh_package(file: str, right: str, wrong: str) -> Iterator[None]:
    """Inside, `import rnn_core` gives a package of its own in which `file` has `wrong` for `right`."""
    path = PACKAGE / file
    source = path.read_text(encoding="utf-8")
    times = source.count(right)
    if times != 1:
        pytest.fail(
            f"this text stands {times} times in rnn_core/{file}, not once; bring the table up to date:\n{right}"
        )
    ours = {name: module for name, module in sys.modules.items() if name.partition(".")[0] == "rnn_core"}
    for name in ours:
        del sys.modules[name]
    finder = _Mistaken(path, source.replace(right, wrong))
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        for name in [name for name in sys.modules if name.partition(".")[0] == "rnn_core"]:
            del sys.modules[name]
        sys.modules.update(ours)


def run(witness: Witness) -> None:
    """The test on whatever `rnn_core` is at this moment."""
    spec = importlib.util.spec_from_file_location(f"witness_{witness.file}", TESTS / f"{witness.file}.py")
    assert spec is not None
    assert spec.loader is not None
    module: ModuleType = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    getattr(module, witness.test)(*witness.arguments)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.what)
def test_a_planted_mistake_is_caught(mistake: Mistake) -> None:
    with fresh_package(mistake.file, mistake.right, mistake.wrong), pytest.raises(AssertionError):
        run(mistake.witness)


def test_without_a_mistake_the_same_tests_pass_in_the_same_way() -> None:
    """So that what was caught above is the mistake, and not the way in which it was planted."""
    witnesses = {mistake.witness: mistake for mistake in MISTAKES}
    for mistake in witnesses.values():
        with fresh_package(mistake.file, mistake.right, mistake.right):
            run(mistake.witness)


def test_the_real_package_comes_back_untouched() -> None:
    before = sys.modules["rnn_core.nn.cells.simple"]
    mistake = MISTAKES[0]
    with fresh_package(mistake.file, mistake.right, mistake.wrong):
        import rnn_core.nn.cells.simple

        assert sys.modules["rnn_core.nn.cells.simple"] is not before
        assert "weights.W_T[0])" in rnn_core.nn.cells.simple.__loader__.source
    assert sys.modules["rnn_core.nn.cells.simple"] is before
    assert mistake.right in Path(before.__file__).read_text(encoding="utf-8")


def test_a_line_that_is_gone_is_reported() -> None:
    nowhere = fresh_package("nn/cells/base.py", "a line that nobody ever wrote", "")
    with pytest.raises(pytest.fail.Exception, match="bring the table up to date"), nowhere:
        pass
