"""A simple problem: dark balls in noise, some of them clicked."""

from dataclasses import dataclass

import numpy as np
import pytest

from tomopicker.config import resolve
from tomopicker.training.labels import LabelledVolume, label_mask

RADIUS, EDGE = 3.0, 32


@dataclass(frozen=True)
class Balls:
    labelled: LabelledVolume
    everywhere: np.ndarray
    positions: np.ndarray


@pytest.fixture(scope="session")
def balls():
    def make(clicked=8, seed=0, target_fraction=1.0):
        """Eight balls of 4 sd on a jittered grid, in white noise."""
        rng = np.random.default_rng(seed)
        positions = np.stack(np.meshgrid([8.0, 24.0], [8.0, 24.0], [8.0, 24.0]), -1).reshape(-1, 3)
        positions += rng.integers(-3, 4, positions.shape)
        everywhere = label_mask((EDGE, EDGE, EDGE), positions, RADIUS)
        volume = rng.standard_normal(everywhere.shape) - 4 * (everywhere == 1)
        volume = ((volume - volume.mean()) / volume.std()).astype(np.float32)
        clicks = positions[rng.permutation(8)[:clicked]]
        labels = label_mask(everywhere.shape, clicks, RADIUS, target_fraction)
        return Balls(LabelledVolume(volume, labels, clicks), everywhere == 1, positions)

    return make


@pytest.fixture(scope="session")
def small_settings():
    def make(preset="default", steps=30, seed=0, **parts):
        """A preset reduced for tests."""
        asked = {
            "preset": preset,
            "particle_diameter": 60.0,
            "seed": seed,
            "precision": "float32",
            "patches": {"size": 16, "batch": 8},
            "network": {"channels": (8, 12) if preset == "default" else (4, 8), "pretrained": "none"},
            "training": {"steps" if preset == "default" else "epochs": steps},
            "inference": {"tile": 16},
        }
        for name, values in parts.items():
            asked[name] = {**asked[name], **values} if isinstance(asked.get(name), dict) else values
        return resolve(asked)

    return make
