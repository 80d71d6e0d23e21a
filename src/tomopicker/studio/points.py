"""Points set by a person, changes of them, and their files.

``clicks/<kind>/<tomogram>.csv`` and ``.star`` hold the particles, ``rejected/<kind>/…`` the negatives. Only the CSV
files are read back; a change by another program shows in their time, size or inode.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import pandas as pd
from jaxtyping import Float64, Int64
from pydantic import AfterValidator, Field
from scipy.spatial import cKDTree

from tomopicker import io
from tomopicker.geometry import Frame
from tomopicker.picks import Picks
from tomopicker.types import Positions

Label = Literal["particle", "negative"]
SAME_POINT_ANGSTROM = 0.5
"""Points closer than this along every axis are one point: files round positions to a thousandth of a voxel."""
MAX_POINTS = 100_000
"""Maximum number of points that one change adds or removes."""
Coordinate = Annotated[float, Field(allow_inf_nan=False), AfterValidator(lambda value: round(value, 3))]
Origin = Annotated[str, AfterValidator(lambda text: text[:80])]


@dataclass(frozen=True)
class Point:
    """A labelled position.

    Parameters
    ----------
    x, y, z : float
        Å from the centre of the first voxel.
    label : "particle" or "negative"
    origin : str
        Source: ``click``, ``suggestion``, ``review``, or the name of an imported file.
    """

    x: Coordinate
    y: Coordinate
    z: Coordinate
    label: Label = "particle"
    origin: Origin = "click"


Points = tuple[Point, ...]
ChangedPoints = Annotated[Points, Field(max_length=MAX_POINTS)]


@dataclass(frozen=True)
class Change:
    """Points of one kind added to and removed from one tomogram."""

    kind: str
    tomogram: str
    added: ChangedPoints = ()
    removed: ChangedPoints = ()

    @property
    def inverse(self) -> "Change":
        """The change that reverts this one."""
        return Change(self.kind, self.tomogram, self.removed, self.added)

    @property
    def is_empty(self) -> bool:
        """True if no points are added or removed."""
        return not self.added and not self.removed


def apply(points: Points, change: Change) -> tuple[Points, Change]:
    """Add and remove points.

    Parameters
    ----------
    points : tuple of Point
    change : Change
        Removing a missing point or adding an existing one has no effect; a point added in the place of one with the
        other label replaces it.

    Returns
    -------
    points : tuple of Point
    applied : Change
        The points actually added and removed: its inverse restores `points`.
    """
    kept, removed, existing = [], [], set[int]()
    xyz = positions(points)
    removals, additions = (
        nearest(xyz, positions(others), SAME_POINT_ANGSTROM, norm=np.inf).tolist()
        for others in (change.removed, change.added)
    )
    for point, removal, addition in zip(points, removals, additions, strict=True):
        if addition >= 0 and removal < 0 and change.added[addition].label == point.label:
            existing.add(addition)
            kept.append(point)
        elif removal >= 0 or addition >= 0:
            removed.append(point)
        else:
            kept.append(point)
    added = tuple(point for index, point in enumerate(change.added) if index not in existing)
    return (*kept, *added), Change(change.kind, change.tomogram, added, tuple(removed))


def nearest(
    places: Float64[np.ndarray, "n 3"], others: Float64[np.ndarray, "m 3"], max_distance: float, *, norm: float = 2.0
) -> Int64[np.ndarray, " n"]:
    """Return the index of the nearest of `others` to each place, -1 where none is closer than `max_distance` (Å)."""
    if not len(places) or not len(others):
        return np.full(len(places), -1)
    indices = np.asarray(cKDTree(others).query(places, p=norm, distance_upper_bound=max_distance)[1], dtype=np.int64)
    return np.where(indices < len(others), indices, -1)


def positions(points: Iterable[Point], label: Label | None = None) -> Positions:
    """Return the points, or those with a label, as rows of (x, y, z) in Å."""
    rows = [(point.x, point.y, point.z) for point in points if label in {None, point.label}]
    return np.asarray(rows, dtype=np.float64).reshape(-1, 3)


FOLDERS: Mapping[Label, str] = {"particle": "clicks", "negative": "rejected"}
Signature = tuple[tuple[int, int, int] | None, ...]
"""Time (ns), size and inode of each CSV file; None for a missing file."""


def csv_files(folder: Path, kind: str, tomogram: str) -> dict[Label, Path]:
    """Return the file of the points with each label."""
    return {label: folder / name / kind / f"{tomogram}.csv" for label, name in FOLDERS.items()}


def signature(folder: Path, kind: str, tomogram: str) -> Signature:
    """Return a value that changes whenever one of the files is written."""
    return tuple(_stat(path) for path in csv_files(folder, kind, tomogram).values())


def _stat(path: Path) -> tuple[int, int, int] | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino


def read_points(folder: Path, kind: str, tomogram: str, frame: Frame) -> Points:
    """Read the points of a kind in a tomogram; without files there are none.

    Raises `TomoPickerError` if a file is damaged, or has a position outside the tomogram.
    """
    points: list[Point] = []
    for label, path in csv_files(folder, kind, tomogram).items():
        if path.exists() and not io.has_no_picks(path):
            picks = io.read_picks(path, {tomogram: frame})
            origins = picks.extra["origin"].astype(str).tolist() if "origin" in picks.extra else ["file"] * len(picks)
            for (x, y, z), origin in zip(picks.positions.round(3).tolist(), origins, strict=True):
                points.append(Point(x, y, z, label, origin))
    return tuple(points)


def write_points(folder: Path, kind: str, tomogram: str, frame: Frame, points: Points) -> None:
    """Write the CSV and STAR file of each label's points, each whole or not at all.

    Without points, only existing files are written. The origin of each point is a column of the CSV files.

    Raises `TomoPickerError` if a file cannot be written.
    """
    for label, csv in csv_files(folder, kind, tomogram).items():
        labelled = [point for point in points if point.label == label]
        if labelled or csv.exists():
            picks = Picks.of(tomogram, positions(labelled))
            origins = pd.DataFrame({"origin": [point.origin for point in labelled]}, dtype=object)
            io.write_picks(replace(picks, extra=origins), {tomogram: frame}, csv, "csv")
            io.write_picks(picks, {tomogram: frame}, csv.with_suffix(".star"), "relion5")
