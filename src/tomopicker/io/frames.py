"""The geometry and units of positions, as files, a RELION project or the user state them; never guessed."""

import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from tomopicker.errors import UsageError
from tomopicker.geometry import Frame, PickTable, Unit
from tomopicker.io.projects.relion import BINNING, read_frames, states_binning
from tomopicker.io.read_options import DEFAULT_OPTIONS, ReadOptions
from tomopicker.io.volumes.open import open_tomogram, volume_files
from tomopicker.types import Shape

UNKNOWN_SIZE: Shape = (10**9, 10**9, 10**9)
"""Of a tomogram whose size is not needed: no position lies outside."""

_LAYER = re.compile(r"points( \[\d+\])?$", re.IGNORECASE)
_SCALED = (Unit.CENTRED_ANGSTROM, Unit.CENTER_VOXEL_ANGSTROM, Unit.ANGSTROM, Unit.PIXEL)


def stated_frames(tomograms: Sequence[Path], reading: ReadOptions = DEFAULT_OPTIONS) -> dict[str, Frame]:
    """Read the frames of tomograms, folders of them, or a RELION 5 tomograms.star; suspicious headers are warnings."""
    projects = [path for path in tomograms if path.suffix.lower() == ".star"]
    volumes = [path for path in tomograms if path not in projects]
    frames: dict[str, Frame] = {}
    for path in projects:
        frames |= read_frames(path)
        if not states_binning(path):
            warnings.warn(
                f"{path}: states no {BINNING}, so voxels are taken as those of the tilt series; if the picks were made "
                "in binned tomograms, give these, or the list of the job that reconstructed them",
                stacklevel=2,
            )
    for path in volume_files(volumes) if volumes else ():
        tomogram = open_tomogram(path, options=reading)
        frames[tomogram.name] = tomogram.frame
        for text in tomogram.warnings:
            warnings.warn(text, stacklevel=2)
    return frames


def frames_from_flags(names: Iterable[str], voxel_size: float | None, shape: Shape | None) -> dict[str, Frame]:
    """Give every tomogram the voxel size and shape of the flags; 1 Å and no bounds stand for what was not given."""
    return {name: Frame(shape or UNKNOWN_SIZE, voxel_size or 1.0) for name in names}


def check_known(
    tables: Sequence[PickTable],
    voxel_size: float | None,
    shape: Shape | None,
    *,
    also_voxel_size: str | None = None,
    also_shape: str | None = None,
    has_shape_flag: bool = True,
) -> None:
    """Refuse to guess a voxel size or a shape that the units of files need.

    Parameters
    ----------
    tables : sequence of PickTable
        What the files state.
    voxel_size, shape : optional
        From the flags.
    also_voxel_size, also_shape : str, optional
        Something else that needs them, in words.
    has_shape_flag : bool
        Whether the command has ``--shape``.

    Raises
    ------
    UsageError
        Naming the flag that gives what is missing.
    """
    units = {table.unit for table in tables if len(table)}
    sources = {table.unit: table.source for table in tables}
    for_shape = also_shape
    for unit in (Unit.CENTRED_ANGSTROM, Unit.CENTER_VOXEL_ANGSTROM, Unit.FRACTION):
        if unit in units:
            for_shape = f"{sources[unit]}: counts {unit.value}"
    if for_shape and shape is None:
        flags = "--tomograms (its files or tomograms.star)" + (", or --shape X,Y,Z" if has_shape_flag else "")
        raise UsageError(f"{for_shape}, whose size is not known; give {flags}")
    scaled = next((unit for unit in _SCALED if unit in units), None)
    for_size = also_voxel_size
    if scaled is not None:
        for_size = f"{sources[scaled]}: counts {scaled.value}"
    if for_size and voxel_size is None:
        raise UsageError(f"{for_size}, and the voxel size is not known; give --voxel-size in Å, or --tomograms")


def named_tables(tables: Sequence[PickTable]) -> list[str]:
    """List the tomograms that tables name; a file whose rows name none is named after itself."""
    names: dict[str, None] = {}
    for table in tables:
        for name in table.tomograms.tolist():
            stem = Path(table.source.removesuffix("_info.json")).stem
            if not name and _LAYER.match(stem):
                raise UsageError(
                    f"{table.source}: the tomogram of these picks is not stated, and this is napari's default name; "
                    "give --tomograms, or name the file after the tomogram"
                )
            names.setdefault(name or stem)
    return list(names)


def with_binning(frames: Mapping[str, Frame], factor: float) -> dict[str, Frame]:
    """State the binning of the tomograms relative to their tilt series.

    Raises `UsageError` if a project file states another binning.
    """
    binned = {}
    for name, frame in frames.items():
        stated = frame.voxel_size / frame.unbinned_pixel_size if frame.unbinned_pixel_size else factor
        if abs(stated / factor - 1) > 0.01:
            raise UsageError(f"--binning {factor:g}: '{name}' is binned {stated:g} times; leave the flag out")
        x, y, z = (n * factor for n in frame.shape[::-1])
        known = frame.unbinned_pixel_size is not None
        binned[name] = (
            frame if known else replace(frame, unbinned_size=(x, y, z), unbinned_pixel_size=frame.voxel_size / factor)
        )
    return binned
