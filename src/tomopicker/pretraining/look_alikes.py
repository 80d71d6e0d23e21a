"""Random molecules and their look-alikes: sub-complexes, and other molecules of the same mass.

Every molecule is followed by a part of it, like the large subunit of a ribosome or the 20S core of a 26S proteasome.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from tomopicker.pretraining.molecules import (
    FINE,
    GRID,
    MIN_SUM,
    MoleculeLibrary,
    centred,
    make_library,
    random_molecule,
)
from tomopicker.types import Volume

MASS_FRACTION = (0.45, 0.75)
"""Fraction of a molecule's mass in its sub-complex."""
GAIN = (0.6, 1.6)
"""Range of the factor on a molecule's density that gives it the mass of another one."""
MIN_TARGET_RADIUS, MAX_TARGET_RADIUS = 4.5, 8.0
"""Radii of targets in working voxels: diameters of about 12 voxels, as users estimate them."""

N_OTHERS = 4
"""Number of kinds in a scene besides targets and their look-alikes."""

PerMolecule = Float64[np.ndarray, " molecules"]


@dataclass(frozen=True)
class Families:
    """A library of whole molecules (even indices), each followed by a sub-complex of it (odd indices).

    Parameters
    ----------
    library : MoleculeLibrary
    masses : array, shape (molecules,)
        Integrals of the densities.
    """

    library: MoleculeLibrary
    masses: PerMolecule

    def twin(self, molecule: int) -> tuple[int, float]:
        """Return the molecule of another family that is closest in mass, and the gain that makes the masses equal."""
        difference = np.abs(np.log(self.masses / self.masses[molecule]))
        difference[molecule // 2 * 2 : molecule // 2 * 2 + 2] = np.inf
        nearest = int(np.argmin(difference))
        return nearest, float(np.clip(self.masses[molecule] / self.masses[nearest], *GAIN))

    def targets(self) -> Int64[np.ndarray, " targets"]:
        """Return the molecules of a particle's size at working scale, or all if there are none."""
        radii = self.library.radii
        suitable = np.flatnonzero((radii >= MIN_TARGET_RADIUS) & (radii <= MAX_TARGET_RADIUS))
        return suitable if len(suitable) else np.arange(len(radii))


@dataclass(frozen=True)
class Cast:
    """The kinds of molecules in a scene.

    Parameters
    ----------
    targets : array, shape (targets,)
        Molecules that are clicked, each in an episode of its own.
    kinds : array, shape (kinds,)
        All molecules, including the targets.
    shares : array, shape (kinds,)
        Probability of each kind.
    gains : array, shape (kinds,)
        Density of each kind, relative to the library's.
    """

    targets: Int64[np.ndarray, " targets"]
    kinds: Int64[np.ndarray, " kinds"]
    shares: Float64[np.ndarray, " kinds"]
    gains: Float64[np.ndarray, " kinds"]


def draw_families(molecules: int, orientations: int, seed: int) -> Families:
    """Draw random molecules and a sub-complex of each, the same for the same seed."""
    rng = np.random.default_rng(seed)

    def wholes_and_parts() -> Iterator[Volume]:
        for _ in range(molecules):
            whole = random_molecule(rng)
            yield whole
            yield sub_complex(whole, rng)

    library = make_library(wholes_and_parts(), orientations, rng)
    return Families(library, library.densities.astype(np.float64).mean(axis=1).sum(axis=(1, 2, 3)))


def sub_complex(whole: Volume, rng: np.random.Generator) -> Volume:
    """Cut a molecule by a random plane and centre the remaining part."""
    normal = rng.standard_normal(3)
    a, b, c = normal / np.linalg.norm(normal)
    axis = np.arange(GRID) - (GRID - 1) / 2
    height = a * axis[:, None, None] + b * axis[:, None] + c * axis
    order = np.argsort(height.ravel())
    mass = np.cumsum(whole.ravel()[order], dtype=np.float64)
    keep = max(rng.uniform(*MASS_FRACTION), min(1.0, MIN_SUM / mass[-1]))
    cut = height.ravel()[order][np.searchsorted(mass, keep * mass[-1]).clip(max=len(order) - 1)]
    return centred(whole / (1 + np.exp(np.clip(2 * (height - cut) / FINE, -40, 40))))


def draw_cast(families: Families, targets: int, share: float, rng: np.random.Generator) -> Cast:
    """Draw targets, the sub-complex or whole and the twin by mass of each, and a few others.

    Parameters
    ----------
    families : Families
    targets : int
        Number of targets.
    share : float
        Probability of all targets together.
    rng : numpy Generator
    """
    chosen = rng.choice(families.targets(), targets, replace=False)
    twins = [families.twin(int(target)) for target in chosen]
    others = rng.choice(len(families.masses), N_OTHERS)
    relatives = chosen ^ 1  # Even indices are wholes, the odd ones after them their parts.
    kinds = np.concatenate([chosen, relatives, [twin for twin, _ in twins], others])
    gains = np.concatenate([np.ones(2 * targets), [gain for _, gain in twins], np.ones(N_OTHERS)])
    weights = rng.uniform(0.5, 1.5, len(kinds))
    weights[:targets] *= share / weights[:targets].sum()
    weights[targets:] *= (1 - share) / weights[targets:].sum()
    # A molecule with several roles has the sum of their shares, and the gain of the first.
    kinds, first, roles = np.unique(kinds, return_index=True, return_inverse=True)
    return Cast(chosen, kinds, np.bincount(roles, weights), gains[first])
