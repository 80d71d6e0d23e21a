"""Boxes lie where they should, to a fraction of a voxel, and only they are read."""

from dataclasses import replace

import numpy as np

from tomopicker.geometry import Frame
from tomopicker.preprocessing.subtomograms import binned, subtomograms
from tomopicker.tomogram import Tomogram

SIZE = 2.0


class Counted:
    """Counts the voxels that are read."""

    def __init__(self, data):
        self.data, self.read = data, 0

    shape = property(lambda self: self.data.shape)
    dtype = property(lambda self: self.data.dtype)

    def __getitem__(self, key):
        part = self.data[key]
        self.read += part.size
        return part


def ramp(shape=(30, 40, 50)):
    z, y, x = np.indices(shape, dtype=np.float32)
    return Tomogram("ramp", x + 100 * y + 10000 * z, SIZE)


def test_a_box_holds_the_position_at_its_centre_also_between_voxels():
    positions = np.array([[20.0, 21.5, 12.25], [10.0, 11.0, 12.0]])
    for box in (7, 8):
        for row, cut in subtomograms(ramp(), positions * SIZE, box):
            x, y, z = positions[row]
            assert cut.shape == (box, box, box)
            assert abs(cut[(box // 2,) * 3] - (x + 100 * y + 10000 * z)) < 0.05
            assert abs(cut[box // 2, box // 2, 0] - cut[box // 2, box // 2, box // 2] + box // 2) < 0.05


def test_outside_is_filled_with_the_mean_and_far_outside_is_left_out():
    tomogram = Tomogram("flat", np.full((20, 20, 20), 5, dtype=np.int16), SIZE)
    positions = np.array([[0.0, 10, 10], [-40, 10, 10], [19, 19, 19]])
    cuts = dict(subtomograms(tomogram, positions * SIZE, 9))
    assert set(cuts) == {0, 2}
    assert all(np.all(cut == 5) for cut in cuts.values())


def test_only_the_boxes_are_read():
    data = Counted(np.zeros((60, 60, 60), dtype=np.int8))
    list(subtomograms(Tomogram("big", data, SIZE), np.array([[30.0, 30, 30], [20, 20, 20]]) * SIZE, 10))
    assert data.read == 2 * 11**3


def test_bright_protein_is_turned_dark():
    tomogram = Tomogram("bright", np.ones((20, 20, 20), dtype=np.float32), SIZE, inverted=True)
    ((_, cut),) = subtomograms(tomogram, np.array([[10.0, 10, 10]]) * SIZE, 5)
    assert np.all(cut == -1)


def test_binning_averages_cubes():
    volume = np.arange(7 * 6 * 6, dtype=np.float32).reshape(7, 6, 6)
    small = binned(volume, 3)
    assert small.shape == (2, 2, 2)
    assert small[1, 0, 1] == volume[3:6, :3, 3:6].mean()


def test_a_binned_box_has_the_position_at_the_centre_of_a_voxel():
    position = np.array([[25.0, 20.5, 15.0]])
    for box, binning in ((4, 2), (5, 2), (5, 3)):
        ((_, cut),) = subtomograms(ramp(), position * SIZE, box, binning)
        assert cut.shape == (box, box, box)
        assert abs(cut[(box // 2,) * 3] - (25 + 100 * 20.5 + 10000 * 15)) < 0.05


def test_on_a_coarser_scale_a_box_lies_where_the_position_does():
    """Its first voxel lies half a voxel of the finest from that of the finest, which positions count from."""
    coarse = replace(ramp(), finest=Frame((60, 80, 100), SIZE / 2), origin=(SIZE / 4,) * 3)
    position = np.array([[20.0, 21.5, 12.25]])
    ((_, cut),) = subtomograms(coarse, position * SIZE + SIZE / 4, 7)
    assert abs(cut[3, 3, 3] - (20 + 100 * 21.5 + 10000 * 12.25)) < 0.05
