"""napari's layers: a lazily read image, and the frame that points refer to.

Layers are in voxels (scale 1), so that points and images overlap regardless of the order in which they are opened; the
voxel size is in the layer's metadata.
"""

import sys
from collections.abc import Mapping
from typing import Any

import numpy as np

from tomopicker.geometry import Frame
from tomopicker.tomogram import Tomogram

KEY = "tomopicker"


class LayerImage:
    """A tomogram as an array for napari: read on indexing with any integers and slices."""

    ndim = 3

    def __init__(self, tomogram: Tomogram) -> None:
        self._data = tomogram.data
        self.shape, self.dtype = tomogram.shape, tomogram.data.dtype

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> Any:
        index = list(key) if isinstance(key, tuple) else [key]
        if Ellipsis in index:
            i = index.index(Ellipsis)
            index[i : i + 1] = [slice(None)] * (4 - len(index))
        index += [slice(None)] * (3 - len(index))
        # An integer is read as a slice of length 1, and its axis dropped.
        parts = [part if isinstance(part, slice) else int(part) % n for part, n in zip(index, self.shape, strict=True)]
        z, y, x = (part if isinstance(part, slice) else slice(part, part + 1) for part in parts)
        return np.asarray(self._data[z, y, x])[tuple(slice(None) if isinstance(part, slice) else 0 for part in parts)]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self[:], dtype=dtype)


def metadata(name: str, frame: Frame) -> dict[str, Any]:
    """Return the metadata of a layer: a tomogram's name and frame."""
    return {KEY: {"tomogram": name, "voxel_size": frame.voxel_size, "shape": list(frame.shape)}}


def frame_of_layer(metadata: Mapping[str, Any] | None) -> tuple[str, Frame] | None:
    """Return a tomogram's name and frame from the metadata of a layer; None without them."""
    entry = (metadata or {}).get(KEY)
    if not entry:
        return None
    z, y, x = (int(n) for n in entry["shape"])
    return str(entry["tomogram"]), Frame((z, y, x), float(entry["voxel_size"]))


def open_frames() -> dict[str, Frame]:
    """Return the frames of the tomograms that are open in napari; none if it is not running."""
    napari = sys.modules.get("napari")
    viewer = napari.current_viewer() if napari is not None else None
    layers = viewer.layers if viewer is not None else ()
    return dict(entry for layer in layers if (entry := frame_of_layer(layer.metadata)) is not None)
