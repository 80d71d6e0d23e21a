"""Single particles as pictures: a box around a position, and its projections along three axes."""

import base64
import io
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32, UInt8
from PIL import Image

from tomopicker.preprocessing.subtomograms import subtomograms
from tomopicker.tomogram import Tomogram
from tomopicker.types import Positions, Volume

EDGE = 1.7
"""Edge of a box in particle diameters."""
MAX_PIXELS = 48
"""Approximate maximum edge of a box in binned voxels."""
QUALITY = 88

Picture = UInt8[np.ndarray, "row column"]


def _box_size(diameter: float, voxel_size: float) -> tuple[int, int]:
    """Return the odd edge of a box in binned voxels, and the binning."""
    width = EDGE * diameter / voxel_size
    binning = max(1, round(width / MAX_PIXELS))
    return 2 * int(np.ceil(width / binning / 2)) + 1, binning


def cut_box(tomogram: Tomogram, position: Positions, diameter: float) -> Volume | None:
    """Cut a standardised box around one position (1 row, Å); None outside the tomogram."""
    edge, binning = _box_size(diameter, tomogram.voxel_size)
    for _, box in subtomograms(tomogram, position, edge, binning):
        standardised: Volume = (box - box.mean()) / np.float32(float(box.std()) or 1.0)
        return standardised
    return None


def mean_box(boxes: Sequence[Volume]) -> tuple[Volume | None, int]:
    """Average the boxes with the shape of the first; return the mean, None without boxes, and their number."""
    same = [box for box in boxes if box.shape == boxes[0].shape]
    mean: Volume | None = np.stack(same).mean(axis=0, dtype=np.float32) if same else None
    return mean, len(same)


def projections(box: Volume, *, slab: float = 1.0, inverted: bool = False) -> Picture:
    """Draw a box's projections along z, y and x side by side.

    Parameters
    ----------
    box : Volume
        See `cut_box`.
    slab : float
        Thickness of the projected slab in particle diameters.
    """
    edge = len(box)
    half = max(1, round(slab * edge / EDGE / 2))
    inside = slice(max(0, edge // 2 - half), edge // 2 + half + 1)
    planes = [box[inside].mean(axis=0), box[:, inside].mean(axis=1), box[:, :, inside].mean(axis=2)]
    drawn = [stretch_contrast(plane[::-1]) for plane in planes]
    gap = np.full((edge, 1), 0, dtype=np.uint8)
    picture: Picture = np.concatenate([drawn[0], gap, drawn[1], gap, drawn[2]], axis=1)
    return 255 - picture if inverted else picture


def encode_jpeg(picture: Picture) -> bytes:
    """Encode a picture as JPEG."""
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "JPEG", quality=QUALITY)
    return stream.getvalue()


def as_data_url(picture: Picture) -> str:
    """Encode a picture as a data URL, for a page in one file."""
    return f"data:image/jpeg;base64,{base64.b64encode(encode_jpeg(picture)).decode('ascii')}"


def stretch_contrast(plane: Float32[np.ndarray, "row column"]) -> Picture:
    """Map the grey values of a picture between 1 and 99% to bytes."""
    low, high = np.quantile(plane, (0.01, 0.99))
    picture: Picture = np.clip((plane - low) * (255 / (float(high - low) or 1.0)), 0, 255).astype(np.uint8)
    return picture
