"""The same training step in other people's hands: PyTorch (eager), JAX (jit), and the tutorial's own NumPy.

Every trainer takes one batch of ids (T, B) and does one whole step: forward, mean cross-entropy, full back-propagation,
clipping by global norm, SGD. All start from the weights of an `rnn_core` model and compute the same function of them;
the benchmark asserts that. PyTorch and JAX are optional: what is not installed is left out.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np

from rnn_core import LanguageModel, ModelConfig, to_torch_state_dict
from rnn_core.optim.clipping import clip_by_global_norm
from rnn_core.optim.optimizers import make_optimizer
from rnn_core.parallel import DataParallel
from rnn_core.reference.tutorial import bptt, total_loss
from rnn_core.threads import one_blas_thread, thread_count

LEARNING_RATE = 0.1
CLIP = 5.0

# One step on (inputs, targets), both (T, B) int arrays -> mean loss in nats before the step.
Step = Callable[[np.ndarray, np.ndarray], float]


def rnn_core_step(
    config: ModelConfig, params: dict[str, np.ndarray], truncate: int | None = None, processes: int | None = None
) -> Step:
    """processes: that share each batch's sequences; None: as many as rnn_core chooses."""
    model = LanguageModel(config, params={name: value.copy() for name, value in params.items()})
    optimizer, parallel = make_optimizer("sgd", model.params), DataParallel(model, processes)

    def step(inputs: np.ndarray, targets: np.ndarray) -> float:
        with one_blas_thread():
            loss, gradients, _ = parallel.training_gradients(inputs, targets, truncate=truncate)
            _, factor = clip_by_global_norm(gradients, CLIP)
            optimizer.update(model.params, gradients, LEARNING_RATE, factor)
        return loss

    return step


def one_core_step(config: ModelConfig, params: dict[str, np.ndarray]) -> Step:
    """rnn_core without any parallelism, for the rest of this process's life."""
    os.environ["RNN_CORE_THREADS"] = "1"
    return rnn_core_step(config, params)


def threads_step(config: ModelConfig, params: dict[str, np.ndarray]) -> Step:
    return rnn_core_step(config, params, processes=1)


def processes_step(config: ModelConfig, params: dict[str, np.ndarray]) -> Step:
    return rnn_core_step(config, params, processes=thread_count())


def pytorch_step(config: ModelConfig, params: dict[str, np.ndarray]) -> Step:
    import torch

    kind = {"tanh": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}[config.cell]

    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = torch.nn.Embedding(config.vocabulary_size, config.embedding_size)
            self.rnn = kind(config.embedding_size, config.hidden_size)
            self.decoder = torch.nn.Linear(config.hidden_size, config.vocabulary_size)

        def forward(self, inputs: Any) -> Any:
            return self.decoder(self.rnn(self.embedding(inputs))[0])

    net = Net()
    state = {name: torch.from_numpy(value) for name, value in to_torch_state_dict(config, params).items()}
    net.load_state_dict(state, strict=True)
    for name, parameter in net.named_parameters():
        # One bias, as in rnn_core: the second would double the step of their sum. (GRU needs both for its candidate.)
        if "bias_hh" in name and config.cell != "gru":
            parameter.requires_grad_(False)
    trained = [parameter for parameter in net.parameters() if parameter.requires_grad]
    optimizer = torch.optim.SGD(trained, lr=LEARNING_RATE)
    cross_entropy = torch.nn.CrossEntropyLoss()

    def step(inputs: np.ndarray, targets: np.ndarray) -> float:
        optimizer.zero_grad(set_to_none=True)
        logits = net(torch.from_numpy(inputs))
        loss = cross_entropy(logits.reshape(-1, config.vocabulary_size), torch.from_numpy(targets).reshape(-1))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, CLIP)
        if config.cell == "gru":
            half_the_shared_bias(net, config.hidden_size)
        optimizer.step()
        return float(loss.detach())

    def half_the_shared_bias(net: Any, hidden: int) -> None:
        """rnn_core has one bias for r and z where PyTorch has two with the same gradient: only one may move."""
        net.rnn.bias_hh_l0.grad[: 2 * hidden] = 0

    return step


def jax_step(config: ModelConfig, params: dict[str, np.ndarray]) -> Step:
    import jax
    import jax.numpy as jnp

    H = config.hidden_size

    def cell(weights: dict[str, Any], state: Any, drive: Any) -> tuple[Any, Any]:
        if config.cell == "tanh":
            h = jnp.tanh(drive + state @ weights["W"].T)
            return h, h
        if config.cell == "lstm":
            h, c = state
            a = drive + h @ weights["W"].T
            o, i, f = (jax.nn.sigmoid(a[:, k * H : (k + 1) * H]) for k in range(3))
            c = f * c + i * jnp.tanh(a[:, 3 * H :])
            h = o * jnp.tanh(c)
            return (h, c), h
        product = state @ weights["W"].T
        r, z = (jax.nn.sigmoid(drive[:, k * H : (k + 1) * H] + product[:, k * H : (k + 1) * H]) for k in range(2))
        n = jnp.tanh(drive[:, 2 * H :] + r * (product[:, 2 * H :] + weights["b_n"]))
        h = (1 - z) * n + z * state
        return h, h

    def loss_of(weights: dict[str, Any], inputs: Any, targets: Any) -> Any:
        drive = weights["E"][inputs] @ weights["U"] + weights["b"]
        zeros = jnp.zeros((inputs.shape[1], H), jnp.float32)
        start = (zeros, zeros) if config.cell == "lstm" else zeros
        _, hidden = jax.lax.scan(lambda state, x: cell(weights, state, x), start, drive)
        logits = hidden @ weights["V"].T + weights["c"]
        log_p = jax.nn.log_softmax(logits)
        return -jnp.mean(jnp.take_along_axis(log_p, targets[..., None], axis=-1))

    def update(weights: dict[str, Any], inputs: Any, targets: Any) -> tuple[dict[str, Any], Any]:
        loss, gradients = jax.value_and_grad(loss_of)(weights, inputs, targets)
        norm = jnp.sqrt(sum(jnp.vdot(g, g) for g in gradients.values()))
        factor = jnp.minimum(1.0, CLIP / (norm + 1e-6)) * LEARNING_RATE
        return {name: weights[name] - factor * gradients[name] for name in weights}, loss

    compiled = jax.jit(update, donate_argnums=0)
    weights = {name: jnp.array(value) for name, value in params.items()}

    def step(inputs: np.ndarray, targets: np.ndarray) -> float:
        nonlocal weights
        weights, loss = compiled(weights, inputs, targets)
        return float(loss)

    return step


def tutorial_step(params: dict[str, np.ndarray], truncate: int, with_loss: bool = False) -> Step:
    """The tutorial's SGD on the first sentence of a batch. Its training computes no loss: nan, unless `with_loss`.

    Its gradient is of the sum over the words: the rate is divided by their number. It does not clip; at these sizes the
    norm stays below the limit.
    """
    U, V, W = params["U"].T.astype(np.float64), params["V"].astype(np.float64), params["W"].astype(np.float64)

    def step(inputs: np.ndarray, targets: np.ndarray) -> float:
        x, y = inputs[:, 0], targets[:, 0]
        loss = total_loss(x, y, U, V, W) / len(x) if with_loss else float("nan")
        gradients = bptt(x, y, U, V, W, bptt_truncate=truncate)
        rate = LEARNING_RATE / len(x)
        U[...] -= rate * gradients.dU
        V[...] -= rate * gradients.dV
        W[...] -= rate * gradients.dW
        return loss

    return step


def installed_peers() -> dict[str, Callable[[ModelConfig, dict[str, np.ndarray]], Step]]:
    peers: dict[str, Callable[[ModelConfig, dict[str, np.ndarray]], Step]] = {}
    if find_spec("torch"):
        peers["PyTorch"] = pytorch_step
    if find_spec("jax"):
        peers["JAX"] = jax_step
    return peers
