"""From paths and flags to tomograms and picks, warnings said; and the check that output can be written."""

import os
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tomopicker.errors import TomoPickerError, UsageError

if TYPE_CHECKING:
    from tomopicker.cli.progress import Reporter
    from tomopicker.formats.volumes.arrays import ReadOptions
    from tomopicker.geometry import Frame, Unit
    from tomopicker.picks import Picks
    from tomopicker.tomogram import Tomogram


@dataclass(frozen=True)
class Counted:
    """What the flags say the coordinates of picks count (None: as their files say), and which classes are meant."""

    unit: Literal["voxel", "angstrom", "fraction"] | None = None
    pixel_size: float | None = None
    classes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.pixel_size is not None and not 0 < self.pixel_size < float("inf"):
            raise UsageError(f"--picks-pixel-size {self.pixel_size:g} cannot be; give the size of a pixel in Å")


AS_STATED = Counted()


def open_tomograms(
    paths: Sequence[Path],
    reporter: "Reporter",
    *,
    voxel_size: float | None = None,
    invert: bool = False,
    stored: "ReadOptions | None" = None,
) -> "list[Tomogram]":
    """Open every tomogram that paths mean, and say what their headers leave doubtful."""
    from tomopicker import formats

    return [
        open_one(path, reporter, voxel_size=voxel_size, invert=invert, stored=stored)
        for path in formats.volume_files(paths)
    ]


def open_one(
    path: Path,
    reporter: "Reporter",
    *,
    voxel_size: float | None = None,
    invert: bool = False,
    stored: "ReadOptions | None" = None,
) -> "Tomogram":
    """Open one tomogram, and say what its header leaves doubtful."""
    from tomopicker import formats
    from tomopicker.formats.volumes.arrays import DEFAULT_OPTIONS

    tomogram = formats.open_tomogram(path, voxel_size=voxel_size, invert=invert, options=stored or DEFAULT_OPTIONS)
    for warning in tomogram.warnings:
        reporter.warn(warning)
    return tomogram


def read_picks(
    paths: Sequence[Path],
    tomograms: "Sequence[Tomogram] | Mapping[str, Frame]",
    reporter: "Reporter",
    counted: Counted = AS_STATED,
    *,
    ignore_unknown: bool = False,
    format: str | None = None,
    shift: tuple[float, float, float] = (0.0, 0.0, 0.0),
    check_inside: bool = True,
    keeps_classes: bool = False,
) -> "Picks":
    """Read picks of the tomograms at hand; what was inferred or left out is printed.

    Several classes are a warning, unless what is done with them keeps them apart.
    """
    from tomopicker import formats
    from tomopicker.formats.classes import Mixed
    from tomopicker.formats.read import Inferred

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        picks = formats.read_picks(
            paths,
            tomograms,
            unit=unit_named(counted.unit),
            pixel_size=counted.pixel_size,
            ignore_unknown=ignore_unknown,
            format=format,
            shift=shift,
            check_inside=check_inside,
            classes=counted.classes,
        )
    for warning in caught:
        if issubclass(warning.category, Inferred) or (keeps_classes and issubclass(warning.category, Mixed)):
            reporter.note(str(warning.message))
        elif issubclass(warning.category, UserWarning):
            reporter.warn(str(warning.message))
    return picks


def unit_named(name: Literal["voxel", "angstrom", "fraction"] | None) -> "Unit | None":
    """Give the unit that ``--picks-unit`` names."""
    from tomopicker.geometry import Unit

    units = {"voxel": Unit.VOXEL, "angstrom": Unit.ANGSTROM, "fraction": Unit.FRACTION}
    return None if name is None else units[name]


def split_by_kind(paths: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Part files of picks from tomograms by their suffix; EM files hold either, and are looked into.

    A shell turns ``--picks clicks/*.csv`` into one option and then bare names: those are picks too.
    """
    from tomopicker.folder.find import is_picks_file
    from tomopicker.formats.projects.tomogram_lists import is_list

    picks = [path for path in paths if is_picks_file(path) and not is_list(path)]
    return [path for path in paths if path not in picks], picks


def check_writable(folder: Path, flag: str = "--output") -> None:
    """Make sure, before hours are spent, that files can be written in a folder, which need not be there yet.

    Raises
    ------
    TomoPickerError
        If they cannot.
    """
    nearest = folder.absolute()
    while not nearest.exists() and nearest != nearest.parent:
        nearest = nearest.parent
    try:
        if not nearest.is_dir():
            raise NotADirectoryError(20, "it is a file, not a folder")
        if not os.access(nearest, os.W_OK | os.X_OK):
            raise PermissionError(13, "permission denied")
        with tempfile.TemporaryFile(dir=nearest):
            pass
    except OSError as error:
        raise TomoPickerError(f"{nearest}: cannot be written in ({error.strerror}); choose another {flag}") from error
