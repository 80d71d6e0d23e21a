"""Whether positions lie in their tomograms, and what those that do not look like.

A few that lie outside are left out and named: a refined particle that drifted over the border, a click on the rim.
Many are a wrong unit, origin or tomogram, and are refused with the flag that mends it.
"""

import warnings
from collections.abc import Mapping, Sequence

import numpy as np

from tomopicker.errors import TomoPickerError
from tomopicker.geometry import Frame, PickTable, Unit, angstrom_to_voxels, outside
from tomopicker.picks import Picks

FEW = 0.05
"""The share of positions that may lie outside; one may in any case if there are `AT_LEAST`."""
AT_LEAST = 4
SAME_PLACE = 3.0
"""Voxels: three positions or more that all lie so near one another were not counted in voxels."""


def keep_inside(read: Sequence[tuple[PickTable, Picks]], frames: Mapping[str, Frame]) -> list[Picks]:
    """Leave out the few positions that lie outside their tomogram, with a warning that names them.

    Parameters
    ----------
    read : sequence of (PickTable, Picks)
        What each file states, and where that is.
    frames : mapping of str to Frame
        The geometry of each tomogram.

    Returns
    -------
    list of Picks
        Of each file, those inside.

    Raises
    ------
    TomoPickerError
        If many lie outside; the message says what they look like.
    """
    outsiders = [_outside(picks, frames) for _, picks in read]
    total, left_out = sum(map(len, outsiders)), sum(int(out.sum()) for out in outsiders)
    few = left_out <= max(1.0, FEW * total) and total >= AT_LEAST
    for (table, picks), out in zip(read, outsiders, strict=True):
        if not out.any():
            continue
        if not few:
            _refuse(table, picks, out, frames)
        where = f"{_rows(table, picks, out, frames)} in voxels"
        warnings.warn(
            f"{table.source}: {out.sum()} of {len(picks)} positions left out, outside their tomogram: {where}",
            stacklevel=4,
        )
    return [picks if not out.any() else picks.select(~out) for (_, picks), out in zip(read, outsiders, strict=True)]


def refuse_one_place(table: PickTable, picks: Picks, frames: Mapping[str, Frame]) -> None:
    """Refuse three positions or more that all lie in one place, where the unit was inferred: it is another.

    Raises
    ------
    TomoPickerError
        Naming the flags that give the unit.
    """
    if not table.is_unit_inferred:
        return
    voxels = _voxels(picks, frames)
    for name in picks.tomogram_names:
        places = np.unique(voxels[picks.tomograms == name], axis=0)
        if len(places) >= 3 and np.ptp(places, axis=0).max() < SAME_PLACE:
            raise TomoPickerError(
                f"{table.source}: all {len(places)} positions of '{name}' lie within {SAME_PLACE:g} voxels of one "
                "another, so they count something else; give --picks-unit, or --picks-pixel-size in Å"
            )


def _voxels(picks: Picks, frames: Mapping[str, Frame]) -> np.ndarray:
    sizes = np.array([frames[name].voxel_size for name in picks.tomograms], dtype=np.float64)
    return angstrom_to_voxels(picks.positions, 1.0) / sizes[:, None]


def _outside(picks: Picks, frames: Mapping[str, Frame]) -> np.ndarray:
    out = np.zeros(len(picks), dtype=bool)
    voxels = _voxels(picks, frames)
    for name in picks.tomogram_names:
        rows = picks.tomograms == name
        out[rows] = outside(voxels[rows], frames[name].shape)
    return out


def _rows(table: PickTable, picks: Picks, out: np.ndarray, frames: Mapping[str, Frame]) -> str:
    """Name the first of some rows as they stand in the file, and where they are, in voxels."""
    number = np.arange(len(picks)) if table.kept is None else table.kept
    voxels = _voxels(picks, frames)
    listed = [
        f"row {number[i] + 1} ({', '.join(f'{value:.1f}' for value in voxels[i])})" for i in np.flatnonzero(out)[:3]
    ]
    more = int(out.sum()) - len(listed)
    return "; ".join(listed) + (f" and {more} more" if more else "")


def _refuse(table: PickTable, picks: Picks, bad: np.ndarray, frames: Mapping[str, Frame]) -> None:
    """Refuse positions outside their tomogram, and say what they look like."""
    voxels = _voxels(picks, frames)
    bad_swapped, bad_divided = (np.zeros(len(picks), dtype=bool) for _ in range(2))
    for name in picks.tomogram_names:
        rows, frame = picks.tomograms == name, frames[name]
        bad_swapped[rows] = outside(voxels[rows][:, ::-1], frame.shape)
        divided = angstrom_to_voxels(voxels[rows], frame.voxel_size)
        bad_divided[rows] = outside(divided, frame.shape) | (voxels[rows] < 0).any(axis=1)
    n = f"{np.count_nonzero(bad)} of {len(picks)} positions"
    if not bad_swapped.any():
        hint = "they would all fit as z, y, x; give the columns as x, y, z"
        raise TomoPickerError(f"{table.source}: {n} lie outside their tomogram, but {hint}")
    unsized = table.unit is Unit.PIXEL and (table.pixel_size is None or bool(np.isnan(table.pixel_size).all()))
    if (table.unit is Unit.VOXEL or unsized) and np.count_nonzero(bad & ~bad_divided) * 2 > len(picks):
        hint = "they look like Å, where voxels are expected; give --picks-unit angstrom"
        if (binning := _binning(voxels, picks, frames)) is not None:
            size = next(iter(frames.values())).voxel_size
            hint = (
                f"where voxels are expected; they fit as pixels of volumes or images binned {binning} times less "
                f"(--picks-pixel-size {size / binning:.5g}), and as Å (--picks-unit angstrom): 'tomopicker check' on "
                "these picks finds out which"
            )
        if unsized:
            hint = "the file states no pixel size; give --picks-pixel-size, or --picks-unit angstrom if they are Å"
        raise TomoPickerError(f"{table.source}: {n} lie outside their tomogram, {hint}")
    hint = "check the unit, the voxel size and that these picks belong to this tomogram"
    name = picks.tomograms[np.flatnonzero(bad)[0]]
    z, y, x = frames[name].shape
    where = f"outside '{name}' ({x} x {y} x {z} voxels)"
    raise TomoPickerError(f"{table.source}: {n} lie {where}: {_rows(table, picks, bad, frames)}; {hint}")


def _binning(voxels: np.ndarray, picks: Picks, frames: Mapping[str, Frame]) -> int | None:
    """Give the least usual binning by which all positions, taken for unbinned pixels, fit; None if they rather are Å.

    Positions in Å reach as far as the tomogram's size in Å as a rule: over half of it in x or y.
    """
    shapes = np.array([frames[name].shape[::-1] for name in picks.tomograms], dtype=np.float64)
    sizes = np.array([frames[name].voxel_size for name in picks.tomograms], dtype=np.float64)
    if (voxels < 0).any() or ((voxels / (shapes * sizes[:, None]))[:, :2] > 0.5).any():
        return None
    return next((binning for binning in (2, 3, 4, 6, 8) if (voxels / binning <= shapes - 0.5).all()), None)
