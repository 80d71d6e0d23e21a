"""A lamella with molecules at known places: the density that a tomogram is made of, and its truth."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from tomopicker.errors import UsageError
from tomopicker.simulate.background import add_lump, crowd_density, membrane_density, membrane_distance
from tomopicker.simulate.molecules import Molecule, builtin_molecule
from tomopicker.simulate.placement import OtherPositions, OtherRotations, Packing, Rotations, random_rotations
from tomopicker.simulate.resample import paste_rotated
from tomopicker.types import Positions, Shape, Volume

_MEMBRANE_CLEARANCE_ANGSTROM = 25.0
"""From a membrane's middle to the nearest surface of a molecule, less a fifth of the molecule's radius."""


@dataclass(frozen=True)
class SceneSettings:
    """What a lamella holds.

    Attributes
    ----------
    shape : Shape
        (z, y, x) in voxels.
    voxel_size_angstrom : float
    thickness_angstrom : float
        Of the lamella; vacuum above and below.
    middle_voxels : float or None
        z of the lamella's middle; None: the volume's.
    target : str
        Name of the molecule whose places are the truth.
    n_targets : int
    distractors : tuple of (str, int)
        Names and counts of the other molecules.
    touching_fraction : float
        Share of the targets placed right beside another one.
    crowd_fraction : float
        Of the lamella's volume that unresolved small molecules fill.
    n_membranes, n_lumps : int
        Closed membranes, and dense granules without a shape of their own.
    border_voxels : float
        Centres stay this far from the faces in x and y.
    """

    shape: Shape
    voxel_size_angstrom: float
    thickness_angstrom: float
    target: str = "ribosome"
    n_targets: int = 20
    distractors: tuple[tuple[str, int], ...] = ()
    touching_fraction: float = 0.1
    crowd_fraction: float = 0.12
    n_membranes: int = 2
    n_lumps: int = 1
    border_voxels: float = 6.0
    middle_voxels: float | None = None

    def __post_init__(self) -> None:
        if len(self.shape) != 3 or min(self.shape) < 16:
            raise UsageError(f"shape {self.shape}: (z, y, x) of at least 16 voxels a side is needed")
        if not 1.0 <= self.voxel_size_angstrom <= 60.0:
            raise UsageError(f"voxel size {self.voxel_size_angstrom} Å: must be between 1 and 60 Å")
        if not 0.0 < self.thickness_angstrom <= self.shape[0] * self.voxel_size_angstrom:
            raise UsageError(f"lamella of {self.thickness_angstrom:g} Å: must be thinner than the volume's z")
        if min(self.n_targets, self.n_membranes, self.n_lumps, *(n for _, n in self.distractors), 0) < 0:
            raise UsageError("a scene cannot hold a negative number of things")
        if not (0.0 <= self.touching_fraction <= 1.0 and 0.0 <= self.crowd_fraction <= 0.6):
            raise UsageError("touching fraction must be between 0 and 1, crowd fraction between 0 and 0.6")


@dataclass(frozen=True, eq=False)
class Scene:
    """A density and its truth.

    Attributes
    ----------
    density : Volume, (z, y, x)
        1 = compact protein in excess of the solvent; 0 in vacuum.
    positions : Positions, (n, 3)
        Centres of mass of the targets, (x, y, z) in voxels from the centre of the first one.
    orientations : (n, 3, 3)
        Turn (x, y, z) of the molecule into (x, y, z) of the scene.
    distractor_positions, distractor_orientations
        The same of all other molecules, in one list.
    distractor_classes : tuple of str
        Their names, row by row.
    """

    density: Volume
    positions: Positions
    orientations: Rotations
    distractor_positions: OtherPositions
    distractor_orientations: OtherRotations
    distractor_classes: tuple[str, ...]


def build_scene(
    settings: SceneSettings,
    seed: int,
    library: Mapping[str, Molecule] | None = None,
    target_positions: Positions | None = None,
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
        places.

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
    n_z, n_y, n_x = settings.shape

    middle = (n_z - 1) / 2.0 if settings.middle_voxels is None else settings.middle_voxels
    half = settings.thickness_angstrom / voxel / 2.0
    border = settings.border_voxels
    low = np.array([min(border, n_x / 2), min(border, n_y / 2), middle - half])
    high = np.array([max(n_x - 1 - border, n_x / 2), max(n_y - 1 - border, n_y / 2), middle + half])

    distance = membrane_distance(settings.shape, voxel, settings.n_membranes, rng)

    def clear_of_membranes(centre: np.ndarray, radius: float) -> bool:
        x, y, z = np.clip(np.rint(centre).astype(int), 0, [n_x - 1, n_y - 1, n_z - 1])
        return bool(distance[z, y, x] > _MEMBRANE_CLEARANCE_ANGSTROM + 0.8 * radius * voxel)

    packing = Packing(low, high, clear_of_membranes, rng)
    target = molecules[settings.target]
    if target_positions is not None:
        packing.occupy(target_positions, _packing_radius(target))
    # Lumps first, as they need the most room; then the targets; then the rest by falling size.
    radius = 110.0 / voxel
    lumps = packing.place(settings.n_lumps, radius)
    density = np.zeros(settings.shape, dtype=np.float32)
    for x, y, z in lumps:
        add_lump(density, (z, y, x), radius * rng.uniform(0.6, 1.0), rng)

    positions = (
        packing.place(settings.n_targets, _packing_radius(target), settings.touching_fraction)
        if target_positions is None
        else target_positions
    )
    orientations = random_rotations(len(positions), rng)
    _paste(density, target, positions, orientations)

    others: list[Positions] = [np.zeros((0, 3))]
    turns: list[Rotations] = [np.zeros((0, 3, 3))]
    classes: list[str] = []
    for name, count in sorted(settings.distractors, key=lambda pair: -molecules[pair[0]].radius_angstrom):
        others.append(packing.place(count, _packing_radius(molecules[name]), settings.touching_fraction))
        turns.append(random_rotations(len(others[-1]), rng))
        classes += [name] * len(others[-1])
        _paste(density, molecules[name], others[-1], turns[-1])

    slab = _slab(n_z, middle, half)
    _add_surroundings(density, distance, slab, settings, rng)
    return Scene(density, positions, orientations, np.concatenate(others), np.concatenate(turns), tuple(classes))


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


def _packing_radius(molecule: Molecule) -> float:
    """In voxels. The bounding radius wastes room around long molecules, but nothing overlaps."""
    return molecule.radius_angstrom / molecule.voxel_size_angstrom


def _paste(density: Volume, molecule: Molecule, positions: Positions, orientations: Rotations) -> None:
    coefficients = ndimage.spline_filter(molecule.density, order=3, output=np.float32, mode="mirror")
    for position, rotation in zip(positions, orientations, strict=True):
        paste_rotated(density, coefficients, position[::-1], rotation[::-1, ::-1])


def _slab(n_z: int, middle: float, half: float) -> np.ndarray:
    """1 inside the lamella, 0 in vacuum, with a soft voxel between, along z."""
    profile = np.clip(half + 0.5 - np.abs(np.arange(n_z) - middle), 0.0, 1.0)
    return np.asarray(profile, dtype=np.float32)


def _add_surroundings(
    density: Volume, distance: Volume, slab: np.ndarray, settings: SceneSettings, rng: np.random.Generator
) -> None:
    """Add membranes and the crowd in place, in the lamella and in the room that the molecules leave."""
    room = np.multiply(density, -2.5)
    np.clip(room, -1.0, 0.0, out=room)
    room += 1.0
    room *= slab[:, None, None]
    if settings.n_membranes:
        membrane = membrane_density(distance, settings.voxel_size_angstrom)
        # Nothing crosses a molecule: one of a given layout may lie where a membrane would.
        membrane *= room
        density += membrane
        np.clip(membrane, 0.0, 1.0, out=membrane)
        np.subtract(1.0, membrane, out=membrane)
        room *= membrane
    if settings.crowd_fraction:
        crowd = crowd_density(settings.shape, settings.voxel_size_angstrom, settings.crowd_fraction, rng)
        crowd *= room
        density += crowd
