"""``tomopicker export-subtomograms``: the boxes around picks, for a quick look."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tomopicker.cli.picked_input import PickedInput, takes_picks
from tomopicker.errors import TomoPickerError, UsageError
from tomopicker.wording import number_of

if TYPE_CHECKING:
    from tomopicker.picks import Picks
    from tomopicker.tomogram import Tomogram

STACK, LIST, MEAN, PICTURE = "subtomograms.mrcs", "subtomograms.star", "mean.mrc", "mean.png"

HELP = """Cut out the boxes around picks: one MRC stack, a STAR file, and their mean.

[bold]Examples[/bold]

  [cyan]tomopicker export-subtomograms picks/picks.star tomograms/ --box 48 --output boxes[/cyan]
  [cyan]tomopicker export-subtomograms TS_0001.csv TS_0001.mrc --box 32 --bin 2 --output boxes[/cyan]

[bold]Written[/bold] to the folder:

  subtomograms.mrcs   every box, float32, in the order of the picks
  subtomograms.star   the picks, rlnImageName saying which box is whose
  mean.mrc, mean.png  their mean, and its three central planes

For a quick look, not for averaging: the tomogram is not CTF-corrected anew, nor the boxes turned. The position is the
centre of voxel [bold]box // 2[/bold]. Protein is dark, as in the tomogram."""


@takes_picks
def command(
    given: PickedInput,
    box: Annotated[int, typer.Option(metavar="N", help="Edge of the boxes, in voxels of them.", show_default=False)],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Folder to write to.", show_default=False)
    ],
    binning: Annotated[
        int, typer.Option("--bin", metavar="B", help="Voxels of the tomogram averaged in the edge of one of the box.")
    ] = 1,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what is in the folder.")] = False,
) -> None:
    """Parse, open, cut and write."""
    from tomopicker import formats
    from tomopicker.cli.inputs import check_writable
    from tomopicker.cli.progress import Reporter

    if not 2 <= box <= 1024:
        raise UsageError(f"--box {box} cannot be; give 2 to 1024 voxels")
    if not 1 <= binning <= 64:
        raise UsageError(f"--bin {binning} cannot be; give 1 to 64")
    for name in (STACK, LIST, MEAN, PICTURE):
        if (output / name).exists() and not overwrite:
            raise UsageError(f"{output / name}: is there already; give --overwrite to replace it, or another --output")
    with Reporter() as reporter:
        check_writable(output)
        opened, found = given.read(reporter)
        used = [tomogram for tomogram in opened if tomogram.name in found.tomogram_names]
        for tomogram in used:
            formats.check_names([tomogram.name], "relion3", tomogram.path or tomogram.name)
        sizes = [tomogram.voxel_size for tomogram in used]
        if max(sizes) > 1.01 * min(sizes):
            raise TomoPickerError(
                f"the tomograms have voxels of {min(sizes):g} to {max(sizes):g} Å; export those of one size at a time"
            )
        write(used, found, box, binning, output)
        reporter.say(
            f"{output / STACK}: {number_of(len(found), 'box', 'boxes')} of {box} voxels of {sizes[0] * binning:g} Å; "
            f"see {output / PICTURE}."
        )


def write(tomograms: "list[Tomogram]", picks: "Picks", box: int, binning: int, output: Path) -> None:
    """Cut the boxes one at a time into the stack, and write the mean and the list after it."""
    from dataclasses import replace

    import numpy as np

    from tomopicker import formats
    from tomopicker.data.subtomograms import subtomograms
    from tomopicker.formats.volumes.mrc_write import mrc_stack
    from tomopicker.report.check_figure import mean_figure

    size = tomograms[0].voxel_size * binning
    total = np.zeros((box, box, box), dtype=np.float64)
    with mrc_stack(output / STACK, len(picks), box, size) as stack:
        for tomogram in tomograms:
            rows = np.flatnonzero(picks.tomograms == tomogram.name)
            for row, voxels in subtomograms(tomogram, picks.positions[rows], box, binning):
                stack[rows[row]] = voxels
                total += voxels
    mean = (total / len(picks)).astype(np.float32)
    formats.write_mrc(output / MEAN, mean, size)
    mean_figure({f"of {number_of(len(picks), 'pick')}": mean}, size, output / PICTURE)
    extra = picks.extra.copy()
    extra["rlnImageName"] = np.array([f"{row:06d}@{STACK}" for row in range(1, len(picks) + 1)], dtype=object)
    frames = {tomogram.name: tomogram.frame for tomogram in tomograms}
    formats.write_picks(replace(picks, extra=extra), frames, output / LIST, "relion3")
