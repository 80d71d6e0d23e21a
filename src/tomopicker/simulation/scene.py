"""A lamella with molecules at known places: the density that a tomogram is made of, and its truth."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import count

import numpy as np
from jaxtyping import Float64

from tomopicker.errors import UsageError
from tomopicker.simulation import inclusions, placement
from tomopicker.simulation.lamella import Lamella, furrow_faces
from tomopicker.simulation.membranes import Membranes, draw_sheets, membrane_density, vesicles_at
from tomopicker.simulation.molecules import Molecule, builtin_molecule
from tomopicker.simulation.placement import Rotations, SpherePacking, random_rotations
from tomopicker.simulation.projection import Progress, no_progress
from tomopicker.simulation.settings import SceneSettings
from tomopicker.types import Positions, Volume

_MEMBRANE_CLEARANCE_ANGSTROM = 25.0
"""From a membrane's middle to the nearest surface of a molecule, less a fifth of the molecule's radius."""
_VESICLE_ANGSTROM = (150.0, 350.0)
_GRANULE_ANGSTROM = 110.0
_ICE_ANGSTROM = (150.0, 450.0)
_SLAB_VOXELS = 2**24
"""Worked on at a time where the whole volume would take many times its memory."""


@dataclass(frozen=True, eq=False)
class Truth:
    """Positions and orientations of the molecules of a scene, targets and distractors.

    Positions are centres of mass, (x, y, z) in voxels from the centre of the first one; orientations rotate (x, y, z)
    of the molecule into (x, y, z) of the scene; classes are names, row by row.
    """

    positions: Positions
    orientations: Rotations
    distractor_positions: Float64[np.ndarray, "m 3"]
    distractor_orientations: Float64[np.ndarray, "m 3 3"]
    distractor_classes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Scene:
    """A density (z, y, x) and its truth: 1 = compact protein in excess of the solvent; 0 in vacuum."""

    truth: Truth
    density: Volume


def build_scene(
    settings: SceneSettings,
    seed: int,
    library: Mapping[str, Molecule] | None = None,
    target_positions: Positions | None = None,
    progress: Progress = no_progress,
) -> Scene:
    """Fill a lamella; the same seed gives the same scene.

    A full lamella has fewer molecules than the settings. The library has the molecules by name at the
    settings' voxel size; without it they are the built-in ones. Target positions, (x, y, z) in voxels, are a layout to
    keep, close pairs included, in place of random positions; close molecules get orientations that interlock.

    Raises `UsageError` if a molecule is not in the library, or was made for another voxel size.
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
        return bool(nearest > _MEMBRANE_CLEARANCE_ANGSTROM + 0.8 * radius * voxel)

    packing = SpherePacking(lamella, settings.border_voxels, clear_of_membranes, rng)
    # The bounding radius wastes room around long molecules, but nothing overlaps.
    radii = {name: molecule.radius_angstrom / voxel for name, molecule in molecules.items()}
    target = settings.target
    if target_positions is not None:
        packing.occupy(target_positions, radii[target])
    density = np.zeros(settings.shape, dtype=np.float32)
    # The largest first, then the targets, then the rest by falling size.
    vesicles = [
        (centre, float(radius))
        for radius in np.sort(rng.uniform(*_VESICLE_ANGSTROM, size=settings.n_vesicles))[::-1]
        for centre in packing.place(1, radius / voxel)
    ]
    membranes = Membranes(settings.shape, voxel, sheets + vesicles_at(vesicles, voxel))
    _add_filaments(density, settings, lamella, packing, rng)
    _add_inclusions(density, settings, lamella, packing, rng)

    done = count(1)
    expected = settings.n_targets + sum(number for _, number in settings.distractors)

    def pasted() -> None:
        progress("molecules", next(done), expected)

    if target_positions is None:
        positions = packing.place(
            settings.n_targets, radii[target], settings.touching_fraction, settings.clustered_fraction,
            settings.cluster_size,
        )  # fmt: skip
        orientations = random_rotations(len(positions), rng)
        placement.add_molecules(density, molecules[target], positions, orientations, pasted)
    else:
        positions = target_positions
        orientations = placement.place_without_overlap(density, molecules[target], positions, rng, pasted)

    others: list[Positions] = [np.zeros((0, 3))]
    rotations: list[Rotations] = [np.zeros((0, 3, 3))]
    classes: list[str] = []
    for name, number in sorted(settings.distractors, key=lambda pair: -molecules[pair[0]].radius_angstrom):
        others.append(packing.place(number, radii[name], settings.touching_fraction))
        rotations.append(random_rotations(len(others[-1]), rng))
        classes += [name] * len(others[-1])
        placement.add_molecules(density, molecules[name], others[-1], rotations[-1], pasted)

    _add_surroundings(density, membranes, lamella, settings, rng, progress)
    truth = Truth(positions, orientations, np.concatenate(others), np.concatenate(rotations), tuple(classes))
    return Scene(truth, density)


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
    half = settings.thickness_angstrom / settings.voxel_size_angstrom / 2.0
    slope_y, slope_x = np.tan(np.deg2rad([settings.lamella_pitch_degrees, settings.lamella_tilt_degrees]))
    return Lamella(middle, half, float(slope_y), float(slope_x), settings.shape, furrows)


def _add_filaments(
    density: Volume, settings: SceneSettings, lamella: Lamella, packing: SpherePacking, rng: np.random.Generator
) -> None:
    """Add filaments to an empty density (z, y, x), and occupy their places."""
    voxel = settings.voxel_size_angstrom
    numbers = {inclusions.MICROTUBULE: settings.n_microtubules, inclusions.ACTIN: settings.n_actin_filaments}
    for filament, number in numbers.items():
        for _ in range(number):
            path = inclusions.draw_path(filament, lamella, voxel, packing.is_clear, rng)
            if path is not None:
                packing.occupy(path, filament.radius_angstrom / voxel)
                inclusions.add_filament(density, path, filament, voxel, rng)
    if density.any():  # What stands out of the lamella was milled away.
        n_z, n_y, n_x = settings.shape
        for sections in _slabs(slice(0, n_z), n_y * n_x):
            density[sections] *= lamella.inside((sections, slice(0, n_y), slice(0, n_x)))


def _add_inclusions(
    density: Volume, settings: SceneSettings, lamella: Lamella, packing: SpherePacking, rng: np.random.Generator
) -> None:
    """Add granules and gold among the molecules, and ice on the faces."""
    radius = _GRANULE_ANGSTROM / settings.voxel_size_angstrom
    for x, y, z in packing.place(settings.n_lumps, radius):
        inclusions.add_granule(density, (z, y, x), radius * rng.uniform(0.6, 1.0), rng)
    radius = settings.gold_diameter_angstrom / 2.0 / settings.voxel_size_angstrom
    for x, y, z in packing.place(settings.n_gold_beads, radius):
        inclusions.add_gold_bead(density, (z, y, x), radius)
    _, n_y, n_x = settings.shape
    for _ in range(settings.n_ice_lumps):
        radius = rng.uniform(*_ICE_ANGSTROM) / settings.voxel_size_angstrom
        y, x = rng.uniform(0, n_y), rng.uniform(0, n_x)
        side = rng.choice([-1.0, 1.0])
        z = float(lamella.middle(y, x)) + side * (lamella.half_voxels + 0.4 * radius)
        inclusions.add_ice(density, (z, y, x), radius, lamella, rng)


def _add_surroundings(
    density: Volume,
    membranes: Membranes,
    lamella: Lamella,
    settings: SceneSettings,
    rng: np.random.Generator,
    progress: Progress,
) -> None:
    """Add membranes and small molecules where the others leave room, and the faces of the lamella, in place."""
    _, n_y, n_x = settings.shape
    background = inclusions.draw_background(settings.shape, settings.voxel_size_angstrom, settings.crowd_fraction, rng)
    grain = None
    if settings.coating_density:
        grain = (settings.coating_density * np.abs(rng.normal(size=(n_y, n_x)))).astype(np.float32)
    slabs = list(_slabs(lamella.filled(), n_y * n_x))
    for number, sections in enumerate(slabs):
        progress("cytosol", number, len(slabs))
        region = (sections, slice(0, n_y), slice(0, n_x))
        room = np.clip(1.0 - 2.5 * density[sections], 0.0, 1.0)
        room *= lamella.inside(region)
        if membranes.surfaces:
            # Nothing crosses a molecule: one of a given layout may lie where a membrane would.
            membrane, outside = membrane_density(membranes.distance(region), settings.voxel_size_angstrom)
            membrane *= room
            density[sections] += membrane
            room *= outside
        if settings.crowd_fraction:
            small = background.density(sections)
            np.minimum(small, 1.0, out=small)  # Overlapping Gaussians are no denser than protein.
            small *= room
            density[sections] += small
        ridges = lamella.ridges(region)
        if ridges is not None:
            density[sections] += ridges
        if grain is not None:
            density[sections] += lamella.coating(region, grain)


def _slabs(filled: slice, voxels_per_section: int) -> Iterator[slice]:
    thickness = max(8, _SLAB_VOXELS // voxels_per_section)
    for start in range(filled.start, filled.stop, thickness):
        yield slice(start, min(start + thickness, filled.stop))
