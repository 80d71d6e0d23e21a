"""A network that cannot separate particles from noise: it is detected, reported and saved in the model."""

import numpy as np
import pytest
from scipy import ndimage

from tests.pipeline.conftest import VOXEL, Pair
from tests.recording import RecordingCallback
from tomopicker import api
from tomopicker.config import Settings
from tomopicker.picks import Picks
from tomopicker.tomogram import Tomogram
from tomopicker.training.checkpoint import Model


def noise_tomogram(seed: int) -> Pair:
    """Return a tomogram of noise, and ten clicks in it."""
    rng = np.random.default_rng(seed)
    volume = ndimage.gaussian_filter(rng.standard_normal((64, 128, 128)), 1).astype(np.float32)
    name = f"noise_{seed}"
    clicks = rng.uniform(16, [112, 112, 48], (10, 3)) * VOXEL
    return Tomogram(name, volume / volume.std(), VOXEL), Picks.of(name, clicks)


@pytest.fixture(scope="module")
def recorder() -> RecordingCallback:
    return RecordingCallback()


@pytest.fixture(scope="module")
def model_of_noise(quick: Settings, recorder: RecordingCallback) -> Model:
    tomogram, clicks = noise_tomogram(0)
    settings = quick.model_copy(update={"preprocess": quick.preprocess.model_copy(update={"mask": "none"})})
    return api.train([tomogram], clicks, settings, device="cpu", callback=recorder)


def test_it_is_reported_and_kept(model_of_noise: Model, recorder: RecordingCallback) -> None:
    assert any("hardly separates these particles from noise" in text for text in recorder.warnings)
    assert [text for text in model_of_noise.warnings if "hardly separates these particles from noise" in text]
    assert set(model_of_noise.warnings) <= set(recorder.warnings)


def test_a_good_network_warns_of_nothing(model: Model) -> None:
    assert model.warnings == ()
