"""``tomopicker convert``: picks from one format to another."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tomopicker.cli.options import Axes, Classes, Dataset, PicksPixelSize, PicksUnit, VoxelSize
from tomopicker.errors import UsageError
from tomopicker.wording import number_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tomopicker.formats.registry import Format
    from tomopicker.geometry import Frame
    from tomopicker.picks import Picks

IMPORT_LIST = "relion5_import.star"

HELP = """Convert picks from one format to another.

[bold]Examples[/bold]

  [cyan]tomopicker convert particles.star picks.csv --tomograms tomograms/[/cyan]
  [cyan]tomopicker convert picks picks.star --to warp[/cyan]
  [cyan]tomopicker convert TS_0001.csv TS_0001.star --to warp --voxel-size 13.48[/cyan]
  [cyan]tomopicker convert TS_0001.csv TS_0001.star --voxel-size 13.48 --shape 960,928,500[/cyan]
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
    more: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[TOMOGRAM]...",
            help="Tomograms, as after --tomograms.",
            show_default=False,
        ),
    ] = None,
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
    dataset: Dataset = None,
    axes: Axes = None,
    picks_unit: PicksUnit = None,
    picks_pixel_size: PicksPixelSize = None,
    classes: Classes = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace OUT if it is there.")] = False,
) -> None:
    """Parse, read, and write."""
    from tomopicker import formats
    from tomopicker.cli.convert_inputs import Known, read_all
    from tomopicker.cli.inputs import Counted
    from tomopicker.cli.progress import Reporter
    from tomopicker.cli.triples import shape_xyz, triple
    from tomopicker.folder.find import files_of_picks, frames_of_folder
    from tomopicker.formats.registry import for_output
    from tomopicker.formats.volumes.arrays import ReadOptions

    counted = Counted(picks_unit, picks_pixel_size, tuple(classes or ()))
    tomograms = [*(tomograms or []), *(more or [])]
    size = None if shape is None else shape_xyz(shape)
    by = (0.0, 0.0, 0.0) if shift is None else triple(shift, "--shift")
    known = Known(tomograms, voxel_size, size, bin_factor, ReadOptions(dataset, axes))
    in_folder = target.is_dir() or not target.suffix
    if in_folder and to_name is None:
        raise UsageError(f"{target}: a folder says no format; name one with --to")
    entry = for_output(target, to_name)
    if not in_folder:
        _refuse_to_replace([target], overwrite)
    with Reporter() as reporter:
        known = replace(known, recorded=frames_of_folder(source))
        picks, frames = read_all(files_of_picks(source), from_name, counted, by, known, entry, target, reporter)
        if in_folder:
            _write_folder(picks, frames, target, entry, overwrite)
        else:
            projects = [path for path in tomograms if path.suffix.lower() == ".star"]
            _write_file(picks, frames, target, entry, projects, overwrite)
        if remark := formats.binning_remark(entry.name, frames, picks.tomogram_names):
            reporter.warn(f"{target}: {remark}")
        if remark := formats.naming_remark(entry.name, picks.tomogram_names):
            reporter.warn(f"{target}: {remark}")
        of = f"{number_of(len(picks), 'pick')} of {number_of(len(picks.tomogram_names), 'tomogram')}"
        reporter.say(f"{target}: {of} written as {entry.name}.")


def _write_folder(
    picks: "Picks", frames: "Mapping[str, Frame]", target: Path, entry: "Format", overwrite: bool
) -> None:
    """Write one file a tomogram, and RELION 5's list of them."""
    import numpy as np

    from tomopicker import formats

    if entry.name == "relion5" and not np.isnan(picks.scores).all():
        # RELION's importer wants the same columns in all files of its list: one without scores gets zeros.
        picks = replace(picks, scores=np.nan_to_num(picks.scores))
    files = formats.files_in(target, picks.tomogram_names, entry.name)
    import_list = [target / IMPORT_LIST] if entry.name == "relion5" else []
    _refuse_to_replace([*files.values(), *import_list], overwrite)
    for name, file in files.items():
        formats.write_picks(picks.in_tomogram(name), frames, file, entry.name)
    for path in import_list:
        formats.write_relion5_import_list(files, path)


def _write_file(
    picks: "Picks",
    frames: "Mapping[str, Frame]",
    target: Path,
    entry: "Format",
    projects: "Sequence[Path]",
    overwrite: bool,
) -> None:
    """Write one file, and for RELION 5 with one tomograms.star the optimisation set of both."""
    from tomopicker import formats

    both = target.with_name(f"{target.stem}_optimisation_set.star")
    with_set = entry.name == "relion5" and len(projects) == 1
    if with_set:
        _refuse_to_replace([both], overwrite)
    formats.write_picks(picks, frames, target, entry.name)
    if with_set:
        formats.write_optimisation_set(target, projects[0], both)


def _refuse_to_replace(files: "Sequence[Path]", overwrite: bool) -> None:
    for file in files:
        if file.exists() and not overwrite:
            raise UsageError(f"{file}: is there already; give --overwrite to replace it, or another name")
