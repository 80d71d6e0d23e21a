"""Reading picks for a command: inferred units are printed as notes, other warnings as warnings."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tomopicker.cli.progress import Reporter
    from tomopicker.io.coordinate_units import CoordinateUnits
    from tomopicker.picks import Picks
    from tomopicker.tomogram import Tomogram


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
