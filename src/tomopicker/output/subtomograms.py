"""Export of subtomograms: an MRC stack, a STAR file, their mean and its picture."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from tomopicker import io
from tomopicker.errors import TomoPickerError
from tomopicker.io.volumes.mrc_write import mrc_stack
from tomopicker.output.check_figure import mean_figure
from tomopicker.picks import Picks
from tomopicker.preprocessing.subtomograms import subtomograms
from tomopicker.tomogram import Tomogram
from tomopicker.wording import number_of

STACK, LIST, MEAN, PICTURE = "subtomograms.mrcs", "subtomograms.star", "mean.mrc", "mean.png"


def export_subtomograms(tomograms: Sequence[Tomogram], picks: Picks, box: int, output: Path, binning: int = 1) -> float:
    """Write subtomograms around picks, their list, and their mean; return the voxel size of the subtomograms, Å.

    Parameters
    ----------
    tomograms : sequence of Tomogram
        Tomograms without picks are ignored.
    picks : Picks
        Subtomogram i of the stack is that of pick i.
    box : int
        Edge of the subtomograms in binned voxels; the position is the centre of voxel ``box // 2``.
    binning : int
        Binning of the tomogram.

    Raises
    ------
    TomoPickerError
        If the tomograms differ in voxel size, a name is not valid in a STAR file, or a file cannot be written.
    """
    used = [tomogram for tomogram in tomograms if tomogram.name in picks.tomogram_names]
    for tomogram in used:
        io.check_names([tomogram.name], "relion3", tomogram.path or tomogram.name)
    sizes = [tomogram.voxel_size for tomogram in used]
    if max(sizes) > 1.01 * min(sizes):
        raise TomoPickerError(
            f"the tomograms have voxels of {min(sizes):g} to {max(sizes):g} Å; export those of one size at a time"
        )
    size = sizes[0] * binning
    total = np.zeros((box, box, box), dtype=np.float64)
    with mrc_stack(output / STACK, len(picks), box, size) as stack:
        for tomogram in used:
            rows = np.flatnonzero(picks.tomograms == tomogram.name)
            for row, voxels in subtomograms(tomogram, picks.positions[rows], box, binning):
                stack[rows[row]] = voxels
                total += voxels
    mean = (total / len(picks)).astype(np.float32)
    io.write_mrc(output / MEAN, mean, size)
    mean_figure({f"of {number_of(len(picks), 'pick')}": mean}, size, output / PICTURE)
    extra = picks.extra.copy()
    extra["rlnImageName"] = np.array([f"{row:06d}@{STACK}" for row in range(1, len(picks) + 1)], dtype=object)
    frames = {tomogram.name: tomogram.frame for tomogram in used}
    io.write_picks(replace(picks, extra=extra), frames, output / LIST, "relion3")
    return size
