"""IMOD models: the points of every contour of every object, one tomogram per file.

A point's z counts sections, 0 at the centre of the first; x and y are 0 at a voxel's **corner**, so the centre of the
first voxel is (0.5, 0.5, 0) (IMOD's and imodmodel's notes on coordinates). imodmodel 0.1 is not used because it never
returns from a truncated model; it is the independent reader in the tests.
"""

import struct
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from tomopicker.errors import TomoPickerError
from tomopicker.files import atomic_path
from tomopicker.geometry import Frame, PickTable, Unit, to_file_units
from tomopicker.io.angles import CLASS
from tomopicker.io.columns import Rows, column_or_default
from tomopicker.io.text import read_bytes
from tomopicker.picks import Picks

INDEX_ORIGIN = (0.5, 0.5, 0.0)
_ID = b"IMODV1.2"
_MODEL = struct.Struct(">128s4iI4i6f5if2i3f")
_OBJECT = struct.Struct(">64s64xiI2i3fi8B2i")
_CONTOUR = struct.Struct(">iI2i")
_SCATTERED = 1 << 9
"""Flag of an object whose points are not joined by lines (IMOD's binary specification)."""
_COLOURS = ((0.0, 1.0, 0.0), (0.0, 1.0, 1.0), (1.0, 0.0, 1.0), (1.0, 1.0, 0.0), (1.0, 0.0, 0.0), (0.0, 0.0, 1.0))


def read(path: Path) -> PickTable:
    """Read all points; object and contour (from 1) become columns, and the object the class if there are several."""
    contours = list(_contours(read_bytes(path), path))
    lengths = [len(points) for _, _, points in contours]
    coordinates = np.concatenate([np.empty((0, 3)), *(points for _, _, points in contours)])
    objects = np.repeat([number for number, _, _ in contours], lengths).astype(int)
    extra = {
        "imod_object": objects,
        "imod_contour": np.repeat([contour for _, contour, _ in contours], lengths).astype(int),
    }
    if len(np.unique(objects)) > 1:
        extra[CLASS] = objects
    rows = Rows.counted(path, "point", len(coordinates))
    return rows.table(coordinates, Unit.VOXEL, extra=extra, index_origin=INDEX_ORIGIN)


def write(picks: Picks, frames: Mapping[str, Frame], path: Path) -> None:
    """Write scattered points, an object for each class, or in the objects and contours that they were read from.

    No ``MINX`` chunk is written: 3dmod then takes the points as voxels of whatever volume it shows.
    """
    points = to_file_units(picks, frames, Unit.VOXEL, index_origin=INDEX_ORIGIN)
    label = "imod_object" if "imod_object" in picks.extra else CLASS
    objects = _numbers_from_one(column_or_default(picks, label, 1.0))
    contours = _numbers_from_one(column_or_default(picks, "imod_contour", 1.0))
    size = np.minimum(np.maximum(points.max(axis=0, initial=0), 0) + 1, 2**30).astype(int)
    n_objects = int(objects.max(initial=1))
    header = _MODEL.pack(
        b"TomoPicker", *size.tolist(), n_objects, 0, 1, 2, 0, 255, 0, 0, 0, 1, 1, 1, 0, 0, -1, 3, 128, 1.0,
        0, 0, 0, 0, 0,
    )  # fmt: skip
    parts = [_ID, header]
    for number in range(1, n_objects + 1):
        is_in_object = objects == number
        n_contours = int(contours[is_in_object].max(initial=0))
        colour = _COLOURS[number % len(_COLOURS) - 1]
        parts += [b"OBJT", _OBJECT.pack(b"", n_contours, _SCATTERED, 0, 1, *colour, 5, 1, 3, 1, 1, 0, 0, 0, 0, 0, 0)]
        for contour in range(1, n_contours + 1):
            group = points[is_in_object & (contours == contour)]
            parts += [b"CONT", _CONTOUR.pack(len(group), 0, 0, 0), group.astype(">f4").tobytes()]
    with atomic_path(path) as temporary:
        temporary.write_bytes(b"".join([*parts, b"IEOF"]))


def _numbers_from_one(labels: np.ndarray) -> np.ndarray:
    """Return labels unchanged if they are whole numbers from 1 to 500; renumber others from 1."""
    if len(labels) and ((labels < 1) | (labels > 500) | (labels % 1 != 0)).any():
        return np.unique(labels, return_inverse=True)[1] + 1
    return labels.astype(np.int64)


def _contours(content: bytes, path: Path) -> Iterator[tuple[int, int, np.ndarray]]:
    """Yield object and contour (both from 1) and the points of each contour."""
    position, number, contour = len(_ID) + _MODEL.size, 0, 0

    def take(size: int) -> bytes:
        nonlocal position
        if size < 0 or position + size > len(content):
            raise TomoPickerError(f"{path}: the model is damaged or cut short; copy it again or save it in 3dmod")
        position += size
        return content[position - size : position]

    while position + 4 <= len(content) and (tag := take(4)) != b"IEOF":
        if tag == b"OBJT":
            position, number, contour = position + _OBJECT.size, number + 1, 0
        elif tag == b"CONT":
            n_points = _CONTOUR.unpack(take(_CONTOUR.size))[0]
            contour += 1
            yield number, contour, np.frombuffer(take(12 * n_points), ">f4").reshape(-1, 3).astype(np.float64)
        elif tag == b"MESH":
            vertices, indices = struct.unpack(">2i", take(8))
            take(8 + 12 * vertices + 4 * indices)
        else:
            take(struct.unpack(">i", take(4))[0])
