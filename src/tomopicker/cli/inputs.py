"""Opening tomograms for a command: what is doubtful about their headers is printed."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tomopicker.cli.progress import Reporter
    from tomopicker.formats.stored import Stored
    from tomopicker.tomogram import Tomogram


def open_tomograms(
    paths: Sequence[Path],
    reporter: "Reporter",
    *,
    voxel_size: float | None = None,
    invert: bool = False,
    stored: "Stored | None" = None,
) -> "list[Tomogram]":
    """Open every tomogram that paths mean."""
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
    stored: "Stored | None" = None,
) -> "Tomogram":
    """Open one tomogram."""
    from tomopicker import formats
    from tomopicker.formats.stored import AS_FOUND

    tomogram = formats.open_tomogram(path, voxel_size=voxel_size, invert=invert, stored=stored or AS_FOUND)
    for warning in tomogram.warnings:
        reporter.warn(warning)
    return tomogram
