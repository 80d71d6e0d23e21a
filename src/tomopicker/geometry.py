"""Frames and units: the only place where a position changes its unit or its origin.

Inside the program a position is (x, y, z) in Å from the centre of a tomogram's first voxel. `PickTable` holds positions
in the units of a file; `from_file_units` and `to_file_units` convert them.

Half-pixel choices, all tested on odd sizes:

- ``VOXEL`` and ``PIXEL`` put 0 at the centre of the first voxel (Warp's rule, and RELION's for ``rlnCoordinate``).
- ``PIXEL`` of size p and voxels of size v share that zero, so voxel = pixel · p / v. RELION scales so too and ignores
  the (b - 1) / 2 pixels by which the centre of a voxel binned b times lies off the centre of its first pixel.
- ``CENTRED_ANGSTROM`` is measured from size / 2 (fractional for odd sizes), as in RELION 5's C++ code.
- ``CENTER_VOXEL_ANGSTROM`` is measured from the voxel size // 2 (an integer, of the tomogram itself), as in
  EMAN2's boxer.
- ``FRACTION`` is a voxel divided by the size, as in Warp's template matching.
- ``index_origin`` is the coordinate of the centre of the first voxel, if not (0, 0, 0): MATLAB's tools count from 1,
  IMOD puts 0 at a voxel's corner in x and y.
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
    """Unit and origin of the coordinates in a file."""

    VOXEL = "voxels of the tomogram"
    PIXEL = "pixels of a stated size"
    ANGSTROM = "Å from the centre of the first voxel"
    CENTRED_ANGSTROM = "Å from the centre of the tomogram"
    CENTER_VOXEL_ANGSTROM = "Å from the middle voxel of the tomogram"
    FRACTION = "fractions of the size of the tomogram"


@dataclass(frozen=True)
class Frame:
    """The geometry that positions refer to.

    Parameters
    ----------
    shape : Shape
        (z, y, x) in voxels.
    voxel_size : float
        Å.
    unbinned_size : tuple of float, optional
        (x, y, z) of the tomogram in pixels of the tilt series, if a project file states it.
    unbinned_pixel_size : float, optional
        Å, likewise.
    """

    shape: Shape
    voxel_size: float
    unbinned_size: tuple[float, float, float] | None = None
    unbinned_pixel_size: float | None = None

    @property
    def centre(self) -> Positions:
        """RELION's centre, size / 2, as one row (x, y, z) in Å; from the unbinned size if it is known."""
        if self.unbinned_size is not None and self.unbinned_pixel_size is not None:
            return np.asarray([self.unbinned_size], dtype=np.float64) / 2 * self.unbinned_pixel_size
        return np.asarray([self.shape[::-1]], dtype=np.float64) / 2 * self.voxel_size

    @property
    def middle(self) -> Positions:
        """EMAN2's centre, the voxel size // 2, as one row (x, y, z) in Å."""
        return np.asarray([[n // 2 for n in self.shape[::-1]]], dtype=np.float64) * self.voxel_size

    @property
    def last_voxel(self) -> Positions:
        """Centre of the last voxel along each axis, as one row (x, y, z) in Å."""
        return (np.asarray([self.shape[::-1]], dtype=np.float64) - 1) * self.voxel_size


@dataclass(frozen=True)
class PickTable:
    """Positions in the units of a file, before any tomogram is known.

    Parameters
    ----------
    coordinates : Positions
        (x, y, z) in `unit`.
    unit : Unit
        Unit of the coordinates.
    tomograms : array of str, shape (n,)
        The tomogram of each row as named in the file; empty strings for none.
    scores : array of float, shape (n,)
        NaN for none.
    pixel_size : array of float, shape (n,), optional
        Å per pixel, with `Unit.PIXEL`; NaN if the file states none, which means the pixel of the tilt series if the
        frame has it, else the tomogram's voxel.
    extra : DataFrame
        All other columns of the file, n rows.
    frames : mapping
        Frames in the file itself, by tomogram name (as in a RELION 5 project).
    source : str
        The file, for messages.
    index_origin : tuple of float
        Coordinates (x, y, z) of the centre of the first voxel; with voxels and pixels only.
    notes : tuple of str
        What was not read, for the user.
    is_unit_stated : bool
        Whether the file or its format states the unit; plain columns are voxels by convention only.
    inferred : str, optional
        How the unit was inferred, for the user.
    ambiguity : str, optional
        Why the unit is ambiguous or contradictory, and the option that gives it.
    row_indices : array of int, shape (n,), optional
        Indices of these rows in the file, from 0; all of them if left out.
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
    ambiguity: str | None = None
    row_indices: np.ndarray | None = None

    def __post_init__(self) -> None:
        if not self.extra.shape[1]:
            object.__setattr__(self, "extra", pd.DataFrame(index=range(len(self))))

    def __len__(self) -> int:
        return len(self.coordinates)

    @property
    def is_unit_inferred(self) -> bool:
        """True if neither the file nor its format states the unit."""
        lacks_sizes = self.pixel_size is None or bool(np.isnan(self.pixel_size).any())
        return not self.is_unit_stated or (self.unit is Unit.PIXEL and lacks_sizes)

    def select(self, rows: np.ndarray) -> "PickTable":
        """Select rows by a mask or by indices."""
        index = np.arange(len(self))[rows]
        return replace(
            self,
            coordinates=self.coordinates[rows],
            tomograms=self.tomograms[rows],
            scores=self.scores[rows],
            pixel_size=None if self.pixel_size is None else self.pixel_size[rows],
            extra=self.extra.iloc[index].reset_index(drop=True),
            row_indices=index if self.row_indices is None else self.row_indices[index],
        )


def voxels_to_angstrom(voxels: Positions, voxel_size: float) -> Positions:
    """Convert (x, y, z) in voxels, 0 at the centre of the first, to Å from there."""
    return np.asarray(voxels, dtype=np.float64) * voxel_size


def angstrom_to_voxels(angstrom: Positions, voxel_size: float) -> Positions:
    """Convert (x, y, z) in Å from the centre of the first voxel to voxels."""
    return np.asarray(angstrom, dtype=np.float64) / voxel_size


def from_file_units(table: PickTable, frames: Mapping[str, Frame]) -> Picks:
    """Convert coordinates in the units of a file to positions in Å.

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
    sizes = np.full(len(table), np.nan) if table.pixel_size is None else table.pixel_size
    for name in dict.fromkeys(table.tomograms.tolist()):
        if name not in frames:
            raise TomoPickerError(f"{table.source}: the size of tomogram '{name}' is needed; give its file")
        rows = table.tomograms == name
        frame = frames[name]
        if in_file := table.frames.get(name):
            frame = replace(frame, unbinned_size=in_file.unbinned_size, unbinned_pixel_size=in_file.unbinned_pixel_size)
        scale, offset = _scale_and_offset(table.unit, frame)
        if table.unit is Unit.PIXEL:
            scale = np.where(np.isnan(sizes[rows]), scale, sizes[rows])[:, None]
        positions[rows] = positions[rows] * scale + offset
    return Picks(positions, table.tomograms, table.scores, table.extra)


def to_file_units(
    picks: Picks,
    frames: Mapping[str, Frame],
    unit: Unit,
    index_origin: tuple[float, float, float] = (0.0, 0.0, 0.0),
) -> Positions:
    """Convert positions in Å to the units of a file; the inverse of `from_file_units`.

    Parameters
    ----------
    picks : Picks
        Positions in Å.
    frames : mapping
        The geometry of each tomogram, by name.
    unit : Unit
        Unit of the coordinates; `Unit.PIXEL`: the tomogram's unbinned pixels, or its voxels.
    index_origin : tuple of float
        Coordinates (x, y, z) of the centre of the first voxel; with voxels and pixels only.

    Returns
    -------
    Positions
        (x, y, z), n rows.
    """
    coordinates = np.array(picks.positions, dtype=np.float64)
    for name in picks.tomogram_names:
        rows = picks.tomograms == name
        scale, offset = _scale_and_offset(unit, frames[name])
        coordinates[rows] = (coordinates[rows] - offset) / scale
    if unit in {Unit.VOXEL, Unit.PIXEL}:
        coordinates += np.asarray(index_origin)
    return coordinates


def _scale_and_offset(unit: Unit, frame: Frame) -> tuple[np.ndarray, np.ndarray]:
    """Return the Å of a unit and of its zero, which broadcast to (x, y, z): position = coordinate · scale + offset."""
    scale = {
        Unit.VOXEL: np.float64(frame.voxel_size),
        Unit.PIXEL: np.float64(frame.unbinned_pixel_size or frame.voxel_size),
        Unit.FRACTION: np.asarray(frame.shape[::-1]) * frame.voxel_size,
    }
    offset = {Unit.CENTRED_ANGSTROM: frame.centre, Unit.CENTER_VOXEL_ANGSTROM: frame.middle}
    return np.asarray(scale.get(unit, 1.0)), np.asarray(offset.get(unit, 0.0))


def shifted(picks: Picks, frames: Mapping[str, Frame], voxels: tuple[float, float, float]) -> Picks:
    """Shift every pick by (x, y, z) in voxels of its tomogram."""
    if not any(voxels):
        return picks
    size = np.array([frames[name].voxel_size for name in picks.tomograms], dtype=np.float64)
    return replace(picks, positions=picks.positions + size[:, None] * np.asarray(voxels))


def is_outside(voxels: Positions, shape: Shape) -> np.ndarray:
    """Return True for positions, (x, y, z) in voxels, outside a volume of shape (z, y, x), its outer voxels' edges."""
    upper = np.asarray(shape[::-1], dtype=np.float64) - 0.5
    outside: np.ndarray = np.any((voxels < -0.5) | (voxels > upper), axis=1)
    return outside
