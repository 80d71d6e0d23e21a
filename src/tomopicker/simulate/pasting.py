"""Molecules put into a density at their places and orientations."""

from collections.abc import Callable

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from tomopicker.simulate.molecules import Molecule
from tomopicker.simulate.placement import Rotations, random_rotations
from tomopicker.simulate.resample import Cube, paste_rotated, rotated_piece
from tomopicker.types import Positions, Volume

_TURNS_TRIED = 8
"""Orientations tried for a molecule whose neighbour is too near for any; more give little."""

_CLOSE = 1.6
"""Centres nearer than this many bounding radii are a close pair: an uneven molecule is slimmer than its ball."""


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
    for number in range(len(positions)):
        turns = orientations[number][None]
        if number in close:
            turns = np.concatenate([turns, random_rotations(_TURNS_TRIED - 1, rng)])
        pieces = [
            rotated_piece(coefficients, density.shape, positions[number][::-1], turn[::-1, ::-1]) for turn in turns
        ]
        best = int(np.argmin([float((density[region] * piece).sum()) for piece, region in pieces]))
        piece, region = pieces[best]
        density[region] += piece
        orientations[number] = turns[best]
        pasted()
    return orientations


def _coefficients(molecule: Molecule) -> Cube:
    return np.asarray(
        ndimage.spline_filter(molecule.density, order=3, output=np.float32, mode="mirror"), dtype=np.float32
    )
