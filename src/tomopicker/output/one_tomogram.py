"""The files of one tomogram in a folder of picks, and what the record says of its picks."""

from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tomopicker import io
from tomopicker.geometry import Frame
from tomopicker.picking.selection import Chosen

CANDIDATES = "candidates"


def files_of(folder: Path, name: str) -> tuple[Path, Path, Path]:
    """Give where a tomogram's picks are, as STAR and as CSV, and where its candidates are."""
    return folder / f"{name}.star", folder / f"{name}.csv", folder / CANDIDATES / f"{name}.csv"


def picture_of(folder: Path, name: str) -> Path:
    """Give where the picture of a tomogram's picks is, if one was drawn."""
    return folder / f"{name}.png"


def write_chosen(folder: Path, name: str, frame: Frame, chosen: Chosen, star_format: str) -> dict[str, Any]:
    """Write the picks of a tomogram; give what the record says of them. A picture of other picks goes."""
    star, csv, _ = files_of(folder, name)
    with suppress(OSError):
        picture_of(folder, name).unlink(missing_ok=True)
    io.write_picks(chosen.picks, {name: frame}, csv, "csv")
    io.write_picks(chosen.picks, {name: frame}, star, star_format)
    return {
        "threshold": chosen.threshold,
        "picks": len(chosen.picks),
        "expected": {key: round(value, 4) for key, value in asdict(chosen.expected).items()},
    }
