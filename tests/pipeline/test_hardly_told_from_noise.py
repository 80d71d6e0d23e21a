"""A network that does not tell particles from noise: it is noticed, said, kept in the model, and allowed for."""

import numpy as np
import pytest
from scipy import ndimage

from tests.pipeline.conftest import VOXEL, Pair
from tests.pipeline.test_train_pick import Heard
from tomopicker import api
from tomopicker.config import Settings
from tomopicker.picks import Picks
from tomopicker.tomogram import Tomogram
from tomopicker.training.checkpoint import Model


def nothing(seed: int) -> Pair:
    """Noise without a particle in it, and ten clicks on it."""
    rng = np.random.default_rng(seed)
    volume = ndimage.gaussian_filter(rng.standard_normal((64, 128, 128)), 1).astype(np.float32)
    name = f"noise_{seed}"
    clicks = rng.uniform(16, [112, 112, 48], (10, 3)) * VOXEL
    return Tomogram(name, volume / volume.std(), VOXEL), Picks.of(name, clicks)


@pytest.fixture(scope="module")
def heard() -> Heard:
    return Heard()


@pytest.fixture(scope="module")
def clueless(quick: Settings, heard: Heard) -> Model:
    tomogram, clicks = nothing(0)
    settings = quick.model_copy(update={"preprocess": quick.preprocess.model_copy(update={"mask": "none"})})
    return api.train([tomogram], clicks, settings, device="cpu", callback=heard)


def test_it_is_reported_and_kept(clueless: Model, heard: Heard) -> None:
    assert any("hardly separates these particles from noise" in text for text in heard.warned)
    assert [text for text in clueless.warnings if "hardly separates these particles from noise" in text]
    assert set(clueless.warnings) <= set(heard.warned)


def test_a_network_that_learnt_them_warns_of_nothing(model: Model) -> None:
    assert model.warnings == ()
