"""The unresolved crowd of the cytosol: small molecules as Gaussians of random mass at random voxels."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int
from scipy import ndimage

from tomopicker.types import Shape, Volume

_PROTEIN_DALTON_PER_CUBIC_ANGSTROM = 0.81
_MEDIAN_DALTON = 9e4
_SPREAD = 0.7
"""Of the logarithm of the mass."""
_LARGEST_DALTON = 2.5e5
"""What is heavier has a shape, and is a molecule of the scene; as a Gaussian it would be a dot darker than any."""
_SIGMAS_ANGSTROM = (19.0, 23.0, 31.0)
"""Widths of the lighter, middle and heavier thirds: with them a Gaussian is no denser in its middle than a protein."""
_TRUNCATE = 3.0


@dataclass(frozen=True, eq=False)
class Dots:
    """Gaussians of one width.

    Attributes
    ----------
    where : (n,)
        Flat indices of their voxels in ascending order.
    masses : (n,)
        Density that each adds to its voxel, before it is spread.
    sigma_voxels : float
    """

    where: Int[np.ndarray, " n"]
    masses: Float32[np.ndarray, " n"]
    sigma_voxels: float


@dataclass(frozen=True, eq=False)
class Crowd:
    """Small molecules, drawn for a whole volume of a shape (z, y, x) and rendered some sections at a time."""

    shape: Shape
    groups: tuple[Dots, ...]

    def density(self, sections: slice) -> Volume:
        """Density of some sections (z, y, x); its mean over the volume is close to the fraction asked for."""
        n_z, n_y, n_x = self.shape
        total = np.zeros((sections.stop - sections.start, n_y, n_x), dtype=np.float32)
        for dots in self.groups:
            halo = int(_TRUNCATE * dots.sigma_voxels + 0.5)
            low, high = max(sections.start - halo, 0), min(sections.stop + halo, n_z)
            first, last = np.searchsorted(dots.where, [low * n_y * n_x, high * n_y * n_x])
            impulses = np.zeros((high - low) * n_y * n_x, dtype=np.float32)
            np.add.at(impulses, dots.where[first:last] - low * n_y * n_x, dots.masses[first:last])
            smooth = ndimage.gaussian_filter(
                impulses.reshape(high - low, n_y, n_x), dots.sigma_voxels, mode="reflect", truncate=_TRUNCATE
            )
            total += smooth[sections.start - low : sections.stop - low]
        return total


def draw_crowd(shape: Shape, voxel_size_angstrom: float, fraction: float, rng: np.random.Generator) -> Crowd:
    """Draw masses and places.

    Parameters
    ----------
    shape : Shape, (z, y, x)
    voxel_size_angstrom : float
    fraction : float
        Of the volume that the crowd's protein fills.
    rng : np.random.Generator
    """
    voxels = int(np.prod(shape))
    volume = float(voxels) * voxel_size_angstrom**3
    # The mean mass is near the median: the spread lifts it, the largest mass takes it down again.
    count = int(fraction * volume * _PROTEIN_DALTON_PER_CUBIC_ANGSTROM / (1.19 * _MEDIAN_DALTON))
    masses = np.sort(_MEDIAN_DALTON * np.exp(_SPREAD * rng.normal(size=count)))
    masses = np.minimum(masses, _LARGEST_DALTON)
    excess = masses / _PROTEIN_DALTON_PER_CUBIC_ANGSTROM / voxel_size_angstrom**3
    groups = []
    for width, part in zip(_SIGMAS_ANGSTROM, np.array_split(excess, 3), strict=True):
        where = rng.integers(0, voxels, size=len(part))
        order = np.argsort(where, kind="stable")
        sigma = float(np.hypot(width / voxel_size_angstrom, 0.4))
        groups.append(Dots(where[order], part[order].astype(np.float32), sigma))
    return Crowd(shape, tuple(groups))
