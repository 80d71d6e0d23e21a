"""MRC volumes: every type, byte order and packing that is met, and one clear line for what is no tomogram."""

import bz2
import gzip
import io
import pickle
import tracemalloc
from pathlib import Path

import mrcfile
import numpy as np
import pytest

from tomopicker.errors import TomoPickerError
from tomopicker.io import open_tomogram, tomogram_name, volume_files, write_mrc
from tomopicker.io.volumes import compressed

SHAPE = (5, 6, 7)


def volume(dtype="float32"):
    return np.arange(np.prod(SHAPE)).reshape(SHAPE).astype(dtype) - (100 if np.dtype(dtype).kind != "u" else 0)


def make(path: Path, dtype="float32", voxel_size=13.48, **header) -> Path:
    """Write a file with mrcfile, then change fields of its header."""
    with mrcfile.new(path, overwrite=True) as file:
        file.set_data(volume(dtype))
        file.voxel_size = voxel_size
        for key, value in header.items():
            file.header[key] = value
    return path


def patch(path: Path, at: int, raw: bytes) -> Path:
    content = bytearray(path.read_bytes())
    content[at : at + len(raw)] = raw
    path.write_bytes(content)
    return path


def refusal(path: Path, **options) -> str:
    """Return the one-line message of the error that opening a file raises."""
    with pytest.raises(TomoPickerError) as caught:
        open_tomogram(path, **options)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    return message


def byte_swapped(path: Path) -> Path:
    """Turn a file into the big-endian one with the same content."""
    layout = mrcfile.dtypes.HEADER_DTYPE
    raw = path.read_bytes()
    header = np.frombuffer(raw[:1024], layout)[0]
    voxels = np.frombuffer(raw[1024:], mrcfile.utils.dtype_from_mode(int(header["mode"])))
    out = np.array(header.tolist(), dtype=layout.newbyteorder(">"))
    out["machst"] = [0x11, 0x11, 0, 0]
    path.write_bytes(out.tobytes() + voxels.astype(voxels.dtype.newbyteorder(">")).tobytes())
    return path


@pytest.mark.parametrize("dtype", ["int8", "int16", "uint16", "float16", "float32"])
@pytest.mark.parametrize("big_endian", [False, True])
@pytest.mark.parametrize("packing", ["", ".gz", ".bz2"])
def test_every_type_byte_order_and_packing(tmp_path, dtype, big_endian, packing):
    path = make(tmp_path / "TS_01.mrc", dtype)
    if big_endian:
        byte_swapped(path)
    if packing:
        raw = path.read_bytes()
        path = tmp_path / f"TS_01.mrc{packing}"
        path.write_bytes(gzip.compress(raw) if packing == ".gz" else bz2.compress(raw))
    tomogram = open_tomogram(path)
    assert (tomogram.name, tomogram.shape, tomogram.voxel_size) == ("TS_01", SHAPE, 13.48)
    assert tomogram.data.dtype.newbyteorder("=") == np.dtype(dtype)
    assert tomogram.warnings == ()
    np.testing.assert_array_equal(tomogram.read(), volume(dtype).astype("float32"))
    np.testing.assert_array_equal(tomogram.slab(2, 4), volume(dtype)[2:4].astype("float32"))


def test_voxels_are_mapped_not_read(tmp_path):
    path = make(tmp_path / "a.rec")
    tomogram = open_tomogram(path)
    assert isinstance(tomogram.data[1:3], np.memmap)
    path.unlink()
    with pytest.raises(TomoPickerError, match=r"a\.rec: cannot be read any more"):
        tomogram.read()


@pytest.mark.parametrize("name", ["a.mrc.gz", "a.mrc.bz2"])
def test_packed_sections_come_in_any_order(tmp_path, name):
    """Forwards, overlapping, backwards, and by turns with another file."""
    rng = np.random.default_rng(0)
    data = rng.normal(size=(23, 5, 7)).astype(np.float32)
    write_mrc(tmp_path / name, data, 10.0)
    write_mrc(tmp_path / f"b{name}", -data, 10.0)
    one, other = open_tomogram(tmp_path / name), open_tomogram(tmp_path / f"b{name}")
    np.testing.assert_array_equal(one.data[::-2], data[::-2])
    np.testing.assert_array_equal(one.data[20:30], data[20:])
    assert one.data[5:5].shape == (0, 5, 7)
    for _ in range(60):
        start, stop = np.sort(rng.integers(0, 24, 2)).tolist()
        y, x = slice(int(rng.integers(0, 4)), 5), slice(int(rng.integers(0, 6)), None)
        tomogram, sign = (one, 1) if rng.integers(0, 3) else (other, -1)
        np.testing.assert_array_equal(tomogram.part(slice(start, stop), y, x), sign * data[start:stop, y, x])


def test_packed_sections_are_unpacked_once_and_not_kept(tmp_path, monkeypatch):
    """Several files of 4 MB at hand take the memory of a slab; slabs and boxes in the order of z are one pass."""
    names = [tmp_path / f"{letter}.mrc.gz" for letter in "abc"]
    for path in names:
        write_mrc(path, np.zeros((64, 128, 128), np.float32), 10.0)
    started = []
    monkeypatch.setattr(
        compressed, "open_compressed", lambda *given, do=compressed.open_compressed: started.append(1) or do(*given)
    )
    tracemalloc.start()
    opened = [open_tomogram(path) for path in names]
    started.clear()
    for tomogram in opened:
        for start in range(0, 64, 4):
            assert tomogram.slab(start, start + 4).shape == (4, 128, 128)
    assert len(started) == 3
    for start in range(0, 60, 2):
        opened[0].part(slice(start, start + 6), slice(0, 6), slice(0, 6))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(started) == 4
    assert peak < 2e6, f"{peak / 1e6:.1f} MB"


def test_damage_inside_a_packed_file_is_one_line(tmp_path):
    path = tmp_path / "a.mrc.gz"
    write_mrc(path, np.random.default_rng(0).normal(size=(16, 32, 32)).astype(np.float32), 10.0)
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2 : len(raw) // 2 + 50] = bytes(50)
    path.write_bytes(raw)
    tomogram = open_tomogram(path)
    for _ in range(2):
        with pytest.raises(TomoPickerError, match=r"a\.mrc\.gz: cannot be unpacked"):
            tomogram.read()


def test_gzip_of_several_members(tmp_path):
    """Several members, as bgzip and cat make, and a tail of zeros: the length at the end is not the whole one's."""
    raw = make(tmp_path / "a.mrc").read_bytes()
    path = tmp_path / "b.mrc.gz"
    path.write_bytes(gzip.compress(raw[:1500]) + gzip.compress(raw[1500:]) + bytes(20))
    np.testing.assert_array_equal(open_tomogram(path).read(), volume())


def test_inverting_makes_protein_dark(tmp_path):
    path = make(tmp_path / "a.mrc", "int8")
    np.testing.assert_array_equal(open_tomogram(path, invert=True).read(), -volume())


@pytest.mark.parametrize("name", ["TS_01.mrc", "TS_01.rec", "TS_01.MAP", "TS_01.st", "TS_01.mrc.gz", "TS_01.rec.bz2"])
def test_name_is_the_stem(name):
    assert tomogram_name(Path("folder.mrc") / name) == "TS_01"


def test_name_keeps_inner_dots():
    assert tomogram_name(Path("tomo.mrc_15.00Apx.mrc")) == "tomo.mrc_15.00Apx"


def test_gzip_under_a_plain_name(tmp_path):
    path = make(tmp_path / "TS_01.mrc")
    path.write_bytes(gzip.compress(path.read_bytes()))
    np.testing.assert_array_equal(open_tomogram(path).read(), volume())


@pytest.mark.parametrize(
    ("stamp", "flags", "dmax", "expected"),
    [(1146047817, 0, 100, "uint8"), (1146047817, 1, 255, "int8"), (0, 0, 255, "uint8"), (0, 0, 127, "int8")],
)
def test_sign_of_bytes(tmp_path, stamp, flags, dmax, expected):
    path = make(tmp_path / "a.mrc", "int8", dmax=dmax)
    patch(path, 152, np.array([stamp, flags], "<i4").tobytes())
    tomogram = open_tomogram(path)
    assert tomogram.data.dtype == expected
    np.testing.assert_array_equal(tomogram.read(), volume("int8").view(expected).astype("float32"))


@pytest.mark.parametrize("big_endian", [False, True])
def test_header_from_before_2000(tmp_path, big_endian):
    path = make(tmp_path / "old.rec", "int16")
    if big_endian:
        byte_swapped(path)
    patch(path, 208, bytes(8))
    np.testing.assert_array_equal(open_tomogram(path).read(), volume())


def test_wrong_machine_stamp_is_corrected(tmp_path):
    path = patch(make(tmp_path / "a.mrc", "int16"), 212, b"\x11\x11\0\0")
    np.testing.assert_array_equal(open_tomogram(path).read(), volume())


def test_extended_header_is_skipped(tmp_path):
    path = make(tmp_path / "a.mrc")
    raw = path.read_bytes()
    path.write_bytes(raw[:1024] + bytes(512) + raw[1024:])
    patch(path, 92, np.array(512, "<i4").tobytes())
    np.testing.assert_array_equal(open_tomogram(path).read(), volume())


def test_axes_are_reordered(tmp_path):
    # Columns run along y, rows along z, sections along x: the file holds (x, z, y).
    path = make(tmp_path / "a.mrc", mapc=2, mapr=3, maps=1)
    tomogram = open_tomogram(path, voxel_size=10.0)
    assert tomogram.shape == (6, 7, 5)
    np.testing.assert_array_equal(tomogram.slab(1, 3), volume().transpose(1, 2, 0)[1:3])
    assert "axes" in " ".join(tomogram.warnings)


def test_voxel_size_rules(tmp_path):
    for bad in (0.0, -10.0, np.nan):
        assert "--voxel-size" in refusal(make(tmp_path / "a.mrc", voxel_size=bad))
    assert open_tomogram(tmp_path / "a.mrc", voxel_size=8.0).voxel_size == 8.0
    assert "--voxel-size" in refusal(make(tmp_path / "a.mrc", voxel_size=(10.0, 10.0, 10.2)))
    assert open_tomogram(make(tmp_path / "a.mrc", voxel_size=(10.0, 10.0, 10.05))).voxel_size == pytest.approx(10.01667)
    one = open_tomogram(make(tmp_path / "a.mrc", voxel_size=1.0))
    assert "--voxel-size" in one.warnings[0]
    assert open_tomogram(tmp_path / "a.mrc", voxel_size=13.48).warnings == ()
    path = make(tmp_path / "a.mrc")
    assert open_tomogram(path, voxel_size=13.5).warnings == ()
    assert "13.48" in open_tomogram(path, voxel_size=10.0).warnings[0]
    for bad in (0.0, -1.0, np.nan, np.inf):
        assert "--voxel-size" in refusal(path, voxel_size=bad)


def test_origin_is_reported(tmp_path):
    path = make(tmp_path / "a.mrc", nxstart=3)
    assert "not applied" in open_tomogram(path).warnings[0]


def test_surplus_is_reported(tmp_path):
    path = make(tmp_path / "a.mrc")
    path.write_bytes(path.read_bytes() + b"tail")
    assert "4 bytes more" in open_tomogram(path).warnings[0]


def test_truncated_names_both_lengths(tmp_path):
    path = make(tmp_path / "a.mrc")
    raw = path.read_bytes()
    path.write_bytes(raw[:-8])
    message = refusal(path)
    assert str(len(raw)) in message
    assert str(len(raw) - 8) in message
    packed = tmp_path / "b.mrc.gz"
    packed.write_bytes(gzip.compress(raw[:-8]))
    assert "truncated" in refusal(packed)
    packed.write_bytes(gzip.compress(raw)[:-40])
    assert "ended before" in refusal(packed)


def test_other_data_are_refused(tmp_path):
    assert "no such file" in refusal(tmp_path / "none.mrc")
    assert "folder" in refusal(tmp_path)
    (tmp_path / "empty.mrc").touch()
    assert "empty" in refusal(tmp_path / "empty.mrc")
    (tmp_path / "text.mrc").write_text("not a volume\n" * 200)
    assert "not an MRC file" in refusal(tmp_path / "text.mrc")
    (tmp_path / "a.png").write_bytes(b"\x89PNG" + bytes(100))
    assert "known format" in refusal(tmp_path / "a.png")
    assert "space group 401" in refusal(make(tmp_path / "a.mrc", ispg=401))
    assert "mode 4" in refusal(make(tmp_path / "a.mrc", mode=4))
    assert "mode 101" in refusal(make(tmp_path / "a.mrc", mode=101))
    assert "mode 99" in refusal(make(tmp_path / "a.mrc", mode=99))
    assert "zero" in refusal(make(tmp_path / "a.mrc", nz=0))
    assert "not an MRC file" in refusal(make(tmp_path / "a.mrc", nx=-7))
    assert "axes" in refusal(make(tmp_path / "a.mrc", mapc=1, mapr=1, maps=3))
    with mrcfile.new(tmp_path / "image.mrc") as file:
        file.set_data(np.zeros((8, 8), "float32"))
    assert "2D" in refusal(tmp_path / "image.mrc")
    assert "2D images" in refusal(make(tmp_path / "stack.mrcs", ispg=0))
    assert open_tomogram(make(tmp_path / "volume.mrcs", ispg=1)).shape == SHAPE
    assert open_tomogram(make(tmp_path / "imod.mrc", ispg=0)).shape == SHAPE


@pytest.mark.parametrize("name", ["out.mrc", "out.mrc.gz", "out.rec.bz2"])
@pytest.mark.parametrize("dtype", ["float32", "float16", "int8"])
def test_written_volumes_are_read_back_and_valid(tmp_path, name, dtype):
    path = tmp_path / "new" / name
    write_mrc(path, volume(dtype), 7.84)
    tomogram = open_tomogram(path)
    assert tomogram.data.dtype == dtype
    assert tomogram.voxel_size == 7.84
    assert tomogram.warnings == ()
    np.testing.assert_array_equal(tomogram.read(), volume())
    with mrcfile.open(path) as file:
        assert (file.header.dmin, file.header.dmax) == (volume().min(), volume().max())
        assert file.header.rms == pytest.approx(volume().std(), rel=1e-5)
        assert "TomoPicker" in file.get_labels()[0]
        assert file.is_volume()
    if dtype != "float16":  # mrcfile itself sums those in float16, and overflows
        assert mrcfile.validate(path, print_file=io.StringIO())
    assert [entry.name for entry in path.parent.iterdir()] == [name]


def test_other_types_are_not_written(tmp_path):
    with pytest.raises(TypeError, match="float64"):
        write_mrc(tmp_path / "a.mrc", volume("float64"), 10.0)
    assert list(tmp_path.iterdir()) == []


def test_failed_write_leaves_the_old_file(tmp_path):
    (tmp_path / "a.mrc").mkdir()
    with pytest.raises(TomoPickerError, match="folder"):
        write_mrc(tmp_path / "a.mrc", volume(), 10.0)


def test_volume_files(tmp_path):
    for name in ("TS_02.rec", "TS_01.mrc.gz", "TS_03.MRC", "TS_01.st", "notes.txt", ".tmp-x.mrc"):
        (tmp_path / name).touch()
    inside = [tmp_path / name for name in ("TS_01.mrc.gz", "TS_02.rec", "TS_03.MRC")]
    assert volume_files([tmp_path]) == inside
    assert volume_files([tmp_path, tmp_path / "TS_02.rec"]) == inside
    assert volume_files([tmp_path / "TS_01.st"]) == [tmp_path / "TS_01.st"]
    (tmp_path / "TS_02.mrc").touch()
    with pytest.raises(TomoPickerError, match="TS_02"):
        volume_files([tmp_path])
    with pytest.raises(TomoPickerError, match="no such file"):
        volume_files([tmp_path / "none"])
    (tmp_path / "bare").mkdir()
    with pytest.raises(TomoPickerError, match="no tomograms"):
        volume_files([tmp_path / "bare"])


def test_tomogram_travels_to_another_process(tmp_path):
    tomogram = pickle.loads(pickle.dumps(open_tomogram(make(tmp_path / "a.mrc"))))
    np.testing.assert_array_equal(tomogram.read(), volume())


@pytest.mark.parametrize("suffix", [".mrc", ".mrc.gz"])
def test_an_extended_header_that_is_stated_and_absent(tmp_path, suffix):
    voxels = np.arange(60, dtype=np.float32).reshape(3, 4, 5)
    plain = tmp_path / "a.mrc"
    write_mrc(plain, voxels, 10.0)
    raw = bytearray(plain.read_bytes())
    raw[92:96] = (2048).to_bytes(4, "little")
    path = tmp_path / f"b{suffix}"
    path.write_bytes(gzip.compress(bytes(raw)) if suffix.endswith("gz") else bytes(raw))
    tomogram = open_tomogram(path)
    np.testing.assert_array_equal(tomogram.read(), voxels)
    assert "extended header of 2048 bytes" in tomogram.warnings[0]
    path.write_bytes(gzip.compress(bytes(raw[:-4])) if suffix.endswith("gz") else bytes(raw[:-4]))
    with pytest.raises(TomoPickerError, match="truncated"):
        open_tomogram(path)
