"""A lamella with molecules at known positions: the density that is imaged, and the ground truth."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import count

import numpy as np

from tomopicker.errors import UsageError
from tomopicker.simulation import inclusions, placement
from tomopicker.simulation.lamella import Lamella, furrow_faces
from tomopicker.simulation.membranes import Membranes, Surface, draw_sheets, membrane_density
from tomopicker.simulation.molecules import Molecule, builtin_molecule
from tomopicker.simulation.placement import PlacedMolecules, SpherePacking, random_rotations
from tomopicker.simulation.projection import Progress, no_progress
from tomopicker.simulation.settings import SceneSettings
from tomopicker.types import Positions, Volume

_MEMBRANE_CLEARANCE_ANGSTROM = 25.0
"""Distance between a membrane's mid-surface and a molecule, less a fifth of the molecule's radius."""
_VESICLE_RADIUS_ANGSTROM = (150.0, 350.0)
_GRANULE_RADIUS_ANGSTROM = 110.0
_ICE_RADIUS_ANGSTROM = (150.0, 450.0)
_SLAB_VOXELS = 2**24
"""Voxels processed at a time, to bound temporary memory."""


@dataclass(frozen=True, eq=False)
class Scene:
    """A density (z, y, x), 1 for compact protein in excess of the solvent and 0 in vacuum, and its molecules."""

    density: Volume
    targets: PlacedMolecules
    distractors: PlacedMolecules


def build_scene(
    settings: SceneSettings,
    seed: int,
    library: Mapping[str, Molecule] | None = None,
    layout: Positions | None = None,
    progress: Progress = no_progress,
) -> Scene:
    """Fill a lamella with molecules and their surroundings; the same seed gives the same scene.

    There are fewer molecules than the settings ask for where there is no room. The library has the molecules by name,
    at the settings' voxel size; without it they are the built-in ones. A layout, positions (x, y, z) in voxels, fixes
    the targets, close pairs included, whose orientations are chosen to interlock.

    Raises `UsageError` if a molecule is not in the library, or was made for another voxel size.
    """
    rng = np.random.default_rng(seed)
    voxel, target = settings.voxel_size_angstrom, settings.target
    names = [target, *(name for name, _ in settings.distractors)]
    molecules = {name: _molecule(name, voxel, library) for name in names}
    # The bounding radius wastes room around elongated molecules, but rules out overlaps.
    radii = {name: molecule.radius_angstrom / voxel for name, molecule in molecules.items()}
    sheets = draw_sheets(settings.shape, voxel, settings.n_membranes, settings.paired_membranes, rng)
    lamella = _lamella(settings, rng)
    membranes = Membranes(settings.shape, voxel, sheets)

    def avoids_membranes(centre: np.ndarray, radius: float) -> bool:
        distance = membranes.distance_at(centre)  # Of the membranes placed so far.
        return bool(distance > _MEMBRANE_CLEARANCE_ANGSTROM + 0.8 * radius * voxel)

    packing = SpherePacking(lamella, settings.border_voxels, avoids_membranes, rng)
    if layout is not None:
        packing.occupy(layout, radii[target])
    # The largest objects first, then the targets, then the other molecules by decreasing size.
    vesicles = tuple(
        Surface(centre[::-1] * voxel, np.full(3, float(radius)))
        for radius in np.sort(rng.uniform(*_VESICLE_RADIUS_ANGSTROM, size=settings.n_vesicles))[::-1]
        for centre in packing.place(1, radius / voxel)
    )
    membranes = Membranes(settings.shape, voxel, sheets + vesicles)
    density = np.zeros(settings.shape, dtype=np.float32)
    _add_filaments(density, settings, lamella, packing, rng)
    _add_inclusions(density, settings, lamella, packing, rng)

    n_placed = count(1)
    n_expected = settings.n_targets + sum(number for _, number in settings.distractors)

    def molecule_done() -> None:
        progress("molecules", next(n_placed), n_expected)

    def place(name: str, number: int, clustered_fraction: float = 0.0, cluster_size: int = 1) -> PlacedMolecules:
        touching = settings.touching_fraction
        positions = packing.place(number, radii[name], touching, clustered_fraction, cluster_size)
        orientations = random_rotations(len(positions), rng)
        placement.add_molecules(density, molecules[name], positions, orientations, molecule_done)
        return PlacedMolecules(positions, orientations, (name,) * len(positions))

    if layout is None:
        targets = place(target, settings.n_targets, settings.clustered_fraction, settings.cluster_size)
    else:
        orientations = placement.place_without_overlap(density, molecules[target], layout, rng, molecule_done)
        targets = PlacedMolecules(layout, orientations, (target,) * len(layout))
    by_size = sorted(settings.distractors, key=lambda pair: -radii[pair[0]])
    distractors = PlacedMolecules.concatenate([place(name, number) for name, number in by_size])

    _add_surroundings(density, membranes, lamella, settings, rng, progress)
    return Scene(density, targets, distractors)


def _molecule(name: str, voxel_size_angstrom: float, library: Mapping[str, Molecule] | None) -> Molecule:
    if library is None:
        return builtin_molecule(name, voxel_size_angstrom)
    if name not in library:
        raise UsageError(f"{name}: no such molecule; choose one of {', '.join(sorted(library))}")
    made_for = library[name].voxel_size_angstrom
    if abs(made_for - voxel_size_angstrom) > 1e-3:
        raise UsageError(f"{name}: has voxels of {made_for} Å, the scene of {voxel_size_angstrom} Å")
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
    """Add filaments to an empty density (z, y, x), and reserve their space."""
    voxel = settings.voxel_size_angstrom
    microtubules = [inclusions.MICROTUBULE] * settings.n_microtubules
    for filament in microtubules + [inclusions.ACTIN] * settings.n_actin_filaments:
        path = inclusions.draw_path(filament, lamella, voxel, packing.is_clear, rng)
        if path is not None:
            packing.occupy(path, filament.radius_angstrom / voxel)
            inclusions.add_filament(density, path, filament, voxel, rng)
    if density.any():  # Milling removes what protrudes from the lamella.
        n_z, n_y, n_x = settings.shape
        for sections in _slabs(slice(0, n_z), n_y * n_x):
            density[sections] *= lamella.inside((sections, slice(0, n_y), slice(0, n_x)))


def _add_inclusions(
    density: Volume, settings: SceneSettings, lamella: Lamella, packing: SpherePacking, rng: np.random.Generator
) -> None:
    """Add granules and gold, with their space reserved, and ice on the faces."""
    radius = _GRANULE_RADIUS_ANGSTROM / settings.voxel_size_angstrom
    for x, y, z in packing.place(settings.n_lumps, radius):
        inclusions.add_granule(density, (z, y, x), radius * rng.uniform(0.6, 1.0), rng)
    radius = settings.gold_diameter_angstrom / 2.0 / settings.voxel_size_angstrom
    for x, y, z in packing.place(settings.n_gold_beads, radius):
        inclusions.add_gold_bead(density, (z, y, x), radius)
    _, n_y, n_x = settings.shape
    for _ in range(settings.n_ice_lumps):
        radius = rng.uniform(*_ICE_RADIUS_ANGSTROM) / settings.voxel_size_angstrom
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
    """Add membranes and small molecules in the remaining space, and the lamella's curtaining and coating, in place."""
    _, n_y, n_x = settings.shape
    background = inclusions.draw_background(settings.shape, settings.voxel_size_angstrom, settings.crowd_fraction, rng)
    grain = None
    if settings.coating_density:
        grain = (settings.coating_density * np.abs(rng.normal(size=(n_y, n_x)))).astype(np.float32)
    slabs = list(_slabs(lamella.sections(), n_y * n_x))
    for number, sections in enumerate(slabs):
        progress("cytosol", number, len(slabs))
        region = (sections, slice(0, n_y), slice(0, n_x))
        free = np.clip(1.0 - 2.5 * density[sections], 0.0, 1.0)
        free *= lamella.inside(region)
        if membranes.surfaces:
            # A molecule of a given layout may lie across a membrane, which is interrupted there.
            membrane, outside = membrane_density(membranes.distance(region), settings.voxel_size_angstrom)
            membrane *= free
            density[sections] += membrane
            free *= outside
        if settings.crowd_fraction:
            small = background.density(sections)
            np.minimum(small, 1.0, out=small)  # Overlapping Gaussians are no denser than protein.
            small *= free
            density[sections] += small
        ridges = lamella.ridges(region)
        if ridges is not None:
            density[sections] += ridges
        if grain is not None:
            density[sections] += lamella.coating(region, grain)


def _slabs(sections: slice, voxels_per_section: int) -> Iterator[slice]:
    thickness = max(8, _SLAB_VOXELS // voxels_per_section)
    for start in range(sections.start, sections.stop, thickness):
        yield slice(start, min(start + thickness, sections.stop))
