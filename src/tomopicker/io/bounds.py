"""Whether positions lie in their tomograms, and the likely mistake where many do not.

A few that lie outside are left out and named: a refined particle that drifted over the border, a click on the rim.
Many are a wrong unit, origin or tomogram, and are refused with the flag that corrects it.
"""

import warnings
from collections.abc import Mapping, Sequence

import numpy as np

from tomopicker.errors import TomoPickerError
from tomopicker.geometry import Frame, PickTable, Unit, is_outside, to_file_units
from tomopicker.picks import Picks

MAX_FRACTION = 0.05
"""The fraction of positions that may lie outside; one may in any case if there are `MIN_PICKS`."""
MIN_PICKS = 4
SAME_PLACE = 3.0
"""Voxels: three positions or more that all lie so near one another were not counted in voxels."""


def keep_inside(read: Sequence[tuple[PickTable, Picks]], frames: Mapping[str, Frame]) -> list[Picks]:
    """Leave out the few positions that lie outside their tomogram, with a warning that names them.

    `read` has what each file states, and where that is; the frames are those of the tomograms. Gives the picks of each
    file.

    Raises `TomoPickerError` if many lie outside; the message names the likely mistake.
    """
    outside = [_outside(picks, frames, to_file_units(picks, frames, Unit.VOXEL)) for _, picks in read]
    total, left_out = sum(map(len, outside)), sum(int(out.sum()) for out in outside)
    few = left_out <= max(1.0, MAX_FRACTION * total) and total >= MIN_PICKS
    for (table, picks), out in zip(read, outside, strict=True):
        if not out.any():
            continue
        if not few:
            raise TomoPickerError(f"{table.source}: {_mistake(table, picks, out, frames)}")
        where = f"{_first_rows(table, picks, out, frames)} in voxels"
        warnings.warn(
            f"{table.source}: {out.sum()} of {len(picks)} positions left out, outside their tomogram: {where}",
            stacklevel=4,
        )
    return [picks if not out.any() else picks.select(~out) for (_, picks), out in zip(read, outside, strict=True)]


def refuse_one_place(table: PickTable, picks: Picks, frames: Mapping[str, Frame]) -> None:
    """Refuse three positions or more that all lie in one place, where the unit was inferred: it is another.

    A `TomoPickerError` names the flags that give the unit.
    """
    if not table.is_unit_inferred:
        return
    voxels = to_file_units(picks, frames, Unit.VOXEL)
    for name in picks.tomogram_names:
        places = np.unique(voxels[picks.tomograms == name], axis=0)
        if len(places) >= 3 and np.ptp(places, axis=0).max() < SAME_PLACE:
            raise TomoPickerError(
                f"{table.source}: all {len(places)} positions of '{name}' lie within {SAME_PLACE:g} voxels of one "
                "another, so they count something else; give --picks-unit, or --picks-pixel-size in Å"
            )


def _voxel_sizes(picks: Picks, frames: Mapping[str, Frame]) -> np.ndarray:
    """Å of the voxels that each pick lies in, shape (n, 1)."""
    return np.array([frames[name].voxel_size for name in picks.tomograms], dtype=np.float64)[:, None]


def _outside(picks: Picks, frames: Mapping[str, Frame], voxels: np.ndarray) -> np.ndarray:
    """Whether each pick, at a position in voxels, lies outside its tomogram."""
    out = np.zeros(len(picks), dtype=bool)
    for name in picks.tomogram_names:
        rows = picks.tomograms == name
        out[rows] = is_outside(voxels[rows], frames[name].shape)
    return out


def _first_rows(table: PickTable, picks: Picks, out: np.ndarray, frames: Mapping[str, Frame]) -> str:
    """List the first of some rows, by their number in the file, with their positions in voxels."""
    number = np.arange(len(picks)) if table.kept is None else table.kept
    voxels = to_file_units(picks, frames, Unit.VOXEL)
    listed = [
        f"row {number[i] + 1} ({', '.join(f'{value:.1f}' for value in voxels[i])})" for i in np.flatnonzero(out)[:3]
    ]
    more = int(out.sum()) - len(listed)
    return "; ".join(listed) + (f" and {more} more" if more else "")


def _mistake(table: PickTable, picks: Picks, bad: np.ndarray, frames: Mapping[str, Frame]) -> str:
    """Describe what positions outside their tomogram look like, and give the remedy."""
    voxels = to_file_units(picks, frames, Unit.VOXEL)
    n = f"{np.count_nonzero(bad)} of {len(picks)} positions"
    if not _outside(picks, frames, voxels[:, ::-1]).any():
        return f"{n} lie outside their tomogram, but they would all fit as z, y, x; give the columns as x, y, z"
    bad_as_angstrom = _outside(picks, frames, voxels / _voxel_sizes(picks, frames)) | (voxels < 0).any(axis=1)
    unsized = table.unit is Unit.PIXEL and (table.pixel_size is None or bool(np.isnan(table.pixel_size).all()))
    if (table.unit is Unit.VOXEL or unsized) and np.count_nonzero(bad & ~bad_as_angstrom) * 2 > len(picks):
        hint = "they look like Å, where voxels are expected; give --picks-unit angstrom"
        if unsized:
            hint = "the file states no pixel size; give --picks-pixel-size, or --picks-unit angstrom if they are Å"
        elif (binning := _binning(voxels, picks, frames)) is not None:
            size = next(iter(frames.values())).voxel_size
            hint = (
                f"where voxels are expected; they fit as pixels of volumes or images binned {binning} times less "
                f"(--picks-pixel-size {size / binning:.5g}), and as Å (--picks-unit angstrom): 'tomopicker check' on "
                "these picks finds out which"
            )
        return f"{n} lie outside their tomogram, {hint}"
    name = picks.tomograms[np.flatnonzero(bad)[0]]
    z, y, x = frames[name].shape
    where = f"outside '{name}' ({x} x {y} x {z} voxels)"
    hint = "check the unit, the voxel size and that these picks belong to this tomogram"
    return f"{n} lie {where}: {_first_rows(table, picks, bad, frames)}; {hint}"


def _binning(voxels: np.ndarray, picks: Picks, frames: Mapping[str, Frame]) -> int | None:
    """Smallest usual binning at which all positions fit as unbinned pixels; None if they are more likely Å.

    Positions in Å reach as far as the tomogram's size in Å as a rule: over half of it in x or y.
    """
    shapes = np.array([frames[name].shape[::-1] for name in picks.tomograms], dtype=np.float64)
    if (voxels < 0).any() or ((voxels / (shapes * _voxel_sizes(picks, frames)))[:, :2] > 0.5).any():
        return None
    return next((binning for binning in (2, 3, 4, 6, 8) if (voxels / binning <= shapes - 0.5).all()), None)
