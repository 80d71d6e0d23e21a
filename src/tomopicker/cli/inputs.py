"""Opening tomograms and reading picks for a command: suspicious headers and inferred units are printed."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tomopicker.cli.progress import Reporter
    from tomopicker.io.coordinate_units import CoordinateUnits
    from tomopicker.io.volumes.arrays import ReadOptions
    from tomopicker.picks import Picks
    from tomopicker.tomogram import Tomogram


def open_tomograms(
    paths: Sequence[Path],
    reporter: "Reporter",
    *,
    voxel_size: float | None = None,
    invert: bool = False,
    stored: "ReadOptions | None" = None,
) -> "list[Tomogram]":
    """Open every tomogram that paths mean."""
    from tomopicker import io

    return [
        open_one(path, reporter, voxel_size=voxel_size, invert=invert, stored=stored) for path in io.volume_files(paths)
    ]


def open_one(
    path: Path,
    reporter: "Reporter",
    *,
    voxel_size: float | None = None,
    invert: bool = False,
    stored: "ReadOptions | None" = None,
) -> "Tomogram":
    """Open one tomogram."""
    from tomopicker import io
    from tomopicker.io.volumes.arrays import DEFAULT_OPTIONS

    tomogram = io.open_tomogram(path, voxel_size=voxel_size, invert=invert, options=stored or DEFAULT_OPTIONS)
    for warning in tomogram.warnings:
        reporter.warn(warning)
    return tomogram


def read_picks(
    paths: Sequence[Path],
    tomograms: "Sequence[Tomogram]",
    reporter: "Reporter",
    units: "CoordinateUnits | None" = None,
    *,
    keeps_classes: bool = False,
    **options: Any,
) -> "Picks":
    """Read the picks of tomograms; those of other tomograms are left out with a warning.

    Several classes are a warning, unless the command keeps them apart. The options are those of `io.read_picks`.
    """
    from tomopicker.io.classes import Mixed
    from tomopicker.io.coordinate_units import AS_STATED

    with reporter.showing_warnings(*([Mixed] if keeps_classes else [])):
        return (units or AS_STATED).read(paths, tomograms, ignore_unknown=True, **options)
