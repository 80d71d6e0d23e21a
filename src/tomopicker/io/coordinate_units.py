"""How files of picks are read, as a user states it: unit, pixel size, classes, format."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from tomopicker.errors import UsageError
from tomopicker.geometry import Frame, PickTable, Unit
from tomopicker.io.read import read_picks, read_table
from tomopicker.picks import Picks
from tomopicker.tomogram import Tomogram

UnitName = Literal["voxel", "angstrom", "fraction"]
UNITS: dict[UnitName, Unit] = {"voxel": Unit.VOXEL, "angstrom": Unit.ANGSTROM, "fraction": Unit.FRACTION}


@dataclass(frozen=True)
class CoordinateUnits:
    """What coordinates count; a value of None leaves it to the files.

    Parameters
    ----------
    name : {"voxel", "angstrom", "fraction"}, optional
    pixel_size : float, optional
        Å per pixel of the coordinates.
    classes : tuple of str
        Only picks of these classes are read; all if empty.
    format : str, optional
        Of the files; recognised by content if left out.

    Raises
    ------
    UsageError
        If the pixel size is not a positive number.
    """

    name: UnitName | None = None
    pixel_size: float | None = None
    classes: tuple[str, ...] = ()
    format: str | None = None

    def __post_init__(self) -> None:
        if self.pixel_size is not None and not 0 < self.pixel_size < float("inf"):
            raise UsageError(f"--picks-pixel-size {self.pixel_size:g} is invalid; give the size of a pixel in Å")

    @property
    def unit(self) -> Unit | None:
        """The unit of the coordinates; None: as the files state."""
        return None if self.name is None else UNITS[self.name]

    @property
    def of_any_class(self) -> "CoordinateUnits":
        """The same units for all classes."""
        return replace(self, classes=())

    def read(self, paths: Sequence[Path], tomograms: Sequence[Tomogram] | Mapping[str, Frame], **options: Any) -> Picks:
        """Read picks in these units; the options are those of `read_picks`."""
        return read_picks(
            paths, tomograms, unit=self.unit, pixel_size=self.pixel_size, classes=self.classes, format=self.format,
            **options,
        )  # fmt: skip

    def read_table(self, path: Path) -> PickTable:
        """Read what one file states, in these units."""
        table = read_table(path, self.format)
        pixels = self.pixel_size is not None and table.unit is Unit.VOXEL
        return replace(table, unit=self.unit or (Unit.PIXEL if pixels else table.unit))


AS_STATED = CoordinateUnits()
