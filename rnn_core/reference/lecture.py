"""The lecture on one loss's gradient: its steps in order, each with the lines of `tutorial.py` that compute it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["forward", "loss", "error", "delta", "term", "back", "done"]


@dataclass(frozen=True)
class Step:
    """One step of the lecture: what happens, at which time step, and which lines of the oracle do it.

    kind      forward: s_t and p_t | loss: E_t | error: dE_t/do_t | delta: dE_t/da_t | term: the part of dE_t/dW in
              which W is used at step k | back: from k to k - 1 | done: the sum
    t         the time step whose word is read, or whose loss is asked
    k         the time step that the gradient has come to; None while going forward
    function  the function of rnn_core.reference.tutorial that does it
    lines     its lines that do it, without their indentation
    """

    kind: Kind
    t: int
    k: int | None
    function: str
    lines: tuple[str, ...]


def lecture(steps: int, t: int) -> list[Step]:
    """Forward through `steps` words, then the loss of step t and its gradient back to the first word."""
    forward = (
        "s[t] = np.tanh(U[:, x[t]] + W.dot(s[t - 1]))",
        "scores = V.dot(s[t])",
        "scores = np.exp(scores - scores.max())",
        "o[t] = scores / scores.sum()",
    )
    sequence = [Step("forward", step, None, "forward_propagation", forward) for step in range(steps)]
    sequence.append(Step("loss", t, None, "total_loss", ("return float(-np.sum(np.log(o[np.arange(len(y)), y])))",)))
    error = ("delta_o = o", "delta_o[np.arange(len(y)), y] -= 1.0")
    sequence.append(Step("error", t, t, "bptt", error))
    sequence.append(Step("delta", t, t, "bptt", ("delta_t = V.T.dot(delta_o[t]) * (1 - (s[t] ** 2))",)))
    for k in range(t, -1, -1):
        sequence.append(Step("term", t, k, "bptt", ("dLdW += np.outer(delta_t, s[bptt_step - 1])",)))
        if k:
            back = ("delta_t = W.T.dot(delta_t) * (1 - s[bptt_step - 1] ** 2)",)
            sequence.append(Step("back", t, k, "bptt", back))
    sequence.append(Step("done", t, 0, "bptt", ("return TutorialGradients(dLdU, dLdV, dLdW)",)))
    return sequence
