"""The points a person sets, and a change of them: the one unit of saving, of undoing and of what pages are sent."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

import numpy as np

from tomopicker.errors import UsageError
from tomopicker.types import Positions

Label = Literal["particle", "negative"]
LABELS: tuple[Label, ...] = get_args(Label)
SAME = 0.5
"""Å within which two points are one: files round positions to a thousandth of a voxel."""
FEW = 8
"""Points that are compared one by one with all others."""
MOST_POINTS = 100_000
"""Of one change."""


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

    x: float
    y: float
    z: float
    label: Label = "particle"
    origin: str = "click"

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
    added: Points = ()
    removed: Points = ()

    @property
    def inverse(self) -> "Change":
        """The change that takes this one back."""
        return Change(self.kind, self.tomogram, self.removed, self.added)

    @property
    def is_empty(self) -> bool:
        """Whether nothing changes."""
        return not self.added and not self.removed

    def to_json(self) -> dict[str, Any]:
        """Give it as the log and the page have it."""
        return asdict(self)


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
    """Give for each point the index of the one of others that is at its place, -1 where none is."""
    if len(others) <= FEW:
        return [next((i for i, other in enumerate(others) if point.is_at(other)), -1) for point in points]
    from scipy.spatial import cKDTree  # noqa: PLC0415  (slow to import, and hardly ever needed)

    nearest = cKDTree(positions(others)).query(positions(points), p=np.inf, distance_upper_bound=SAME)[1]
    found = np.asarray(nearest, dtype=np.int64)
    return [index if index < len(others) else -1 for index in found.tolist()]


def point_from_json(value: Any) -> Point:
    """Make a point of what a page or the log holds.

    Raises `UsageError` if it is none.
    """
    try:
        x, y, z = (float(value[axis]) for axis in "xyz")
        label, origin = value.get("label", "particle"), str(value.get("origin", "click"))[:80]
    except (TypeError, KeyError, ValueError, AttributeError, OverflowError) as error:
        raise UsageError("a point needs numbers x, y and z; reload the page") from error
    if label not in LABELS or not bool(np.isfinite([x, y, z]).all()):
        raise UsageError("a point is a particle or a negative at a finite place; reload the page")
    return Point(round(x, 3), round(y, 3), round(z, 3), label, origin)


def change_from_json(value: Any) -> Change:
    """Make a change of what a page or the log holds.

    Raises `UsageError` if it is none.
    """
    if not isinstance(value, dict):
        raise UsageError("a change needs a kind, a tomogram and points; reload the page")
    parts = [value.get("added", []), value.get("removed", [])]
    if not all(isinstance(part, list) and len(part) <= MOST_POINTS for part in parts):
        raise UsageError(f"a change has lists of at most {MOST_POINTS} points; reload the page")
    added, removed = (tuple(point_from_json(item) for item in part) for part in parts)
    return Change(str(value.get("kind", "")), str(value.get("tomogram", "")), added, removed)


def positions(points: Iterable[Point], label: Label | None = None) -> Positions:
    """Give the points, or those of a label, as rows of (x, y, z) in Å."""
    rows = [(point.x, point.y, point.z) for point in points if label in {None, point.label}]
    return np.asarray(rows, dtype=np.float64).reshape(-1, 3)
