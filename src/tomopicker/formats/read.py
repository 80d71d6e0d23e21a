"""Reading picks of any format, and finding out which tomogram each belongs to and whether it lies in it."""

import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from tomopicker.errors import TomoPickerError
from tomopicker.formats.names import cleaned, contained, listing, match_name, matches
from tomopicker.formats.registry import for_input, head_of, reader_of
from tomopicker.geometry import Frame, PickTable, Unit, angstrom_to_voxels, locate, outside, shifted
from tomopicker.picks import Picks
from tomopicker.tomogram import Tomogram
from tomopicker.types import Positions
from tomopicker.wording import number_of


def read_table(path: Path | str, format: str | None = None) -> PickTable:
    """Read positions as a file states them, its format told by its content and suffix unless it is named.

    Parameters
    ----------
    path : Path
        Any format of `catalogue.FORMATS`.
    format : str, optional
        Its name; what is told by content (the kinds of STAR, say) stays told by content.

    Returns
    -------
    PickTable
        Positions in the file's own unit, at least one.

    Raises
    ------
    TomoPickerError
        One line naming the file: missing, binary, no picks, missing columns (those found are listed), bad numbers.
    """
    path = Path(path)
    head = head_of(path)
    module = reader_of("picks", path, head) if format is None else for_input(format)
    if module is None:
        raise TomoPickerError(f"{path}: it is not a text file; give a STAR file or text columns (x,y,z)")
    table: PickTable = module.read(path)
    return table


def read_picks(
    paths: Sequence[Path | str] | Path | str,
    tomograms: Sequence[Tomogram] | Mapping[str, Frame],
    *,
    unit: Unit | None = None,
    pixel_size: float | None = None,
    ignore_unknown: bool = False,
    format: str | None = None,
    shift: tuple[float, float, float] = (0.0, 0.0, 0.0),
    check_inside: bool = True,
) -> Picks:
    """Read picks and place them in their tomograms.

    Parameters
    ----------
    paths : sequence of Path
        Files of picks. A RELION tomograms.star among them gives the sizes that RELION 5's centred positions count from.
    tomograms : sequence of Tomogram, or mapping of str to Frame
        The tomograms at hand.
    unit : Unit, optional
        What the coordinates count, if the files do not say it rightly (``--picks-unit``).
    pixel_size : float, optional
        Å per pixel of the coordinates, where a file counts pixels or voxels (``--picks-pixel-size``).
    ignore_unknown : bool
        Leave out picks of tomograms that were not given, with a warning, instead of failing.
    format : str, optional
        The format of the files; told by their content if left out.
    shift : tuple of float
        (x, y, z) in voxels, added to every position: for files that count from elsewhere than their format does.
    check_inside : bool
        Refuse positions outside their tomogram.

    Returns
    -------
    Picks
        In Å, named as the tomograms are.

    Raises
    ------
    TomoPickerError
        One line naming the file: whatever `read_table` refuses, a tomogram that is not at hand or may be several,
        positions outside their tomogram, positions that look like Å where voxels are expected.
    """
    listed = [Path(paths)] if isinstance(paths, str | Path) else [Path(path) for path in paths]
    frames = dict(tomograms) if isinstance(tomograms, Mapping) else {each.name: each.frame for each in tomograms}
    projects = [path for path in listed if len(listed) > 1 and _is_project(path)]
    stated = {name: frame for path in projects for name, frame in _project_frames(path).items()}
    parts: list[Picks] = []
    named: dict[str, None] = {}
    for path in listed:
        if path in projects:
            continue
        table = _with_unit(read_table(path, format), unit, pixel_size)
        table = replace(table, frames={**stated, **table.frames})
        named |= dict.fromkeys(table.tomograms.tolist())
        table = _resolve(table, list(frames), path, ignore_unknown)
        picks = shifted(locate(table, frames), frames, shift)
        if check_inside:
            _check_inside(table, picks, frames)
        parts.append(picks)
    picks = Picks.concatenate(parts)
    if not len(picks):
        what = f"no picks of the tomograms given ({listing(list(frames))}), but of {listing(list(named))}"
        raise TomoPickerError(f"{listing([str(path) for path in listed])}: {what}; give others")
    return picks


def has_no_picks(path: Path | str) -> bool:
    """Say whether a file is empty, or what `write_picks` makes of no picks: a header, no rows.

    A file that cannot be read is not; `read_picks` says what is wrong with it.
    """
    path = Path(path)
    try:
        with path.open(encoding="utf-8") as stream:
            head = stream.read(4096)
    except (OSError, UnicodeDecodeError):
        return False
    lines = [line for line in head.splitlines() if line.strip()]
    if not lines:
        return True
    if path.suffix.lower() == ".star":
        return "loop_" in head and len(head) < 4096 and all(line.lstrip()[:1] in "_#dl" for line in lines)
    return len(lines) == 1 and lines[0].startswith("tomogram,x,y,z")


def _is_project(path: Path) -> bool:
    from tomopicker.formats import relion_project, star, star_picks  # noqa: PLC0415  (starfile is slow to import)

    head = head_of(path)
    if b"rlnTomoSizeX" not in head or not star.recognises(path, head):
        return False
    blocks = star.read_blocks(path)
    coordinates = (star_picks.CENTRED, star_picks.PIXELS)
    has_picks = any(set(columns) <= set(block.columns) for block in blocks.values() for columns in coordinates)
    return relion_project.is_tomogram_list(blocks) and not has_picks


def _project_frames(path: Path) -> dict[str, Frame]:
    from tomopicker.formats.relion_project import read_frames  # noqa: PLC0415

    return read_frames(path)


def _with_unit(table: PickTable, unit: Unit | None, pixel_size: float | None) -> PickTable:
    if pixel_size is not None and unit in {None, Unit.PIXEL} and table.unit in {Unit.VOXEL, Unit.PIXEL}:
        return replace(table, unit=Unit.PIXEL, pixel_size=np.full(len(table), float(pixel_size)))
    return table if unit is None else replace(table, unit=unit)


def _resolve(table: PickTable, candidates: list[str], path: Path, ignore_unknown: bool) -> PickTable:
    """Name the rows, and the frames the file states, as the tomograms at hand are named."""
    meant: dict[str, str | None] = {}
    for name in dict.fromkeys(table.tomograms.tolist()):
        if not name:
            meant[name] = _from_file_name(path, candidates)
        elif name.isdigit() and not matches(name, candidates) and len(set(table.tomograms)) == 1:
            meant[name] = _from_number(name, path, candidates)
        elif ignore_unknown and not matches(name, candidates):
            meant[name] = None
        else:
            meant[name] = match_name(name, candidates, table.source)
    resolved = np.empty(len(table), dtype=object)
    resolved[:] = [meant[name] for name in table.tomograms]
    known = np.array([name is not None for name in resolved], dtype=bool)
    if not known.all():
        dropped = listing([name for name, target in meant.items() if target is None])
        left_out = number_of(int(np.count_nonzero(~known)), "pick")
        message = f"{table.source}: {left_out} left out, of tomograms that were not given: {dropped}"
        warnings.warn(message, stacklevel=3)
    frames = {found[0]: frame for name, frame in table.frames.items() if len(found := matches(name, candidates)) == 1}
    return replace(table, tomograms=resolved, frames=frames).select(known)


def _from_file_name(path: Path, candidates: list[str]) -> str:
    """Tell the tomogram of rows that name none: by the file's name, else the only one there is."""
    found = contained(path.name, candidates)
    if len(found) == 1:
        return found[0]
    if found:
        raise TomoPickerError(
            f"{path}: its name may mean any of the tomograms {listing(found)}; add a column 'tomogram'"
        )
    if len(candidates) == 1:
        return candidates[0]
    remedy = "add a column 'tomogram', or name the file after its tomogram"
    raise TomoPickerError(f"{path}: which tomogram these picks are of is not said ({listing(candidates)}); {remedy}")


def _from_number(number: str, path: Path, candidates: list[str]) -> str:
    """Tell the one tomogram a file numbers: by the file's name or the only one there is, unless numbered itself."""
    try:
        found = _from_file_name(path, candidates)
    except TomoPickerError:
        found = ""
    if not found or re.search(r"\d", cleaned(found)):
        remedy = f"write a list {path.stem}.doc beside it, 'number name' in each line"
        raise TomoPickerError(f"{path}: which of {listing(candidates)} is tomogram {number} is not said; {remedy}")
    return found


def _check_inside(table: PickTable, picks: Picks, frames: Mapping[str, Frame]) -> None:
    """Refuse positions outside their tomogram, and say what they look like."""
    voxels = np.array(picks.positions)
    bad, bad_swapped, bad_divided = (np.zeros(len(picks), dtype=bool) for _ in range(3))
    for name in picks.tomogram_names:
        rows, frame = picks.tomograms == name, frames[name]
        voxels[rows] = angstrom_to_voxels(picks.positions[rows], frame.voxel_size)
        bad[rows] = outside(voxels[rows], frame.shape)
        bad_swapped[rows] = outside(voxels[rows][:, ::-1], frame.shape)
        divided = angstrom_to_voxels(voxels[rows], frame.voxel_size)
        bad_divided[rows] = outside(divided, frame.shape) | (voxels[rows] < 0).any(axis=1)
    if not bad.any():
        return
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
    first = np.flatnonzero(bad)[:3]
    rows_said = "; ".join(f"row {i + 1} ({', '.join(f'{value:.1f}' for value in voxels[i])})" for i in first)
    z, y, x = frames[picks.tomograms[first[0]]].shape
    where = f"outside '{picks.tomograms[first[0]]}' ({x} x {y} x {z} voxels)"
    raise TomoPickerError(f"{table.source}: {n} lie {where}: {rows_said}; {hint}")


def _binning(voxels: Positions, picks: Picks, frames: Mapping[str, Frame]) -> int | None:
    """Give the least usual binning by which all positions, taken for unbinned pixels, fit; None if they rather are Å.

    Positions in Å reach as far as the tomogram's size in Å as a rule: over half of it in x or y.
    """
    shapes = np.array([frames[name].shape[::-1] for name in picks.tomograms], dtype=np.float64)
    sizes = np.array([frames[name].voxel_size for name in picks.tomograms], dtype=np.float64)
    if (voxels < 0).any() or ((voxels / (shapes * sizes[:, None]))[:, :2] > 0.5).any():
        return None
    return next((binning for binning in (2, 3, 4, 6, 8) if (voxels / binning <= shapes - 0.5).all()), None)
