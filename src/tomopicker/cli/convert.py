"""``tomopicker convert``: picks from one format to another."""

from pathlib import Path
from typing import Annotated

from tomopicker.cli.groups import CoordinateOptions, TomogramOptions
from tomopicker.cli.options import (
    Binning,
    Overwrite,
    SomeTomograms,
    TomogramList,
    argument,
    option,
    size_in_voxels,
    three_numbers,
)
from tomopicker.cli.progress import Reporter
from tomopicker.errors import UsageError
from tomopicker.files import refuse_to_replace
from tomopicker.wording import number_of

HELP = """Convert picks from one format to another.

[bold]Examples[/bold]

  [cyan]tomopicker convert particles.star picks.csv --tomograms tomograms/[/cyan]
  [cyan]tomopicker convert picks picks.star --to warp[/cyan]
  [cyan]tomopicker convert TS_0001.csv TS_0001.star --to warp --voxel-size 13.48[/cyan]
  [cyan]tomopicker convert TS_0001.csv TS_0001.star --voxel-size 13.48 --shape 960,928,500[/cyan]
  [cyan]tomopicker convert picks.star info/ --to eman2 --tomograms tomograms/ --binning 4[/cyan]

The format of IN is recognised by its content or named by [cyan]--from[/cyan], that of OUT by its suffix or
[cyan]--to[/cyan]; [cyan]tomopicker formats picks[/cyan] lists them. IN and OUT may be folders: one file a tomogram.
RELION 5 gets its import list in a folder, and an optimisation set next to a file if a tomograms.star was given.

Unknown columns are kept where the format allows. Sizes are never guessed: if the units need the voxel size or shape of
a tomogram and nothing states it, the error names the flag that does."""


def command(
    source: Annotated[Path, argument("File of picks, or a folder of them.", "IN")],
    target: Annotated[Path, argument("File to write; a folder (no suffix) gets one file a tomogram.", "OUT")],
    reading: TomogramOptions,
    coordinates: CoordinateOptions,
    more: SomeTomograms = None,
    to_format: Annotated[
        str | None, option("Format of OUT.", "--to", unit="FORMAT", default="by its suffix; .star: relion5")
    ] = None,
    tomograms: TomogramList = None,
    shape: Annotated[
        str | None, option("Size of the tomograms in voxels, if their files are not available.", unit="X,Y,Z")
    ] = None,
    binning: Binning = None,
    shift: Annotated[
        str | None, option("Voxels added to every position, where IN has another origin.", unit="X,Y,Z")
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Parse, read, and write."""
    from tomopicker.io.classes import Mixed
    from tomopicker.io.convert import TomogramGeometry, is_folder, read_all, write_all
    from tomopicker.io.registry import for_output
    from tomopicker.output.find import files_of_picks, frames_of_folder

    size = None if shape is None else size_in_voxels(shape)
    by = (0.0, 0.0, 0.0) if shift is None else three_numbers(shift, "--shift")
    geometry = TomogramGeometry(
        [*(tomograms or []), *(more or [])], reading.options(), size, binning, frames_of_folder(source)
    )
    if is_folder(target) and to_format is None:
        raise UsageError(f"{target}: a folder implies no format; name one with --to")
    entry = for_output(target, to_format)
    if not is_folder(target):
        refuse_to_replace([target], overwrite)
    with Reporter() as reporter:
        with reporter.showing_warnings(Mixed):
            picks, frames = read_all(
                files_of_picks(source), geometry, entry, target,
                units=coordinates.units, shift=by,
            )  # fmt: skip
        for remark in write_all(picks, frames, target, entry, geometry, overwrite):
            reporter.warn(remark)
        of = f"{number_of(len(picks), 'pick')} of {number_of(len(picks.tomogram_names), 'tomogram')}"
        reporter.log(f"{target}: {of} written as {entry.name}.")
