"""The arguments and options of every command that looks at picks in their tomograms, and what is read with them."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec

from tomopicker.cli.options import (
    Axes,
    Classes,
    Dataset,
    FromFormat,
    Invert,
    PicksFile,
    PicksPixelSize,
    PicksUnit,
    Tomograms,
    VoxelSize,
)

if TYPE_CHECKING:
    from tomopicker.cli.progress import Reporter
    from tomopicker.picks import Picks
    from tomopicker.tomogram import Tomogram

Own = ParamSpec("Own")
"""Of a command: what it has besides."""


@dataclass(frozen=True)
class PickedInput:
    """Picks and their tomograms, as the command line says; a field an argument or option."""

    picks: PicksFile
    tomograms: Tomograms
    from_name: FromFormat = None
    voxel_size: VoxelSize = None
    dataset: Dataset = None
    axes: Axes = None
    invert: Invert = False
    picks_unit: PicksUnit = None
    picks_pixel_size: PicksPixelSize = None
    classes: Classes = None

    def read(
        self, reporter: "Reporter", *, check_inside: bool = True, keeps_classes: bool = False
    ) -> "tuple[list[Tomogram], Picks]":
        """Open the tomograms and read the picks of them; those of others are left out with a warning.

        Raises
        ------
        TomoPickerError
            If a file is missing or odd, or a pick lies outside and `check_inside`.
        """
        from tomopicker.cli.inputs import Counted, open_tomograms, read_picks
        from tomopicker.folder.find import files_of_picks
        from tomopicker.formats.stored import Stored

        stored = Stored(self.dataset, self.axes)
        opened = open_tomograms(self.tomograms, reporter, voxel_size=self.voxel_size, invert=self.invert, stored=stored)
        counted = Counted(self.picks_unit, self.picks_pixel_size, tuple(self.classes or ()))
        found = read_picks(
            files_of_picks(self.picks), opened, reporter, counted,
            format=self.from_name, ignore_unknown=True, check_inside=check_inside, keeps_classes=keeps_classes,
        )  # fmt: skip
        return opened, found


def takes_picks(command: Callable[Concatenate[PickedInput, Own], None]) -> Callable[..., None]:
    """Give a command the arguments and options of `PickedInput`, before its own, in place of its first parameter."""
    shared = inspect.signature(PickedInput).parameters
    own = list(inspect.signature(command).parameters.values())[1:]

    @wraps(command)
    def called(**given: Any) -> None:
        block = PickedInput(**{name: given.pop(name) for name in shared})
        command(block, **given)  # type: ignore[call-arg]

    named = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in [*shared.values(), *own]]
    called.__signature__ = inspect.Signature(named)  # type: ignore[attr-defined]
    called.__annotations__ = {}  # Typer asks these too, and they would be the command's.
    return called
