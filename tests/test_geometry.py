"""Frames and units: half-pixel conventions for odd and even sizes, and round trips."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tomopicker.errors import TomoPickerError
from tomopicker.geometry import (
    Frame,
    PickTable,
    Unit,
    angstrom_to_voxels,
    from_file_units,
    is_outside,
    to_file_units,
    voxels_to_angstrom,
)
from tomopicker.picks import Picks


def table(unit, rows, names=None, pixel_size=None, frames=None):
    coordinates = np.array(rows, dtype=np.float64)
    n = len(coordinates)
    tomograms = np.array(names or ["A"] * n, dtype=object)
    sizes = None if pixel_size is None else np.array(pixel_size, dtype=np.float64)
    return PickTable(coordinates, unit, tomograms, np.zeros(n), sizes, frames=frames or {})


@pytest.mark.parametrize(
    ("shape", "centre"),
    [((10, 20, 30), (15, 10, 5)), ((11, 21, 31), (15.5, 10.5, 5.5)), ((11, 20, 31), (15.5, 10, 5.5))],
)
def test_centre_is_half_the_size(shape, centre):
    frame = Frame(shape, 4.0)
    np.testing.assert_array_equal(frame.centre, np.array([centre]) * 4.0)
    origin = from_file_units(table(Unit.CENTRED_ANGSTROM, [[0, 0, 0]]), {"A": frame})
    np.testing.assert_array_equal(origin.positions[0] / 4.0, centre)


def test_centre_counts_unbinned_pixels_where_known():
    frame = Frame((10, 20, 30), 4.0, (121.0, 81.0, 41.0), 1.0)
    np.testing.assert_array_equal(frame.centre, [[60.5, 40.5, 20.5]])
    assert Frame((10, 20, 30), 4.0, (121.0, 81.0, 41.0)).centre.tolist() == [[60, 40, 20]]


def test_a_frame_that_the_file_states_is_used_for_its_centre_only():
    stated = {"A": Frame((10, 20, 30), 4.0, (121.0, 81.0, 41.0), 1.0)}
    frames = {"A": Frame((10, 20, 30), 4.0)}
    assert from_file_units(table(Unit.CENTRED_ANGSTROM, [[0, 0, 0]], frames=stated), frames).positions.tolist() == [
        [60.5, 40.5, 20.5]
    ]
    assert from_file_units(table(Unit.VOXEL, [[1, 2, 3]], frames=stated), frames).positions.tolist() == [[4, 8, 12]]


def test_each_unit():
    frames = {"A": Frame((10, 20, 30), 4.0), "B": Frame((10, 20, 30), 2.0)}
    rows, names = [[1, 2, 3], [1, 2, 3]], ["A", "B"]
    assert from_file_units(table(Unit.VOXEL, rows, names), frames).positions.tolist() == [[4, 8, 12], [2, 4, 6]]
    assert from_file_units(table(Unit.ANGSTROM, rows, names), frames).positions.tolist() == rows
    assert from_file_units(table(Unit.PIXEL, rows, names, [0.5, np.nan]), frames).positions.tolist() == [
        [0.5, 1, 1.5],
        [2, 4, 6],
    ]
    assert from_file_units(table(Unit.PIXEL, rows, names), frames).positions.tolist() == [[4, 8, 12], [2, 4, 6]]
    assert from_file_units(table(Unit.CENTRED_ANGSTROM, rows, names), frames).positions.tolist() == [
        [61, 42, 23],
        [31, 22, 13],
    ]


def test_locating_leaves_the_table_alone():
    given_table = table(Unit.VOXEL, [[1, 2, 3]])
    from_file_units(given_table, {"A": Frame((10, 20, 30), 4.0)})
    assert given_table.coordinates.tolist() == [[1, 2, 3]]


def test_a_missing_frame_is_named():
    with pytest.raises(TomoPickerError, match=r"picks: .*'A'"):
        from_file_units(table(Unit.VOXEL, [[1, 2, 3]]), {"B": Frame((10, 20, 30), 4.0)})


sizes = st.integers(1, 4000)


@given(
    shape=st.tuples(sizes, sizes, sizes),
    voxel_size=st.floats(0.3, 60),
    binning=st.none() | st.floats(1, 12),
    fraction=st.tuples(*[st.floats(-0.1, 1.1)] * 3),
    unit=st.sampled_from(Unit),
)
def test_express_undoes_locate(shape, voxel_size, binning, fraction, unit):
    frame = Frame(shape, voxel_size)
    if binning is not None:
        unbinned = tuple(float(round(n * binning)) for n in shape[::-1])
        frame = Frame(shape, voxel_size, unbinned, voxel_size / binning)
    positions = np.array([fraction]) * np.array(shape[::-1]) * voxel_size
    coordinates = to_file_units(Picks.of("A", positions), {"A": frame}, unit)
    pixel = [voxel_size / (binning or 1)]
    back = from_file_units(table(unit, coordinates, pixel_size=pixel if unit is Unit.PIXEL else None), {"A": frame})
    np.testing.assert_allclose(back.positions / voxel_size, positions / voxel_size, atol=1e-6)


def test_express_with_a_pixel_size():
    picks = Picks.of("A", np.array([[10.0, 20, 30]]))
    frame = Frame((10, 20, 30), 4.0, (121.0, 81.0, 41.0), 1.0)
    assert to_file_units(picks, {"A": frame}, Unit.PIXEL).tolist() == [[10, 20, 30]]
    assert to_file_units(picks, {"A": Frame((10, 20, 30), 4.0)}, Unit.PIXEL).tolist() == [[2.5, 5, 7.5]]


def test_voxels_and_angstrom():
    voxels = np.array([[1.0, 2.0, 3.0]])
    assert voxels_to_angstrom(voxels, 4.0).tolist() == [[4, 8, 12]]
    assert angstrom_to_voxels(voxels_to_angstrom(voxels, 4.0), 4.0).tolist() == voxels.tolist()


def test_outside_allows_half_a_voxel():
    rows = np.array(
        [[0, 0, 0], [29.5, 19.5, 9.5], [29.6, 0, 0], [0, 19.6, 0], [0, 0, 9.6], [-0.5, -0.5, -0.5], [0, -0.6, 0.0]]
    )
    assert is_outside(rows, (10, 20, 30)).tolist() == [False, False, True, True, True, False, True]


def test_selecting_rows_keeps_everything_together():
    rows = PickTable(
        np.arange(9.0).reshape(3, 3),
        Unit.PIXEL,
        np.array(["A", "B", "C"], dtype=object),
        np.array([0.1, 0.2, 0.3]),
        np.array([1.0, 2.0, 3.0]),
        pd.DataFrame({"class": [7, 8, 9]}),
    )
    for chosen in (np.array([True, False, True]), np.array([0, 2])):
        kept = rows.select(chosen)
        assert kept.coordinates[:, 0].tolist() == [0, 6]
        assert kept.tomograms.tolist() == ["A", "C"]
        assert kept.scores.tolist() == [0.1, 0.3]
        assert kept.pixel_size is not None
        assert kept.pixel_size.tolist() == [1, 3]
        assert kept.extra["class"].tolist() == [7, 9]
    assert len(table(Unit.VOXEL, [[1, 2, 3]]).select(np.array([True]))) == 1
