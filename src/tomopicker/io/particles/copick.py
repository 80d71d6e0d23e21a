"""Picks of copick (JSON) and of the CryoET Data Portal (one JSON object per line), with rotations as matrices.

copick's ``<user>_<session>_<object>.json`` holds Å from the centre of the first voxel, one run per file. The centre of
a particle is its location plus the last column of its matrix, as in copick's documentation; the matrix takes the
object to the tomogram, and counts unless ``trust_orientation`` is false. The run is named in the file or its path.
The library itself is not used: it requires zarr below 3.

The portal's ``.ndjson`` holds voxels, 0 at the centre of the first, and nothing that names the tomogram;
``xyz_rotation_matrix`` takes the reference to the particle.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from tomopicker.errors import TomoPickerError
from tomopicker.files import write_text
from tomopicker.geometry import Frame, PickTable, Unit
from tomopicker.io.angles import orientations, relion_columns
from tomopicker.io.columns import Rows, column_or_default
from tomopicker.io.text import parse_json, read_json
from tomopicker.picks import Picks

USER, SESSION, OBJECT = "tomopicker", "1", "particle"
"""Names for a file that is not called ``<user>_<session>_<object>.json``."""
NOT_COPICK = "not a file of copick; give its configuration or picks"
MATRIX = "xyz_rotation_matrix"


def read(path: Path) -> PickTable:
    """Read copick's points of a run."""
    content = read_json(path, NOT_COPICK)
    points = content.get("points")
    if not isinstance(points, list) or not all(isinstance(point, dict) for point in points):
        raise TomoPickerError(f"{path}: no list 'points' in it; give a file of copick picks")
    if content.get("unit", "angstrom") != "angstrom":
        raise TomoPickerError(f"{path}: its unit is {str(content['unit'])[:40]!r}, not angstrom; correct the file")
    rows = Rows.counted(path, "point", len(points))
    if not all(_has_location(point) for point in points):
        raise TomoPickerError(f"{path}: a point has no location x, y, z; correct the file")
    matrices = np.tile(np.eye(4), (len(points), 1, 1))
    for i, point in enumerate(points):
        if point.get("transformation_") is not None:
            matrices[i] = _rotation_matrix(point["transformation_"], 4, rows, i, "transformation_ is no 4 x 4 rotation")
    extra: dict[str, np.ndarray] = {}
    if content.get("trust_orientation", True) and any(point.get("transformation_") for point in points):
        extra = relion_columns(Rotation.from_matrix(matrices[:, :3, :3]))
        rows.check_angles(np.stack(list(extra.values()), axis=1))
    scores = rows.numbers([point.get("score", 1.0) for point in points], "score", blank=np.nan)
    folder = path.absolute().parent  # ExperimentRuns/<run>/Picks
    run = str(content.get("run_name") or (folder.parent.name if folder.name == "Picks" else ""))
    coordinates = _locations(points, rows) + matrices[:, :3, 3]
    return rows.table(coordinates, Unit.ANGSTROM, [run] * len(points), scores, extra | _instances(points, rows))


def read_portal(path: Path) -> PickTable:
    """Read points and oriented points of the portal."""
    rows, lines = Rows.of_lines(path)
    points = [_portal_point(line, f"{path}: {label}") for line, label in zip(lines, rows.labels, strict=True)]
    coordinates = _locations(points, rows)
    rows.check_coordinates(coordinates)
    extra: dict[str, np.ndarray] = {}
    has_matrix = [MATRIX in point for point in points]
    if all(has_matrix):
        matrices = [
            _rotation_matrix(point[MATRIX], 3, rows, i, f"{MATRIX} is no rotation") for i, point in enumerate(points)
        ]
        extra = relion_columns(Rotation.from_matrix(np.stack(matrices)))
    elif any(has_matrix):
        raise rows.error(has_matrix.index(False), f" has no {MATRIX}, where others have")
    return rows.table(coordinates, Unit.VOXEL, extra=extra | _instances(points, rows))


def write(picks: Picks, frames: Mapping[str, Frame], path: Path) -> None:
    """Write the points of one run for copick; user, session and object are taken from the file's name."""
    parts = path.stem.split("_", 2)
    user, session, name = parts if len(parts) == 3 and all(parts) else (USER, SESSION, path.stem or OBJECT)
    rotations = orientations(picks.extra)
    matrices = np.tile(np.eye(4), (len(picks), 1, 1))
    if rotations is not None:
        matrices[:, :3, :3] = rotations.as_matrix()
    instances = column_or_default(picks, "instance_id").clip(-(2**31), 2**31).astype(int)  # 0 is copick's "none".
    run = next(iter(picks.tomogram_names), None)
    points = [
        {
            "location": dict(zip("xyz", position, strict=True)),
            "transformation_": matrix,
            "instance_id": instance,
            "score": None if np.isnan(score) else score,
        }
        for position, matrix, instance, score in zip(
            picks.positions.tolist(), matrices.tolist(), instances.tolist(), picks.scores.tolist(), strict=True
        )
    ]
    content = {
        "pickable_object_name": name,
        "user_id": user,
        "session_id": session,
        "run_name": run,
        "voxel_spacing": frames[run].voxel_size if run is not None else None,
        "unit": "angstrom",
        "points": points,
        "trust_orientation": rotations is not None,
    }
    write_text(path, json.dumps(content, indent=1) + "\n")


def _has_location(point: object) -> bool:
    location = point.get("location") if isinstance(point, dict) else None
    return isinstance(location, dict) and {"x", "y", "z"} <= location.keys()


def _locations(points: list[dict[str, Any]], rows: Rows) -> np.ndarray:
    return rows.stack({axis: [point["location"][axis] for point in points] for axis in "xyz"})


def _instances(points: list[dict[str, Any]], rows: Rows) -> dict[str, np.ndarray]:
    """Return the column ``instance_id``, if a point has one."""
    ids = [point.get("instance_id") for point in points]
    return {"instance_id": rows.numbers(ids, "instance_id", blank=0)} if any(ids) else {}


def _portal_point(line: str, place: str) -> dict[str, Any]:
    try:
        point = parse_json(line)
    except (ValueError, RecursionError) as error:
        raise TomoPickerError(f"{place} is not a JSON object ({str(error)[:60]}); correct it") from error
    if not _has_location(point):
        raise TomoPickerError(f"{place} has no location x, y, z; give a file of points, not of a segmentation")
    return dict(point)


def _rotation_matrix(value: object, size: int, rows: Rows, row: int, message: str) -> np.ndarray:
    """Return a rotation of 3 x 3 numbers, or the homogeneous one of 4 x 4 that starts with it."""
    try:
        matrix = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        matrix = np.empty(0)
    if matrix.shape != (size, size) or not np.isfinite(matrix).all() or abs(np.linalg.det(matrix[:3, :3]) - 1) > 0.01:
        raise rows.error(row, f": its {message}")
    return matrix
