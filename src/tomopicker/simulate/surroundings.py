"""What is added to a scene around its molecules: filaments, granules, gold, ice, membranes, the cytosol, the faces."""

from collections.abc import Iterator

import numpy as np

from tomopicker.simulate.cytosol import draw_crowd
from tomopicker.simulate.filaments import ACTIN, MICROTUBULE, add_filament, draw_path
from tomopicker.simulate.inclusions import add_gold_bead, add_granule, add_ice
from tomopicker.simulate.lamella import Lamella
from tomopicker.simulate.membranes import Membranes, membrane_density
from tomopicker.simulate.placement import Packing
from tomopicker.simulate.projection import Progress
from tomopicker.simulate.settings import SceneSettings
from tomopicker.types import Volume

_GRANULE_ANGSTROM = 110.0
_ICE_ANGSTROM = (150.0, 450.0)
_SLAB_VOXELS = 2**24
"""Worked on at a time where the whole volume would take many times its memory."""


def add_filaments(
    density: Volume, settings: SceneSettings, lamella: Lamella, packing: Packing, rng: np.random.Generator
) -> None:
    """Add filaments to a density (z, y, x) that is empty yet, and take their places."""
    voxel = settings.voxel_size_angstrom
    for wanted, filament in ((settings.n_microtubules, MICROTUBULE), (settings.n_actin_filaments, ACTIN)):
        for _ in range(wanted):
            path = draw_path(filament, lamella, voxel, packing.is_clear, rng)
            if path is not None:
                packing.occupy(path, filament.radius_angstrom / voxel)
                add_filament(density, path, filament, voxel, rng)
    if density.any():  # What stands out of the lamella was milled away.
        n_z, n_y, n_x = settings.shape
        for sections in _slabs(slice(0, n_z), n_y * n_x):
            density[sections] *= lamella.inside((sections, slice(0, n_y), slice(0, n_x)))


def add_inclusions(
    density: Volume, settings: SceneSettings, lamella: Lamella, packing: Packing, rng: np.random.Generator
) -> None:
    """Add granules and gold among the molecules, and ice on the faces."""
    radius = _GRANULE_ANGSTROM / settings.voxel_size_angstrom
    for x, y, z in packing.place(settings.n_lumps, radius):
        add_granule(density, (z, y, x), radius * rng.uniform(0.6, 1.0), rng)
    radius = settings.gold_diameter_angstrom / 2.0 / settings.voxel_size_angstrom
    for x, y, z in packing.place(settings.n_gold_beads, radius):
        add_gold_bead(density, (z, y, x), radius)
    for _ in range(settings.n_ice_lumps):
        radius = rng.uniform(*_ICE_ANGSTROM) / settings.voxel_size_angstrom
        _, n_y, n_x = settings.shape
        y, x = rng.uniform(0, n_y), rng.uniform(0, n_x)
        side = rng.choice([-1.0, 1.0])
        z = float(lamella.middle(y, x)) + side * (lamella.half_voxels + 0.4 * radius)
        add_ice(density, (z, y, x), radius, lamella, rng)


def add_surroundings(
    density: Volume,
    membranes: Membranes,
    lamella: Lamella,
    settings: SceneSettings,
    rng: np.random.Generator,
    progress: Progress,
) -> None:
    """Add membranes and the crowd in place, in the lamella and in the room that the molecules leave."""
    _, n_y, n_x = settings.shape
    crowd = draw_crowd(settings.shape, settings.voxel_size_angstrom, settings.crowd_fraction, rng)
    grain = None
    if settings.coating_density:
        grain = (settings.coating_density * np.abs(rng.normal(size=(n_y, n_x)))).astype(np.float32)
    filled = lamella.filled()
    slabs = list(_slabs(filled, n_y * n_x))
    for number, sections in enumerate(slabs):
        progress("cytosol", number, len(slabs))
        region = (sections, slice(0, n_y), slice(0, n_x))
        room = np.clip(1.0 - 2.5 * density[sections], 0.0, 1.0)
        room *= lamella.inside(region)
        if membranes.surfaces:
            distance = membranes.distance(region)
            # Nothing crosses a molecule: one of a given layout may lie where a membrane would.
            membrane, beside = membrane_density(distance, settings.voxel_size_angstrom)
            membrane *= room
            density[sections] += membrane
            room *= beside
        if settings.crowd_fraction:
            small = crowd.density(sections)
            np.minimum(small, 1.0, out=small)  # Gaussians may fall on one another; no protein is denser than itself.
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
