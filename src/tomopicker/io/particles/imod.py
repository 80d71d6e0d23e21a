"""IMOD models: the points of every contour of every object, one tomogram a file.

A point's z counts sections, 0 at the centre of the first; x and y are 0 at a voxel's **corner**, so the centre of the
first voxel is (0.5, 0.5, 0) (IMOD's and imodmodel's notes on coordinates). Read and written here because imodmodel
0.1 never comes back from a model that is cut short; it is the independent reader in the tests.
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
"""The flag of an object whose points are not joined by lines (IMOD's binary specification)."""
_COLOURS = ((0.0, 1.0, 0.0), (0.0, 1.0, 1.0), (1.0, 0.0, 1.0), (1.0, 1.0, 0.0), (1.0, 0.0, 0.0), (0.0, 0.0, 1.0))


def read(path: Path) -> PickTable:
    """Read all points; object and contour (from 1) become columns, and the object the class if there are several.

    Raises `TomoPickerError` if it is cut short or has no points.
    """
    found = [(number, contour, points) for number, contour, points in _contours(read_bytes(path), path) if len(points)]
    coordinates = np.concatenate([points for _, _, points in found] or [np.empty((0, 3))])
    lengths = [len(points) for _, _, points in found]
    objects = np.repeat([number for number, _, _ in found], lengths)
    extra = {"imod_object": objects, "imod_contour": np.repeat([contour for _, contour, _ in found], lengths)}
    if len(np.unique(objects)) > 1:
        extra[CLASS] = objects
    rows = Rows.counted(path, "point", len(coordinates))
    return rows.table(coordinates, Unit.VOXEL, extra=extra, index_origin=INDEX_ORIGIN)


def write(picks: Picks, frames: Mapping[str, Frame], path: Path) -> None:
    """Write scattered points, an object for each class, or in the objects and contours that they were read from.

    No ``MINX`` chunk is written: 3dmod then takes the points as they are, in voxels of whatever volume it shows.
    """
    n = len(picks)
    points = to_file_units(picks, frames, Unit.VOXEL, index_origin=INDEX_ORIGIN)
    label = "imod_object" if "imod_object" in picks.extra else CLASS
    objects = _counted(column_or_default(picks.extra, label, n, default=1.0))
    contours = _counted(column_or_default(picks.extra, "imod_contour", n, default=1.0))
    size = np.minimum(np.maximum(points.max(axis=0, initial=0), 0) + 1, 2**30).astype(int)
    last = int(objects.max(initial=1))
    header = _MODEL.pack(
        b"TomoPicker", *size.tolist(), last, 0, 1, 2, 0, 255, 0, 0, 0, 1, 1, 1, 0, 0, -1, 3, 128, 1.0, 0, 0, 0, 0, 0
    )
    parts = [_ID, header]
    for number in range(1, last + 1):
        inside = objects == number
        last_contour = int(contours[inside].max(initial=0))
        colour = _COLOURS[number % len(_COLOURS) - 1]
        parts += [b"OBJT", _OBJECT.pack(b"", last_contour, _SCATTERED, 0, 1, *colour, 5, 1, 3, 1, 1, 0, 0, 0, 0, 0, 0)]
        for contour in range(1, last_contour + 1):
            group = points[inside & (contours == contour)]
            parts += [b"CONT", _CONTOUR.pack(len(group), 0, 0, 0), group.astype(">f4").tobytes()]
    with atomic_path(path) as temporary:
        temporary.write_bytes(b"".join([*parts, b"IEOF"]))


def _counted(labels: np.ndarray) -> np.ndarray:
    """Keep labels that number objects as they stand, from 1 to a few hundred; count others from 1."""
    if len(labels) and ((labels < 1) | (labels > 500) | (labels % 1 != 0)).any():
        return np.unique(labels, return_inverse=True)[1] + 1
    return labels.astype(np.int64)


def _contours(content: bytes, path: Path) -> Iterator[tuple[int, int, np.ndarray]]:
    """Yield object, contour (both from 1) and points of each contour."""
    at, number, contour = len(_ID) + _MODEL.size, 0, 0
    while at + 4 <= len(content) and (tag := content[at : at + 4]) != b"IEOF":
        at += 4
        if tag == b"OBJT":
            at, number, contour = at + _OBJECT.size, number + 1, 0
        elif tag == b"CONT":
            n = _CONTOUR.unpack(_part(content, at, _CONTOUR.size, path))[0]
            points = _part(content, at + _CONTOUR.size, 12 * n, path)
            at, contour = at + _CONTOUR.size + len(points), contour + 1
            yield number, contour, np.frombuffer(points, ">f4").reshape(-1, 3).astype(np.float64)
        elif tag == b"MESH":
            vertices, indices = struct.unpack(">2i", _part(content, at, 8, path))
            at += len(_part(content, at, 16 + 12 * vertices + 4 * indices, path))
        else:
            size = struct.unpack(">i", _part(content, at, 4, path))[0]
            at += 4 + len(_part(content, at + 4, size, path))


def _part(content: bytes, at: int, size: int, path: Path) -> bytes:
    if size < 0 or at + size > len(content):
        raise TomoPickerError(f"{path}: the model is damaged or cut short; copy it again or save it in 3dmod")
    return content[at : at + size]
