"""Positions outside their tomograms, or all in one place: likely mistakes of unit, origin or tomogram.

A few positions outside are left out and named: a refined particle that drifted over the border, a click on the rim.
Many are an error that names the option to give.
"""

import warnings
from collections.abc import Mapping, Sequence

import numpy as np

from tomopicker.errors import TomoPickerError
from tomopicker.geometry import Frame, PickTable, Unit, is_outside, to_file_units
from tomopicker.picks import Picks
from tomopicker.types import Positions

MAX_FRACTION_OUTSIDE = 0.05
"""Maximum fraction of positions outside; one is accepted in any case if there are `MIN_PICKS`."""
MIN_PICKS = 4
MIN_SPREAD = 3.0
"""Voxels: three positions or more that all lie so near one another were not counted in voxels."""
MIN_FRACTION_RANGE = 0.2
"""Minimum range along each axis of coordinates between 0 and 1 that count as fractions."""
MIN_EDGE = 16
"""Voxels: minimum edge of a tomogram in which several picks do not lie in one voxel."""
BINNINGS = (2, 3, 4, 6, 8)


def keep_inside(read: Sequence[tuple[PickTable, Picks]], frames: Mapping[str, Frame]) -> list[Picks]:
    """Return the picks of each file without the few outside their tomogram, which a warning names.

    Raises `TomoPickerError` if many lie outside; the message names the likely mistake.
    """
    voxels = [to_file_units(picks, frames, Unit.VOXEL) for _, picks in read]
    outside = [_outside(picks, frames, points) for (_, picks), points in zip(read, voxels, strict=True)]
    n, n_outside = sum(map(len, outside)), sum(int(out.sum()) for out in outside)
    are_few = n_outside <= max(1.0, MAX_FRACTION_OUTSIDE * n) and n >= MIN_PICKS
    inside = []
    for (table, picks), points, out in zip(read, voxels, outside, strict=True):
        if out.any() and not are_few:
            raise TomoPickerError(f"{table.source}: {_mistake(table, picks, points, out, frames)}")
        if out.any():
            rows = f"{_first_rows(table, points, out)} in voxels"
            warnings.warn(
                f"{table.source}: {out.sum()} of {len(picks)} positions left out, outside their tomogram: {rows}",
                stacklevel=4,
            )
        inside.append(picks.select(~out) if out.any() else picks)
    return inside


def check_not_fractions(table: PickTable, frames: Mapping[str, Frame]) -> None:
    """Raise `TomoPickerError` if all coordinates lie between 0 and 1, like fractions of a size.

    If the unit is stated, only if they are spread along each axis. The message names the option that gives the unit.
    """
    points = table.coordinates
    if table.unit not in {Unit.VOXEL, Unit.PIXEL, Unit.ANGSTROM} or len(np.unique(points, axis=0)) < 2:
        return
    min_edge = min(min(frames[name].shape) for name in table.tomograms)
    if min_edge < MIN_EDGE or not ((points >= 0) & (points <= 1)).all() or not (points % 1).any():
        return
    if table.is_unit_inferred or np.ptp(points, axis=0).min() >= MIN_FRACTION_RANGE:
        hint = "give --picks-unit fraction (or voxel, if they are right)"
        raise TomoPickerError(f"{table.source}: all coordinates lie between 0 and 1, like fractions of a size; {hint}")


def check_spread(table: PickTable, picks: Picks, frames: Mapping[str, Frame]) -> None:
    """Raise `TomoPickerError` if the unit was inferred and three positions or more lie in one place: it is another.

    The message names the options that give the unit.
    """
    if not table.is_unit_inferred:
        return
    voxels = to_file_units(picks, frames, Unit.VOXEL)
    for name in picks.tomogram_names:
        points = np.unique(voxels[picks.tomograms == name], axis=0)
        if len(points) >= 3 and np.ptp(points, axis=0).max() < MIN_SPREAD:
            raise TomoPickerError(
                f"{table.source}: all {len(points)} positions of '{name}' lie within {MIN_SPREAD:g} voxels of one "
                "another, so they count something else; give --picks-unit, or --picks-pixel-size in Å"
            )


def _outside(picks: Picks, frames: Mapping[str, Frame], voxels: Positions) -> np.ndarray:
    """Return True for each pick whose position in voxels lies outside its tomogram."""
    out = np.zeros(len(picks), dtype=bool)
    for name in picks.tomogram_names:
        rows = picks.tomograms == name
        out[rows] = is_outside(voxels[rows], frames[name].shape)
    return out


def _first_rows(table: PickTable, voxels: Positions, selected: np.ndarray) -> str:
    """List the first selected rows, by their number in the file, with their positions in voxels."""
    number = np.arange(len(voxels)) if table.row_indices is None else table.row_indices
    rows = np.flatnonzero(selected)
    listed = [f"row {number[i] + 1} ({', '.join(f'{value:.1f}' for value in voxels[i])})" for i in rows[:3]]
    return "; ".join(listed) + (f" and {len(rows) - 3} more" if len(rows) > 3 else "")


def _mistake(
    table: PickTable, picks: Picks, voxels: Positions, outside: np.ndarray, frames: Mapping[str, Frame]
) -> str:
    """Describe the likely mistake, and give the remedy."""
    n = f"{np.count_nonzero(outside)} of {len(picks)} positions"
    if not _outside(picks, frames, voxels[:, ::-1]).any():
        return f"{n} lie outside their tomogram, but they would all fit as z, y, x; give the columns as x, y, z"
    voxel_sizes = np.array([frames[name].voxel_size for name in picks.tomograms], dtype=np.float64)[:, None]
    fit_as_angstrom = ~_outside(picks, frames, voxels / voxel_sizes) & (voxels >= 0).all(axis=1)
    has_no_size = table.unit is Unit.PIXEL and (table.pixel_size is None or bool(np.isnan(table.pixel_size).all()))
    if (table.unit is Unit.VOXEL or has_no_size) and np.count_nonzero(outside & fit_as_angstrom) * 2 > len(picks):
        hint = "they look like Å, where voxels are expected; give --picks-unit angstrom"
        if has_no_size:
            hint = "the file states no pixel size; give --picks-pixel-size, or --picks-unit angstrom if they are Å"
        elif (binning := _binning(voxels, voxel_sizes, picks, frames)) is not None:
            size = next(iter(frames.values())).voxel_size
            hint = (
                f"where voxels are expected; they fit as pixels of volumes or images binned {binning} times less "
                f"(--picks-pixel-size {size / binning:.5g}), and as Å (--picks-unit angstrom): 'tomopicker check' on "
                "these picks finds out which"
            )
        return f"{n} lie outside their tomogram, {hint}"
    name = picks.tomograms[np.flatnonzero(outside)[0]]
    z, y, x = frames[name].shape
    rows = f"outside '{name}' ({x} x {y} x {z} voxels): {_first_rows(table, voxels, outside)}"
    return f"{n} lie {rows}; check the unit, the voxel size and that these picks belong to this tomogram"


def _binning(voxels: Positions, voxel_sizes: np.ndarray, picks: Picks, frames: Mapping[str, Frame]) -> int | None:
    """Return the smallest binning at which all positions fit as unbinned pixels; None if they are more likely Å.

    Positions in Å usually extend as far as the tomogram's size in Å: over half of it in x or y.
    """
    shapes = np.array([frames[name].shape[::-1] for name in picks.tomograms], dtype=np.float64)
    if (voxels < 0).any() or ((voxels / (shapes * voxel_sizes))[:, :2] > 0.5).any():
        return None
    return next((binning for binning in BINNINGS if (voxels / binning <= shapes - 0.5).all()), None)
