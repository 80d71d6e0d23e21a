"""Point annotations of the CryoET Data Portal: ``.ndjson``, a JSON object a line, voxels, 0 at the centre of the first.

Nothing in the file names its tomogram. ``xyz_rotation_matrix`` takes the reference to the particle.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.spatial.transform import Rotation

from tomopicker.errors import TomoPickerError
from tomopicker.formats.angles import relion_columns
from tomopicker.formats.columns import check_coordinates, names, numbers
from tomopicker.formats.textfile import read_text
from tomopicker.geometry import PickTable, Unit

MATRIX = "xyz_rotation_matrix"


def recognises(path: Path, head: bytes) -> bool:
    """Tell it by its suffix, or by an object with a location in its first line."""
    return path.suffix.lower() == ".ndjson" or (head.lstrip()[:1] == b"{" and b'"location"' in head.split(b"\n")[0])


def read(path: Path) -> PickTable:
    """Read the points.

    Raises
    ------
    TomoPickerError
        Naming the line that is no point.
    """
    source = str(path)
    lines = [(f"line {i}", line) for i, line in enumerate(read_text(path).splitlines(), 1) if line.strip()]
    points = [_point(line, row, source) for row, line in lines]
    rows = [row for row, _ in lines]
    places = [point["location"] for point in points]
    columns = [numbers([place[axis] for place in places], axis, source, rows) for axis in "xyz"]
    coordinates = np.stack(columns, axis=1) if points else np.empty((0, 3))
    check_coordinates(coordinates, source, rows)
    extra: dict[str, object] = {}
    stated = [MATRIX in point for point in points]
    if all(stated):
        matrices = np.stack([_matrix(point[MATRIX], row, source) for point, row in zip(points, rows, strict=True)])
        extra |= relion_columns(Rotation.from_matrix(matrices))
    elif any(stated):
        raise TomoPickerError(
            f"{source}: {rows[stated.index(False)]} has no {MATRIX}, where others have; mend the file"
        )
    if any("instance_id" in point for point in points):
        ids = [point.get("instance_id") for point in points]
        extra["instance_id"] = numbers(ids, "instance_id", source, rows, 0)
    unknown = np.full(len(points), np.nan)
    tomograms = names([""] * len(points))
    return PickTable(coordinates, Unit.VOXEL, tomograms, unknown, extra=pd.DataFrame(extra), source=source)


def _point(line: str, row: str, source: str) -> dict[str, Any]:
    try:
        point = json.loads(line, parse_int=lambda text: int(text) if len(text) < 18 else float(text))
    except (ValueError, RecursionError) as error:
        raise TomoPickerError(f"{source}: {row} is not a JSON object ({str(error)[:60]}); mend it") from error
    place = point.get("location") if isinstance(point, dict) else None
    if not isinstance(place, dict) or not {"x", "y", "z"} <= place.keys():
        raise TomoPickerError(f"{source}: {row} has no location x, y, z; give a file of points, not of a segmentation")
    return dict(point)


def _matrix(stated: object, row: str, source: str) -> np.ndarray:
    try:
        matrix = np.asarray(stated, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        matrix = np.full((3, 3), np.nan)
    if matrix.shape != (3, 3) or not np.isfinite(matrix).all() or abs(np.linalg.det(matrix) - 1) > 0.01:
        raise TomoPickerError(f"{source}: {row}: its {MATRIX} is no rotation; mend the file")
    return matrix
