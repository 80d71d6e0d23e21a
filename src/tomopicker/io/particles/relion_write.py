"""Particles in STAR files for RELION 5, 4 and 3, Warp and M.

Angles are left out unless the picks carry them: RELION takes missing ones for zero.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from tomopicker.geometry import Frame, Unit, to_file_units
from tomopicker.io.angles import compose_subtomogram_angles
from tomopicker.io.particles.pixel_sizes import PIXEL_SIZES
from tomopicker.io.particles.relion_read import CENTRED, ORIGIN_ANGSTROM, ORIGIN_PIXELS, PIXELS, PLAIN
from tomopicker.io.particles.star import star_names, write_blocks
from tomopicker.io.tomogram_names import clean_name, strip_reconstruction
from tomopicker.picks import Picks
from tomopicker.types import Positions

SCORE = "rlnAutopickFigureOfMerit"
_STALE = {
    *CENTRED, *PIXELS, *PLAIN, *ORIGIN_ANGSTROM, *ORIGIN_PIXELS, *PIXEL_SIZES, SCORE, "rlnOpticsGroup", "rlnTomoName",
    "rlnMicrographName",
}  # fmt: skip
"""Columns of picks that would contradict those written."""


def write_relion5(picks: Picks, frames: Mapping[str, Frame], path: Path) -> None:
    """Write ``data_particles`` with ``rlnTomoName``, ``rlnCenteredCoordinate?Angst`` and the score.

    Positions are Å from the centre of the tomogram, size / 2 (fractional for odd sizes), as in RELION's C++ code;
    the unbinned size and pixel are used if the frame has them.
    """
    coordinates = to_file_units(picks, frames, Unit.CENTRED_ANGSTROM)
    write_blocks({"particles": _columns(picks, path, "rlnTomoName", CENTRED, coordinates, strip_reconstruction)}, path)


def write_relion4(picks: Picks, frames: Mapping[str, Frame], path: Path) -> None:
    """Write ``data_optics``, one group per pixel size, ``data_particles`` with ``rlnTomoName``, ``rlnCoordinate?``.

    Positions are pixels of the tilt series, 0 at the centre of the first: the frame's unbinned ones. If only the
    tomogram's voxel is known, that is the pixel, and the optics block states it; RELION 4 itself reads coordinates as
    unbinned pixels whatever the block states, so a project whose tomograms are binned needs frames from its own files.
    """
    used = {name: frames[name] for name in picks.tomogram_names} or dict(frames)
    pixel = {name: frame.unbinned_pixel_size or frame.voxel_size for name, frame in used.items()}
    groups = {size: number for number, size in enumerate(dict.fromkeys(pixel.values()), start=1)}
    optics = pd.DataFrame(
        {
            "rlnOpticsGroup": list(groups.values()),
            "rlnOpticsGroupName": [f"opticsGroup{number}" for number in groups.values()],
            "rlnTomoTiltSeriesPixelSize": list(groups),
        }
    )
    more = {"rlnOpticsGroup": np.array([groups[pixel[name]] for name in picks.tomograms], dtype=np.int64)}
    coordinates = to_file_units(picks, frames, Unit.PIXEL)
    particles = _columns(picks, path, "rlnTomoName", PIXELS, coordinates, strip_reconstruction, more=more)
    write_blocks({"optics": optics, "particles": particles}, path)


def write_relion3(picks: Picks, frames: Mapping[str, Frame], path: Path) -> None:
    """Write one block with ``rlnMicrographName``, ``rlnCoordinate?`` in voxels, the voxel size and the score.

    0 is the centre of the first voxel. There is one triple of angles, so RELION 5's subtomogram angles are composed
    with the particle's.
    """
    _write_one_block(picks, frames, path)


def write_warp(picks: Picks, frames: Mapping[str, Frame], path: Path) -> None:
    """Write RELION 3's block, each tomogram called ``<series>.tomostar``; Warp reads no centred columns.

    Positions are voxels of the tomogram; Warp takes their size as ``--coords_angpix``.
    """
    _write_one_block(picks, frames, path, clean_name, ".tomostar")


def _write_one_block(
    picks: Picks, frames: Mapping[str, Frame], path: Path, rule: Callable[[str], str] = str, suffix: str = ""
) -> None:
    picks = replace(picks, extra=compose_subtomogram_angles(picks.extra, str(path)))
    size = np.array([frames[name].voxel_size for name in picks.tomograms], dtype=np.float64)
    more = {"rlnMagnification": np.full(len(picks), 10000.0), "rlnDetectorPixelSize": size, "rlnPixelSize": size}
    coordinates = to_file_units(picks, frames, Unit.VOXEL)
    block = _columns(picks, path, "rlnMicrographName", PIXELS, coordinates, rule, suffix, more)
    write_blocks({"": block}, path)


def _columns(
    picks: Picks,
    path: Path,
    name_label: str,
    labels: Sequence[str],
    coordinates: Positions,
    rule: Callable[[str], str],
    suffix: str = "",
    more: Mapping[str, np.ndarray] | None = None,
) -> pd.DataFrame:
    """Return one row per pick: name, coordinates, score (if any is known), `more`, then the columns that are not stale.

    Tomograms are renamed by `rule` and end in `suffix`.
    """
    names = star_names(picks.tomogram_names, rule, str(path))
    columns: dict[str, object] = {
        name_label: pd.Series([names[name].removesuffix(suffix) + suffix for name in picks.tomograms], dtype=object)
    }
    columns |= dict(zip(labels, coordinates.T, strict=True))
    if not len(picks) or not np.isnan(picks.scores).all():
        columns[SCORE] = np.asarray(picks.scores, dtype=np.float64)
    columns |= dict(more or {})
    for name, values in picks.extra.items():
        if str(name) not in _STALE:
            columns.setdefault(str(name), values.to_numpy())
    return pd.DataFrame(columns)
