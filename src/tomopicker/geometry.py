"""Frames and units: the one place where a position changes its unit or its origin.

Inside the program a position is (x, y, z) in Å from the centre of a tomogram's first voxel. Files state positions in
other units: `PickTable` holds them as they are stated, `from_file_units` and `to_file_units` convert them.

Half-pixel choices, all tested on odd sizes:

- ``VOXEL`` and ``PIXEL`` put 0 at the centre of the first voxel (Warp's rule, and RELION's for ``rlnCoordinate``).
- ``PIXEL`` of size p and voxels of size v share that zero, so voxel = pixel · p / v. RELION scales so too and ignores
  the (b - 1) / 2 pixels by which the centre of a voxel binned b times lies off the centre of its first pixel.
- ``CENTRED_ANGSTROM`` is measured from size / 2 (a fraction for odd sizes), as RELION 5's C++ code has it.
- ``CENTER_VOXEL_ANGSTROM`` is measured from the voxel size // 2 (whole, of the tomogram itself), as EMAN2's boxer has
  it.
- ``FRACTION`` is a voxel divided by the size, as Warp's template matching has it.
- A file that calls the centre of the first voxel something else than (0, 0, 0) has it in ``index_origin``: MATLAB's
  tools count from 1, IMOD puts 0 at a voxel's corner in x and y.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum

import numpy as np
import pandas as pd

from tomopicker.errors import TomoPickerError
from tomopicker.picks import Picks
from tomopicker.types import Positions, Scores, Shape


class Unit(Enum):
    """What a coordinate column of a file counts."""

    VOXEL = "voxels of the tomogram"
    PIXEL = "pixels of a stated size"
    ANGSTROM = "Å from the centre of the first voxel"
    CENTRED_ANGSTROM = "Å from the centre of the tomogram"
    CENTER_VOXEL_ANGSTROM = "Å from the middle voxel of the tomogram"
    FRACTION = "fractions of the size of the tomogram"


@dataclass(frozen=True)
class Frame:
    """The geometry positions refer to.

    Parameters
    ----------
    shape : Shape
        (z, y, x) in voxels.
    voxel_size : float
        Å.
    unbinned_size : tuple of float, optional
        (x, y, z) of the tomogram in pixels of the tilt series, when a project file states it.
    unbinned_pixel_size : float, optional
        Å, likewise.
    """

    shape: Shape
    voxel_size: float
    unbinned_size: tuple[float, float, float] | None = None
    unbinned_pixel_size: float | None = None

    @property
    def centre(self) -> Positions:
        """RELION's centre, size / 2, as one row (x, y, z) in Å; from the unbinned size where it is known."""
        if self.unbinned_size is not None and self.unbinned_pixel_size is not None:
            return np.asarray([self.unbinned_size], dtype=np.float64) / 2 * self.unbinned_pixel_size
        return np.asarray([self.shape[::-1]], dtype=np.float64) / 2 * self.voxel_size

    @property
    def middle(self) -> Positions:
        """EMAN2's centre, the voxel size // 2, as one row (x, y, z) in Å."""
        return np.asarray([[n // 2 for n in self.shape[::-1]]], dtype=np.float64) * self.voxel_size


@dataclass(frozen=True)
class PickTable:
    """Positions as a file states them, before any tomogram is known.

    Parameters
    ----------
    coordinates : Positions
        (x, y, z) in `unit`.
    unit : Unit
        What the coordinates count.
    tomograms : array of str, shape (n,)
        The tomogram of each row as the file names it; empty strings where it names none.
    scores : array of float, shape (n,)
        NaN where the file has none.
    pixel_size : array of float, shape (n,), optional
        Å per pixel, with `Unit.PIXEL`; NaN where the file states none: the pixel of the tilt series is then meant
        where the frame knows it, else the tomogram's voxel.
    extra : DataFrame
        Every other column of the file, n rows.
    frames : mapping
        Frames that the file itself states, by tomogram name (a RELION 5 project does).
    source : str
        The file, for messages.
    index_origin : tuple of float
        The coordinates (x, y, z) that the file gives to the centre of the first voxel; with voxels and pixels only.
    notes : tuple of str
        What was not read, for the user to see.
    is_unit_stated : bool
        Whether the file or its format states what the coordinates count; plain columns are voxels by convention only.
    inferred : str, optional
        What was inferred of the unit, for the user to see.
    doubt : str, optional
        Why the unit is ambiguous or contradictory, and the option that gives it.
    kept : array of int, shape (n,), optional
        Which rows of the file these are, from 0; all of them if left out.
    """

    coordinates: Positions
    unit: Unit
    tomograms: np.ndarray
    scores: Scores
    pixel_size: Scores | None = None
    extra: pd.DataFrame = field(default_factory=pd.DataFrame)
    frames: Mapping[str, Frame] = field(default_factory=dict)
    source: str = "picks"
    index_origin: tuple[float, float, float] = (0.0, 0.0, 0.0)
    notes: tuple[str, ...] = ()
    is_unit_stated: bool = True
    inferred: str | None = None
    doubt: str | None = None
    kept: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.coordinates)

    @property
    def is_unit_inferred(self) -> bool:
        """Whether neither the file nor its format states what the coordinates count."""
        unsized = self.pixel_size is None or bool(np.isnan(self.pixel_size).any())
        return not self.is_unit_stated or (self.unit is Unit.PIXEL and unsized)

    def select(self, rows: np.ndarray) -> "PickTable":
        """Keep the rows where the mask is True, or those indexed."""
        index = np.arange(len(self))[rows]
        return replace(
            self,
            coordinates=self.coordinates[rows],
            tomograms=self.tomograms[rows],
            scores=self.scores[rows],
            pixel_size=None if self.pixel_size is None else self.pixel_size[rows],
            extra=self.extra.iloc[index].reset_index(drop=True) if self.extra.shape[1] else pd.DataFrame(),
            kept=index if self.kept is None else self.kept[index],
        )


def voxels_to_angstrom(voxels: Positions, voxel_size: float) -> Positions:
    """Turn (x, y, z) in voxels, 0 at the centre of the first, into Å from there."""
    return np.asarray(voxels, dtype=np.float64) * voxel_size


def angstrom_to_voxels(angstrom: Positions, voxel_size: float) -> Positions:
    """Turn (x, y, z) in Å from the centre of the first voxel into voxels."""
    return np.asarray(angstrom, dtype=np.float64) / voxel_size


def from_file_units(table: PickTable, frames: Mapping[str, Frame]) -> Picks:
    """Turn coordinates as a file states them into positions in Å.

    Parameters
    ----------
    table : PickTable
        Rows whose `tomograms` are keys of `frames`.
    frames : mapping
        The geometry of each tomogram, by name.

    Returns
    -------
    Picks
        In the order of the table.

    Raises
    ------
    TomoPickerError
        If a row's tomogram is not among the frames.
    """
    positions = np.array(table.coordinates, dtype=np.float64)
    if table.unit in {Unit.VOXEL, Unit.PIXEL}:
        positions -= np.asarray(table.index_origin)
    for name in dict.fromkeys(table.tomograms.tolist()):
        if name not in frames:
            raise TomoPickerError(f"{table.source}: the size of tomogram '{name}' is needed; give its file")
        rows = table.tomograms == name
        frame = table.frames.get(name, frames[name])
        if table.unit is Unit.VOXEL:
            positions[rows] *= frames[name].voxel_size
        elif table.unit is Unit.PIXEL:
            sizes = np.full(len(table), np.nan) if table.pixel_size is None else table.pixel_size
            pixel = frame.unbinned_pixel_size or frames[name].voxel_size
            positions[rows] *= np.where(np.isnan(sizes[rows]), pixel, sizes[rows])[:, None]
        elif table.unit is Unit.CENTRED_ANGSTROM:
            positions[rows] += frame.centre
        elif table.unit is Unit.CENTER_VOXEL_ANGSTROM:
            positions[rows] += frames[name].middle
        elif table.unit is Unit.FRACTION:
            positions[rows] *= np.asarray(frames[name].shape[::-1]) * frames[name].voxel_size
    return Picks(positions, table.tomograms, table.scores, table.extra)


def to_file_units(
    picks: Picks,
    frames: Mapping[str, Frame],
    unit: Unit,
    index_origin: tuple[float, float, float] = (0.0, 0.0, 0.0),
) -> Positions:
    """Turn positions in Å into the coordinates a file states; the inverse of `from_file_units`.

    Parameters
    ----------
    picks : Picks
        Positions in Å.
    frames : mapping
        The geometry of each tomogram, by name.
    unit : Unit
        What the coordinates are to count; `Unit.PIXEL`: the tomogram's unbinned pixels, or its voxels.
    index_origin : tuple of float
        What the file calls the centre of the first voxel, (x, y, z); with voxels and pixels only.

    Returns
    -------
    Positions
        (x, y, z), n rows.
    """
    coordinates = np.array(picks.positions, dtype=np.float64)
    for name in picks.tomogram_names:
        rows = picks.tomograms == name
        frame = frames[name]
        if unit is Unit.VOXEL:
            coordinates[rows] /= frame.voxel_size
        elif unit is Unit.PIXEL:
            coordinates[rows] /= frame.unbinned_pixel_size or frame.voxel_size
        elif unit is Unit.CENTRED_ANGSTROM:
            coordinates[rows] -= frame.centre
        elif unit is Unit.CENTER_VOXEL_ANGSTROM:
            coordinates[rows] -= frame.middle
        elif unit is Unit.FRACTION:
            coordinates[rows] /= np.asarray(frame.shape[::-1]) * frame.voxel_size
    if unit in {Unit.VOXEL, Unit.PIXEL}:
        coordinates += np.asarray(index_origin)
    return coordinates


def shifted(picks: Picks, frames: Mapping[str, Frame], voxels: tuple[float, float, float]) -> Picks:
    """Move every pick by (x, y, z) in voxels of its tomogram."""
    if not any(voxels):
        return picks
    size = np.array([frames[name].voxel_size for name in picks.tomograms], dtype=np.float64)
    return replace(picks, positions=picks.positions + size[:, None] * np.asarray(voxels))


def is_outside(voxels: Positions, shape: Shape) -> np.ndarray:
    """Find positions, (x, y, z) in voxels, outside a volume of shape (z, y, x); half a voxel of rim is in."""
    upper = np.asarray(shape[::-1], dtype=np.float64) - 0.5
    beyond: np.ndarray = np.any((voxels < -0.5) | (voxels > upper), axis=1)
    return beyond
