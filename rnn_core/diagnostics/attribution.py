"""Which words mattered: what the gradient says that each one did to a prediction, and what happens without it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rnn_core.arithmetic import arithmetic
from rnn_core.arrays import Array
from rnn_core.data import UNKNOWN_ID
from rnn_core.diagnostics import html
from rnn_core.diagnostics.flow import GradientFlow, in_double
from rnn_core.diagnostics.norms import vector_norm
from rnn_core.nn.cells import merge_gates
from rnn_core.nn.network import Network


@arithmetic()
def influence(model: Network, flow: GradientFlow, sequence: int = 0) -> Array:
    """||d log p_t(y_t) / d x_k||, (T, T), row t, column k; NaN above the diagonal and where no loss counts.

    x_k is the vector that word k is to the network: its embedding, or for one-hot input what it adds to the
    pre-activations, U[w_k]. (Saliency: Simonyan, Vedaldi & Zisserman 2014; Li et al. 2016 for words.)
    """
    steps = len(flow.lag_steps)
    norms = np.full((steps, steps), np.nan)
    for lag in range(steps):
        t = np.arange(lag, steps)
        gradient = _word_gradient(model, flow, lag, slice(None), sequence)
        norms[t, t - lag] = np.where(flow.mask[t, sequence], vector_norm(gradient), np.nan)
    return norms


def _word_gradient(model: Network, flow: GradientFlow, lag: int, positions: slice, sequence: int) -> Array:
    """dE_{k+lag}/dx_k for the positions k that have such a loss, (·, D)."""
    d_preactivation = flow.lag_steps[lag].d_preactivations[0][:, positions, sequence]
    return model.inputs.vector_gradient(model.params, merge_gates(model.cell.input_part(d_preactivation)))


def _vectors(model: Network, inputs: Array) -> Array:
    """x of these inputs, (..., D)."""
    return model.inputs.vectors(model.params, inputs).astype(np.float64)


@arithmetic()
def predicted_changes(model: Network, flow: GradientFlow, t: int, replacements: Array, sequence: int = 0) -> Array:
    """What the gradient promises: d log p_t(y_t)/d x_k . (x_new - x_k) for replacements (t + 1, R) ids -> (t + 1, R)
    nats.

    Right to first order; beside `true_changes` it shows whether the gradient tells the truth about a whole word.
    """
    changes = np.empty(replacements.shape[:2])
    for k in range(t + 1):
        gradient = _word_gradient(model, flow, t - k, slice(k, k + 1), sequence)[0]
        now = _vectors(model, flow.trace.inputs[k, sequence])
        changes[k] = -(_vectors(model, replacements[k]) - now) @ gradient
    return changes


@arithmetic()
def true_changes(
    model: Network, flow: GradientFlow, target: int, t: int, replacements: Array, sequence: int = 0
) -> Array:
    """What really happens: the change of log p_t(target) in nats when word k is replaced by replacements[k, r].

    replacements (t + 1, R) ids -> (t + 1, R), by the forward pass alone (occlusion: Zeiler & Fergus 2014). All
    replacements run side by side; each starts where it first differs from the sentence.
    """
    model = in_double(model)
    count = replacements.shape[1]
    sentence, layers = flow.trace.inputs[: t + 1, sequence], flow.trace.layers
    states = model.initial_state(0)
    for k in range(t + 1):
        # Those already changed read on; word k's replacements join them from the sentence's own state.
        joining = [layer.states[k, sequence] for layer in layers]
        states = [
            np.concatenate([state, np.broadcast_to(own, (count, len(own)))])
            for state, own in zip(states, joining, strict=True)
        ]
        read = np.concatenate([np.repeat(sentence[k : k + 1], k * count, axis=0), replacements[k]])
        trace = model.forward(read[None], states)
        states = [layer.states[-1] for layer in trace.layers]
    own_hidden = flow.trace.hidden[t, sequence][None]
    hidden = np.concatenate([own_hidden, trace.hidden[0]])
    targets = np.repeat(np.asarray(target)[None], len(hidden), axis=0)
    losses = model.loss_function.losses(hidden, targets, model.output_matrix, model.params.get("c"))
    return (losses[0] - losses[1:]).reshape(t + 1, count)


@dataclass(frozen=True, eq=False)
class WhichWordsMattered:
    """For the prediction at step t, every word k = 0 .. t; log p is of the word that really came, in nats.

    log_p               of that word
    gradient            (t + 1,) ||d log p / d x_k||
    unknown             (t + 1,) change of log p when word k is replaced by <unk>
    unknown_predicted   the same as the gradient predicts it
    expected            mean change over replacements drawn from the unigram distribution
    expected_error      its standard error
    expected_predicted  the mean as the gradient predicts it
    """

    log_p: float
    gradient: Array
    unknown: Array
    unknown_predicted: Array
    expected: Array
    expected_error: Array
    expected_predicted: Array

    @property
    def rank_correlation(self) -> float:
        """Does the gradient rank the words as the truth does? Spearman's correlation of `gradient` with |`expected`|.

        1: the same order; -1: the opposite; NaN for fewer than three words. Equal values keep their order.
        """
        if len(self.gradient) < 3:
            return float("nan")
        by_gradient, by_truth = (np.argsort(np.argsort(v, kind="stable")) for v in (self.gradient, abs(self.expected)))
        return float(np.corrcoef(by_gradient, by_truth)[0, 1])

    def _repr_html_(self) -> str:
        columns = {
            "word at position": np.arange(len(self.gradient)),
            "gradient": self.gradient,
            "change by another word (nats)": self.expected,
            "as the gradient says": self.expected_predicted,
            "change by <unk> (nats)": self.unknown,
        }
        sentence = (
            f"Which words mattered to a prediction of log p {html.number(self.log_p)}; rank correlation of gradient "
            f"and truth {html.number(self.rank_correlation)}."
        )
        return html.table(sentence, columns)


@arithmetic()
def which_words_mattered(
    model: Network,
    flow: GradientFlow,
    target: int,
    t: int,
    unigram: Array,
    rng: np.random.Generator,
    draws: int = 4,
    sequence: int = 0,
) -> WhichWordsMattered:
    """unigram (N,): counts or probabilities of the words. The same draws serve every position.

    `target` is the id whose probability is asked, targets[t] of the flow; `t` counts from 0. Raises ValueError for a
    network that reads no words.
    """
    if model.inputs.input_shape:
        raise ValueError("this network reads vectors; words can only be replaced where words are read")
    drawn = rng.choice(len(unigram), size=draws, p=np.asarray(unigram, np.float64) / np.sum(unigram))
    replacements = np.tile(np.concatenate([[UNKNOWN_ID], drawn]), (t + 1, 1))
    true = true_changes(model, flow, target, t, replacements, sequence)
    predicted = predicted_changes(model, flow, t, replacements, sequence)
    gradient = [_word_gradient(model, flow, t - k, slice(k, k + 1), sequence)[0] for k in range(t + 1)]
    error = true[:, 1:].std(axis=1, ddof=1) / np.sqrt(draws) if draws > 1 else np.full(t + 1, np.nan)
    return WhichWordsMattered(
        -float(flow.losses_nats[t, sequence]),
        vector_norm(np.array(gradient)),
        true[:, 0],
        predicted[:, 0],
        true[:, 1:].mean(axis=1),
        error,
        predicted[:, 1:].mean(axis=1),
    )
