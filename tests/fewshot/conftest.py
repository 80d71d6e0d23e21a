"""Two small, easy tomograms, an empty one, and their features."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tomopicker import api
from tomopicker.picks import Picks
from tomopicker.simulation.tomogram import simulate_tomogram
from tomopicker.tomogram import Tomogram

VOXEL, DIAMETER = 13.48, 290.0

Pair = tuple[Tomogram, Picks]


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def simulated(name: str, seed: int, particles: int, **changes: str) -> Pair:
    made = simulate_tomogram("easy", (56, 144, 144), VOXEL, seed, n_targets=particles)
    return Tomogram(name, made.volume, VOXEL), Picks.of(name, made.targets.positions * VOXEL)


@pytest.fixture(scope="session")
def first() -> Pair:
    return simulated("TS_1", 1, 24)


@pytest.fixture(scope="session")
def second() -> Pair:
    return simulated("TS_2", 2, 18)


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def features(first: Pair, cache: Path) -> api.Features:
    return api.features(first[0], DIAMETER, cache=cache, device="cpu")


@pytest.fixture(scope="session")
def others(second: Pair, cache: Path) -> api.Features:
    return api.features(second[0], DIAMETER, cache=cache, device="cpu")
