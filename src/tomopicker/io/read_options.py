"""Options for reading tomograms and picks, by which a user or a model overrides the files."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic.dataclasses import dataclass

from tomopicker.config import Flag, setting
from tomopicker.errors import UsageError
from tomopicker.parsing import check_positive

if TYPE_CHECKING:
    from tomopicker.geometry import Frame, PickTable, Unit
    from tomopicker.picks import Picks
    from tomopicker.tomogram import Tomogram

INPUT = "Input"
"""Panel of the command-line help."""
UnitName = Literal["voxel", "angstrom", "fraction"]


@dataclass(frozen=True)
class ReadOptions:
    """Options for reading a volume; None leaves a value to the file."""

    dataset: str | None = setting(
        None, "Array of an HDF5 or Zarr file that holds several.", unit="NAME", flag=Flag(str, INPUT, "the only one")
    )
    axes: str | None = setting(
        None, "Order of the axes in the file, slowest first.", unit="ZYX",
        flag=Flag(str, INPUT, "as the file states, else zyx"),
    )  # fmt: skip
    target_voxel_size: float | None = setting(
        None, "Of several scales, the coarsest that is no coarser than this is used; the finest if left out.", unit="Å"
    )
    voxel_size: float | None = setting(
        None, "Voxel size of the tomograms.", unit="Å", flag=Flag(float, INPUT, "as in their headers")
    )
    invert: bool = setting(False, "Protein is bright in the tomograms (usually it is dark).", flag=Flag(bool, INPUT))

    def __post_init__(self) -> None:
        if self.axes is not None and sorted(self.axes.lower()) != ["x", "y", "z"]:
            raise UsageError(f"--axes {self.axes}: give the letters x, y and z in the order stored, such as zyx")

    @property
    def places(self) -> tuple[int, int, int] | None:
        """Indices of z, y and x among the three stored axes; None if not given."""
        if self.axes is None:
            return None
        z, y, x = (self.axes.lower().index(letter) for letter in "zyx")
        return z, y, x


DEFAULT_OPTIONS = ReadOptions()


@dataclass(frozen=True)
class CoordinateUnits:
    """Format, units and classes of picks; None leaves a value to the files.

    Raises `UsageError` if the pixel size is not a positive number.
    """

    format: str | None = setting(
        None, "Format of the picks.", unit="FORMAT", flag=Flag(str, INPUT, "recognised by content", name="from")
    )
    name: UnitName | None = setting(
        None, "Unit of the picks' coordinates.",
        flag=Flag(UnitName, INPUT, "as their files state; plain CSV: voxel", name="picks-unit"),
    )  # fmt: skip
    pixel_size: float | None = setting(
        None, "Pixel size of the picks' coordinates, if they are in pixels.", unit="Å",
        flag=Flag(float, INPUT, "as their files state, else the tomogram's voxels", name="picks-pixel-size"),
    )  # fmt: skip
    classes: tuple[str, ...] = setting(
        (), "Use only the picks of this class (name or number); may be repeated.", unit="NAME",
        flag=Flag(list[str], INPUT, "all", name="class"),
    )  # fmt: skip

    def __post_init__(self) -> None:
        check_positive("--picks-pixel-size", self.pixel_size)

    @property
    def unit(self) -> "Unit | None":
        """Unit of the coordinates; None for that of the files."""
        from tomopicker.geometry import Unit  # noqa: PLC0415  (numpy is slow to import)

        return None if self.name is None else Unit[self.name.upper()]

    @property
    def of_any_class(self) -> "CoordinateUnits":
        """The same options for all classes."""
        return replace(self, classes=())

    def read(
        self, paths: Sequence[Path], tomograms: "Sequence[Tomogram] | Mapping[str, Frame]", **options: Any
    ) -> "Picks":
        """Read picks with these and further options of `read_picks`."""
        from tomopicker.io.read import read_picks  # noqa: PLC0415  (pandas is slow to import)

        return read_picks(
            paths, tomograms, unit=self.unit, pixel_size=self.pixel_size, classes=self.classes, format=self.format,
            **options,
        )  # fmt: skip

    def read_table(self, path: Path) -> "PickTable":
        """Read one file in its own units, except for the unit given."""
        from tomopicker.geometry import Unit  # noqa: PLC0415
        from tomopicker.io.read import read_table  # noqa: PLC0415

        table = read_table(path, self.format)
        pixels = self.pixel_size is not None and table.unit is Unit.VOXEL
        return replace(table, unit=self.unit or (Unit.PIXEL if pixels else table.unit))


AS_STATED = CoordinateUnits()
