"""Checks before training or picking: particle diameter, voxel size, number and contrast of clicks."""

from collections.abc import Sequence

import numpy as np

from tomopicker.errors import TomoPickerError, UsageError
from tomopicker.preprocessing.preprocess import WorkingVolume
from tomopicker.tomogram import Tomogram
from tomopicker.types import Positions

BRIGHT_SD = 0.5
FLAG, MODEL = "--particle-diameter", "the model's particle of"
"""Source of a particle diameter, as messages name it."""
MIN_DIAMETER, MIN_DIAMETER_VOXELS = 50.0, 4.0
"""Å and voxels: smaller particles are hardly visible in a tomogram; the diameter was probably given in nm."""
MIN_SPREAD_CLICKS = 5
"""Minimum number of distinct clicks for the spread to be tested."""


def check_diameter(diameter: float, tomogram: Tomogram, stated: str = FLAG) -> None:
    """Refuse a particle diameter (Å) below 2 voxels or larger than the tomogram.

    Parameters
    ----------
    stated : str
        Source of the diameter: `FLAG`, or `MODEL`, whose diameter cannot be changed.

    Raises
    ------
    UsageError
        One line with both lengths in Å and the likely cause: a default voxel size in the header, or the diameter.
    """
    file = tomogram.path or tomogram.name
    other = "or --voxel-size if its header is wrong" if stated == FLAG else "give --voxel-size if its header is wrong"
    if diameter < 2 * tomogram.voxel_size:
        remedy = f"give it in Å, {other}" if stated == FLAG else f"{other}, or reconstruct it with finer voxels"
        raise UsageError(
            f"{stated} {diameter:g} Å is less than 2 voxels of {file} ({tomogram.voxel_size:g} Å); {remedy}"
        )
    smallest = min(tomogram.shape) * tomogram.voxel_size
    if diameter > smallest:
        what = f"{stated} {diameter:g} Å is larger than {file} ({smallest:g} Å along its shortest axis)"
        if _is_default(tomogram):
            raise UsageError(f"{what}, and its header states 1 Å, often a placeholder; give --voxel-size")
        raise UsageError(f"{what}; " + (f"give the diameter in Å, {other}" if stated == FLAG else other))


def spread_warning(tomogram: Tomogram, clicks: Positions, diameter: float) -> str | None:
    """Return a warning if all clicks, (x, y, z) in Å, lie within one particle; otherwise None."""
    places = np.unique(clicks, axis=0)
    width = float(np.linalg.norm(np.ptp(places, axis=0))) if len(places) else 0.0
    if len(places) < MIN_SPREAD_CLICKS or width >= diameter:
        return None
    return (
        f"{tomogram.path or tomogram.name}: all {len(places)} clicks lie within {width:.3g} Å, less than one particle "
        f"of {diameter:g} Å; their unit is another one: give --picks-unit or --picks-pixel-size"
    )


def diameter_warning(diameter: float, tomogram: Tomogram) -> str | None:
    """Return a warning if a particle diameter (Å) is possible but unlikely; otherwise None."""
    voxels = diameter / tomogram.voxel_size
    file = tomogram.path or tomogram.name
    if voxels < MIN_DIAMETER_VOXELS:
        return (
            f"--particle-diameter {diameter:g} Å is {voxels:.2g} voxels of {file}, too few to see a particle in; it is "
            f"in Å, so give {10 * diameter:g} if you meant {diameter:g} nm"
        )
    if diameter >= MIN_DIAMETER:
        return None
    message = f"--particle-diameter {diameter:g} Å is less than the size of particles that tomograms show"
    if _is_default(tomogram):
        return f"{message}; the voxels of {file} are stated as 1 Å, so give --voxel-size if that is no measured size"
    return f"{message}; it is in Å, so give {10 * diameter:g} if you meant {diameter:g} nm"


def diameter_warnings(diameter: float, tomograms: Sequence[Tomogram]) -> list[str]:
    """Check a particle diameter (Å) in each tomogram; return the warnings, and raise the errors of `check_diameter`."""
    for tomogram in tomograms:
        check_diameter(diameter, tomogram)
    return [warning for tomogram in tomograms if (warning := diameter_warning(diameter, tomogram))]


def _is_default(tomogram: Tomogram) -> bool:
    """True if the voxel size is 1 Å, which programs write if it is unknown."""
    return abs(tomogram.voxel_size - 1) < 1e-3


def check_voxel_size(tomogram: Tomogram, working_voxel_size: float, diameter: float, stated: str = FLAG) -> None:
    """Refuse a tomogram that is too coarse for the particle or the model; `stated` as for `check_diameter`."""
    check_diameter(diameter, tomogram, stated)
    if tomogram.voxel_size > 2.5 * working_voxel_size:
        raise TomoPickerError(
            f"{tomogram.path or tomogram.name}: voxels of {tomogram.voxel_size:g} Å are too coarse for a model that "
            f"works at {working_voxel_size:.4g} Å; reconstruct it with finer voxels or train on coarser ones"
        )


def bright_clicks(volume: WorkingVolume, clicks: Positions, radius: float) -> bool:
    """True if the voxels at clicks, (x, y, z) in working voxels, are on average brighter than their surroundings."""
    reach = max(1, round(radius / 2))
    inner, outer = [], []
    for z, y, x in np.round(clicks[:, ::-1]).astype(int).tolist():
        inner.append(_mean_around(volume, z, y, x, reach))
        outer.append(_mean_around(volume, z, y, x, 4 * reach))
    return float(np.mean(inner)) - float(np.mean(outer)) > BRIGHT_SD


def _mean_around(volume: WorkingVolume, z: int, y: int, x: int, reach: int) -> float:
    box = tuple(slice(max(0, c - reach), max(1, c + reach + 1)) for c in (z, y, x))
    return float(volume.data[box].mean())
