"""A test of the tests: mistakes are planted in rnn_core, one at a time, and its own tests must catch each of them.

Every entry of MISTAKES changes one piece of real code, runs a real test of this folder on the package so changed, and
expects an AssertionError (not a crash: these are mistakes that nobody would notice). The piece is found by its form,
within a function, and not by its text: `$A` in a pattern of ast-grep stands for any expression
(https://ast-grep.github.io/guide/pattern-syntax.html), so that an entry outlives a file that is moved, a variable that
gets another name and a line that is broken elsewhere.
"""

from __future__ import annotations

import ast
import importlib.abc
import importlib.machinery
import importlib.util
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, NamedTuple

import numpy as np
import pytest
from ast_grep_py import SgNode, SgRoot
from hypothesis import Phase, settings

import rnn_core

PACKAGE, TESTS = Path(rnn_core.__file__).parent, Path(__file__).parent


class Witness(NamedTuple):
    """A test of this folder, called with these arguments."""

    file: str
    test: str
    arguments: tuple[Any, ...] = ()


class Mistake(NamedTuple):
    """In the function or class `place` each pattern, which must be found there once, becomes its replacement."""

    what: str
    place: str
    changes: dict[str, str]
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
        "SimpleCell.step_back",
        {"$D @ $W.W": "$D @ $W.W_T[0]"},
        complex_step("tanh"),
    ),
    Mistake(
        "a dropped term: c does not act through h",
        "LSTMCell.step_back",
        {"$C = $H * $BY": "$C = np.zeros_like($H)"},
        complex_step("lstm"),
    ),
    Mistake(
        "a forgotten factor in the LSTM's forget gate",
        "LSTMCell.slopes",
        {"sigmoid_slope(forget, $OUT, times=$X)": "np.multiply(forget, $X, out=$OUT)"},
        complex_step("lstm"),
    ),
    Mistake(
        "a forgotten factor in the GRU's reset gate",
        "GRUCell.slopes",
        {"np.subtract(1, $R, out=$OUT)": "$OUT[...] = 1"},
        complex_step("gru"),
    ),
    Mistake(
        "the reset gate taken for 1 on the original GRU's way back",
        "ResetBeforeGRUCell.step_back",
        {"$D * reset + $REST": "$D + $REST"},
        complex_step("gru", "before"),
    ),
    Mistake(
        "the bias inside the GRU's reset gets the gradient of the one outside",
        "GRUCell.weight_gradients",
        {'$G["b_n"] = $Q': '$G["b_n"] = $G["b"][-len($Q) :]'},
        complex_step("gru"),
    ),
    Mistake(
        "two gates of the GRU in each other's place, forward and back alike",
        "GRUCell.step",
        {"$H *= $Z": "$H *= 1 - $Z"},
        textbook("gru"),
    ),
    Mistake(
        "minGRU's update gate keeps where it should let go, on the way back alone",
        "MinGRUCell.slopes",
        {"np.subtract(1, $Z, out=$O)": "$O[...] = $Z"},
        complex_step("mingru"),
    ),
    Mistake(
        "a forget bias of 1 hidden in the forward pass, where no gradient check can see it",
        "LSTMCell.step",
        {"$G += cache": "$G += cache\n$G[2] += 1"},
        textbook("lstm"),
    ),
    Mistake(
        "a sigmoid that is a little too steep, with the right slope for the wrong curve",
        "sigmoid",
        {"np.multiply($X, 0.5, out=$O)": "np.multiply($X, 0.6, out=$O)"},
        textbook("sigmoid"),
    ),
    # The walks.
    Mistake(
        "truncation one step short",
        "truncated_bptt",
        {"lag_steps($A, $B, $K)": "lag_steps($A, $B, $K - 1)"},
        truncated_complex_step("tanh"),
    ),
    Mistake(
        "truncation one step long",
        "truncated_bptt",
        {"lag_steps($A, $B, $K)": "lag_steps($A, $B, $K + 1)"},
        truncated_complex_step("lstm"),
    ),
    Mistake(
        "the oracle's truncation one step short",
        "bptt",
        {"max(0, $T - $K)": "max(0, $T - $K + 1)"},
        Witness("test_tutorial", "test_its_truncated_gradients_are_complex_steps_with_the_distant_past_frozen", (4,)),
    ),
    Mistake(
        "each loss hands its gradient to its own position again",
        "lag_steps",
        {"[$G[:, 1:] for $G in $B]": "[$G[:, :-1] for $G in $B]"},
        truncated_complex_step("gru"),
    ),
    Mistake(
        "a carried state is forgotten",
        "forward",
        {"$S[:, 0] = split_gates($I, $N)": "$S[:, 0] = 0"},
        textbook("tanh"),
    ),
    Mistake(
        "the lower layer hears nothing of the upper in a truncated walk",
        "lag_steps",
        {"$X += $L.input_gradient($D, $P)": "$X += 0 * $L.input_gradient($D, $P)"},
        truncated_complex_step("tanh", layers=2),
    ),
    # Padding.
    Mistake(
        "padding runs through the state",
        "Batch.of",
        {"np.array_equal($A, $B)": "True"},
        complex_step("tanh", mask="anywhere"),
    ),
    Mistake(
        "the state that is carried on is the padding's",
        "last_states",
        {"$L.blocks[:, $LAST, $C]": "$L.blocks[:, -1][:, $C]"},
        Witness(
            "test_gradients",
            "test_the_state_after_training_is_the_state_after_the_last_real_word",
            ("lstm", "after"),
        ),
    ),
    Mistake(
        "the mean is taken over the padding, too",
        "_weights_of_mean",
        {"1 / max($COUNT, 1)": "1 / counted.size"},
        complex_step("tanh", mask="behind"),
    ),
    # Words.
    Mistake(
        "a word that occurs twice is learnt from once",
        "summed",
        {"$V[$H] += $X.swapaxes(0, 1)": "pass"},
        Witness("test_laws", "test_the_row_form_equals_the_dense_one_in_value_norm_and_update"),
    ),
    Mistake(
        "a character that occurs twice is learnt from once",
        "summed",
        {"np.add.reduce($V, axis=1, out=$T)": "pass"},
        Witness("test_laws", "test_the_row_form_equals_the_dense_one_in_value_norm_and_update"),
    ),
    Mistake(
        "a tied matrix loses the gradient of one of its roles",
        "add_layer_gradients",
        {"add($A, $B)": "$A"},
        Witness("test_gradients", "test_embedding_tying_and_missing_biases", ("tanh", "after", 1)),
    ),
    Mistake(
        "the softmax forgets the weight of a position",
        "_softmax_of_words",
        {"$S = $W[$R] / $T": "$S = 1 / $T"},
        complex_step("sigmoid"),
    ),
    Mistake(
        "the softmax forgets which word was right",
        "_softmax_of_words",
        {"$B[$T, $M] -= $X": "$B[$T, $M] -= 0 * $X"},
        complex_step("tanh"),
    ),
    Mistake(
        "the hidden state does not hear which word was right",
        "_softmax_gradients",
        {"$D -= $V[$T]": "$D -= 0"},
        complex_step("tanh"),
    ),
    Mistake(
        "the softmax takes every logit for a small one",
        "losses_and_gradients",
        {"np.all($X)": "True"},
        Witness("test_output", "test_logits_of_any_size_overflow_nowhere", (np.float32, 2)),
    ),
    Mistake(
        "the words after the last whole piece of a product are left out",
        "_positions_by_words",
        {"np.matmul($B[$C:].T, $V[$C:], out=$O)": "$O[...] = 0"},
        Witness("test_output", "test_one_sentence_over_many_words_is_the_formula_too", (2500,)),
    ),
    # Dropout.
    Mistake(
        "dropout between the layers is not dropped on the way back",
        "LayerTrace.input_gradient",
        {"return $D * ($M if $WHOLE else $PART)": "return $D"},
        dropped_complex_step(layers=2),
    ),
    Mistake(
        "dropout below the softmax is not dropped on the way back",
        "output_gradients",
        {"$D *= $T.top_mask": "$D *= 1"},
        dropped_complex_step(),
    ),
    Mistake(
        "variational dropout is not dropped on the recurrent way back",
        "SimpleCell.step_back",
        {"$W.masked($X)": "($X)"},
        dropped_complex_step(variational=True),
    ),
    # Omega.
    Mistake(
        "Omega with the wrong sign",
        "omega_gradient",
        {"4 * ($R - 1)": "4 * (1 - $R)"},
        Witness("test_regularizers", "test_omega_is_the_papers", ("tanh",)),
    ),
    Mistake(
        "Omega looks at dE/ds before the step's own loss has joined",
        "_walk_back",
        {
            "$S[0] += $D[$T]": "pass",
            "if $X is not None:\n    $Y[$T] = merge_gates($S)": (
                "if $X is not None:\n    $Y[$T] = merge_gates($S)\n$S[0] += $D[$T]"
            ),
        },
        Witness(
            "test_regularizers",
            "test_training_with_omega_adds_its_immediate_gradient_to_w_alone",
            ("tanh", 1, None),
        ),
    ),
    Mistake(
        "Omega pairs a step's error with the slope of the step before",
        "_ratios",
        {"slopes[1:]": "slopes[:-1]"},
        Witness("test_regularizers", "test_omega_is_the_papers", ("sigmoid",)),
    ),
    # The softmax.
    Mistake(
        "a bias that is a factor is left out of V's gradient",
        "_softmax_of_words",
        {"$D *= $F[:, None]": "pass"},
        Witness("test_output", "test_a_bias_that_is_a_factor_and_one_that_is_added_do_the_same", (19.0,)),
    ),
    # Optimizers and clipping.
    Mistake(
        "Adam's bias correction is missing",
        "Adam._apply_moments",
        {"$R / (1 - $BETA**$N)": "$R"},
        published_rule("adam"),
    ),
    Mistake(
        "Nesterov looks too far ahead",
        "Nesterov._apply_moments",
        {"super()._apply_moments($P, $M, self.mu * $RATE)": "$P -= $RATE * $M[0] - $RATE * self.mu * $M[0] / 2"},
        published_rule("nesterov"),
    ),
    Mistake(
        "AdamW decays by lambda instead of eta lambda",
        "AdamW._apply_moments",
        {"1 - $RATE * self.weight_decay": "1 - self.weight_decay"},
        published_rule("adamw", 0.3),
    ),
    Mistake(
        "clipping lengthens short gradients",
        "clip_by_global_norm",
        {"min(1.0, $X)": "$X"},
        Witness("test_clipping", "test_a_gradient_within_the_limit_is_left_as_it_is"),
    ),
    # Processes.
    Mistake(
        "the gradients of another process are forgotten",
        "DataParallel._share",
        {"$G[$N] = add($G[$N], $THEIRS)": "pass"},
        Witness("test_data_parallel", "test_a_batch_that_is_shared_has_the_gradients_of_the_whole"),
    ),
    Mistake(
        "every process counts alike, however few its tokens",
        "split",
        {"$OWN.sum() / $ALL": "1 / parts"},
        Witness("test_data_parallel", "test_a_batch_that_is_shared_has_the_gradients_of_the_whole"),
    ),
    Mistake(
        "the states of a shared batch come back in another order",
        "join_states",
        {"$W[$P :: len($ALL)] = $X": "$W[$P * len($X) : ($P + 1) * len($X)] = $X"},
        Witness("test_data_parallel", "test_a_batch_that_is_shared_has_the_gradients_of_the_whole"),
    ),
    # Interchange.
    Mistake(
        "two gates of PyTorch's LSTM exchanged",
        "LSTMCell",
        {'("input", "forget", "candidate", "output")': '("input", "forget", "output", "candidate")'},
        Witness("test_pytorch", "test_loss_and_gradients_are_pytorchs", ("lstm-1",)),
    ),
    Mistake(
        "one of PyTorch's two biases is lost",
        "from_torch_state_dict",
        {"$BOTH = $A + $B": "$BOTH = $A.copy()"},
        Witness("test_pytorch", "test_predictions_and_states_are_pytorchs", ("tanh-2",)),
    ),
]


# That a witness fails will do: Hypothesis need not look for the simplest case in which it does.
settings.register_profile("a-failure-will-do", settings.get_profile("shared-machine"), phases=[Phase.generate])


@pytest.fixture(autouse=True)
def _a_failure_will_do() -> Iterator[None]:
    settings.load_profile("a-failure-will-do")
    yield
    settings.load_profile("shared-machine")


WITH_PROCESSES = {"test_data_parallel"}  # witnesses that start some


@cache
def sources() -> dict[Path, str]:
    return {path: path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py")}


@cache
def places() -> dict[str, list[tuple[Path, range]]]:
    """Every function and class of the package, as `Class.method` and as `method`: its file, and its lines (from 0)."""
    found: dict[str, list[tuple[Path, range]]] = {}

    def visit(node: ast.AST, prefix: str, path: Path) -> None:
        for child in ast.iter_child_nodes(node):
            name = prefix
            if isinstance(child, ast.FunctionDef | ast.ClassDef):
                name = f"{prefix}{child.name}"
                for called in {name, child.name}:
                    found.setdefault(called, []).append(
                        (path, range(child.lineno - 1, child.end_lineno or child.lineno))
                    )
                name += "."
            visit(child, name, path)

    for path, source in sources().items():
        visit(ast.parse(source), "", path)
    return found


def planted(mistake: Mistake) -> tuple[Path, str]:
    """The file that has the mistake, and its text with it."""
    meant: dict[str, str] = {}  # what each $NAME stands for, over all patterns of the mistake
    edits = []
    for pattern, replacement in mistake.changes.items():
        path, node = place_of(pattern, mistake.place)
        for name in re.findall(r"\$([A-Z]+)", pattern):
            match = node.get_match(name)
            assert match is not None
            meant[name] = match.text()
        text = re.sub(r"\$([A-Z]+)", lambda name: meant[name[1]], replacement)
        edits.append(node.replace(text.replace("\n", "\n" + " " * node.range().start.column)))
    return path, SgRoot(sources()[path], "python").root().commit_edits(edits)


def place_of(pattern: str, place: str) -> tuple[Path, SgNode]:
    found = [
        (path, node)
        for path, lines in places().get(place, [])
        for node in SgRoot(sources()[path], "python").root().find_all(pattern=pattern)
        if node.range().start.line in lines
    ]
    if len(found) != 1:
        pytest.fail(
            f"{pattern!r} is found {len(found)} times in {place!r} of rnn_core, not once; bring the table up to date"
        )
    return found[0]


class _MistakenLoader(importlib.machinery.SourceFileLoader):
    """Loads a module from changed source text, past Python's cache of compiled files."""

    def __init__(self, name: str, path: Path, source: str) -> None:
        super().__init__(name, str(path))
        self.source = source

    def get_code(self, fullname: str) -> CodeType:
        return compile(self.source, self.path, "exec")


class _Mistaken(importlib.abc.MetaPathFinder):
    def __init__(self, texts: dict[Path, str]) -> None:
        self.texts = {module_name(path): (path, text) for path, text in texts.items()}

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        if fullname not in self.texts:
            return None
        return importlib.util.spec_from_loader(fullname, _MistakenLoader(fullname, *self.texts[fullname]))


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)


@contextmanager
def fresh_package(texts: dict[Path, str]) -> Iterator[None]:
    """Inside, `import rnn_core` gives a package of its own in which these files have other texts."""
    ours = {name: module for name, module in sys.modules.items() if name.partition(".")[0] == "rnn_core"}
    for name in ours:
        del sys.modules[name]
    finder = _Mistaken(texts)
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
@pytest.mark.parametrize(
    "mistake",
    [
        pytest.param(mistake, id=mistake.what, marks=[pytest.mark.process] * (mistake.witness.file in WITH_PROCESSES))
        for mistake in MISTAKES
    ],
)
@pytest.mark.slow
def test_a_planted_mistake_is_caught(mistake: Mistake) -> None:
    path, text = planted(mistake)
    with fresh_package({path: text}), pytest.raises(AssertionError):
        run(mistake.witness)


@pytest.mark.process
@pytest.mark.slow
def test_without_a_mistake_the_same_tests_pass_in_the_same_way() -> None:
    """So that what was caught above is the mistake, and not the way in which it was planted."""
    with fresh_package({path: sources()[path] for path, _ in map(planted, MISTAKES)}):
        for witness in {mistake.witness for mistake in MISTAKES}:
            run(witness)


def test_the_real_package_comes_back_untouched() -> None:
    path, source = planted(MISTAKES[0])
    name = module_name(path)
    importlib.import_module(name)
    before = sys.modules[name]
    with fresh_package({path: source}):
        changed = importlib.import_module(name)
        assert changed is not before
        assert changed.__loader__.source == source != sources()[path]
    assert sys.modules[name] is before
    assert path.read_text(encoding="utf-8") == sources()[path]


def test_a_piece_of_code_that_is_gone_is_reported() -> None:
    nowhere = MISTAKES[0]._replace(changes={"nobody_ever_wrote($THIS)": "pass"})
    with pytest.raises(pytest.fail.Exception, match="bring the table up to date"):
        planted(nowhere)
