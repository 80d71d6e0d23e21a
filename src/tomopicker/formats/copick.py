"""copick's picks, ``<user>_<session>_<object>.json``: Å from the centre of the first voxel, one run a file.

The centre of a particle is its location plus the last column of its matrix, as copick's documentation has it; the
matrix takes the object to the tomogram, and counts unless ``trust_orientation`` is false. The run stands in the file or
in its path. The library itself is not used: it holds zarr below 3.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.spatial.transform import Rotation

from tomopicker.errors import TomoPickerError
from tomopicker.files import write_text
from tomopicker.formats.angles import checked, orientations, relion_columns
from tomopicker.formats.columns import check_coordinates, names, numbers
from tomopicker.formats.textfile import read_text
from tomopicker.geometry import Frame, PickTable, Unit
from tomopicker.picks import Picks

USER, SESSION, OBJECT = "tomopicker", "1", "particle"
"""What a file is called that is not named ``<user>_<session>_<object>.json``."""


def recognises(path: Path, head: bytes) -> bool:
    """Tell it by its suffix and its key."""
    return path.suffix.lower() == ".json" and b'"pickable_object_name"' in head


def read(path: Path) -> PickTable:
    """Read the points.

    Raises
    ------
    TomoPickerError
        If it is no JSON, has no points, or one is no number.
    """
    source = str(path)
    content = load_json(path)
    points = content.get("points")
    if not isinstance(points, list) or not all(isinstance(point, dict) for point in points):
        raise TomoPickerError(f"{source}: no list 'points' in it; give a file of copick picks")
    if content.get("unit", "angstrom") != "angstrom":
        raise TomoPickerError(f"{source}: its unit is {str(content['unit'])[:40]!r}, not angstrom; mend the file")
    rows = [f"point {i + 1}" for i in range(len(points))]
    places = [point.get("location") for point in points]
    if not all(isinstance(place, dict) and {"x", "y", "z"} <= place.keys() for place in places):
        raise TomoPickerError(f"{source}: a point has no location x, y, z; mend the file")
    columns = [numbers([place[axis] for place in places], axis, source, rows) for axis in "xyz"]
    matrices = _matrices(points, source)
    coordinates = np.stack(columns, axis=1) + matrices[:, :3, 3]
    check_coordinates(coordinates, source, rows)
    extra: dict[str, object] = {}
    if content.get("trust_orientation", True) and any(point.get("transformation_") for point in points):
        turned = relion_columns(Rotation.from_matrix(matrices[:, :3, :3]))
        checked(np.stack(list(turned.values()), axis=1), source, rows)
        extra |= turned
    scores = numbers([point.get("score", 1.0) for point in points], "score", source, rows, np.nan)
    if any(point.get("instance_id") for point in points):
        extra["instance_id"] = numbers([point.get("instance_id") for point in points], "instance_id", source, rows, 0)
    run = str(content.get("run_name") or _run_of(path))
    return PickTable(
        coordinates, Unit.ANGSTROM, names([run] * len(points)), scores, extra=pd.DataFrame(extra), source=source
    )


def write(picks: Picks, frames: Mapping[str, Frame], path: Path) -> None:
    """Write the points of one run; user, session and object as the file is called."""
    parts = path.stem.split("_", 2)
    user, session, name = parts if len(parts) == 3 and all(parts) else (USER, SESSION, path.stem or OBJECT)
    turned = orientations(picks.extra)
    matrices = np.tile(np.eye(4), (len(picks), 1, 1))
    if turned is not None:
        matrices[:, :3, :3] = turned.as_matrix()
    run = next(iter(picks.tomogram_names), None)
    instances = _instances(picks)
    points = [
        {
            "location": dict(zip("xyz", position, strict=True)),
            "transformation_": matrix,
            "instance_id": instance,
            "score": None if np.isnan(score) else score,
        }
        for position, matrix, score, instance in zip(
            picks.positions.tolist(), matrices.tolist(), picks.scores.tolist(), instances, strict=True
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
        "trust_orientation": turned is not None,
    }
    write_text(path, json.dumps(content, indent=1) + "\n")


def load_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises
    ------
    TomoPickerError
        If it is none.
    """
    try:
        content = json.loads(read_text(path), parse_int=lambda text: int(text) if len(text) < 18 else float(text))
    except (ValueError, RecursionError) as error:
        raise TomoPickerError(f"{path}: cannot be read as JSON ({str(error)[:80]}); mend it") from error
    if not isinstance(content, dict):
        raise TomoPickerError(f"{path}: not a file of copick; give its configuration or picks")
    return content


def _run_of(path: Path) -> str:
    """Take the run from ``ExperimentRuns/<run>/Picks/<file>``; empty if the file does not lie so."""
    folder = path.absolute().parent
    return folder.parent.name if folder.name == "Picks" else ""


def _instances(picks: Picks) -> list[int]:
    """Give the numbers of objects that picks came with; 0, copick's "none", where there are none."""
    if "instance_id" not in picks.extra:
        return [0] * len(picks)
    known = pd.to_numeric(picks.extra["instance_id"], errors="coerce").fillna(0)
    return [int(number) for number in known.clip(-(2**31), 2**31)]


def _matrices(points: list[dict[str, Any]], source: str) -> np.ndarray:
    matrices = np.tile(np.eye(4), (len(points), 1, 1))
    for i, point in enumerate(points):
        if (stated := point.get("transformation_")) is None:
            continue
        try:
            matrix = np.asarray(stated, dtype=np.float64)
        except (TypeError, ValueError, OverflowError):
            matrix = np.full((4, 4), np.nan)
        if matrix.shape != (4, 4) or not np.isfinite(matrix).all() or abs(np.linalg.det(matrix[:3, :3]) - 1) > 0.01:
            raise TomoPickerError(f"{source}: point {i + 1}: its transformation_ is no 4 x 4 rotation; mend the file")
        matrices[i] = matrix
    return matrices
