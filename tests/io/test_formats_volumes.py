"""Zarr, HDF5, TIFF and EM volumes: shape, voxel size, values and axes; only what is asked for is read."""

import json
import struct
import tracemalloc

import h5py
import mrcfile
import numpy as np
import pytest
import tifffile
import zarr

from tests.shared import SHARED
from tomopicker.errors import TomoPickerError, UsageError
from tomopicker.io import open_tomogram, tomogram_name, volume_files
from tomopicker.io.read_options import ReadOptions

VOLUME = np.arange(6 * 5 * 4, dtype=np.float32).reshape(6, 5, 4)  # value = x + 4 y + 20 z


def write_zarr(path, volume=VOLUME, *, version=3, axes="zyx", unit="angstrom", levels=1, lead=0, moved=(), chunk=2):
    group = zarr.open_group(str(path), mode="w", zarr_format=version)
    datasets = []
    for level in range(levels):
        step = 2**level
        small = volume.reshape(*(n for edge in volume.shape for n in (edge // step, step))).mean(axis=(1, 3, 5))
        stored = np.ascontiguousarray(small.transpose(["zyx".index(axis) for axis in axes]))
        stored = stored.reshape((1,) * lead + stored.shape)
        group.create_array(str(level), data=stored, chunks=(1,) * lead + (chunk,) * 3)
        scale = [1.0] * lead + [10.0 * step] * 3
        transforms = [{"type": "scale", "scale": scale}]
        if level < len(moved):
            by = dict(zip("xyz", moved[level], strict=True))
            transforms.append({"type": "translation", "translation": [0.0] * lead + [by[axis] for axis in axes]})
        datasets.append({"path": str(level), "coordinateTransformations": transforms})
    named = [{"name": "tc"[i], "type": "time"} for i in range(lead)]
    named += [{"name": axis, "type": "space", **({"unit": unit} if unit else {})} for axis in axes]
    scales = [{"axes": named, "datasets": datasets, "version": "0.4" if version == 2 else "0.5"}]
    group.attrs.update({"multiscales": scales} if version == 2 else {"ome": {"version": "0.5", "multiscales": scales}})
    return path


def write_hdf(path, name="MDF/images/0/image", volume=VOLUME, size=13.48):
    with h5py.File(path, "w") as file:
        data = file.create_dataset(name, data=volume)
        for axis in "xyz":
            data.parent.attrs[f"EMAN.apix_{axis}"] = np.float32(size)
    return path


def write_em(path, volume=VOLUME):
    z, y, x = volume.shape
    path.write_bytes(struct.pack("<4B3i", 6, 0, 0, 5, x, y, z).ljust(512, b"\0") + volume.astype("<f4").tobytes())
    return path


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "size", "shape"),
    [
        ("hdf/generated__eman_layout.hdf", 13.48, (6, 5, 4)),
        ("omezarr/generated__omezarr_v04_nm_gzip_dot.zarr", 134.8, (6, 5, 4)),
        ("omezarr/cz-backend__input_omezarr.zarr", 14.08, (4, 4, 4)),
    ],
)
def test_shared_files_open(name, size, shape):
    tomogram = open_tomogram(SHARED / name)
    assert tomogram.shape == shape and tomogram.voxel_size == size
    if shape == VOLUME.shape:
        np.testing.assert_array_equal(tomogram.read(), VOLUME)
    else:
        assert np.unique(tomogram.read()).tolist() == [1, 2, 3, 4]
        assert "labelled x, y, z" in " ".join(tomogram.warnings)


@pytest.mark.shared
def test_shared_em_files():
    folder = SHARED / "em_volume"
    tomogram = open_tomogram(folder / "pytom__human_ribo_21A.em", voxel_size=21)
    assert tomogram.shape == (32, 32, 32) and np.isfinite(tomogram.read()).all() and tomogram.read().std() > 0
    for name, words in (("pytom__int2.em", "64 x 64 x 1"), ("pytom__angles_50_100.em", "3 x 100 x 1")):
        with pytest.raises(TomoPickerError, match=words):
            open_tomogram(folder / name, voxel_size=21)


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize(("axes", "lead"), [("zyx", 0), ("zyx", 2), ("yxz", 0)])
def test_omezarr_axes_are_those_of_its_metadata(tmp_path, version, axes, lead):
    tomogram = open_tomogram(write_zarr(tmp_path / "a.ome.zarr", version=version, axes=axes, lead=lead))
    assert (tomogram.name, tomogram.voxel_size) == ("a", 10.0)
    np.testing.assert_array_equal(tomogram.read(), VOLUME)
    np.testing.assert_array_equal(tomogram.part(slice(1, 3), slice(2, 5), slice(0, 2)), VOLUME[1:3, 2:5, 0:2])


@pytest.mark.parametrize(("unit", "factor"), [("nanometer", 10), ("micrometer", 1e4), (None, 1)])
def test_omezarr_units(tmp_path, unit, factor):
    assert open_tomogram(write_zarr(tmp_path / "a.zarr", unit=unit)).voxel_size == pytest.approx(10 * factor)


@pytest.mark.parametrize(
    ("near", "level", "origin"), [(None, 0, 0), (10, 0, 0), (19, 0, 0), (20, 1, 5), (39, 1, 5), (45, 2, 15), (3, 0, 0)]
)
def test_coarsest_scale_that_is_fine_enough_is_chosen(tmp_path, near, level, origin):
    volume = np.arange(8 * 16 * 8, dtype=np.float32).reshape(8, 16, 8)
    tomogram = open_tomogram(
        write_zarr(tmp_path / "a.zarr", volume, levels=3), options=ReadOptions(target_voxel_size=near)
    )
    assert tomogram.voxel_size == 10.0 * 2**level
    assert tomogram.shape == (8 >> level, 16 >> level, 8 >> level)
    assert tomogram.frame.shape == (8, 16, 8) and tomogram.frame.voxel_size == 10.0
    assert tomogram.origin == (origin,) * 3
    assert bool(tomogram.warnings) == (level > 0)


@pytest.mark.parametrize(("axes", "lead"), [("zyx", 0), ("yxz", 1)])
@pytest.mark.parametrize("unit", ["angstrom", "nanometer"])
def test_translations_place_a_scale(tmp_path, axes, lead, unit):
    """Every second voxel in x, averages in y and z, the whole moved: what is said counts, not what is usual."""
    volume = np.arange(8 * 16 * 8, dtype=np.float32).reshape(8, 16, 8)
    moved = [(100.0, -40.0, 7.0), (100.0, -35.0, 12.0)]
    path = write_zarr(tmp_path / "a.zarr", volume, levels=2, moved=moved, axes=axes, lead=lead, unit=unit)
    by = 10 if unit == "nanometer" else 1
    tomogram = open_tomogram(path, options=ReadOptions(target_voxel_size=20 * by))
    assert tomogram.origin == pytest.approx((0, 5 * by, 5 * by))
    assert (tomogram.voxel_size, tomogram.frame.voxel_size) == (20 * by, 10 * by)
    assert f"move it by {100 * by}, {-40 * by}, {7 * by} Å in x, y, z" in " ".join(tomogram.warnings)
    alone = open_tomogram(path, options=ReadOptions(dataset="1"))
    assert alone.origin == (0, 0, 0) and f"{100 * by}, {-35 * by}, {12 * by} Å" in " ".join(alone.warnings)


def test_scales_without_cubic_voxels_are_not_chosen(tmp_path):
    """Some writers keep every section; such a scale is read only if it is named, and then refused."""
    group = zarr.open_group(str(tmp_path / "a.zarr"), mode="w")
    datasets = []
    for name, shape, scale in (
        ("0", (4, 8, 8), [10, 10, 10]),
        ("1", (4, 4, 4), [10, 20, 20]),
        ("2", (2, 4, 4), [20] * 3),
    ):
        group.create_array(name, data=np.zeros(shape, np.float32))
        datasets.append({"path": name, "coordinateTransformations": [{"type": "scale", "scale": scale}]})
    axes = [{"name": axis, "type": "space", "unit": "angstrom"} for axis in "zyx"]
    group.attrs["ome"] = {"version": "0.5", "multiscales": [{"axes": axes, "datasets": datasets}]}
    for near, shape in ((10, (4, 8, 8)), (19, (4, 8, 8)), (20, (2, 4, 4))):
        assert open_tomogram(tmp_path / "a.zarr", options=ReadOptions(target_voxel_size=near)).shape == shape
    with pytest.raises(TomoPickerError, match="not cubes"):
        open_tomogram(tmp_path / "a.zarr", options=ReadOptions(dataset="1"))


def test_a_transformation_of_all_scales_comes_last(tmp_path):
    path = write_zarr(tmp_path / "a.zarr", np.zeros((8, 8, 8), np.float32), levels=2, moved=[(0, 0, 0), (5, 5, 5)])
    attributes = zarr.open_group(str(path), mode="r+")
    ome = dict(attributes.attrs)["ome"]
    ome["multiscales"][0]["coordinateTransformations"] = [
        {"type": "scale", "scale": [2, 2, 2]}, {"type": "translation", "translation": [3, 0, 0]}
    ]  # fmt: skip
    attributes.attrs["ome"] = ome
    tomogram = open_tomogram(path, options=ReadOptions(target_voxel_size=40))
    assert (tomogram.voxel_size, tomogram.frame.voxel_size, tomogram.origin) == (40, 20, (10, 10, 10))
    assert "move it by 0, 0, 3 Å" in " ".join(tomogram.warnings)


def test_a_scale_that_is_named_is_the_tomogram(tmp_path):
    volume = np.arange(8**3, dtype=np.float32).reshape(8, 8, 8)
    path = write_zarr(tmp_path / "a.zarr", volume, levels=2)
    tomogram = open_tomogram(path, options=ReadOptions(dataset="1"))
    assert tomogram.frame.shape == (4, 4, 4) and tomogram.origin == (0, 0, 0)
    with pytest.raises(TomoPickerError, match="no scale '7', but 0, 1"):
        open_tomogram(path, options=ReadOptions(dataset="7"))


def test_plain_zarr(tmp_path):
    zarr.create_array(str(tmp_path / "plain.zarr"), data=VOLUME)
    with pytest.raises(TomoPickerError, match="--voxel-size"):
        open_tomogram(tmp_path / "plain.zarr")
    tomogram = open_tomogram(tmp_path / "plain.zarr", voxel_size=8, options=ReadOptions(axes="xyz"))
    np.testing.assert_array_equal(tomogram.read(), VOLUME.transpose(2, 1, 0))
    group = zarr.open_group(str(tmp_path / "two.zarr"), mode="w")
    for name in ("a", "b"):
        group.create_array(name, data=VOLUME)
    with pytest.raises(TomoPickerError, match=r"a, b.*--dataset"):
        open_tomogram(tmp_path / "two.zarr", voxel_size=8)
    assert open_tomogram(tmp_path / "two.zarr", voxel_size=8, options=ReadOptions(dataset="b")).shape == VOLUME.shape


def test_zarr_reads_only_the_chunks_needed(tmp_path):
    path = write_zarr(tmp_path / "a.zarr", version=2)
    (path / "0" / "2.0.0").unlink(missing_ok=True)
    for chunk in (path / "0").glob("2*"):
        chunk.write_bytes(b"broken")
    tomogram = open_tomogram(path)
    np.testing.assert_array_equal(tomogram.slab(0, 2), VOLUME[:2])
    with pytest.raises(TomoPickerError, match=r"a\.zarr: damaged"):
        tomogram.read()


@pytest.mark.parametrize(("axes", "lead"), [("zyx", 0), ("xyz", 0), ("zyx", 1)])
def test_zarr_chunks(tmp_path, axes, lead):
    """In the order z, y, x, so that boxes of them are read once each."""
    group = zarr.open_group(str(tmp_path / "a.zarr"), mode="w")
    stored = VOLUME.transpose(["zyx".index(axis) for axis in axes])
    edges = {"z": 3, "y": 5, "x": 2}
    group.create_array(
        "v", data=stored.reshape((1,) * lead + stored.shape), chunks=(1,) * lead + tuple(edges[axis] for axis in axes)
    )
    named = [{"name": "t", "type": "time"}] * lead + [{"name": axis, "type": "space", "unit": "nm"} for axis in axes]
    scale = [{"type": "scale", "scale": [1.0] * (3 + lead)}]
    levels = [{"path": "v", "coordinateTransformations": scale}]
    group.attrs["ome"] = {"version": "0.5", "multiscales": [{"axes": named, "datasets": levels}]}
    tomogram = open_tomogram(tmp_path / "a.zarr", options=ReadOptions(axes=axes))
    assert tomogram.data.chunks == (3, 5, 2)
    read = np.zeros_like(VOLUME)
    for block in tomogram.blocks(3 * 5 * 2 * 4):
        assert all(part.start % edge == 0 for part, edge in zip(block, (3, 5, 2), strict=True))
        read[block] += tomogram.part(*block)
    np.testing.assert_array_equal(read, VOLUME)


@pytest.mark.parametrize("away", ["../b.zarr/0", "/b.zarr/0", "0/../../b.zarr/0"])
def test_position_of_a_coarser_scale(tmp_path, away):
    write_zarr(tmp_path / "b.zarr", VOLUME, version=2)
    path = write_zarr(tmp_path / "a.zarr", VOLUME, version=2)
    stated = json.loads((path / ".zattrs").read_text())
    stated["multiscales"][0]["datasets"][0]["path"] = away
    (path / ".zattrs").write_text(json.dumps(stated))
    with pytest.raises(TomoPickerError, match=r"a\.zarr: cannot be read as Zarr"):
        open_tomogram(path)


def _write_mrc(path, volume):
    with mrcfile.new(path, volume) as file:
        file.voxel_size = 10.0


def _write_packed_tiff(path, volume):
    tifffile.imwrite(path, volume, compression="zlib", photometric="minisblack")


def _write_tiff(path, volume):
    tifffile.imwrite(path, volume, photometric="minisblack")


WRITERS = {
    "a.mrc": _write_mrc, "a.hdf": lambda path, volume: write_hdf(path, volume=volume),
    "a.zarr": lambda path, volume: write_zarr(path, volume, chunk=32), "a.tif": _write_tiff,
    "packed.tif": _write_packed_tiff, "a.em": write_em,
}  # fmt: skip


@pytest.mark.parametrize("name", WRITERS)
def test_reading_a_part_needs_the_memory_of_a_part(tmp_path, name):
    """Sections, and a box, of 16 MB of voxels: never more than a few sections or chunks are in memory."""
    volume = np.random.default_rng(0).normal(size=(64, 256, 256)).astype(np.float32)
    WRITERS[name](tmp_path / name, volume)
    open_tomogram(tmp_path / name, voxel_size=10).slab(0, 1)  # What libraries keep for themselves.
    tracemalloc.start()
    tomogram = open_tomogram(tmp_path / name, voxel_size=10)
    np.testing.assert_array_equal(tomogram.slab(30, 32), volume[30:32])
    np.testing.assert_array_equal(
        tomogram.part(slice(8, 12), slice(50, 60), slice(200, 210)), volume[8:12, 50:60, 200:210]
    )
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < volume.nbytes / 4, f"{peak / 1e6:.1f} MB"


def test_hdf_of_eman_and_others(tmp_path):
    tomogram = open_tomogram(write_hdf(tmp_path / "a.hdf"))
    assert (tomogram.name, tomogram.voxel_size) == ("a", 13.48)
    np.testing.assert_array_equal(tomogram.slab(2, 4), VOLUME[2:4])
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file["t/raw"], file["t/labels"] = VOLUME, VOLUME + 1
        file["t/raw"].attrs["element_size_um"] = [0.001] * 3
    with pytest.raises(TomoPickerError, match=r"t/labels, t/raw.*--dataset"):
        open_tomogram(tmp_path / "b.h5")
    named = open_tomogram(tmp_path / "b.h5", options=ReadOptions(dataset="t/raw", axes="xyz"))
    assert named.voxel_size == 10
    np.testing.assert_array_equal(named.read(), VOLUME.transpose(2, 1, 0))
    with pytest.raises(TomoPickerError, match="no data set 'c'"):
        open_tomogram(tmp_path / "b.h5", options=ReadOptions(dataset="c"))


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_tiff_of_imagej_ome_and_none(tmp_path, compression):
    path = tmp_path / "a.tif"
    options = {"compression": compression, "photometric": "minisblack"}
    metadata = {"axes": "ZYX", "spacing": 1.348, "unit": "nm"}
    tifffile.imwrite(path, VOLUME, imagej=True, resolution=(1 / 1.348,) * 2, metadata=metadata, **options)
    tomogram = open_tomogram(path)
    assert tomogram.voxel_size == pytest.approx(13.48, abs=1e-4)
    np.testing.assert_array_equal(tomogram.read(), VOLUME)
    np.testing.assert_array_equal(tomogram.part(slice(1, 5), slice(1, 2), slice(0, 3)), VOLUME[1:5, 1:2, :3])
    ome = {"axes": "ZYX"} | {f"PhysicalSize{axis}": 1.5 for axis in "XYZ"}
    ome |= {f"PhysicalSize{axis}Unit": "nm" for axis in "XYZ"}
    tifffile.imwrite(tmp_path / "b.ome.tif", VOLUME, metadata=ome, **options)
    assert open_tomogram(tmp_path / "b.ome.tif").voxel_size == 15
    assert open_tomogram(tmp_path / "b.ome.tif").name == "b"
    tifffile.imwrite(tmp_path / "c.tif", VOLUME, resolution=(300, 300), resolutionunit="INCH", **options)
    with pytest.raises(TomoPickerError, match="--voxel-size"):
        open_tomogram(tmp_path / "c.tif")
    np.testing.assert_array_equal(open_tomogram(tmp_path / "c.tif", voxel_size=9).read(), VOLUME)
    tifffile.imwrite(tmp_path / "d.tif", VOLUME[0], **options)
    with pytest.raises(TomoPickerError, match="three axes"):
        open_tomogram(tmp_path / "d.tif", voxel_size=9)


def test_em(tmp_path):
    path = write_em(tmp_path / "a.em")
    np.testing.assert_array_equal(open_tomogram(path, voxel_size=5).read(), VOLUME)
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(TomoPickerError, match="truncated"):
        open_tomogram(path, voxel_size=5)


def test_mrc_is_preferred_in_folders(tmp_path):
    write_zarr(tmp_path / "a.zarr")
    write_hdf(tmp_path / "b.hdf")
    write_em(tmp_path / "c.em")
    write_em(tmp_path / "motl.em", np.zeros((1, 9, 20), dtype=np.float32))
    assert [tomogram_name(path) for path in volume_files(tmp_path)] == ["a", "b", "c"]
    assert volume_files(tmp_path / "a.zarr") == [tmp_path / "a.zarr"]
    (tmp_path / "d.mrc").touch()
    assert [path.name for path in volume_files(tmp_path)] == ["d.mrc"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.h5", b"\x89HDF\r\n\x1a\n" + b"\0" * 100),
        ("a.tif", b"II*\0" + b"\xff" * 40),
        ("a.em", b"\6\0\0\5" + b"\1" * 8),
    ],
)
def test_errors_of_broken_files_are_one_line(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(TomoPickerError, match=name):
        open_tomogram(tmp_path / name, voxel_size=5)


def test_errors_of_broken_zarr_are_one_line(tmp_path):
    path = write_zarr(tmp_path / "a.zarr", version=2)
    (path / ".zattrs").write_text(json.dumps({"multiscales": [{"axes": [], "datasets": []}]}))
    with pytest.raises(TomoPickerError, match="three of space"):
        open_tomogram(path)
    (path / ".zattrs").write_text(json.dumps({"multiscales": [{"nothing": 1}]}))
    with pytest.raises(TomoPickerError, match=r"a\.zarr"):
        open_tomogram(path)


def test_a_missing_library_is_named_with_its_extra(tmp_path, monkeypatch):
    import sys

    for module, extra, path in (
        ("h5py", "hdf5", write_hdf(tmp_path / "a.hdf")),
        ("zarr", "zarr", write_zarr(tmp_path / "a.zarr")),
    ):
        monkeypatch.setitem(sys.modules, module, None)
        with pytest.raises(TomoPickerError, match=rf"{module}.*tomopicker\[{extra}\]"):
            open_tomogram(path)


def test_invalid_axes(tmp_path):
    with pytest.raises(UsageError, match="--axes zzy"):
        ReadOptions(axes="zzy")


@pytest.mark.parametrize("version", [2, 3])
def test_images_in_bioformats2raw_layout(tmp_path, version):
    """One numbered group an image; the only one is the tomogram, and of several one is named."""
    path = tmp_path / "a.zarr"
    layout = {"bioformats2raw.layout": 3}
    root = zarr.open_group(str(path), mode="w", zarr_format=version)
    root.attrs.update(layout if version == 2 else {"ome": {"version": "0.5", **layout}})
    root.create_group("OME").attrs["series"] = ["0"]
    write_zarr(path / "0", VOLUME, version=version)
    tomogram = open_tomogram(path)
    np.testing.assert_array_equal(tomogram.read(), VOLUME)
    assert tomogram.voxel_size == pytest.approx(10)
    assert tomogram.name == "a"
    write_zarr(path / "1", VOLUME[::-1], version=version)
    with pytest.raises(TomoPickerError, match=r"which of its images \(0, 1\).*--dataset"):
        open_tomogram(path)
    np.testing.assert_array_equal(open_tomogram(path, options=ReadOptions(dataset="1/0")).read(), VOLUME[::-1])
