"""Convert picks from one format to another.

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
a tomogram and nothing states it, the error names the flag that does.
"""

from pathlib import Path

from tomopicker.cli.groups import CoordinateOptions, TomogramOptions
from tomopicker.cli.options import Overwrite, SomeTomograms, TomogramList, argument, option
from tomopicker.cli.progress import Reporter
from tomopicker.errors import UsageError
from tomopicker.files import refuse_to_replace
from tomopicker.parsing import size_in_voxels, three_numbers


def command(
    *,
    source: Path = argument(..., "File or folder of picks.", "IN"),
    target: Path = argument(..., "File to write; a folder (no suffix) gets one file per tomogram.", "OUT"),
    more: SomeTomograms = None,
    reading: TomogramOptions,
    coordinates: CoordinateOptions,
    to_format: str | None = option(
        None, "Format of OUT.", "--to", unit="FORMAT", words="by its suffix; .star: relion5"
    ),
    tomograms: TomogramList = None,
    shape: str | None = option(
        None, "Size of the tomograms in voxels, if their files are not available.", unit="X,Y,Z"
    ),
    binning: float | None = option(None, "Tilt-series pixels per tomogram voxel.", unit="B"),
    shift: str | None = option(None, "Voxels to add to every position, if IN has another origin.", unit="X,Y,Z"),
    overwrite: Overwrite = False,
    reporter: Reporter,
) -> None:
    """Read and write."""
    from tomopicker.io.classes import MixedClassesWarning
    from tomopicker.io.convert import TomogramGeometry, is_folder, read_all, write_all
    from tomopicker.io.registry import for_output
    from tomopicker.output.find import files_of_picks, recorded_geometry

    size = None if shape is None else size_in_voxels(shape)
    by = (0.0, 0.0, 0.0) if shift is None else three_numbers(shift, "--shift")
    listed = [*(tomograms or []), *(more or [])]
    geometry = TomogramGeometry(listed, reading.options, size, binning, recorded_geometry(source))
    if is_folder(target) and to_format is None:
        raise UsageError(f"{target}: a folder implies no format; name one with --to")
    entry = for_output(target, to_format)
    if not is_folder(target):
        refuse_to_replace([target], overwrite)
    with reporter.showing_warnings(MixedClassesWarning):
        files = files_of_picks(source)
        picks, frames = read_all(files, geometry, entry, target, units=coordinates.units, shift=by)
    for remark in write_all(picks, frames, target, entry, geometry, overwrite):
        reporter.warn(remark)
    reporter.log(f"{target}: {picks.summary} written as {entry.name}.")
