"""A count that is far denser than where the clicks were made is doubted aloud."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from tomopicker.cli.pick_run import _warn_if_crowded
from tomopicker.cli.progress import Reporter
from tomopicker.tomogram import Tomogram


@pytest.mark.parametrize(("particles", "warned"), [(540.0, True), (100.0, False), (3.0, False)])
def test_far_more_than_in_training_is_said(capsys, particles, *, warned):
    tomogram = Tomogram("TS_2", np.zeros((10, 20, 30), np.float32), 10.0)
    trained = {"shape_zyx": [10, 20, 30], "voxel_size_angstrom": 10.0, "specimen_fraction": 1.0}
    model = SimpleNamespace(provenance={"particles": 60.0, "training": [trained]})
    picked = SimpleNamespace(working=SimpleNamespace(share=1.0), expected=SimpleNamespace(particles=particles))
    with Reporter() as reporter:
        _warn_if_crowded(Path("TS_2.mrc"), tomogram, model, picked, reporter)
    said = capsys.readouterr().err
    assert ("9.0 times as dense" in said) == warned
