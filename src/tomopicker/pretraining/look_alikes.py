"""Random molecules and their look-alikes: sub-complexes, and other shapes of the same mass.

Every molecule is followed by a part of it, as an 80S ribosome has a large subunit and a 26S proteasome a 20S core.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from tomopicker.pretraining.molecules import (
    FINE,
    GRID,
    SMALLEST_SUM,
    MoleculeLibrary,
    centred,
    library_of,
    random_molecule,
)
from tomopicker.types import Volume

PART = (0.45, 0.75)
"""Share of a molecule's mass that a sub-complex keeps."""
GAIN = (0.6, 1.6)
"""Density of a molecule that is given the mass of another one."""
SMALLEST_TARGET, LARGEST_TARGET = 4.5, 8.0
"""Radii in working voxels of molecules that are clicked: about 12 voxels a diameter, which users state roughly."""

OTHERS = 4
"""Kinds in a scene besides targets and their look-alikes."""

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
        """Return the molecule of another family that is nearest in mass, and the gain that makes the masses equal."""
        apart = np.abs(np.log(self.masses / self.masses[molecule]))
        apart[molecule // 2 * 2 : molecule // 2 * 2 + 2] = np.inf
        nearest = int(np.argmin(apart))
        return nearest, float(np.clip(self.masses[molecule] / self.masses[nearest], *GAIN))

    def targets(self) -> Int64[np.ndarray, " targets"]:
        """Return the molecules that have the size of a particle at working scale; all, if none has."""
        radii = self.library.radii
        fit = np.flatnonzero((radii >= SMALLEST_TARGET) & (radii <= LARGEST_TARGET))
        return fit if len(fit) else np.arange(len(radii))


@dataclass(frozen=True)
class Cast:
    """What a scene is made of.

    Parameters
    ----------
    targets : array, shape (targets,)
        Molecules that are clicked, each in an episode of its own.
    kinds : array, shape (kinds,)
        All molecules, targets included.
    shares : array, shape (kinds,)
        How often each is tried, of 1.
    gains : array, shape (kinds,)
        Density of each, relative to the library's.
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

    library = library_of(wholes_and_parts(), 2 * molecules, orientations, rng)
    return Families(library, library.densities.astype(np.float64).mean(axis=1).sum(axis=(1, 2, 3)))


def sub_complex(whole: Volume, rng: np.random.Generator) -> Volume:
    """Cut a molecule by a random plane and centre what is left of it."""
    normal = rng.standard_normal(3)
    a, b, c = normal / np.linalg.norm(normal)
    axis = np.arange(GRID) - (GRID - 1) / 2
    height = a * axis[:, None, None] + b * axis[:, None] + c * axis
    order = np.argsort(height.ravel())
    mass = np.cumsum(whole.ravel()[order], dtype=np.float64)
    keep = max(rng.uniform(*PART), min(1.0, SMALLEST_SUM / mass[-1]))
    cut = height.ravel()[order][np.searchsorted(mass, keep * mass[-1]).clip(max=len(order) - 1)]
    return centred(whole / (1 + np.exp(np.clip(2 * (height - cut) / FINE, -40, 40))))


def draw_cast(families: Families, targets: int, share: float, rng: np.random.Generator) -> Cast:
    """Draw targets, the sub-complex or whole and the twin by mass of each, and a few others.

    Parameters
    ----------
    families : Families
    targets : int
    share : float
        Of all molecules tried, those of the targets.
    rng : numpy Generator
    """
    chosen = rng.choice(families.targets(), targets, replace=False)
    twins = [families.twin(int(target)) for target in chosen]
    others = rng.choice(len(families.masses), OTHERS)
    kinds = np.concatenate([chosen, chosen ^ 1, [twin for twin, _ in twins], others])
    gains = np.concatenate([np.ones(2 * targets), [gain for _, gain in twins], np.ones(OTHERS)])
    weights = rng.uniform(0.5, 1.5, len(kinds))
    weights[:targets] *= share / weights[:targets].sum()
    weights[targets:] *= (1 - share) / weights[targets:].sum()
    # One molecule may have several roles, but there is one share and one density of it; the first role decides.
    kinds, first, roles = np.unique(kinds, return_index=True, return_inverse=True)
    return Cast(chosen, kinds, np.bincount(roles, weights), gains[first])
