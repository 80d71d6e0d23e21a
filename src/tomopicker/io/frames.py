"""The geometry that positions refer to, from tomograms, a RELION project or the user; never guessed."""

import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from tomopicker.errors import UsageError
from tomopicker.geometry import Frame, PickTable, Unit
from tomopicker.io.projects.relion import BINNING, has_binning, read_frames
from tomopicker.io.read_options import DEFAULT_OPTIONS, ReadOptions
from tomopicker.io.volumes.open import open_tomogram, volume_files
from tomopicker.types import Shape

UNKNOWN_SHAPE: Shape = (10**9, 10**9, 10**9)
"""For a tomogram whose size is not needed: no position lies outside."""
NEED_SHAPE = (Unit.FRACTION, Unit.CENTER_VOXEL_ANGSTROM, Unit.CENTRED_ANGSTROM)
NEED_VOXEL_SIZE = (Unit.CENTRED_ANGSTROM, Unit.CENTER_VOXEL_ANGSTROM, Unit.ANGSTROM, Unit.PIXEL)

_NAPARI_LAYER = re.compile(r"points( \[\d+\])?$", re.IGNORECASE)


def frames_of_tomograms(tomograms: Sequence[Path], options: ReadOptions = DEFAULT_OPTIONS) -> dict[str, Frame]:
    """Read the frames of tomograms, folders of them, or a RELION 5 tomograms.star; suspicious headers are warnings."""
    projects = [path for path in tomograms if path.suffix.lower() == ".star"]
    volumes = [path for path in tomograms if path not in projects]
    frames: dict[str, Frame] = {}
    for path in projects:
        frames |= read_frames(path)
        if not has_binning(path):
            warnings.warn(
                f"{path}: states no {BINNING}, so voxels are taken as those of the tilt series; if the picks were made "
                "in binned tomograms, give these, or the list of the job that reconstructed them",
                stacklevel=2,
            )
    for path in volume_files(volumes) if volumes else ():
        tomogram = open_tomogram(path, options=options)
        frames[tomogram.name] = tomogram.frame
        for text in tomogram.warnings:
            warnings.warn(text, stacklevel=2)
    return frames


def frames_from_flags(names: Iterable[str], voxel_size: float | None, shape: Shape | None) -> dict[str, Frame]:
    """Return frames with the voxel size and shape of the flags; 1 Å and no bounds if they were not given."""
    return {name: Frame(shape or UNKNOWN_SHAPE, voxel_size or 1.0) for name in names}


def check_geometry(
    tables: Sequence[PickTable],
    voxel_size: float | None,
    shape: Shape | None,
    *,
    needs: Mapping[str, str] | None = None,
    has_shape_flag: bool = True,
) -> None:
    """Check that the voxel size and shape that the units of files need are known.

    Parameters
    ----------
    tables : sequence of PickTable
        The picks.
    voxel_size, shape : optional
        From the flags.
    needs : mapping, optional
        Other reasons to need a ``voxel size`` or a ``shape``, in words.
    has_shape_flag : bool
        Whether the command has ``--shape``.

    Raises
    ------
    UsageError
        Naming the flag that gives what is missing.
    """
    sources = {table.unit: table.source for table in tables if len(table)}
    reasons = dict(needs or {})
    for key, units in {"shape": NEED_SHAPE, "voxel size": NEED_VOXEL_SIZE}.items():
        if unit := next((unit for unit in units if unit in sources), None):
            reasons[key] = f"{sources[unit]}: counts {unit.value}"
    if "shape" in reasons and shape is None:
        flags = "--tomograms (its files or tomograms.star)" + (", or --shape X,Y,Z" if has_shape_flag else "")
        raise UsageError(f"{reasons['shape']}, whose size is not known; give {flags}")
    if "voxel size" in reasons and voxel_size is None:
        raise UsageError(
            f"{reasons['voxel size']}, and the voxel size is not known; give --voxel-size in Å, or --tomograms"
        )


def tomograms_in(tables: Sequence[PickTable]) -> list[str]:
    """List the tomograms in tables; one whose rows name none is named after its file.

    Raises `UsageError` if that is named like a layer of napari.
    """
    names: dict[str, None] = {}
    for table in tables:
        for name in table.tomograms.tolist():
            stem = Path(table.source.removesuffix("_info.json")).stem
            if not name and _NAPARI_LAYER.match(stem):
                raise UsageError(
                    f"{table.source}: the tomogram of these picks is not stated, and this is napari's default name; "
                    "give --tomograms, or name the file after the tomogram"
                )
            names.setdefault(name or stem)
    return list(names)


def with_binning(frames: Mapping[str, Frame], factor: float) -> dict[str, Frame]:
    """Add the unbinned size and pixel of tomograms that are binned relative to their tilt series.

    Raises `UsageError` if a project file states another binning.
    """
    binned = dict(frames)
    for name, frame in frames.items():
        if frame.unbinned_pixel_size is None:
            x, y, z = (n * factor for n in frame.shape[::-1])
            binned[name] = replace(frame, unbinned_size=(x, y, z), unbinned_pixel_size=frame.voxel_size / factor)
        elif abs((binning := frame.voxel_size / frame.unbinned_pixel_size) / factor - 1) > 0.01:
            raise UsageError(f"--binning {factor:g}: '{name}' is binned {binning:g} times; leave the flag out")
    return binned
