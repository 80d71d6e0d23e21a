"""Molecules put into a density at their places and orientations."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float32, Float64
from scipy import ndimage
from scipy.spatial import cKDTree

from tomopicker.simulate.molecules import Molecule
from tomopicker.simulate.placement import Rotations, random_rotations
from tomopicker.simulate.resample import Cube, paste_rotated
from tomopicker.types import Positions, Volume

_TURNS_TRIED = 24
"""Orientations tried for a molecule whose neighbour is too near for any; more give little."""

_CLOSE = 1.6
"""Centres nearer than this many bounding radii are a close pair: an uneven molecule is slimmer than its ball."""


_BODY_POINTS = 1500
"""Of a molecule, enough to tell how much of it overlaps."""


def unheard() -> None:
    """Hear nothing."""


def paste_all(
    density: Volume,
    molecule: Molecule,
    positions: Positions,
    orientations: Rotations,
    pasted: Callable[[], None] = unheard,
) -> None:
    """Add molecules to a density (z, y, x) in place.

    Parameters
    ----------
    density : Volume, (z, y, x)
    molecule : Molecule
    positions : Positions, (n, 3)
        (x, y, z) in voxels.
    orientations : (n, 3, 3)
        Turn (x, y, z) of the molecule into (x, y, z) of the density.
    pasted : callable, optional
        Hears of each.
    """
    coefficients = _coefficients(molecule)
    for position, rotation in zip(positions, orientations, strict=True):
        paste_rotated(density, coefficients, position[::-1], rotation[::-1, ::-1])
        pasted()


def paste_apart(
    density: Volume,
    molecule: Molecule,
    positions: Positions,
    rng: np.random.Generator,
    pasted: Callable[[], None] = unheard,
) -> Rotations:
    """Add molecules at given places in place, those in close pairs turned so that they overlap least.

    Parameters
    ----------
    density : Volume, (z, y, x)
    molecule : Molecule
    positions : Positions, (n, 3)
        (x, y, z) in voxels.
    rng : np.random.Generator
    pasted : callable, optional
        Hears of each.

    Returns
    -------
    Rotations, (n, 3, 3)
        How each was turned.
    """
    coefficients = _coefficients(molecule)
    orientations = random_rotations(len(positions), rng)
    width = _CLOSE * molecule.radius_angstrom / molecule.voxel_size_angstrom
    close = {i for pair in cKDTree(positions).query_pairs(width) for i in pair}
    body = _body(molecule)
    for number, position in enumerate(positions):
        if number in close:
            turns = np.concatenate([orientations[number][None], random_rotations(_TURNS_TRIED - 1, rng)])
            overlaps = [_overlap(density, body, position, turn) for turn in turns]
            orientations[number] = turns[int(np.argmin(overlaps))]
        paste_rotated(density, coefficients, position[::-1], orientations[number][::-1, ::-1])
        pasted()
    return orientations


def _body(molecule: Molecule) -> tuple[Float64[np.ndarray, "point 3"], Float32[np.ndarray, " point"]]:
    """Some voxels that stand for a molecule: (x, y, z) from its centre, and their densities."""
    inside = np.argwhere(molecule.density > 0.2 * molecule.density.max())
    chosen = inside[:: max(1, len(inside) // _BODY_POINTS)]
    return (chosen - molecule.density.shape[0] // 2)[:, ::-1].astype(np.float64), molecule.density[tuple(chosen.T)]


def _overlap(
    density: Volume,
    body: tuple[Float64[np.ndarray, "point 3"], Float32[np.ndarray, " point"]],
    position: Float64[np.ndarray, "3"],
    turn: Float64[np.ndarray, "3 3"],
) -> float:
    """How much of a body, turned and at a position (x, y, z), lies where there is density already."""
    places, weights = body
    voxels = np.rint(position + places @ turn.T).astype(int)[:, ::-1]
    inside = np.all((voxels >= 0) & (voxels < density.shape), axis=1)
    return float(weights[inside] @ density[tuple(voxels[inside].T)])


def _coefficients(molecule: Molecule) -> Cube:
    return np.asarray(
        ndimage.spline_filter(molecule.density, order=3, output=np.float32, mode="mirror"), dtype=np.float32
    )
