"""The points a person sets, changes of them (what is saved, undone and sent to pages), and their files.

``clicks/<kind>/<tomogram>.csv`` and ``.star`` hold the particles, ``rejected/<kind>/…`` the negatives. CSV is what is
read back; a file that another program has changed is recognised by its time, size and inode.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, TypeVar

import numpy as np
import pandas as pd
from pydantic import AfterValidator, Field, TypeAdapter, ValidationError

from tomopicker import io
from tomopicker.config import first_problem
from tomopicker.errors import UsageError
from tomopicker.geometry import Frame
from tomopicker.picks import Picks
from tomopicker.types import Positions

Label = Literal["particle", "negative"]
SAME = 0.5
"""Å within which two points are one: files round positions to a thousandth of a voxel."""
FEW = 8
"""Points that are compared one by one with all others."""
MAX_POINTS = 100_000
"""Of one change."""
Coordinate = Annotated[float, Field(allow_inf_nan=False), AfterValidator(lambda value: round(value, 3))]
Origin = Annotated[str, AfterValidator(lambda text: text[:80])]
Value = TypeVar("Value")


@dataclass(frozen=True)
class Point:
    """A position with a label.

    Parameters
    ----------
    x, y, z : float
        Å from the centre of the first voxel.
    label : "particle" or "negative"
    origin : str
        Where it comes from: ``click``, ``suggestion``, ``review``, or the name of a file that was opened.
    """

    x: Coordinate
    y: Coordinate
    z: Coordinate
    label: Label = "particle"
    origin: Origin = "click"

    def is_at(self, other: "Point") -> bool:
        """Whether two points are at one place."""
        return abs(self.x - other.x) < SAME and abs(self.y - other.y) < SAME and abs(self.z - other.z) < SAME


Points = tuple[Point, ...]


@dataclass(frozen=True)
class Change:
    """Points of one kind and one tomogram that came and went.

    Parameters
    ----------
    kind, tomogram : str
    added, removed : tuple of Point
    """

    kind: str
    tomogram: str
    added: Annotated[Points, Field(max_length=MAX_POINTS)] = ()
    removed: Annotated[Points, Field(max_length=MAX_POINTS)] = ()

    @property
    def inverse(self) -> "Change":
        """The change that takes this one back."""
        return Change(self.kind, self.tomogram, self.removed, self.added)

    @property
    def is_empty(self) -> bool:
        """Whether nothing changes."""
        return not self.added and not self.removed


def apply(points: Points, change: Change) -> tuple[Points, Change]:
    """Change points.

    Parameters
    ----------
    points : tuple of Point
    change : Change
        What is removed need not be there, and what is added may be there already.

    Returns
    -------
    points : tuple of Point
    done : Change
        What really came and went, so that its inverse gives `points` again.
    """
    kept, gone = [], []
    there: set[int] = set()
    twins, replacements = _places_in(points, change.removed), _places_in(points, change.added)
    for point, twin, new in zip(points, twins, replacements, strict=True):
        if new >= 0 and twin < 0 and change.added[new].label == point.label:
            there.add(new)
            kept.append(point)
        elif twin >= 0 or new >= 0:
            gone.append(point)
        else:
            kept.append(point)
    added = tuple(point for index, point in enumerate(change.added) if index not in there)
    return (*kept, *added), Change(change.kind, change.tomogram, added, tuple(gone))


def _places_in(points: Points, others: Points) -> list[int]:
    """Return for each point the index of the one of others that is at its place, -1 where none is."""
    if len(others) <= FEW:
        return [next((i for i, other in enumerate(others) if point.is_at(other)), -1) for point in points]
    from scipy.spatial import cKDTree  # noqa: PLC0415  (slow to import, and hardly ever needed)

    nearest = cKDTree(positions(others)).query(positions(points), p=np.inf, distance_upper_bound=SAME)[1]
    found = np.asarray(nearest, dtype=np.int64)
    return [index if index < len(others) else -1 for index in found.tolist()]


as_change = TypeAdapter(Change).validate_python


def parse(validate: Callable[[object], Value], stated: object) -> Value:
    """Make a change (`as_change`), or another act, of what a page or the log holds.

    Raises `UsageError` if it is none.
    """
    try:
        return validate(stated)
    except ValidationError as error:
        raise UsageError(f"{first_problem(error)}; reload the page") from error


def positions(points: Iterable[Point], label: Label | None = None) -> Positions:
    """Return the points, or those of a label, as rows of (x, y, z) in Å."""
    rows = [(point.x, point.y, point.z) for point in points if label in {None, point.label}]
    return np.asarray(rows, dtype=np.float64).reshape(-1, 3)


FOLDERS: Mapping[Label, str] = {"particle": "clicks", "negative": "rejected"}
STAR = "relion5"

Signature = tuple[tuple[int, int, int] | None, ...]
"""Time (ns), size and inode of each CSV file; None where there is none."""


def csv_files(folder: Path, kind: str, tomogram: str) -> dict[Label, Path]:
    """Return the file of each label's points."""
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
    """Return the points of a label as picks, with where each comes from as a column."""
    picks = Picks.of(tomogram, positions(points, label))
    origins = [point.origin for point in points if point.label == label]
    return Picks(picks.positions, picks.tomograms, picks.scores, pd.DataFrame({"origin": origins}, dtype=object))


def _stat(path: Path) -> tuple[int, int, int] | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino
