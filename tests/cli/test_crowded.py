"""A count that is far denser than where the clicks were made is doubted aloud."""

from pathlib import Path

import numpy as np
import pytest

from tomopicker.cluster.pick_tomogram import crowded
from tomopicker.tomogram import Tomogram


@pytest.mark.parametrize(("particles", "warned"), [(540.0, True), (100.0, False), (3.0, False)])
def test_far_more_than_in_training_is_said(particles, *, warned):
    tomogram = Tomogram("TS_2", np.zeros((10, 20, 30), np.float32), 10.0)
    trained = {"shape_zyx": [10, 20, 30], "voxel_size_angstrom": 10.0, "specimen_fraction": 1.0}
    doubt = crowded(Path("TS_2.mrc"), tomogram, {"particles": 60.0, "training": [trained]}, 1.0, particles)
    assert ("9.0 times as dense" in (doubt or "")) == warned
