"""Extract boxes around picks: an MRC stack, a STAR file, and their mean.

[bold]Examples[/bold]

  [cyan]tomopicker export-subtomograms picks/picks.star tomograms/ --box 48 --output boxes[/cyan]
  [cyan]tomopicker export-subtomograms TS_0001.csv TS_0001.mrc --box 32 --binning 2 --output boxes[/cyan]

[bold]Written[/bold] to the folder:

  subtomograms.mrcs   every box, float32, in the order of the picks
  subtomograms.star   the picks, rlnImageName names the box of each
  mean.mrc, mean.png  their mean, and its three central planes

For a quick look, not for averaging: boxes are neither CTF-corrected nor rotated. The position is the centre of voxel
[bold]box // 2[/bold]. Protein is dark, as in the tomogram.
"""

from tomopicker.cli.groups import PickedInput
from tomopicker.cli.options import OutputFolder, Overwrite, option
from tomopicker.cli.progress import Reporter
from tomopicker.files import check_writable, refuse_to_replace
from tomopicker.wording import number_of


def command(
    *,
    given: PickedInput,
    box: int = option(..., "Edge of the boxes, in voxels after binning.", unit="N", min=2, max=1024),
    output: OutputFolder,
    binning: int = option(1, "Tomogram voxels averaged per box voxel.", unit="B", min=1, max=64),
    overwrite: Overwrite = False,
    reporter: Reporter,
) -> None:
    """Extract the boxes."""
    from tomopicker.output.subtomograms import LIST, MEAN, PICTURE, STACK, export_subtomograms

    refuse_to_replace([output / name for name in (STACK, LIST, MEAN, PICTURE)], overwrite)
    check_writable(output)
    opened, found = given.read(reporter)
    size = export_subtomograms(opened, found, box, output, binning)
    boxes = f"{number_of(len(found), 'box', 'boxes')} of {box} voxels of {size:g} Å"
    reporter.log(f"{output / STACK}: {boxes}; see {output / PICTURE}.")
