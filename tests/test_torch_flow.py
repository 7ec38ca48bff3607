"""Somebody's own PyTorch network under the lens: every number against autograd. Runs where PyTorch is installed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rnn_core import to_torch_state_dict, torch_gradient_flow
from rnn_core.diagnostics import gradient_by_lag, horizon_of_flow, lyapunov_exponents, saturation, where_lost
from rnn_core.errors import SettingsError
from rnn_core.interop.torch_flow import network_of

torch = pytest.importorskip("torch")

T, B, D, H = 6, 3, 4, 5
MODULES = ["RNN", "RNN relu", "LSTM", "GRU"]
every_module = pytest.mark.parametrize("kind", MODULES)


def module(kind: str, layers: int = 1, **options: Any) -> Any:
    torch.manual_seed(3)
    name, _, nonlinearity = kind.partition(" ")
    if nonlinearity:
        options["nonlinearity"] = nonlinearity
    options = {"dtype": torch.float64} | options
    return getattr(torch.nn, name)(D, H, layers, **options)


def inputs_for(rnn: Any) -> Any:
    torch.manual_seed(4)
    shape = (B, T, D) if rnn.batch_first else (T, B, D)
    return torch.randn(shape, dtype=next(rnn.parameters()).dtype)


def loss_for(rnn: Any) -> Any:
    """A decoder of the user's own, and a cross-entropy at each step."""
    torch.manual_seed(5)
    decoder = torch.nn.Linear(H, 7, dtype=next(rnn.parameters()).dtype)
    targets = torch.randint(0, 7, (B, T) if rnn.batch_first else (T, B))
    return lambda outputs: torch.nn.functional.cross_entropy(
        decoder(outputs).flatten(0, 1), targets.flatten(), reduction="none"
    ).reshape(targets.shape)


def time_major(rnn: Any, array: Any) -> np.ndarray:
    values = array.detach().numpy()
    return values.swapaxes(0, 1) if rnn.batch_first else values


@every_module
@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("options", [{}, {"bias": False}, {"batch_first": True}, {"dtype": torch.float32}], ids=str)
def test_losses_and_gradients_are_autograds(kind: str, layers: int, options: dict[str, Any]) -> None:
    rnn = module(kind, layers, **options)
    inputs, loss = inputs_for(rnn), loss_for(rnn)
    flow = torch_gradient_flow(rnn, inputs, loss)
    losses = loss(rnn(inputs)[0])
    losses.mean().backward()
    single = next(rnn.parameters()).dtype == torch.float32
    exact = {"rtol": 1e-3, "atol": 1e-5} if single else {"rtol": 1e-9, "atol": 1e-14}
    np.testing.assert_allclose(flow.losses_nats, time_major(rnn, losses), **exact)
    model = network_of(rnn)
    summed = {name: flow.lag_gradients[name].sum(axis=0) for name in flow.lag_gradients}
    nothing = {"V": model.params["V"], "c": model.params.get("c")}
    for found in (summed, flow.gradients):
        ours = to_torch_state_dict(model.config, {**found, **nothing}, gradients=True)
        for name, parameter in rnn.named_parameters():
            np.testing.assert_allclose(ours[f"rnn.{name}"], parameter.grad.numpy(), err_msg=name, **exact)


@every_module
@pytest.mark.parametrize("layers", [1, 2])
def test_every_delta_is_the_gradient_of_one_loss_by_one_input_projection(kind: str, layers: int) -> None:
    """dE_t/dx_k = delta_{t,k} W_ih, which autograd gives for one loss after the other."""
    rnn = module(kind, layers)
    inputs, loss = inputs_for(rnn).requires_grad_(), loss_for(rnn)
    flow = torch_gradient_flow(rnn, inputs, loss)
    losses = loss(rnn(inputs)[0])
    model = network_of(rnn)
    for t in range(T):
        for b in range(B):
            (expected,) = torch.autograd.grad(losses[t, b], inputs, retain_graph=True)
            for k in range(t + 1):
                deltas = flow.lag_steps[t - k].d_preactivations[0][:, k, b]
                by_gate = model.cell.input_part(deltas).reshape(-1)
                np.testing.assert_allclose(by_gate @ model.params["U"].T, expected[k, b].numpy(), rtol=1e-9, atol=1e-14)
    if layers == 1 and kind.startswith("RNN"):
        bare = np.linalg.norm(flow.lag_steps[0].d_preactivations[0][0], axis=-1)
        np.testing.assert_allclose(np.diagonal(flow.delta_norms, axis1=0, axis2=1).T, bare, rtol=1e-12)


@every_module
def test_the_jacobian_norms_are_autograds(kind: str) -> None:
    rnn = module(kind)
    inputs, loss = inputs_for(rnn), loss_for(rnn)
    flow = torch_gradient_flow(rnn, inputs, loss)
    lstm = rnn.mode == "LSTM"
    state = torch.zeros(2 * H if lstm else H, dtype=torch.float64)
    for t in range(T):

        def step(before: Any, t: int = t) -> Any:
            parts = before.reshape(-1, 1, 1, H)
            _, after = rnn(inputs[t : t + 1, :1], tuple(parts) if lstm else parts[0])
            return torch.cat([part.reshape(-1) for part in after]) if lstm else after.reshape(-1)

        jacobian = torch.autograd.functional.jacobian(step, state)
        assert flow.step_norms[t, 0] == pytest.approx(float(torch.linalg.matrix_norm(jacobian, 2)), rel=1e-8)
        state = step(state).detach()


def test_a_flow_stays_what_it_is_while_the_module_is_trained_on() -> None:
    rnn = module("LSTM")
    inputs, loss = inputs_for(rnn), loss_for(rnn)
    flow, other = (torch_gradient_flow(rnn, inputs, loss) for _ in range(2))
    expected = dict(other.gradients)
    with torch.no_grad():
        for value in (*rnn.parameters(), inputs):
            value += 1
    for name, value in flow.gradients.items():
        np.testing.assert_array_equal(value, expected[name])


@every_module
def test_a_state_before_the_first_step_is_read(kind: str) -> None:
    rnn = module(kind, 2)
    inputs, loss = inputs_for(rnn), loss_for(rnn)
    h = torch.randn(2, B, H, dtype=torch.float64)
    state = (h, torch.randn(2, B, H, dtype=torch.float64)) if rnn.mode == "LSTM" else h
    flow = torch_gradient_flow(rnn, inputs, loss, state)
    np.testing.assert_allclose(flow.losses_nats, loss(rnn(inputs, state)[0]).detach().numpy(), rtol=1e-12)


@every_module
def test_every_diagnostic_takes_it(kind: str) -> None:
    rnn = module(kind, 2)
    flow = torch_gradient_flow(rnn, inputs_for(rnn), loss_for(rnn))
    assert np.isfinite(horizon_of_flow(network_of(rnn), flow).median).all()
    assert gradient_by_lag(flow).residual < 1e-12
    assert len(where_lost(flow, T - 1).positions) == T - 1
    assert saturation(flow.trace)
    assert np.isfinite(lyapunov_exponents(flow.trace).exponents[0])


@pytest.mark.slow
def test_a_compiled_module_and_a_compiled_loss_give_the_same_flow() -> None:
    rnn = module("LSTM")
    inputs, loss = inputs_for(rnn), loss_for(rnn)
    compiled = torch.compile(rnn, backend="eager")
    compiled(inputs)
    flow = torch_gradient_flow(compiled, inputs, torch.compile(loss, backend="eager"))
    np.testing.assert_allclose(flow.delta_norms, torch_gradient_flow(rnn, inputs, loss).delta_norms, rtol=1e-12)


# -- What is not understood -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rnn", "reason"),
    [
        (module("LSTM", bidirectional=True), "bidirectional=False"),
        (module("LSTM", proj_size=2), "proj_size=0"),
        (module("GRU", 2, dropout=0.5), "rnn.eval"),
        (module("GRU", dtype=torch.float16), "rnn.float"),
        (module("GRU", device="meta"), "rnn.cpu"),
        (torch.nn.Linear(2, 3), "not a plain torch.nn.RNN"),
        (torch.nn.LSTMCell(2, 3), "not a plain torch.nn.RNN"),
        (torch.nn.Sequential(module("RNN")), "the recurrent module itself"),
        (None, "the recurrent module itself"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_a_module_that_is_not_understood_is_refused_with_the_way_out(rnn: Any, reason: str) -> None:
    with pytest.raises(SettingsError, match=reason):
        torch_gradient_flow(rnn, torch.zeros(T, B, D), lambda outputs: outputs.sum(-1))


def test_hooks_and_parametrizations_are_refused() -> None:
    rnn = module("LSTM")
    rnn.register_forward_hook(lambda *_: None)
    with pytest.raises(SettingsError, match="remove them"):
        torch_gradient_flow(rnn, inputs_for(rnn), loss_for(rnn))
    rnn = torch.nn.utils.parametrizations.weight_norm(module("LSTM"), "weight_hh_l0")
    with pytest.raises(SettingsError, match="parametrized"):
        torch_gradient_flow(rnn, inputs_for(rnn), loss_for(rnn))


def test_dropout_that_is_switched_off_is_none() -> None:
    rnn = module("GRU", 2, dropout=0.5).eval()
    assert np.isfinite(torch_gradient_flow(rnn, inputs_for(rnn), loss_for(rnn)).delta_norms[-1]).all()


@pytest.mark.parametrize(
    ("loss", "reason"),
    [
        (lambda outputs: outputs.mean(), 'reduction="none"'),
        (lambda outputs: outputs[-1:].sum(-1), 'reduction="none"'),
        (lambda outputs: 1.0, 'reduction="none"'),
        (lambda outputs: outputs.detach().sum(-1), "does not depend"),
        (lambda outputs: outputs.cumsum(0).pow(2).sum(-1), "mixes time steps"),
        (lambda outputs: (outputs - outputs.mean(0)).pow(2).sum(-1), "mixes time steps"),
        (lambda outputs: outputs.sum(-1).sqrt() - 10 * torch.inf, "not finite"),
        (lambda outputs: torch.roll(outputs, 1, dims=1).pow(2).sum(-1), "mixes time steps"),
    ],
)
def test_a_loss_that_is_not_one_for_each_step_is_refused(loss: Any, reason: str) -> None:
    rnn = module("GRU")
    with pytest.raises(SettingsError, match=reason):
        torch_gradient_flow(rnn, inputs_for(rnn), loss)


@pytest.mark.parametrize(
    "inputs",
    [
        np.zeros((T, B, D)),
        torch.zeros(T, D),
        torch.zeros(T, B, D + 1),
        torch.zeros(0, B, D, dtype=torch.float64),
        torch.full((T, B, D), torch.nan, dtype=torch.float64),
    ],
    ids=["array", "two axes", "too wide", "empty", "nan"],
)
def test_inputs_that_do_not_fit_are_refused(inputs: Any) -> None:
    rnn = module("GRU")
    with pytest.raises(SettingsError, match="inputs must be"):
        torch_gradient_flow(rnn, inputs, loss_for(rnn))
    with pytest.raises(SettingsError, match="the state must be"):
        torch_gradient_flow(rnn, inputs_for(rnn), loss_for(rnn), torch.zeros(1, B + 1, H))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_inputs_and_states_of_another_precision_are_refused(dtype: Any) -> None:
    rnn = module("GRU")
    with pytest.raises(SettingsError, match=r"use inputs.to\(torch.float64\)"):
        torch_gradient_flow(rnn, inputs_for(rnn).to(dtype), loss_for(rnn))
    with pytest.raises(SettingsError, match="the state must be"):
        torch_gradient_flow(rnn, inputs_for(rnn), loss_for(rnn), torch.zeros(1, B, H, dtype=dtype))
    with pytest.raises(SettingsError, match="the state must be"):
        torch_gradient_flow(rnn, inputs_for(rnn), loss_for(rnn), np.zeros((1, B, H)))


def test_a_loss_in_half_precision_is_refused() -> None:
    rnn = module("GRU", dtype=torch.float32)
    with pytest.raises(SettingsError, match="in float32"):
        torch_gradient_flow(rnn, inputs_for(rnn), lambda outputs: outputs.to(torch.bfloat16).pow(2).sum(-1))


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")
def test_a_scripted_module_is_no_plain_one() -> None:
    scripted = torch.jit.script(module("LSTM"))
    with pytest.raises(SettingsError, match="neither scripted"):
        torch_gradient_flow(scripted, torch.zeros(T, B, D), lambda outputs: outputs.sum(-1))
