"""napari's writer: a layer of points becomes a file of picks, in the format of its suffix."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tomopicker import io
from tomopicker.errors import TomoPickerError
from tomopicker.geometry import Frame, voxels_to_angstrom
from tomopicker.napari.layers import frame_of_layer, open_frames
from tomopicker.picks import Picks


def write_points(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """Write one layer of points.

    Parameters
    ----------
    path : str
        ``.star`` is RELION 5; `tomopicker formats` lists the other suffixes.
    data : array, shape (n, 3)
        (z, y, x), in the layer's own coordinates.
    attributes : dict
        Those of the layer: ``scale`` and ``translate`` are applied, scores are taken from ``features``, and the
        tomogram from ``metadata``, else the only one that is open.

    Returns
    -------
    list of str
        The file.

    Raises
    ------
    TomoPickerError
        If the points are not three-dimensional, or their tomogram is unknown.
    """
    points = np.asarray(data, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != 3:
        raise TomoPickerError(f"{path}: the points have {points.shape[-1]} coordinates, picks 3; use a 3D layer")
    name, frame = _tomogram(path, attributes.get("metadata"))
    scale, shift = (np.asarray(attributes.get(key, default)) for key, default in (("scale", 1.0), ("translate", 0.0)))
    voxels = (points * scale + shift)[:, ::-1]
    picks = Picks.of(name, voxels_to_angstrom(voxels, frame.voxel_size), _scores(attributes, len(points)))
    io.write_picks(picks, {name: frame}, Path(path))
    return [path]


def _tomogram(path: str, metadata: Mapping[str, Any] | None) -> tuple[str, Frame]:
    if of_layer := frame_of_layer(metadata):
        return of_layer
    frames = open_frames()
    if len(frames) == 1:
        return next(iter(frames.items()))
    problem = f"{len(frames)} tomograms are open" if frames else "no tomogram was opened with TomoPicker's reader"
    remedy = "open just the one that was clicked in, and save again"
    raise TomoPickerError(f"{path}: the tomogram of these points is not known ({problem}); {remedy}")


def _scores(attributes: Mapping[str, Any], n: int) -> np.ndarray | None:
    features = attributes.get("features")
    if features is None or "score" not in features:
        return None
    scores = np.asarray(features["score"], dtype=np.float64)
    return scores if scores.shape == (n,) else None
