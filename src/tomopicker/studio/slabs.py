"""Sections of a tomogram as pictures: slabs as JPEG at native sampling, and the brick, a binned copy in bytes.

The brick is what a page averages slabs from while scrolling. Its sections are made on request, from the middle of the
volume outwards, and kept for pages that reload.
"""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from jaxtyping import Float32, UInt8
from scipy.ndimage import gaussian_filter

from tomopicker.errors import UsageError
from tomopicker.output.particles import encode_jpeg
from tomopicker.preprocessing.subtomograms import binned
from tomopicker.studio.deconvolution import Deconvolution
from tomopicker.tomogram import Tomogram
from tomopicker.types import Shape

Plane = Literal["xy", "xz", "yz"]
NORMAL = {"xy": 0, "xz": 1, "yz": 2}
"""Array axis (z, y, x) perpendicular to each plane."""
Slab = Float32[np.ndarray, "row column"]

MAX_BYTES = 60_000_000
SLAB_BYTES = 48 * 2**20
"""Maximum size of the float32 voxels read at once."""
MAX_SECTIONS = 200
MAX_SAMPLED = 200_000
"""Maximum number of voxels in which grey values are measured, about."""
MARGIN = 0.6
"""Margin of the byte range on either side of the 0.1 to 99.9% range of grey values, as a fraction of it."""


@dataclass(frozen=True)
class Grey:
    """The mapping of grey values to bytes, and the grey values of slabs.

    Parameters
    ----------
    low, high : float
        Grey values of the bytes 0 and 255.
    quantiles : tuple of float
        Quantiles of the middle slab from 0 to 100%, 101 values in bytes; centred on 0 after deconvolution.
    """

    low: float
    high: float
    quantiles: tuple[float, ...]

    @property
    def scale(self) -> float:
        """Bytes per unit of grey."""
        return 255.0 / (self.high - self.low)


def sections(tomogram: Tomogram, plane: Plane, position: float, thickness: float) -> slice:
    """Return the sections of a slab, at least one, all inside the volume; position of its middle and thickness in Å."""
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
    byte_range: tuple[float, float] | None = None,
    deconvolution: Deconvolution | None = None,
) -> Grey:
    """Measure grey values in the middle slab, the first one shown.

    Parameters
    ----------
    tomogram : Tomogram
    thickness : float
        Å.
    byte_range : tuple of float, optional
        Grey values of the bytes 0 and 255; measured if left out.
    deconvolution : Deconvolution, optional
        Applied to the mean of the slab.
    """
    middle = tomogram.origin[2] + (tomogram.shape[0] - 1) / 2 * tomogram.voxel_size
    chosen = sections(tomogram, "xy", middle, thickness)
    slab = tomogram.slab(chosen.start, chosen.stop)
    voxels = slab.ravel()[:: max(1, slab.size // MAX_SAMPLED)]
    voxels = voxels[np.isfinite(voxels)]
    first, last = np.quantile(voxels, (0.001, 0.999)) if len(voxels) else (0.0, 1.0)
    width = float(last - first) or 1.0
    low, high = byte_range or (float(first) - MARGIN * width, float(last) + MARGIN * width)
    scale = 255 / (high - low)
    mean = (slab.mean(axis=0, dtype=np.float32) - low) * np.float32(scale)
    if deconvolution is not None:
        mean = deconvolution.apply(_finite(mean), tomogram.voxel_size)
    shown = mean[np.isfinite(mean)] if np.isfinite(mean).any() else np.zeros(1, dtype=np.float32)
    quantiles = np.quantile(shown, np.linspace(0, 1, 101))
    return Grey(low, high, tuple(np.round(quantiles, 3).tolist()))


def _finite(slab: Slab) -> Slab:
    """Replace values that are not finite by the mean of the others."""
    is_finite = np.isfinite(slab)
    if is_finite.all():
        return slab
    filled: Slab = np.where(is_finite, slab, slab[is_finite].mean() if is_finite.any() else 0).astype(np.float32)
    return filled


def to_bytes(values: Float32[np.ndarray, "..."], low: float, high: float) -> UInt8[np.ndarray, "..."]:
    """Map grey values to bytes, clipped; values that are not finite become 0 (infinity, 255)."""
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
    """Draw a slab as JPEG.

    Parameters
    ----------
    slab, grey : Slab and Grey
        Grey values, and their mapping to bytes.
    window : tuple of float
        Bytes drawn black and white; not rounded, since means of slabs have a narrow range.
    voxel_size : float
        Å.
    inverted : bool
        Exchange black and white.
    low_pass : float
        Resolution of a Gaussian low-pass filter, Å; 0 for no filter.
    deconvolution : Deconvolution, optional
        Applied before the low-pass filter.

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
    return encode_jpeg(255 - picture if inverted else picture)


def bin_factor(shape: Shape) -> int:
    """Return the smallest binning that keeps a brick below `MAX_BYTES`."""
    factor = 1
    while np.prod([edge // factor for edge in shape], dtype=np.int64) > MAX_BYTES:
        factor += 1
    return factor


@dataclass
class Brick:
    """A volume binned to bytes, section by section on request.

    Parameters
    ----------
    tomogram : Tomogram
    grey : Grey
        Grey values of its bytes.
    """

    tomogram: Tomogram
    grey: Grey
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.factor = bin_factor(self.tomogram.shape)
        z, y, x = (max(1, edge // self.factor) for edge in self.tomogram.shape)
        self.shape: Shape = (z, y, x)
        self._data: UInt8[np.ndarray, "z y x"] = np.zeros(self.shape, dtype=np.uint8)
        self._is_made = np.zeros(z, dtype=bool)

    @property
    def group(self) -> int:
        """Number of sections made together: those in a chunk of the file, within `SLAB_BYTES`."""
        chunk = getattr(self.tomogram.data, "chunks", None)
        native = int(chunk[0]) if chunk else self.factor
        section = 4 * self.tomogram.shape[1] * self.tomogram.shape[2] * self.factor
        return max(1, min(-(-native // self.factor), SLAB_BYTES // section))

    @property
    def order(self) -> list[int]:
        """The sections in the order of `stream`."""
        starts = range(0, self.shape[0], self.group)
        middle = self.shape[0] / 2
        outwards = sorted(starts, key=lambda start: abs(start + self.group / 2 - middle))
        return [z for start in outwards for z in range(start, min(start + self.group, self.shape[0]))]

    def stream(self) -> Iterator[bytes]:
        """Yield the bytes of each section in `order`."""
        for z in self.order:
            if not self._is_made[z]:
                self._make(z // self.group * self.group)
            yield self._data[z].tobytes()

    def _make(self, start: int) -> None:
        with self._lock:
            if self._is_made[start]:
                return
            stop = min(start + self.group, self.shape[0])
            last = min(stop * self.factor, self.tomogram.shape[0])
            slab = self.tomogram.slab(start * self.factor, last)
            made = to_bytes(binned(slab, self.factor), self.grey.low, self.grey.high)
            self._data[start:stop] = made[: stop - start]
            self._is_made[start:stop] = True
