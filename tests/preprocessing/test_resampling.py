"""Resampling keeps constants, and things lie where `WorkingVolume.from_angstrom` says they do."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tomopicker.errors import UsageError
from tomopicker.geometry import Frame
from tomopicker.preprocessing.preprocess import preprocess, resampling_matrix
from tomopicker.tomogram import Tomogram

VOXEL = 10.0


def blob(shape, centre, sd):
    """A dark Gaussian around (z, y, x)."""
    z, y, x = np.indices(shape)
    distance2 = (z - centre[0]) ** 2 + (y - centre[1]) ** 2 + (x - centre[2]) ** 2
    return (-np.exp(-distance2 / (2 * sd**2))).astype(np.float32)


def centre_of_mass(volume):
    """(x, y, z) of what differs from the corner voxel."""
    weights = volume - volume[0, 0, 0]
    grid = np.indices(volume.shape)
    return [float((axis * weights).sum() / weights.sum()) for axis in grid[::-1]]


@given(edge=st.integers(1, 200), ratio=st.floats(0.3, 12))
def test_constants_are_kept(edge, ratio):
    matrix = resampling_matrix(edge, ratio)
    assert matrix.shape == (max(1, round(edge / ratio)), edge)
    np.testing.assert_allclose(matrix @ np.full(edge, 3.0, dtype=np.float32), 3, rtol=1e-5)
    assert (matrix >= 0).all()


def test_twice_the_voxel_weighs_the_four_nearest():
    """Working voxel 3 lies between voxels 6 and 7: a triangle 4 wide gives 1/8, 3/8, 3/8, 1/8."""
    assert resampling_matrix(12, 2.0)[3] == pytest.approx([0, 0, 0, 0, 0, 1 / 8, 3 / 8, 3 / 8, 1 / 8, 0, 0, 0])


@pytest.mark.parametrize("ratio", [1.0, 2.0, 3.0, 1.5, 2.3, 0.5, 0.8])
@pytest.mark.parametrize("shape", [(40, 46, 52), (41, 47, 53)])
def test_a_blob_lands_where_its_position_says(ratio, shape):
    centre = (19.3, 22.8, 27.6)
    tomogram = Tomogram("a", blob(shape, centre, 2.0 * max(1.0, ratio)), VOXEL)
    working = preprocess(tomogram, VOXEL * ratio, 1e6)
    expected = working.from_angstrom(np.array([centre[::-1]]) * VOXEL)[0]
    assert centre_of_mass(working.data) == pytest.approx(expected.tolist(), abs=0.05)
    assert working.data.shape == tuple(round(edge / ratio) for edge in shape)


@pytest.mark.parametrize("ratio", [1.0, 2.0, 1.5, 0.7])
def test_round_trip(ratio):
    working = preprocess(Tomogram("a", blob((9, 9, 9), (4, 4, 4), 2), VOXEL), VOXEL * ratio, 3.0)
    positions = np.random.default_rng(0).uniform(0, 9_000, (50, 3))
    np.testing.assert_allclose(working.to_angstrom(working.from_angstrom(positions)), positions, atol=1e-8)


def test_first_edges_coincide():
    """At twice the voxel, the first working voxel's centre lies between the first two voxels: half a voxel in."""
    working = preprocess(Tomogram("a", blob((8, 8, 8), (4, 4, 4), 2), VOXEL), 2 * VOXEL, 3.0)
    assert working.to_angstrom(np.zeros((1, 3))).tolist() == [[5.0, 5.0, 5.0]]
    assert working.from_angstrom(np.array([[0.0, 10.0, 20.0]])).tolist() == [[-0.25, 0.25, 0.75]]


@pytest.mark.parametrize("header", [13.48, 13.479, 13.489])
def test_a_header_that_differs_by_a_rounding_error_shifts_nothing(header):
    """Such a tomogram is not resampled; its 900th voxel stays the 900th though the model says 13.48 Å."""
    tomogram = Tomogram("a", blob((8, 8, 8), (4, 4, 4), 2), header)
    working = preprocess(tomogram, 13.48, 3.0)
    assert working.data.shape == (8, 8, 8)
    assert working.from_angstrom(np.full((1, 3), 900 * header))[0] == pytest.approx([900] * 3, abs=0.02)
    assert working.to_angstrom(np.full((1, 3), 900.0))[0] == pytest.approx([900 * header] * 3, abs=0.2)


def test_anti_aliasing_averages_noise_away():
    """A checkerboard is at the Nyquist frequency: nothing of it may be left at twice the voxel."""
    z, y, x = np.indices((24, 24, 24))
    pattern = ((z + y + x) % 2).astype(np.float32) * 10
    tomogram = Tomogram("a", pattern + blob(pattern.shape, (12, 12, 12), 3), VOXEL)
    working = preprocess(tomogram, 2 * VOXEL, 1e6)
    alone = preprocess(Tomogram("a", blob(pattern.shape, (12, 12, 12), 3), VOXEL), 2 * VOXEL, 1e6)
    inner = (slice(2, -2),) * 3
    np.testing.assert_allclose(working.data[inner], alone.data[inner], atol=0.1)


@pytest.mark.parametrize("ratio", [1.0, 1.5, 2.0])
@pytest.mark.parametrize("origin", [(5.0, 5.0, 5.0), (0.0, -3.0, 12.0)])
def test_on_a_coarser_scale_things_lie_where_they_do_on_the_finest(ratio, origin):
    """Positions count from the finest scale's first voxel, wherever the coarser one's lies."""
    centre = np.array([19.3, 22.8, 27.6])
    volume = blob((40, 46, 52), centre, 2.0 * ratio)
    coarse = Tomogram("a", volume, VOXEL, finest=Frame((80, 92, 104), VOXEL / 2), origin=origin)
    working = preprocess(coarse, VOXEL * ratio, 1e6)
    place = centre[None, ::-1] * VOXEL + np.array(origin)
    expected = working.from_angstrom(place)
    assert centre_of_mass(working.data) == pytest.approx(expected[0].tolist(), abs=0.05)
    np.testing.assert_allclose(working.to_angstrom(expected), place, atol=1e-8)


@pytest.mark.parametrize("ratio", [1.0, 1.5, 2.0, 3.0])
@pytest.mark.parametrize("averaged", [True, False])
def test_a_mask_of_the_finest_scale_is_one_of_any(ratio, averaged):
    """The same working mask, and nearly the same statistics, as from the finest scale itself."""
    rng = np.random.default_rng(0)
    fine = np.repeat(np.repeat(np.repeat(rng.normal(size=(20, 24, 28)), 2, 0), 2, 1), 2, 2).astype(np.float32)
    mask = np.zeros(fine.shape, dtype=bool)
    mask[7:31, 11:, :40] = True
    coarse, shift = (fine[::2, ::2, ::2], VOXEL / 2) if averaged else (fine[::2, ::2, ::2], 0.0)
    level = Tomogram("a", coarse, 2 * VOXEL, finest=Frame(fine.shape, VOXEL), origin=(shift,) * 3)
    found = preprocess(level, 2 * VOXEL * ratio, 1e6, mask)
    places = [found.to_angstrom(np.repeat(np.arange(edge)[:, None], 3, 1) * 1.0) for edge in found.data.shape]
    z, y, x = (
        np.clip(np.floor(place[:, 2 - axis] / VOXEL + 0.5 + 1e-6).astype(int), 0, mask.shape[axis] - 1)
        for axis, place in enumerate(places)
    )
    np.testing.assert_array_equal(found.mask, mask[np.ix_(z, y, x)])
    of_level = mask[::2, ::2, ::2].copy()
    again = preprocess(level, 2 * VOXEL * ratio, 1e6, of_level)
    assert (found.mask != again.mask).mean() < 0.1
    with pytest.raises(UsageError, match=r"\(40, 48, 56\)"):
        preprocess(level, 2 * VOXEL, 3.0, mask[1:])
