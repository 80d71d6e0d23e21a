"""What travels between files and napari's layers: a lazily read image, and the frame that points refer to.

Layers count voxels (scale 1), so that points lie where they should whatever opened first; the voxel size is in the
layer's metadata.
"""

import sys
from collections.abc import Mapping
from typing import Any

import numpy as np

from tomopicker.geometry import Frame
from tomopicker.tomogram import Tomogram

KEY = "tomopicker"


class LayerImage:
    """A tomogram as the array that napari wants: any index of numbers and slices, read on indexing."""

    ndim = 3

    def __init__(self, tomogram: Tomogram) -> None:
        self._data = tomogram.data
        self.shape, self.dtype = tomogram.shape, tomogram.data.dtype

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> Any:
        index = list(key) if isinstance(key, tuple) else [key]
        if Ellipsis in index:
            place = index.index(Ellipsis)
            index[place : place + 1] = [slice(None)] * (4 - len(index))
        index += [slice(None)] * (3 - len(index))
        # A number is read as a slice of one, and its axis dropped.
        starts = [part if isinstance(part, slice) else int(part) % n for part, n in zip(index, self.shape, strict=True)]
        z, y, x = (part if isinstance(part, slice) else slice(part, part + 1) for part in starts)
        kept = tuple(slice(None) if isinstance(part, slice) else 0 for part in starts)
        return np.asarray(self._data[z, y, x])[kept]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self[:], dtype=dtype)


def metadata(name: str, frame: Frame) -> dict[str, Any]:
    """Layer metadata with a tomogram's name and frame."""
    return {KEY: {"tomogram": name, "voxel_size": frame.voxel_size, "shape": list(frame.shape)}}


def stated_frame(of_layer: Mapping[str, Any] | None) -> tuple[str, Frame] | None:
    """Name and frame from a layer's metadata; None without them."""
    stated = (of_layer or {}).get(KEY)
    if not stated:
        return None
    z, y, x = (int(n) for n in stated["shape"])
    return str(stated["tomogram"]), Frame((z, y, x), float(stated["voxel_size"]))


def open_frames() -> dict[str, Frame]:
    """Return the frames of the tomograms that are open in napari; none where it does not run."""
    napari = sys.modules.get("napari")
    viewer = napari.current_viewer() if napari is not None else None
    found = [stated_frame(layer.metadata) for layer in viewer.layers] if viewer is not None else []
    return dict(each for each in found if each is not None)
