"""Somebody's own PyTorch training, recorded: the numbers are of its own gradient, and the training stays the same.
Runs where PyTorch is installed.
"""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from rnn_core import Monitor, torch_gradient_flow
from rnn_core.diagnostics import horizon_of_flow, saturated_shares
from rnn_core.errors import RunError, SettingsError
from rnn_core.interop.torch_flow import network_of
from rnn_core.interop.torch_probe import STEPS
from rnn_core.runs import Run, list_runs
from rnn_core.runs.worker import work

torch = pytest.importorskip("torch")

T, B, D, H = 7, 3, 4, 5
RATE, CLIP = 0.1, 1e-4


def module(kind: str = "LSTM", **options: Any) -> Any:
    torch.manual_seed(3)
    return getattr(torch.nn, kind)(D, H, **{"dtype": torch.float64} | options)


def sequences(steps: int = T) -> Any:
    torch.manual_seed(4)
    return torch.randn(steps, B, D, dtype=torch.float64)


def squares(outputs: Any) -> Any:
    return outputs.pow(2).sum(-1)


def recorded(folder: Path, kind: str = "horizon_measured") -> list[dict[str, Any]]:
    return Run.open(folder).events(kinds=[kind])


def one_step(rnn: Any, folder: Path, loss: Any) -> dict[str, Any]:
    """What the monitor measures of a step whose loss is `loss()`."""
    with Monitor(rnn, folder) as monitor:
        loss().backward()
        monitor.step(1.0)
    (found,) = recorded(folder)
    return found


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
@pytest.mark.parametrize("options", [{}, {"num_layers": 2}, {"batch_first": True}], ids=str)
def test_the_horizon_is_that_of_the_flow(kind: str, options: dict[str, Any], tmp_path: Path) -> None:
    rnn, inputs = module(kind, **options), sequences()
    if rnn.batch_first:
        inputs = inputs.transpose(0, 1)
    found = one_step(rnn, tmp_path / "run", lambda: squares(rnn(inputs)[0]).mean())
    flow = torch_gradient_flow(rnn, inputs, squares)
    expected = horizon_of_flow(network_of(rnn), flow)
    np.testing.assert_allclose(found["median"], expected.median, rtol=1e-9)
    np.testing.assert_allclose(found["high"], expected.high, rtol=1e-9)
    assert found["half_life"] == pytest.approx(expected.half_life)
    shares = saturated_shares(flow.trace)
    assert dict(zip(found["signals"], found["saturated"], strict=True)) == pytest.approx(shares)
    assert len(found["radii"]) == len(found["norms"]) == len(rnn.weight_hh_l0) // H * rnn.num_layers


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_a_loss_at_the_final_state_is_one_at_the_last_output(kind: str, tmp_path: Path) -> None:
    rnn, inputs = module(kind), sequences()

    def final() -> Any:
        state = rnn(inputs)[1]
        return squares(state[0] if kind == "LSTM" else state).sum()

    by_state = one_step(rnn, tmp_path / "state", final)
    by_output = one_step(rnn, tmp_path / "output", lambda: squares(rnn(inputs)[0][-1]).sum())
    assert by_state["median"] == pytest.approx(by_output["median"], rel=1e-12)
    assert len(by_state["median"]) == T


def test_packed_sequences_are_read_as_padded_ones(tmp_path: Path) -> None:
    rnn, inputs, lengths = module(), sequences(), torch.tensor([4, 7, 5])
    packed = torch.nn.utils.rnn.pack_padded_sequence(inputs, lengths, enforce_sorted=False)
    read = one_step(rnn, tmp_path / "packed", lambda: squares(rnn(packed)[0].data).sum())
    counted = torch.arange(T)[:, None] < lengths
    padded = one_step(rnn, tmp_path / "padded", lambda: (squares(rnn(inputs)[0]) * counted).sum())
    assert read["median"] == pytest.approx(padded["median"], rel=1e-12)


def test_of_a_long_sequence_the_end_is_measured_from_the_state_it_has_there(tmp_path: Path) -> None:
    rnn, inputs = module("GRU"), sequences(STEPS + 9)
    found = one_step(rnn, tmp_path / "run", lambda: squares(rnn(inputs)[0]).mean())
    _, state = rnn(inputs[:9])
    expected = torch_gradient_flow(rnn, inputs[9:], squares, state)
    np.testing.assert_allclose(found["median"], horizon_of_flow(network_of(rnn), expected).median, rtol=1e-9)


def test_dropout_between_layers_is_left_out_and_no_reason_to_refuse(tmp_path: Path) -> None:
    rnn, inputs = module(num_layers=2, dropout=0.5), sequences()
    assert len(one_step(rnn, tmp_path / "run", lambda: squares(rnn(inputs)[0]).mean())["median"]) == T


def trained(folder: Path | None) -> tuple[list[float], list[Any]]:
    """Losses and weights of ten steps, monitored into `folder` or not at all."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.LSTM(D, H))
    optimizer = SimpleNamespace(param_groups=[{"lr": RATE}])  # PyTorch's own take seconds to import
    monitor = None if folder is None else Monitor(model, folder, every=2, optimizer=optimizer).__enter__()
    losses = []
    for _ in range(10):
        loss = squares(model(torch.randn(T, B, D))[0]).mean()
        model.zero_grad()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter -= RATE * parameter.grad
        if monitor is not None:
            monitor.step(loss, gradient_norm=norm)
            with torch.no_grad():
                model(torch.randn(1, B, D, generator=torch.Generator()))  # a validation is no step
        losses.append(float(loss.detach()))
    if monitor is not None:
        monitor.validated(0.5)
        monitor.__exit__(None, None, None)
        assert not model[0]._forward_hooks
    return losses, list(model.parameters())


def test_a_monitored_training_is_the_same_training(tmp_path: Path) -> None:
    bare, monitored = trained(None), trained(tmp_path / "run")
    assert bare[0] == monitored[0]
    assert all(map(torch.equal, bare[1], monitored[1]))
    run = Run.open(tmp_path / "run")
    metrics = run.metrics()
    assert metrics["loss_nats"] == pytest.approx(bare[0])
    assert (metrics["tokens"] == T * B).all()
    assert metrics["clipped_norm"] == pytest.approx(CLIP, rel=0.01)
    assert (metrics["gradient_norm"] > 2 * CLIP).all()
    assert metrics["learning_rate"] == pytest.approx(RATE)
    assert [event["loss_nats"] for event in run.events(kinds=["validated"])] == [0.5]
    status = run.status()
    assert (status.state, status.step, status.valid_loss_nats) == ("finished", 10, 0.5)


def test_it_is_alive_while_the_loop_is_and_says_how_that_ended(tmp_path: Path) -> None:
    rnn, folder = module(), tmp_path / "monitored"

    def loop() -> None:
        with Monitor(rnn, folder, name="mine"):
            assert Run.open(folder).status().state == "running"
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        loop()
    status = Run.open(folder).status()
    assert (status.state, status.message) == ("stopped", "its program ended with ZeroDivisionError.")
    assert [summary.config.name for summary in list_runs(tmp_path) if summary.config] == ["mine"]


def test_steps_that_are_no_number_are_left_out_and_counted(tmp_path: Path) -> None:
    rnn = module()
    with Monitor(rnn, tmp_path / "run") as monitor:
        for loss in (1.0, float("nan")):
            squares(rnn(sequences())[0]).mean().backward()
            monitor.step(loss)
        monitor.validated(float("inf"))
    run = Run.open(tmp_path / "run")
    assert run.metrics()["step"].tolist() == [1]
    assert run.status().message.startswith("1 step ")
    assert not run.events(kinds=["validated"])


def test_a_loop_that_reads_one_step_at_a_time_is_told_so(tmp_path: Path) -> None:
    rnn = module()
    one_step(rnn, tmp_path / "run", lambda: squares(rnn(sequences(1))[0]).mean())
    assert "give it whole sequences" in Run.open(tmp_path / "run").status().message


def test_a_recording_that_fails_does_not_end_the_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rnn = module()
    with Monitor(rnn, tmp_path / "run") as monitor:
        rnn.half()
        with torch.no_grad():
            for parameter in rnn.parameters():
                parameter.grad = torch.ones_like(parameter)
        rnn(sequences().half())
        with pytest.warns(RuntimeWarning, match="no longer recorded: .*float16"):
            monitor.step(1.0)
        monitor.step(1.0)


def test_what_cannot_be_monitored_is_refused_with_the_way_out(tmp_path: Path) -> None:
    rnn = module()
    for wrong, reason in (
        (torch.nn.Linear(2, 3), "has no torch.nn.RNN"),
        (torch.nn.ModuleList([rnn, module("GRU")]), "give the one"),
        (module(bidirectional=True), "bidirectional=False"),
        (module(device="meta"), "rnn.cpu"),
        (None, "has no torch.nn.RNN"),
    ):
        with pytest.raises(SettingsError, match=reason):
            Monitor(wrong, tmp_path / "none")
    assert not (tmp_path / "none").exists()
    with pytest.raises(SettingsError, match="from 1 up"):
        Monitor(rnn, tmp_path / "none", every=0)
    with Monitor(rnn, tmp_path / "run") as monitor, pytest.raises(SettingsError, match="before zero_grad"):
        monitor.step(1.0)
    with pytest.raises(RunError, match="holds a run already"):
        Monitor(rnn, tmp_path / "run")


def test_a_monitored_run_cannot_be_trained_or_steered_from_here(tmp_path: Path) -> None:
    with Monitor(module(), tmp_path / "run"):
        pass
    run = Run.open(tmp_path / "run")
    with pytest.raises(RunError, match="another program"):
        work(run.folder)
    with pytest.raises(RunError, match="another program"):
        run.request("pause")
    with pytest.raises(RunError, match="`import`"):
        run.load_model()
    assert run.status().state == "finished"
