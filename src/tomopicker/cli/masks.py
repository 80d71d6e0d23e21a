"""``--mask``: find the lamella, take the whole volume, or read masks and say which belongs to which tomogram."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from tomopicker.cli.options import PICKING
from tomopicker.errors import TomoPickerError, UsageError

if TYPE_CHECKING:
    from tomopicker.tomogram import Tomogram
    from tomopicker.types import VoxelMask

METAVAR = "auto|none|FILE"
Way = Literal["auto", "none"]

PickMask = Annotated[
    str | None,
    typer.Option(
        metavar=METAVAR,
        help="Where the specimen is. auto: find the lamella; none: everywhere; or an MRC that is 1 in it, for several "
        "tomograms a folder of masks named after them.  [dim]\\[default: as in training][/dim]",
        rich_help_panel=PICKING,
    ),
]


@dataclass(frozen=True)
class Masks:
    """What ``--mask`` asks for: a way to find masks, or the file of each tomogram; neither: as the settings say."""

    way: Way | None = None
    files: dict[Path, Path] = field(default_factory=dict)


def masks_for(asked: str | None, tomograms: Sequence[Path]) -> Masks:
    """Understand ``--mask``.

    Raises
    ------
    TomoPickerError
        If it is no file, or a tomogram has no mask, or several.
    """
    if asked is None:
        return Masks()
    ways: dict[str, Way] = {"auto": "auto", "none": "none"}
    return Masks(way=ways[asked]) if asked in ways else Masks(files=_files(Path(asked), list(tomograms)))


def masks_of(asked: str | None, tomograms: "Sequence[Tomogram]") -> "dict[str, VoxelMask]":
    """Read the masks that ``--mask`` gives opened tomograms, by the tomogram's name; none if it gives no file."""
    from tomopicker.formats.masks import read_mask

    paths = [tomogram.path for tomogram in tomograms if tomogram.path]
    files = masks_for(asked, paths).files
    return {tomogram.name: read_mask(files[tomogram.path]) for tomogram in tomograms if tomogram.path in files}


def _files(mask: Path, tomograms: list[Path]) -> dict[Path, Path]:
    from tomopicker import formats
    from tomopicker.formats.tomogram_names import files_of

    if not mask.is_dir():
        if len(tomograms) > 1:
            raise UsageError(f"--mask {mask}: is one file for {len(tomograms)} tomograms; give a folder of masks")
        try:
            return {tomograms[0]: formats.volume_files(mask)[0]}
        except TomoPickerError as error:
            raise TomoPickerError(f"--mask {error} (or --mask auto, or none)") from error
    inside, chosen = formats.volume_files(mask), {}
    for tomogram in tomograms:
        fits = files_of(formats.tomogram_name(tomogram), inside)
        if len(fits) != 1:
            what = f"has several masks ({', '.join(fit.name for fit in fits[:4])})" if fits else "has no mask"
            raise UsageError(f"--mask {mask}: {tomogram.name} {what} in it; each tomogram needs one named after it")
        chosen[tomogram] = fits[0]
    return chosen
