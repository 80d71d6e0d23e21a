"""Two small, easy tomograms and a picker trained on the first in seconds."""

from collections.abc import Generator, Iterator

import numpy as np
import pytest
import torch
from torch import nn

from tests.shortcuts import shortcuts
from tomopicker.config import Settings, resolve
from tomopicker.picks import Picks
from tomopicker.pipeline.scoring import prepare_network, score_working_volume
from tomopicker.pipeline.train import train
from tomopicker.preprocessing.preprocess import WorkingVolume
from tomopicker.simulation.tomogram import simulate_tomogram
from tomopicker.tomogram import Tomogram
from tomopicker.training.checkpoint import Model
from tomopicker.types import Volume

VOXEL, DIAMETER = 13.48, 290.0

Pair = tuple[Tomogram, Picks]


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Shorten trainings of single tests, but not those of shared fixtures."""
    with shortcuts(item):
        return (yield)


def scored(network: nn.Module, working: WorkingVolume, settings: Settings) -> Volume:
    """Score a working volume, on the CPU."""
    device = torch.device("cpu")
    fitted = prepare_network(network, working, settings, device)
    volume: Volume = score_working_volume(fitted, working.data, settings, device, working.mask)[0]
    return volume


def simulated(seed: int, particles: int) -> Pair:
    made = simulate_tomogram("easy", (48, 128, 128), VOXEL, seed, n_targets=particles)
    name = f"TS_{seed}"
    return Tomogram(name, made.volume, VOXEL), Picks.of(name, made.targets.positions * VOXEL)


@pytest.fixture(scope="session")
def first() -> Pair:
    return simulated(1, 24)


@pytest.fixture(scope="session")
def second() -> Pair:
    return simulated(2, 18)


@pytest.fixture(scope="session")
def quick() -> Settings:
    return resolve(
        {
            "particle_diameter": DIAMETER,
            "network": {"channels": (8, 16), "pretrained": "none"},
            "patches": {"batch": 10},
            "training": {"steps": 60},
        }
    )


@pytest.fixture(scope="session")
def model(first: Pair, quick: Settings) -> Model:
    tomogram, truth = first
    clicks = truth.select(np.random.default_rng(0).permutation(len(truth))[:10])
    return train([tomogram], clicks, quick, device="cpu")
