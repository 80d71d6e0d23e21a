"""The binned 8-bit copy of a volume from which a page averages slabs while scrolling.

Sections are made on request, from the middle of the volume outwards, and kept for pages that reload.
"""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import UInt8

from tomopicker.preprocessing.subtomograms import binned
from tomopicker.studio.slabs import Grey, to_bytes
from tomopicker.tomogram import Tomogram
from tomopicker.types import Shape

MAX_BYTES = 60_000_000
SLAB_BYTES = 48 * 2**20
"""Maximum size of the float32 voxels read at once."""


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
