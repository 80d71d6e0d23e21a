"""``tomopicker convert``: picks from one format to another."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from tomopicker.cli.options import PicksPixelSize, PicksUnit, VoxelSize
from tomopicker.errors import UsageError

if TYPE_CHECKING:
    from tomopicker.cli.inputs import Counted
    from tomopicker.geometry import PickTable

HELP = """Convert picks from one format to another.

[bold]Examples[/bold]

  [cyan]tomopicker convert particles.star picks.csv --tomograms tomograms/[/cyan]
  [cyan]tomopicker convert TS_01.csv TS_01.star --format warp --voxel-size 13.48[/cyan]
  [cyan]tomopicker convert TS_01.csv TS_01.star --voxel-size 13.48 --shape 960,928,500[/cyan]

The format of IN is told from what is in it; that of OUT from its name, or by [cyan]--format[/cyan]:

  csv       tomogram,x,y,z,score: voxels, 0 at the centre of the first
  relion5   rlnCenteredCoordinate?Angst: Å from the centre of the tomogram
  relion4   rlnCoordinate?: pixels of the tilt series, where a tomograms.star states them; else voxels
  relion3   rlnCoordinate? with rlnMicrographName: voxels
  warp      as relion3, tomograms called NAME.tomostar; for Warp and M

Columns that are not known come along. Sizes are never guessed: if the units need the tomogram's voxel size or
shape and nothing states it, the error says which flag does."""

PicksFormat = Literal["csv", "relion5", "relion4", "relion3", "warp"]


def command(
    source: Annotated[Path, typer.Argument(metavar="IN", help="File of picks: STAR, CSV or text.", show_default=False)],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="File to write.", show_default=False)],
    format_name: Annotated[
        PicksFormat | None,
        typer.Option(
            "--format", "--to", "-f", help="Format of OUT.  [dim]\\[default: by its suffix; .star: relion5][/dim]"
        ),
    ] = None,
    tomograms: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="PATH", help="The tomograms, a folder of them, or a RELION 5 tomograms.star: for sizes and names."
        ),
    ] = None,
    voxel_size: VoxelSize = None,
    shape: Annotated[
        str | None, typer.Option(metavar="X,Y,Z", help="Size of the tomograms in voxels, if they are not at hand.")
    ] = None,
    picks_unit: PicksUnit = None,
    picks_pixel_size: PicksPixelSize = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace OUT if it is there.")] = False,
) -> None:
    """Parse, read, and write."""
    from tomopicker.cli.progress import Reporter

    size = None if shape is None else _shape(shape)
    if voxel_size is not None and not 0 < voxel_size < float("inf"):
        raise UsageError(f"--voxel-size {voxel_size:g} cannot be; give it in Å")
    if target.exists() and not overwrite:
        raise UsageError(f"{target}: is there already; give --overwrite to replace it, or another name")
    with Reporter() as reporter:
        from tomopicker import formats
        from tomopicker.cli.frames import check_known, frames_from_flags, named_tables, stated_frames
        from tomopicker.cli.inputs import Counted, read_picks
        from tomopicker.formats.registry import for_output

        counted = Counted(picks_unit, picks_pixel_size)
        entry = for_output(target, format_name)
        table = _table(source, counted)
        if tomograms:
            frames = stated_frames(tomograms, voxel_size, reporter)
        elif set(table.frames) >= set(table.tomograms.tolist()):
            frames = dict(table.frames)
        else:
            centred = entry.name == "relion5"
            check_known(
                [table], voxel_size, size,
                also_voxel_size=None if entry.name == "csv" else f"{target}: {entry.name} states sizes in Å",
                also_shape=f"{target}: {entry.name} counts Å from the centre of the tomogram" if centred else None,
            )  # fmt: skip
            frames = frames_from_flags(named_tables([table]), voxel_size, size)
        picks = read_picks([source], frames, reporter, counted)
        formats.write_picks(picks, frames, target, entry.name)
        reporter.say(f"{target}: {len(picks)} picks of {len(picks.tomogram_names)} tomograms, {entry.title}.")


def _table(source: Path, counted: "Counted") -> "PickTable":
    """Read what a file states, in the unit that the flags say."""
    from dataclasses import replace

    from tomopicker import formats
    from tomopicker.cli.inputs import unit_named
    from tomopicker.geometry import Unit

    table = formats.read_table(source)
    meant = unit_named(counted.unit) or (
        Unit.PIXEL if counted.pixel_size is not None and table.unit is Unit.VOXEL else table.unit
    )
    return replace(table, unit=meant)


def _shape(text: str) -> tuple[int, int, int]:
    try:
        x, y, z = (int(part) for part in text.replace("x", ",").split(","))
    except ValueError as error:
        raise UsageError(f"--shape {text}: give three whole numbers of voxels, X,Y,Z, such as 960,928,500") from error
    if min(x, y, z) < 1:
        raise UsageError(f"--shape {text}: a size must be at least 1 voxel; give X,Y,Z such as 960,928,500")
    return x, y, z
