"""The files of one kind's points in one tomogram: CSV and STAR, and the rejected ones.

``clicks/<kind>/<tomogram>.csv`` and ``.star`` hold the particles, ``rejected/<kind>/…`` the negatives. CSV is what is
read back; a file that another program has changed is recognised by its time, size and inode.
"""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from tomopicker import io
from tomopicker.geometry import Frame
from tomopicker.picks import Picks
from tomopicker.studio.points import Label, Point, Points, positions

FOLDERS: Mapping[Label, str] = {"particle": "clicks", "negative": "rejected"}
STAR = "relion5"

Signature = tuple[tuple[int, int, int] | None, ...]
"""Time (ns), size and inode of each CSV file; None where there is none."""


def csv_files(folder: Path, kind: str, tomogram: str) -> dict[Label, Path]:
    """Give the file of each label's points."""
    return {label: folder / name / kind / f"{tomogram}.csv" for label, name in FOLDERS.items()}


def signature(folder: Path, kind: str, tomogram: str) -> Signature:
    """Give a value that changes when one of the files is written."""
    return tuple(_stat(path) for path in csv_files(folder, kind, tomogram).values())


def read_points(folder: Path, kind: str, tomogram: str, frame: Frame) -> Points:
    """Read the points of a kind in a tomogram; none where there are no files.

    Raises `TomoPickerError` if a file is damaged, or has a position outside the tomogram.
    """
    found: list[Point] = []
    for label, path in csv_files(folder, kind, tomogram).items():
        if path.exists() and not io.has_no_picks(path):
            picks = io.read_picks(path, {tomogram: frame})
            origins = picks.extra["origin"].astype(str).tolist() if "origin" in picks.extra else ["file"] * len(picks)
            for (x, y, z), origin in zip(picks.positions.round(3).tolist(), origins, strict=True):
                found.append(Point(x, y, z, label, origin))
    return tuple(found)


def write_csv(folder: Path, kind: str, tomogram: str, frame: Frame, points: Points) -> None:
    """Write both CSV files, each whole or not at all; a file of no points is written only over an older one.

    Raises `TomoPickerError` if the disk does not take them.
    """
    for label, path in csv_files(folder, kind, tomogram).items():
        picks = as_picks(points, label, tomogram)
        if len(picks) or path.exists():
            io.write_picks(picks, {tomogram: frame}, path, "csv")


def write_star(folder: Path, kind: str, tomogram: str, frame: Frame, points: Points) -> None:
    """Write both STAR files, as `write_csv` does."""
    for label, path in csv_files(folder, kind, tomogram).items():
        picks = as_picks(points, label, tomogram)
        star = path.with_suffix(".star")
        if len(picks) or star.exists():
            io.write_picks(Picks.of(tomogram, picks.positions), {tomogram: frame}, star, STAR)


def as_picks(points: Points, label: Label, tomogram: str) -> Picks:
    """Give the points of a label as picks, with where each comes from as a column."""
    picks = Picks.of(tomogram, positions(points, label))
    origins = [point.origin for point in points if point.label == label]
    return Picks(picks.positions, picks.tomograms, picks.scores, pd.DataFrame({"origin": origins}, dtype=object))


def _stat(path: Path) -> tuple[int, int, int] | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino
