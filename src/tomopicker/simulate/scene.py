"""A lamella with molecules at known places: the density that a tomogram is made of, and its truth."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count

import numpy as np

from tomopicker.errors import UsageError
from tomopicker.simulate.lamella import Lamella, furrow_faces
from tomopicker.simulate.membranes import Membranes, draw_sheets, vesicles_at
from tomopicker.simulate.molecules import Molecule, builtin_molecule
from tomopicker.simulate.pasting import paste_all, paste_apart
from tomopicker.simulate.placement import OtherPositions, OtherRotations, Packing, Rotations, random_rotations
from tomopicker.simulate.projection import Progress, unheard
from tomopicker.simulate.settings import SceneSettings
from tomopicker.simulate.surroundings import add_filaments, add_inclusions, add_surroundings
from tomopicker.types import Positions, Volume

_MEMBRANE_CLEARANCE_ANGSTROM = 25.0
"""From a membrane's middle to the nearest surface of a molecule, less a fifth of the molecule's radius."""
_VESICLE_ANGSTROM = (150.0, 350.0)


@dataclass(frozen=True, eq=False)
class Truth:
    """What lies where in a scene.

    Attributes
    ----------
    positions : Positions, (n, 3)
        Centres of mass of the targets, (x, y, z) in voxels from the centre of the first one.
    orientations : (n, 3, 3)
        Turn (x, y, z) of the molecule into (x, y, z) of the scene.
    distractor_positions, distractor_orientations
        The same of all other molecules, in one list.
    distractor_classes : tuple of str
        Their names, row by row.
    """

    positions: Positions
    orientations: Rotations
    distractor_positions: OtherPositions
    distractor_orientations: OtherRotations
    distractor_classes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Scene(Truth):
    """A truth and its density, (z, y, x): 1 = compact protein in excess of the solvent; 0 in vacuum."""

    density: Volume


def build_scene(
    settings: SceneSettings,
    seed: int,
    library: Mapping[str, Molecule] | None = None,
    target_positions: Positions | None = None,
    progress: Progress = unheard,
) -> Scene:
    """Fill a lamella.

    Parameters
    ----------
    settings : SceneSettings
    seed : int
        The same seed gives the same scene.
    library : mapping of str to Molecule, optional
        The molecules by name, at the settings' voxel size; the built-in ones without it.
    target_positions : Positions, optional
        (x, y, z) in voxels, a layout that is kept as it is, close pairs included, in place of `n_targets` random
        places. Of two that are closer than their size one is turned so that they interlock.
    progress : callable, optional

    Returns
    -------
    Scene
        With fewer molecules than asked for where the lamella is full.

    Raises
    ------
    UsageError
        If a molecule is not in the library, or was made for another voxel size.
    """
    rng = np.random.default_rng(seed)
    names = [settings.target, *(name for name, _ in settings.distractors)]
    molecules = {name: _molecule(name, settings.voxel_size_angstrom, library) for name in names}
    voxel = settings.voxel_size_angstrom
    sheets = draw_sheets(settings.shape, voxel, settings.n_membranes, settings.paired_membranes, rng)
    lamella = _lamella(settings, rng)
    membranes = Membranes(settings.shape, voxel, sheets)

    def clear_of_membranes(centre: np.ndarray, radius: float) -> bool:
        nearest = membranes.distance_at(centre)  # of all that there are by then
        return nearest > _MEMBRANE_CLEARANCE_ANGSTROM + 0.8 * radius * voxel

    packing = Packing(lamella, settings.border_voxels, clear_of_membranes, rng)
    target = molecules[settings.target]
    if target_positions is not None:
        packing.occupy(target_positions, _packing_radius(target))
    density = np.zeros(settings.shape, dtype=np.float32)
    # What needs the most room comes first; then the targets; then the rest by falling size.
    vesicles = [
        (centre, radius)
        for radius in np.sort(rng.uniform(*_VESICLE_ANGSTROM, size=settings.n_vesicles))[::-1]
        for centre in packing.place(1, radius / voxel)
    ]
    small = vesicles_at(np.array([c for c, _ in vesicles]).reshape(-1, 3), [float(r) for _, r in vesicles], voxel)
    membranes = Membranes(settings.shape, voxel, sheets + small)
    add_filaments(density, settings, lamella, packing, rng)
    add_inclusions(density, settings, lamella, packing, rng)

    done = count(1)
    expected = settings.n_targets + sum(number for _, number in settings.distractors)

    def pasted() -> None:
        progress("molecules", next(done), expected)

    if target_positions is None:
        positions = packing.place(
            settings.n_targets,
            _packing_radius(target),
            settings.touching_fraction,
            settings.clustered_fraction,
            settings.cluster_size,
        )
        orientations = random_rotations(len(positions), rng)
        paste_all(density, target, positions, orientations, pasted)
    else:
        positions = target_positions
        orientations = paste_apart(density, target, positions, rng, pasted)

    others: list[Positions] = [np.zeros((0, 3))]
    turns: list[Rotations] = [np.zeros((0, 3, 3))]
    classes: list[str] = []
    by_size = sorted(settings.distractors, key=lambda pair: -molecules[pair[0]].radius_angstrom)
    for name, number in by_size:
        others.append(packing.place(number, _packing_radius(molecules[name]), settings.touching_fraction))
        turns.append(random_rotations(len(others[-1]), rng))
        classes += [name] * len(others[-1])
        paste_all(density, molecules[name], others[-1], turns[-1], pasted)

    add_surroundings(density, membranes, lamella, settings, rng, progress)
    return Scene(positions, orientations, np.concatenate(others), np.concatenate(turns), tuple(classes), density)


def _molecule(name: str, voxel_size_angstrom: float, library: Mapping[str, Molecule] | None) -> Molecule:
    if library is None:
        return builtin_molecule(name, voxel_size_angstrom)
    if name not in library:
        raise UsageError(f"{name}: no such molecule; choose one of {', '.join(sorted(library))}")
    if abs(library[name].voxel_size_angstrom - voxel_size_angstrom) > 1e-3:
        raise UsageError(
            f"{name}: made for {library[name].voxel_size_angstrom} Å, the scene is {voxel_size_angstrom} Å"
        )
    return library[name]


def _lamella(settings: SceneSettings, rng: np.random.Generator) -> Lamella:
    middle = (settings.shape[0] - 1) / 2.0 if settings.middle_voxels is None else settings.middle_voxels
    furrows = None
    if settings.curtaining_angstrom:
        furrows = furrow_faces(settings.shape, settings.voxel_size_angstrom, settings.curtaining_angstrom, rng)
    return Lamella(
        middle,
        settings.thickness_angstrom / settings.voxel_size_angstrom / 2.0,
        float(np.tan(np.deg2rad(settings.lamella_pitch_degrees))),
        float(np.tan(np.deg2rad(settings.lamella_tilt_degrees))),
        settings.shape,
        furrows,
    )


def _packing_radius(molecule: Molecule) -> float:
    """In voxels. The bounding radius wastes room around long molecules, but nothing overlaps."""
    return molecule.radius_angstrom / molecule.voxel_size_angstrom
