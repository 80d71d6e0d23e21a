"""Files of positions of other tools are accepted by ``train --picks``, with a matching tomogram."""

import mrcfile
import numpy as np
import pytest

from tests.shared import SHARED
from tomopicker.errors import TomoPickerError
from tomopicker.geometry import Frame, PickTable, Unit, from_file_units
from tomopicker.io import read_table
from tomopicker.io.tomogram_names import clean_name

NO_POSITIONS = {"mrc", "mrc_generated", "hdf", "em_volume", "omezarr"}
OUTSIDE = {"cryocat__motl_c10x10.em", "cryocat__correct111.mod"}
"""Files with positions below the first voxel: test points of cryoCAT, and clicks on a rotated volume."""
MARGIN = 40


def files():
    """Files with positions; refused files are tested in tests/io."""
    found = [path for path in sorted(SHARED.glob("*/**/*")) if path.is_file()]
    for path in found:
        if path.relative_to(SHARED).parts[0] in NO_POSITIONS:
            continue
        try:
            yield path, read_table(path)
        except TomoPickerError:
            continue


def frame_of(table: PickTable, name: str) -> Frame:
    """The frame given by the file, or one that contains the positions of its first tomogram."""
    if name in table.frames:
        return table.frames[name]
    rows = table.select(table.tomograms == name)
    if table.unit in {Unit.CENTRED_ANGSTROM, Unit.CENTER_VOXEL_ANGSTROM}:
        reach = 2 * np.abs(rows.coordinates).max(axis=0) / 15 + MARGIN
        return Frame(tuple(int(n) for n in reach[::-1]), 15.0)
    voxel_size = 10.0 if table.unit is Unit.VOXEL or table.pixel_size is None else 15.0
    last = from_file_units(rows, {name: Frame((200_000,) * 3, voxel_size)}).positions.max(axis=0) / voxel_size
    return Frame(tuple(max(MARGIN, int(n + MARGIN)) for n in last[::-1]), voxel_size)


@pytest.mark.shared
def test_dry_runs(cli, tmp_path):
    run, refused = 0, set()
    for path, table in files():
        name = next(iter(table.tomograms.tolist()))
        frame = frame_of(table, name)
        tomogram = tmp_path / f"{'TS_' + name if name.isdigit() else clean_name(name) or 'TS_1'}.mrc"
        with mrcfile.new_mmap(tomogram, shape=frame.shape, mrc_mode=0, overwrite=True) as stored:  # Sparse file.
            stored.voxel_size = frame.voxel_size
            stored.data[0] = np.arange(frame.shape[2], dtype=np.int8)
        result = cli(
            "train", tomogram, "--picks", path, "--particle-diameter", 2.1 * frame.voxel_size,
            "--output", tmp_path / "m.model", "--dry-run", "--no-check",
        )  # fmt: skip
        tomogram.unlink()
        if result.code:
            assert "lie outside" in result.err, (path, result.err)
            refused.add(path.name)
        else:
            said = f"{np.count_nonzero(table.tomograms == name)} click"  # Some files repeat positions.
            assert said in " ".join(result.out.split()) or f"of {said}s are left out" in result.err, path
            run += 1
    assert refused == OUTSIDE
    assert run > 45
