"""The paper's greedy picking (section 3.4): take the best voxel, blank a ball around it, repeat.

The score volume is divided into blocks, so that only blocks touched by a ball are searched again.
"""

import heapq
from itertools import product

import numpy as np
from jaxtyping import Float32, Int64

from tomopicker.errors import TomoPickerError
from tomopicker.picking.peaks import Peaks, check_cap, check_length, check_threshold
from tomopicker.types import Number, Positions, Volume

BLOCK = 16
"""Edge of the blocks, voxels: small enough to rescan in microseconds, and few enough for a heap."""


def greedy_peaks(
    score: Volume,
    radius: Number,
    *,
    max_particles: int | np.integer | None = None,
    threshold: Number | None = None,
) -> Peaks:
    """Pick greedily (section 3.4 of the paper): take the best voxel, blank a ball around it, repeat.

    The result is exactly that of `np.argmax` and -inf over the whole volume at each step: the first of equal scores
    in array order wins. NaN counts as -inf, and -inf is never picked. The threshold is compared as float32.

    Memory: one value per 16³ block, and 16 KiB for each block that is searched again; negligible for few picks, and at
    most one copy of the volume.

    Parameters
    ----------
    score : Volume
        (z, y, x) float32; may be a memory map. It is not modified.
    radius : number
        Voxels within this distance (voxels, inclusive) are blanked; 0 blanks only the picked voxel.
    max_particles : int, optional
        N of the paper: maximum number of picks.
    threshold : number, optional
        t of the paper: exclusive lower bound of the score. At least one of the two limits is required.

    Returns
    -------
    Peaks
        Whole-voxel positions, descending scores.

    Raises
    ------
    TomoPickerError
        If neither limit is given, or a value is invalid.
    """
    if max_particles is None and threshold is None:
        raise TomoPickerError("greedy picking needs an end: give --max-particles, --threshold or both")
    radius = check_length("radius", radius)
    limit = check_threshold(-np.inf if threshold is None else threshold)
    cap = check_cap(max_particles, score.size)

    volume = BlockHeap(score, radius, limit)
    heap = volume.heap()
    flats: list[int] = []
    scores: list[float] = []
    while heap and len(flats) < cap:
        negative, flat, block, located = heap[0]
        if located and not volume.is_stale(block):
            flats.append(flat)
            scores.append(-negative)
            volume.blank(flat)
            continue
        found = volume.rescan(block)
        if found is None:
            heapq.heappop(heap)
        else:
            heapq.heapreplace(heap, (-found[0], found[1], block, True))
    return Peaks(_xyz_of_flat(np.array(flats, dtype=np.int64), score.shape), np.array(scores, dtype=np.float32))


class BlockHeap:
    """A score volume divided into blocks for repeated blanking and searching; the original is not modified.

    Blanking is deferred until a block reaches the top of the heap: its key is an upper bound of its best score, since
    blanking only lowers scores. Most balls are therefore never drawn.
    """

    def __init__(self, score: Volume, radius: float, limit: np.float32) -> None:
        self._score = score
        self._limit = limit
        self._half = int(min(radius, max(score.shape, default=0)))
        offsets = np.arange(-self._half, self._half + 1)
        squares = offsets**2
        self._ball = squares[:, None, None] + squares[:, None] + squares <= radius * radius
        self._maxima = _block_maxima(score)
        # A block of NaN only compares false: it is dead from the start, like a block of -inf.
        self._live = (self._maxima > limit).ravel()
        self._copies: dict[int, Float32[np.ndarray, "z y x"]] = {}
        self._pending: dict[int, list[tuple[int, int, int]]] = {}

    def heap(self) -> list[tuple[float, int, int, bool]]:
        """Build a heap of (-best score, flat index, block, whether the index is exact), one entry per live block."""
        blocks = np.flatnonzero(self._live)
        corners = np.stack(np.unravel_index(blocks, self._maxima.shape)) * BLOCK
        flats = np.ravel_multi_index(tuple(corners), self._score.shape)
        bests = -self._maxima.ravel()[blocks].astype(np.float64)
        heap = [(*entry, False) for entry in zip(bests.tolist(), flats.tolist(), blocks.tolist(), strict=True)]
        heapq.heapify(heap)
        return heap

    def is_stale(self, block: int) -> bool:
        """True if balls are still to be drawn in this block."""
        return block in self._pending

    def blank(self, flat: int) -> None:
        """Queue a ball around the voxel `flat` in every block it may overlap."""
        z, y, x = (int(i) for i in np.unravel_index(flat, self._score.shape))
        half = self._half
        ranges = [
            range(max(centre - half, 0) // BLOCK, min((centre + half) // BLOCK + 1, count))
            for centre, count in zip((z, y, x), self._maxima.shape, strict=True)
        ]
        _, rows, columns = self._maxima.shape
        for bz, by, bx in product(*ranges):
            block = (bz * rows + by) * columns + bx
            if self._live[block]:
                self._pending.setdefault(block, []).append((z, y, x))

    def rescan(self, block: int) -> tuple[float, int] | None:
        """Draw the queued balls; return the best remaining score and its flat index, or None if nothing is left."""
        corner = tuple(int(i) * BLOCK for i in np.unravel_index(block, self._maxima.shape))
        centres = self._pending.pop(block, [])
        values = self._copies.get(block)
        if values is None:
            values = np.array(self._score[tuple(slice(start, start + BLOCK) for start in corner)])
            values[np.isnan(values)] = -np.inf
        for centre in centres:
            self._draw(values, corner, centre)
        place = np.unravel_index(int(values.argmax()), values.shape)
        best = values[place]
        if not best > self._limit:
            self._live[block] = False
            self._copies.pop(block, None)
            return None
        if centres:
            self._copies[block] = values
        z, y, x = (start + int(i) for start, i in zip(corner, place, strict=True))
        return float(best), (z * self._score.shape[1] + y) * self._score.shape[2] + x

    def _draw(
        self, values: Float32[np.ndarray, "z y x"], corner: tuple[int, ...], centre: tuple[int, int, int]
    ) -> None:
        """Blank the part of the ball around `centre` (volume indices) that lies inside a block."""
        inside, ball = [], []
        for start, middle, size in zip(corner, centre, values.shape, strict=True):
            first = middle - self._half - start  # where the ball's array begins, seen from the block
            low, high = max(first, 0), min(first + 2 * self._half + 1, size)
            if low >= high:
                return
            inside.append(slice(low, high))
            ball.append(slice(low - first, high - first))
        values[tuple(inside)][self._ball[tuple(ball)]] = -np.inf


def _block_maxima(score: Volume) -> Float32[np.ndarray, "bz by bx"]:
    """Return the best score of each block, ignoring NaN (NaN if the block holds nothing else); one pass, no copy."""
    depth, height, width = score.shape
    maxima = np.empty([-(-size // BLOCK) for size in score.shape], dtype=np.float32)
    if score.size == 0:
        return maxima
    rows, columns = np.arange(0, height, BLOCK), np.arange(0, width, BLOCK)
    for block, start in enumerate(range(0, depth, BLOCK)):
        plane = np.fmax.reduce(score[start : start + BLOCK], axis=0)
        maxima[block] = np.fmax.reduceat(np.fmax.reduceat(plane, rows, axis=0), columns, axis=1)
    return maxima


def _xyz_of_flat(flats: Int64[np.ndarray, " n"], shape: tuple[int, ...]) -> Positions:
    """Convert flat array indices to rows of (x, y, z)."""
    return np.stack(np.unravel_index(flats, shape)[::-1], axis=1).astype(np.float64)
