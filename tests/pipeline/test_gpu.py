"""Device handling with a mock GPU, on which tensors of two devices cannot be mixed."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.pipeline.conftest import DIAMETER, VOXEL, Pair
from tests.pretend_gpu import pretend_gpu
from tomopicker import api
from tomopicker.config import Settings, resolve
from tomopicker.models import precision
from tomopicker.picks import Picks
from tomopicker.pipeline.callbacks import NullCallback
from tomopicker.pretraining.recipe import Recipe
from tomopicker.pretraining.train import pretrain
from tomopicker.simulation.tomogram import simulate_tomogram
from tomopicker.tomogram import Tomogram
from tomopicker.training.checkpoint import Model

SMALL: dict[str, Any] = {
    "particle_diameter": DIAMETER,
    "network": {"channels": (4, 8), "pretrained": "none"},
    "patches": {"batch": 4},
    "expected_particles": 10.0,
}
STEPS: dict[str, Any] = {"steps": 4}


@pytest.fixture(autouse=True)
def _one_arithmetic(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mock computes in float32; bfloat16 on a CPU would differ by rounding."""
    monkeypatch.setattr(precision, "_cpu_multiplies_bfloat16", lambda: False)


@pytest.fixture(scope="module")
def pair() -> Pair:
    made = simulate_tomogram("easy", (32, 64, 64), VOXEL, seed=1, n_targets=10)
    return Tomogram("TS_1", made.volume, VOXEL), Picks.of("TS_1", made.targets.positions * VOXEL)


def trained(pair: Pair, device: str | None, settings: Settings, **options: Any) -> Model:
    tomogram, truth = pair
    return api.train([tomogram], truth.select(np.arange(6)), settings, device=device, **options)


def where(model: Model) -> set[str]:
    return {tensor.device.type for tensor in model.network.parameters()}


def test_the_pretended_gpu_is_as_strict_as_one() -> None:
    with pretend_gpu() as gpu:
        there, here = torch.ones(3).to("cuda"), torch.ones(3)
        assert there.device == gpu.device and here.device.type == "cpu"
        assert (there + torch.zeros(3, device="cuda")).device == gpu.device
        assert float((2 * there).sum().cpu()) == 6
        with pytest.raises(RuntimeError, match="same device"):
            there + here
        with pytest.raises(TypeError, match="numpy"):
            there.numpy()
        network = torch.nn.Linear(3, 2).to("cuda")
        with pytest.raises(RuntimeError, match="same device"):
            network(here)
        network(there).sum().backward()
        assert network.weight.grad is not None and network.weight.grad.device == gpu.device
        assert network.to("cpu")(here).device.type == "cpu"
    with pretend_gpu("mps"), pytest.raises(TypeError, match="float64"):
        torch.ones(3, dtype=torch.float64).to("mps")


@pytest.mark.parametrize(
    ("device", "parts"),
    [
        ("cuda", {"preset": "best", "training": STEPS}),
        pytest.param("cuda", {"training": STEPS, "objective": {"loss": "kl"}}, marks=pytest.mark.in_full),
        ("cuda", {"training": STEPS, "objective": {"loss": "pu"}}),
        ("cuda", {"training": STEPS, "objective": {"loss": "distpu"}}),
        ("cuda", {"preset": "paper", "training": {"epochs": 1}}),
        pytest.param("mps", {"training": STEPS}, marks=pytest.mark.in_full),
    ],
    ids=["best", "kl", "pu", "distpu", "paper", "mps"],
)
def test_trained_on_a_gpu_a_model_picks_there_and_elsewhere(
    pair: Pair, tmp_path: Path, device: str, parts: dict[str, Any]
) -> None:
    """Model files have no device: a loaded model is on the CPU until it picks."""
    file = tmp_path / "any.model"
    with pretend_gpu(device) as gpu:
        validation_items = {"validation_tomograms": [pair[0]], "validation_picks": pair[1]}
        made = trained(pair, device, resolve({**SMALL, **parts}), **validation_items)
        assert where(made) == {device}
        api.save_model(file, made)
        read = api.load_model(file)
        assert where(read) == {"cpu"}
        done = gpu.operations
        first, *others = (api.pick(pair[0], each, device=on).logits for each in (made, read) for on in ("cpu", device))
        assert gpu.operations > done
    assert all(np.allclose(first, other, atol=1e-5) for other in others)


def test_the_best_device_is_taken_where_none_is_named(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: False)
    with pretend_gpu() as gpu:
        model = trained(pair, None, resolve({**SMALL, "training": STEPS}))
        assert where(model) == {"cuda"}
        done = gpu.operations
        api.pick(pair[0], model)
        assert gpu.operations > done


class Stopping(NullCallback):
    def on_train(self, job: str, report: Any) -> None:
        raise KeyboardInterrupt


def test_a_training_stopped_on_a_gpu_is_resumed(pair: Pair, tmp_path: Path) -> None:
    settings = resolve({**SMALL, "training": {**STEPS, "steps": 30}})
    checkpoint = tmp_path / "run"
    with pretend_gpu():
        with pytest.raises(KeyboardInterrupt):
            trained(pair, "cuda", settings, checkpoint=checkpoint, callback=Stopping())
        assert list(tmp_path.iterdir())
        resumed = trained(pair, "cuda", settings, checkpoint=checkpoint, resume=True)
        whole = trained(pair, "cuda", settings)
        for name, tensor in whole.network.state_dict().items():
            torch.testing.assert_close(resumed.network.state_dict()[name].cpu(), tensor.cpu(), rtol=1e-5, atol=1e-6)


def test_pretraining_on_a_gpu() -> None:
    recipe = Recipe(steps=2, classes=3, orientations=1, seed=1)
    with pretend_gpu():
        there = pretrain(recipe, device=torch.device("cuda"))
    here = pretrain(recipe, device=torch.device("cpu"))
    assert all(torch.allclose(there[name].cpu(), value, atol=1e-4) for name, value in here.items())
