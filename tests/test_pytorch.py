"""What PyTorch computed (tests/recorded, with the script that made it): agreement to 1e-10, without PyTorch."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from rnn_core import LanguageModel, ModelConfig, from_torch_state_dict, gradient_flow, to_torch_state_dict
from rnn_core.optim.clipping import clip_by_global_norm, clip_by_value
from rnn_core.optim.optimizers import OPTIMIZERS, make_optimizer

RECORDED = Path(__file__).parent / "recorded"
CASES = sorted(path.stem for path in RECORDED.glob("*.npz"))
every_case = pytest.mark.parametrize("case", CASES)

# The settings of the recording script.
LEARNING_RATES = {"sgd": 0.5, "momentum": 0.1, "nesterov": 0.1, "rmsprop": 0.01, "adam": 0.01, "adamw": 0.01}
VARIANTS = {
    "plain": {"weight_decay": 0.0, "norm": None, "value": None},
    "decay-norm": {"weight_decay": 0.03, "norm": 0.2, "value": None},
    "value": {"weight_decay": 0.0, "norm": None, "value": 0.02},
}


class Recorded:
    def __init__(self, case: str) -> None:
        with np.load(RECORDED / f"{case}.npz", allow_pickle=False) as archive:
            self.arrays = {name: archive[name] for name in archive.files}
        self.config = ModelConfig.from_json(json.loads(str(self["config"])))
        self.batch = self["inputs"], self["targets"], self["mask"]

    def __getitem__(self, name: str) -> np.ndarray:
        return self.arrays[name]

    def under(self, folder: str) -> dict[str, np.ndarray]:
        """The arrays whose names start with `folder`/, without it."""
        return {name[len(folder) + 1 :]: v for name, v in self.arrays.items() if name.startswith(folder + "/")}

    def model(self) -> LanguageModel:
        return LanguageModel(self.config, params=from_torch_state_dict(self.config, self.under("weights")))


def assert_close(ours: np.ndarray, theirs: np.ndarray, what: str = "") -> None:
    assert np.shape(ours) == np.shape(theirs), what
    np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-10 * np.abs(theirs).max(initial=1e-3), err_msg=what)


def test_the_recording_covers_every_cell_with_one_and_two_layers_and_is_small() -> None:
    for cell in ("tanh", "relu", "lstm", "gru"):
        for layers in (1, 2):
            assert Recorded(f"{cell}-{layers}").config == ModelConfig(
                cell=cell,
                layers=layers,
                vocabulary_size=6,
                hidden_size=3,
                embedding_size=2,
                embedding_init="uniform",
            )
    lengths = Recorded("lstm-1")["mask"].sum(axis=0)
    assert len(set(lengths)) == len(lengths), "the sequences should be of different lengths"
    assert sum(path.stat().st_size for path in RECORDED.iterdir() if path.is_file()) < 1_000_000


@every_case
def test_predictions_and_states_are_pytorchs(case: str) -> None:
    recorded = Recorded(case)
    model, mask = recorded.model(), recorded["mask"]
    assert model.dtype == np.float64
    log_p, _ = model.log_probabilities(recorded["inputs"])
    assert_close(log_p[mask], recorded["log_probabilities"][mask])
    losses, state = model.token_losses(*recorded.batch)
    assert_close(losses.sum() / mask.sum(), recorded["loss"])
    size = recorded.config.hidden_size
    assert_close(np.stack([part[:, :size] for part in state]), recorded["state_h"])
    if recorded.config.cell == "lstm":
        assert_close(np.stack([part[:, size:] for part in state]), recorded["state_c"])


@every_case
def test_loss_and_gradients_are_pytorchs(case: str) -> None:
    recorded = Recorded(case)
    loss, gradients = recorded.model().loss_and_gradients(*recorded.batch)
    assert_close(loss, recorded["loss"])
    theirs = recorded.under("gradients")
    ours = to_torch_state_dict(recorded.config, gradients, gradients=True)
    assert list(ours) == list(theirs)
    for name, gradient in theirs.items():
        assert_close(ours[name], gradient, name)


@every_case
def test_the_gradients_of_the_pictures_are_pytorchs(case: str) -> None:
    recorded = Recorded(case)
    flow = gradient_flow(recorded.model(), *recorded.batch)
    for name in flow.lag_gradients:
        assert_close(flow.lag_gradients[name].sum(axis=0), flow.gradients[name], name)
    ours = to_torch_state_dict(recorded.config, flow.gradients, gradients=True)
    for name, gradient in recorded.under("gradients").items():
        assert_close(ours[name], gradient, name)


@every_case
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.slow
def test_ten_steps_of_every_optimizer_end_where_pytorchs_end(case: str, optimizer: str, variant: str) -> None:
    recorded, settings = Recorded(case), VARIANTS[variant]
    model = recorded.model()
    rule = make_optimizer(optimizer, model.params, settings["weight_decay"])
    losses = []
    for _ in range(10):
        loss, gradients, _ = model.training_gradients(*recorded.batch)
        losses.append(loss)
        scale = 1.0
        if settings["norm"] is not None:
            _, scale = clip_by_global_norm(gradients, settings["norm"])
        if settings["value"] is not None:
            gradients = clip_by_value(gradients, settings["value"])
        rule.update(model.params, gradients, LEARNING_RATES[optimizer], scale)
    losses.append(model.loss(*recorded.batch))
    assert_close(np.array(losses), recorded[f"steps/{optimizer}-{variant}/losses"])
    weights = np.concatenate([v.ravel() for v in to_torch_state_dict(recorded.config, model.params).values()])
    assert_close(weights, recorded[f"steps/{optimizer}-{variant}/weights"])
