"""``tomopicker convert``: picks from one format to another."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tomopicker.cli.options import PicksPixelSize, PicksUnit, VoxelSize
from tomopicker.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tomopicker.cli.inputs import Counted
    from tomopicker.cli.progress import Reporter
    from tomopicker.formats.catalogue import Format
    from tomopicker.geometry import Frame, PickTable

IMPORT_LIST = "relion5_import.star"

HELP = """Convert picks from one format to another.

[bold]Examples[/bold]

  [cyan]tomopicker convert particles.star picks.csv --tomograms tomograms/[/cyan]
  [cyan]tomopicker convert TS_01.csv TS_01.star --to warp --voxel-size 13.48[/cyan]
  [cyan]tomopicker convert TS_01.csv TS_01.star --voxel-size 13.48 --shape 960,928,500[/cyan]
  [cyan]tomopicker convert picks.star info/ --to eman2 --tomograms tomograms/ --bin-factor 4[/cyan]

The format of IN is told from what is in it, or named by [cyan]--from[/cyan]; that of OUT from its suffix, or by
[cyan]--to[/cyan]; [cyan]tomopicker formats picks[/cyan] lists them. IN and OUT may be folders: one file a tomogram.
RELION 5 gets its import list in a folder, and an optimisation set beside a file if a tomograms.star was given.

Columns that are not known come along where there is room. Sizes are never guessed: if the units need the tomogram's
voxel size or shape and nothing states it, the error says which flag does."""


def command(
    source: Annotated[
        Path, typer.Argument(metavar="IN", help="File of picks, or a folder of them.", show_default=False)
    ],
    target: Annotated[
        Path,
        typer.Argument(
            metavar="OUT", help="File to write; a folder (no suffix) gets one file a tomogram.", show_default=False
        ),
    ],
    from_name: Annotated[
        str | None,
        typer.Option("--from", metavar="FORMAT", help="Format of IN.  [dim]\\[default: told by content][/dim]"),
    ] = None,
    to_name: Annotated[
        str | None,
        typer.Option(
            "--to",
            "--format",
            "-f",
            metavar="FORMAT",
            help="Format of OUT.  [dim]\\[default: by its suffix; .star: relion5][/dim]",
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
    bin_factor: Annotated[
        float | None,
        typer.Option(metavar="B", help="Pixels of the tilt series in the width of one voxel of the tomograms."),
    ] = None,
    shift: Annotated[
        str | None,
        typer.Option(metavar="X,Y,Z", help="Voxels added to every position, where IN counts from elsewhere."),
    ] = None,
    picks_unit: PicksUnit = None,
    picks_pixel_size: PicksPixelSize = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace OUT if it is there.")] = False,
) -> None:
    """Parse, read, and write."""
    from tomopicker.cli.progress import Reporter

    size = None if shape is None else _shape(shape)
    by = (0.0, 0.0, 0.0) if shift is None else _triple(shift, "--shift")
    for flag, value in {"--voxel-size": voxel_size, "--bin-factor": bin_factor}.items():
        if value is not None and not 0 < value < float("inf"):
            raise UsageError(f"{flag} {value:g} cannot be; give a positive number")
    with Reporter() as reporter:
        from tomopicker.cli.frames import with_bin_factor
        from tomopicker.cli.inputs import Counted, pick_files, read_picks
        from tomopicker.formats.registry import for_output

        counted = Counted(picks_unit, picks_pixel_size)
        in_folder = target.is_dir() or not target.suffix
        if in_folder and to_name is None:
            raise UsageError(f"{target}: a folder says no format; name one with --to")
        entry = for_output(target, to_name)
        if not in_folder:
            _refuse_to_replace([target], overwrite)
        sources = [path for path in pick_files(source) if path == source or path.name != IMPORT_LIST]
        tables = [_table(path, counted, from_name) for path in sources]
        frames = _frames(tables, tomograms, voxel_size, size, entry, target, reporter)
        frames = frames if bin_factor is None else with_bin_factor(frames, bin_factor)
        parts = [read_picks([path], frames, reporter, counted, format=from_name, shift=by) for path in sources]
        _refuse_twice(sources, [part.tomogram_names for part in parts])
        from tomopicker import formats
        from tomopicker.picks import Picks

        picks = Picks.concatenate(parts)

        if in_folder:
            files = formats.files_in(target, picks.tomogram_names, entry.name)
            import_list = [target / IMPORT_LIST] if entry.name == "relion5" else []
            _refuse_to_replace([*files.values(), *import_list], overwrite)
            for name, file in files.items():
                formats.write_picks(picks.in_tomogram(name), frames, file, entry.name)
            for path in import_list:
                formats.write_relion5_import_list(files, path)
        else:
            projects = [path for path in tomograms or [] if path.suffix.lower() == ".star"]
            both = target.with_name(f"{target.stem}_optimisation_set.star")
            with_set = entry.name == "relion5" and len(projects) == 1
            if with_set:
                _refuse_to_replace([both], overwrite)
            formats.write_picks(picks, frames, target, entry.name)
            if with_set:
                formats.write_optimisation_set(target, projects[0], both)
        reporter.say(f"{target}: {len(picks)} picks of {len(picks.tomogram_names)} tomograms, {entry.title}.")


def _table(source: Path, counted: "Counted", format_name: str | None) -> "PickTable":
    """Read what a file states, in the unit that the flags say."""
    from dataclasses import replace

    from tomopicker import formats
    from tomopicker.cli.inputs import unit_named
    from tomopicker.geometry import Unit

    table = formats.read_table(source, format_name)
    meant = unit_named(counted.unit) or (
        Unit.PIXEL if counted.pixel_size is not None and table.unit is Unit.VOXEL else table.unit
    )
    return replace(table, unit=meant)


def _frames(
    tables: "Sequence[PickTable]",
    tomograms: "Sequence[Path] | None",
    voxel_size: float | None,
    size: tuple[int, int, int] | None,
    entry: "Format",
    target: Path,
    reporter: "Reporter",
) -> "dict[str, Frame]":
    """Find the geometry of the tomograms, or say which flag gives what is missing."""
    from tomopicker.cli.frames import check_known, frames_from_flags, named_tables, stated_frames

    if tomograms:
        return stated_frames(tomograms, voxel_size, reporter)
    stated = {name: frame for table in tables for name, frame in table.frames.items()}
    if all(set(stated) >= set(table.tomograms.tolist()) for table in tables):
        return stated
    needs = {what: f"{target}: {entry.name} counts {entry.unit} from the {entry.origin}" for what in entry.needs}
    check_known(
        tables, voxel_size, size, also_voxel_size=needs.get("voxel size"), also_shape=needs.get("shape")
    )  # fmt: skip
    return frames_from_flags(named_tables(tables), voxel_size, size)


def _refuse_twice(sources: "Sequence[Path]", tomograms: "Sequence[Sequence[str]]") -> None:
    """Refuse a folder that holds picks of a tomogram in two files: they would be counted twice."""
    seen: dict[str, Path] = {}
    for source, names in zip(sources, tomograms, strict=True):
        for name in names:
            if name in seen:
                raise UsageError(
                    f"{source}: {seen[name].name} beside it has picks of '{name}' too; give one file as IN"
                )
            seen[name] = source


def _refuse_to_replace(files: "Sequence[Path]", overwrite: bool) -> None:
    for file in files:
        if file.exists() and not overwrite:
            raise UsageError(f"{file}: is there already; give --overwrite to replace it, or another name")


def _triple(text: str, flag: str) -> tuple[float, float, float]:
    from math import isfinite

    try:
        x, y, z = (float(part) for part in text.split(","))
    except ValueError as error:
        raise UsageError(f"{flag} {text}: give three numbers, X,Y,Z, such as 0.5,0.5,0") from error
    if not (isfinite(x) and isfinite(y) and isfinite(z)):
        raise UsageError(f"{flag} {text}: give three finite numbers, X,Y,Z")
    return x, y, z


def _shape(text: str) -> tuple[int, int, int]:
    try:
        x, y, z = (int(part) for part in text.replace("x", ",").split(","))
    except ValueError as error:
        raise UsageError(f"--shape {text}: give three whole numbers of voxels, X,Y,Z, such as 960,928,500") from error
    if min(x, y, z) < 1:
        raise UsageError(f"--shape {text}: a size must be at least 1 voxel; give X,Y,Z such as 960,928,500")
    return x, y, z
