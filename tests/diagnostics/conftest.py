"""Two simulated tomograms with truth, thick enough to distinguish each axis from its mirror image."""

from dataclasses import dataclass

import numpy as np
import pytest

from tomopicker.picks import Picks
from tomopicker.simulation.tomogram import simulate_tomogram
from tomopicker.tomogram import Tomogram

VOXEL_SIZE, SHAPE, DIAMETER = 13.48, (96, 136, 128), 300.0


@dataclass(frozen=True)
class Case:
    tomogram: Tomogram
    voxels: np.ndarray  # (x, y, z)

    def picks(self, voxels):
        return Picks.of(self.tomogram.name, np.asarray(voxels) * VOXEL_SIZE)


@pytest.fixture(scope="session")
def cases():
    made = []
    for seed in (3, 4):
        simulated = simulate_tomogram("easy", SHAPE, VOXEL_SIZE, seed, n_targets=60)
        made.append(Case(Tomogram(f"TS_{seed}", simulated.volume, VOXEL_SIZE), simulated.targets.positions))
    return made


@pytest.fixture(scope="session")
def case(cases):
    return cases[0]
