"""OME-Zarr as ome-zarr-py writes it: the same voxels, and a particle that stays where it is from scale to scale."""

import numpy as np
import pytest

from tomopicker.io import open_tomogram
from tomopicker.io.read_options import ReadOptions

pytest.importorskip("ome_zarr", reason="ome-zarr-py is not installed: pip install ome-zarr")

from ome_zarr.format import FormatV04, FormatV05
from ome_zarr.io import parse_url
from ome_zarr.reader import Reader
from ome_zarr.scale import Methods
from ome_zarr.writer import write_image

SIZE, CENTRE = 10.0, (15.3, 20.7, 18.2)
AXES = [{"name": axis, "type": "space", "unit": "angstrom"} for axis in "zyx"]
CUBES = [{"z": factor, "y": factor, "x": factor} for factor in (2, 4)]


def blob():
    z, y, x = np.indices((32, 48, 40))
    squared = sum((axis - at) ** 2 for axis, at in zip((z, y, x), CENTRE, strict=True))
    return np.exp(-squared / (2 * 3.0**2)).astype(np.float32)


def centre_of(tomogram):
    """Centre of mass, (x, y, z) in Å from the first voxel of the finest scale."""
    volume = tomogram.read().astype(np.float64)
    mass = [np.average(axis, weights=volume) for axis in np.indices(volume.shape)]
    return np.array(mass[::-1]) * tomogram.voxel_size + tomogram.origin


def write(path, form, **more):
    scale = dict.fromkeys("zyx", SIZE)
    write_image(
        blob(), str(path), axes=AXES, scale=scale, fmt=form, axes_units=dict.fromkeys("zyx", "angstrom"), **more
    )
    return path


@pytest.mark.parametrize("method", [Methods.RESIZE, Methods.LOCAL_MEAN])
@pytest.mark.parametrize("form", [FormatV04(), FormatV05()], ids=["0.4", "0.5"])
def test_written_ome_zarr(tmp_path, form, method):
    path = write(tmp_path / "TS_1.zarr", form, scale_factors=CUBES, method=method)
    (image,) = [node for node in Reader(parse_url(path))() if "coordinateTransformations" in node.metadata]
    for level, near in enumerate((10, 20, 40)):
        tomogram = open_tomogram(path, options=ReadOptions(target_voxel_size=near))
        np.testing.assert_array_equal(tomogram.read(), np.asarray(image.data[level]))
        assert tomogram.voxel_size == SIZE * 2**level
        assert (tomogram.frame.shape, tomogram.frame.voxel_size) == ((32, 48, 40), SIZE)
        stated = image.metadata["coordinateTransformations"][level]
        moved = [each["translation"] for each in stated if each["type"] == "translation"]
        if moved:
            np.testing.assert_allclose(tomogram.origin, moved[0][::-1])
        np.testing.assert_allclose(centre_of(tomogram), np.array(CENTRE[::-1]) * SIZE, atol=0.05 * SIZE)


def test_scales_without_cubic_voxels_are_ignored(tmp_path):
    """By default it writes every scale with all sections."""
    path = write(tmp_path / "TS_1.zarr", FormatV05(), scale_factors=[2, 4])
    tomogram = open_tomogram(path, options=ReadOptions(target_voxel_size=40))
    assert (tomogram.shape, tomogram.voxel_size, tomogram.origin) == ((32, 48, 40), SIZE, (0, 0, 0))
