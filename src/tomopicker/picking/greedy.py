"""The paper's greedy picking (section 3.4): take the best voxel, blank a ball around it, repeat.

It runs on a score volume in blocks that can be blanked ball by ball and searched again at once.
"""

import heapq
from itertools import product

import numpy as np
from jaxtyping import Float32, Int64

from tomopicker.errors import TomoPickerError
from tomopicker.picking.peaks import Peaks, check_cap, check_length, check_threshold
from tomopicker.types import Number, Positions, Volume

BLOCK = 16
"""Edge of the blocks, voxels: small enough to rescan in microseconds, few enough to keep a heap of."""


def greedy_peaks(
    score: Volume,
    radius: Number,
    *,
    max_particles: int | np.integer | None = None,
    threshold: Number | None = None,
) -> Peaks:
    """Pick greedily, as section 3.4 of the paper: take the best voxel, blank a ball around it, repeat.

    The result is exactly that of `np.argmax` and -inf over the whole volume at each step: the first of equal scores
    in array order wins. NaN counts as -inf, and -inf is never picked. The threshold is compared as float32.

    Memory: one value for each 16³ block, and 16 KiB for each block that was touched by a ball and came up again; so
    next to nothing for a few picks, and never more than one copy of the volume.

    Parameters
    ----------
    score : Volume
        (z, y, x) float32; may be a memory map. It is not modified.
    radius : number
        Voxels whose centres are at this distance or nearer (voxels) are blanked; 0 blanks the picked voxel alone.
    max_particles : int, optional
        N of the paper: stop after so many.
    threshold : number, optional
        t of the paper: pick only scores strictly above it. One of the two limits is needed.

    Returns
    -------
    Peaks
        Whole-voxel positions, descending scores.

    Raises
    ------
    TomoPickerError
        If neither limit is given, or a value makes no sense.
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
    """A score volume in blocks that can be blanked ball by ball and searched again, without touching the original.

    Everything is put off until a block leads the heap: its key there is an upper bound of its best score and a lower
    bound of the place, since blanking only takes away. Most balls are thus never drawn.
    """

    def __init__(self, score: Volume, radius: float, limit: np.float32) -> None:
        self._score = score
        self._limit = limit
        self._half = int(min(radius, max(score.shape, default=0)))
        offsets = np.arange(-self._half, self._half + 1)
        squares = offsets**2
        self._ball = squares[:, None, None] + squares[:, None] + squares <= radius * radius
        self._maxima = _block_maxima(score)
        # NaN (a block of nothing but NaN) compares false: it is dead from the start, like a block of -inf.
        self._live = (self._maxima > limit).ravel()
        self._copies: dict[int, Float32[np.ndarray, "z y x"]] = {}
        self._pending: dict[int, list[tuple[int, int, int]]] = {}

    def heap(self) -> list[tuple[float, int, int, bool]]:
        """Return a heap of (-best score, flat index, block, whether that index is exact); one entry a live block."""
        blocks = np.flatnonzero(self._live)
        corners = np.stack(np.unravel_index(blocks, self._maxima.shape)) * BLOCK
        flats = np.ravel_multi_index(tuple(corners), self._score.shape)
        bests = -self._maxima.ravel()[blocks].astype(np.float64)
        heap = [(*entry, False) for entry in zip(bests.tolist(), flats.tolist(), blocks.tolist(), strict=True)]
        heapq.heapify(heap)
        return heap

    def is_stale(self, block: int) -> bool:
        """Whether balls wait to be drawn in this block."""
        return block in self._pending

    def blank(self, flat: int) -> None:
        """Note a ball around the voxel `flat` in every block it may reach."""
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
        """Draw the waiting balls, then give the best score left and its flat index; None, for good, if none is left."""
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
        """Blank in a block's values the part of the ball around `centre` (volume indices) that lies inside."""
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
    """Return the best score of each block, NaN left out (NaN if the block has nothing else); one pass, no copy."""
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
    """Turn flat array indices into rows of (x, y, z)."""
    return np.stack(np.unravel_index(flats, shape)[::-1], axis=1).astype(np.float64)
