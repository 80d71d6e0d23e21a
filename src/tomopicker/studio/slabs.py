"""Sections of a tomogram as pictures: the mean of a slab, its grey values, and JPEG at native sampling."""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from jaxtyping import Float32, UInt8
from scipy.ndimage import gaussian_filter

from tomopicker.errors import UsageError
from tomopicker.output.particles import encoded
from tomopicker.studio.deconvolution import Deconvolution
from tomopicker.tomogram import Tomogram

Plane = Literal["xy", "xz", "yz"]
PLANES: tuple[Plane, ...] = get_args(Plane)
NORMAL = {"xy": 0, "xz": 1, "yz": 2}
"""Which array axis, of z, y, x, a plane is perpendicular to."""
Slab = Float32[np.ndarray, "row column"]

MAX_SECTIONS = 200
SAMPLED = 200_000
"""Voxels that grey values are measured in."""
BEYOND = 0.6
"""How far the byte range of a brick goes beyond the range of the sample, in widths of it (0.1 to 99.9%)."""


@dataclass(frozen=True)
class Grey:
    """How grey values become bytes, and what those of slabs are.

    Parameters
    ----------
    low, high : float
        Grey values of the bytes 0 and 255.
    quantiles : tuple of float
        Of the slab in the middle, in bytes: 101 values, from 0 to 100%. After deconvolution they are about 0.
    """

    low: float
    high: float
    quantiles: tuple[float, ...]

    @property
    def scale(self) -> float:
        """Bytes a unit of grey."""
        return 255.0 / (self.high - self.low)


def sections(tomogram: Tomogram, plane: Plane, position: float, thickness: float) -> slice:
    """Choose the sections of a plane that a slab takes.

    Position and thickness are in Å, of the middle of the slab and across it. There is at least one section, and some
    are inside the volume.
    """
    axis = NORMAL[plane]
    size = tomogram.shape[axis]
    centre = float((position - tomogram.origin[2 - axis]) / tomogram.voxel_size)
    count = min(max(1, round(thickness / tomogram.voxel_size)), MAX_SECTIONS, size)
    start = int(np.clip(np.floor(centre - count / 2 + 0.5), 0, size - count))
    return slice(start, start + count)


def mean_slab(tomogram: Tomogram, plane: Plane, position: float, thickness: float) -> Slab:
    """Average a slab: rows and columns are y, x for xy; z, x for xz; y, z for yz."""
    axis = NORMAL[plane]
    box = [slice(None)] * 3
    box[axis] = sections(tomogram, plane, position, thickness)
    mean: Slab = tomogram.part(*box).mean(axis=axis, dtype=np.float32)
    return np.ascontiguousarray(mean.T) if plane == "yz" else mean


def measure(
    tomogram: Tomogram,
    thickness: float,
    within: tuple[float, float] | None = None,
    deconvolution: Deconvolution | None = None,
) -> Grey:
    """Measure grey values in the middle slab (of a thickness in Å), which is the first one shown.

    `within` has the grey values of the bytes 0 and 255, which are measured if left out; a deconvolution is applied to
    slabs before they are shown.
    """
    middle = tomogram.origin[2] + (tomogram.shape[0] - 1) / 2 * tomogram.voxel_size
    chosen = sections(tomogram, "xy", middle, thickness)
    slab = tomogram.slab(chosen.start, chosen.stop)
    voxels = slab.ravel()[:: max(1, slab.size // SAMPLED)]
    voxels = voxels[np.isfinite(voxels)]
    first, last = np.quantile(voxels, (0.001, 0.999)) if len(voxels) else (0.0, 1.0)
    width = float(last - first) or 1.0
    low, high = within or (float(first) - BEYOND * width, float(last) + BEYOND * width)
    scale = 255 / (high - low)
    mean = (slab.mean(axis=0, dtype=np.float32) - low) * np.float32(scale)
    if deconvolution is not None:
        mean = deconvolution.apply(_finite(mean), tomogram.voxel_size)
    shown = mean[np.isfinite(mean)] if np.isfinite(mean).any() else np.zeros(1, dtype=np.float32)
    quantiles = np.quantile(shown, np.linspace(0, 1, 101))
    return Grey(low, high, tuple(np.round(quantiles, 3).tolist()))


def _finite(slab: Slab) -> Slab:
    """Put the mean of a slab where it has no number."""
    there = np.isfinite(slab)
    if there.all():
        return slab
    filled: Slab = np.where(there, slab, slab[there].mean() if there.any() else 0).astype(np.float32)
    return filled


def to_bytes(values: Float32[np.ndarray, "..."], low: float, high: float) -> UInt8[np.ndarray, "..."]:
    """Map grey values to bytes, clipped; what is not finite is black."""
    scaled = (np.nan_to_num(values, nan=low, posinf=high, neginf=low) - np.float32(low)) * np.float32(
        255.0 / (high - low)
    )
    as_bytes: np.ndarray = np.clip(scaled + np.float32(0.5), 0, 255).astype(np.uint8)
    return as_bytes


def jpeg(
    slab: Slab,
    grey: Grey,
    window: tuple[float, float],
    voxel_size: float,
    *,
    inverted: bool = False,
    low_pass: float = 0.0,
    deconvolution: Deconvolution | None = None,
) -> bytes:
    """Draw a slab.

    Parameters
    ----------
    slab, grey : Slab and Grey
        Grey values, and their bytes.
    window : tuple of float
        Bytes that are black and white; fractions are meant, for means of slabs have a narrow range.
    voxel_size : float
        Å.
    inverted : bool
        White for black.
    low_pass : float
        Å: the resolution below which nothing is shown, for the eye alone; 0 for no filter.
    deconvolution : Deconvolution, optional
        Likewise for the eye alone, and applied first.

    Raises
    ------
    UsageError
        If the window is empty.
    """
    low, high = window
    if not high > low:
        raise UsageError("the darkest grey must be below the brightest; reset the contrast")
    shown = (_finite(slab) - np.float32(grey.low)) * np.float32(grey.scale)
    if deconvolution is not None:
        shown = deconvolution.apply(shown, voxel_size)
    if low_pass > 0:
        # A Gaussian of sigma r / 4 halves the amplitude at about a period of r.
        shown = gaussian_filter(shown, low_pass / 4 / voxel_size)
    picture = to_bytes(shown, low, high)
    return encoded(255 - picture if inverted else picture)
