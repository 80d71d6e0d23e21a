"""Scorers without training get the lamella that the networks get: no picks in the noise beside it."""

import numpy as np
import pytest
from scipy import ndimage

from tomopicker.benchmark.candidates import scored_candidates
from tomopicker.benchmark.methods import BUILT_IN
from tomopicker.tomogram import Tomogram


@pytest.mark.parametrize("method", ["dog", "ball"])
def test_all_candidates_lie_in_it(mini, tmp_path, method):
    rng = np.random.default_rng(0)
    shape, voxel = (60, 75, 80), 25.0
    structure = ndimage.gaussian_filter(rng.standard_normal(shape), 1.2)
    structure[:20], structure[40:] = 0, 0
    volume = 3 * structure / structure.std() + rng.standard_normal(shape)
    tomogram = Tomogram("slab", volume.astype(np.float32), voxel)
    protocol = mini.protocol(tmp_path / "p.yaml")
    optics = next(iter(protocol.datasets.values())).optics
    found = scored_candidates(tomogram, BUILT_IN[method], protocol, optics)
    z = found.positions[:, 2] / voxel
    assert len(z) > 20
    assert z.min() > 14 and z.max() < 46
