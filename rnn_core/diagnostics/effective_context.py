"""How far back does a network use what it has read? (Khandelwal, He, Qi & Jurafsky 2018: "Sharp Nearby, Fuzzy Far
Away: How Neural Language Models Use Context".)

The loss of a word is measured again with a context that was tampered with beyond its n nearest words: dropped, so that
the network begins to read there with a fresh state; or shuffled, so that it reads the same words in another order. What
it costs is what the network drew from there: from the words at all, or from their order. (The gradient's horizon is
another thing: what the network could learn from, not what it uses.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from rnn_core.arithmetic import arithmetic
from rnn_core.arrays import Array
from rnn_core.errors import CorpusError
from rnn_core.nn.language_model import LanguageModel

Progress = Callable[[int, int], object]
"""Hears how many contexts were read, of how many there are in all; what it raises ends the measuring."""

DEFAULT_LENGTHS = (1, 2, 3, 5, 7, 10, 15, 20, 30, 50)
TOLERANCE = 0.01
"""The share by which a perplexity may be higher and still counts as the same."""
_BATCH_SIZE = 128


@dataclass(frozen=True, eq=False)
class EffectiveContext:
    """Mean losses over the same targets, in nats.

    lengths        (K,) n, ascending: how many of the nearest inputs stay as they are
    affected       (K,) share of the targets that have inputs further back than n
    dropped_nats   (K,) with the words further back left out
    shuffled_nats  (K,) with these words in another order; the first input, which is <s>, keeps its place
    full_nats      with everything that was read
    targets        how many words were predicted
    """

    lengths: Array
    affected: Array
    dropped_nats: Array
    shuffled_nats: Array
    full_nats: float
    targets: int

    def used(self, tolerance: float = TOLERANCE) -> int | None:
        """The smallest n with which the perplexity is at most `tolerance` (a share) above that with everything; None
        where no length is enough.
        """
        return self._smallest(self.dropped_nats, tolerance)

    def ordered(self, tolerance: float = TOLERANCE) -> int | None:
        """The same for the order: beyond this n it does not matter in which order the words stand."""
        return self._smallest(self.shuffled_nats, tolerance)

    def _smallest(self, nats: Array, tolerance: float) -> int | None:
        enough = nats <= self.full_nats + np.log1p(tolerance)
        # From this length on, and not at one that happens to do well.
        first = len(enough) - int(np.argmin(enough[::-1])) if not enough.all() else 0
        return int(self.lengths[first]) if first < len(enough) else None


def effective_context(
    model: LanguageModel,
    inputs: Sequence[Array],
    targets: Sequence[Array],
    lengths: Sequence[int] = DEFAULT_LENGTHS,
    most_targets: int = 2000,
    seed: int = 0,
    progress: Progress | None = None,
) -> EffectiveContext:
    """Sequences of ids, inputs (T_i,) and targets (T_i,), each read from a fresh state (sentences; or stretches of a
    stream, for a network that carries its state on) -> EffectiveContext over at most `most_targets` predictions, evenly
    spread.

    Raises CorpusError where nothing is predicted.
    """
    places = [(number, t) for number, sequence in enumerate(targets) for t in range(len(sequence))]
    if not places:
        raise CorpusError("there is no word to predict; give a longer text.")
    count = min(most_targets, len(places))
    chosen = [places[index * len(places) // count] for index in range(count)]
    words = np.array([targets[number][t] for number, t in chosen])
    contexts = [np.asarray(inputs[number][: t + 1]) for number, t in chosen]
    read = np.array([len(context) for context in contexts])
    rng = np.random.default_rng(seed)
    kept = np.array(sorted(set(lengths)))
    total = count + 2 * sum(int((read > n).sum()) for n in kept)
    done = 0

    def count_read(more: int) -> None:
        nonlocal done
        done += more
        if progress is not None:
            progress(done, total)

    full = context_losses(model, contexts, words, count_read)
    dropped: list[float] = []
    shuffled: list[float] = []
    for n in kept.tolist():
        longer = np.flatnonzero(read > n)
        for column, tamper in ((dropped, _drop), (shuffled, _shuffle)):
            losses = full.copy()
            if len(longer):
                losses[longer] = context_losses(
                    model, [tamper(contexts[place], n, rng) for place in longer], words[longer], count_read
                )
            column.append(float(losses.mean()))
    affected = np.array([(read > n).mean() for n in kept])
    return EffectiveContext(kept, affected, np.array(dropped), np.array(shuffled), float(full.mean()), count)


def context_losses(
    model: LanguageModel,
    contexts: Sequence[Array],
    targets: Array,
    on_batch: Callable[[int], object] = lambda more: None,
) -> Array:
    """Inputs (n_i,) read one after the other from a fresh state, and the word that follows each -> E (R,) in nats.

    on_batch: called after each batch with how many more were read.
    """
    found = np.empty(len(contexts))
    for rows in _by_length(contexts):
        lengths = np.array([len(contexts[row]) for row in rows])
        inputs = np.zeros((int(lengths.max()), len(rows)), np.int64)
        for column, row in enumerate(rows):
            inputs[: lengths[column], column] = contexts[row]
        with arithmetic():
            # What is read after the end of a shorter context changes nothing before it.
            hidden = model.forward(inputs).hidden[lengths - 1, np.arange(len(rows))]
            losses = model.loss_function.losses(hidden, targets[rows], model.output_matrix, model.params.get("c"))
        found[rows] = losses
        on_batch(len(rows))
    return found


def _by_length(contexts: Sequence[Array]) -> Iterator[Array]:
    order = np.argsort([len(context) for context in contexts], kind="stable")
    return (order[start : start + _BATCH_SIZE] for start in range(0, len(order), _BATCH_SIZE))


def _drop(context: Array, n: int, rng: np.random.Generator) -> Array:
    return context[-n:]


def _shuffle(context: Array, n: int, rng: np.random.Generator) -> Array:
    return np.concatenate([context[:1], rng.permutation(context[1:-n]), context[-n:]])
