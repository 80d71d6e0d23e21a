"""Small random tomograms at working scale, with the class of molecule at every position."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, Float64, Int64
from scipy import ndimage

from tomopicker.pretraining.imaging import draw_imaging
from tomopicker.pretraining.molecules import BOX, MoleculeLibrary
from tomopicker.training.labels import IGNORED
from tomopicker.types import Volume

Box = Float32[np.ndarray, "edge edge edge"]

EDGE = 72
"""Edge of a scene in working voxels; scenes are periodic, so molecules wrap around."""
N_ATTEMPTS = (60, 260)
"""Range of the number of molecules tried; there is room for about half of them."""
TARGET_RADIUS = 3.0
"""Outer radius of a molecule's label, in voxels of half resolution."""
CLIP_SD = 4.0


@dataclass(frozen=True)
class Scene:
    """A small tomogram (z, y, x) with truth, standardised, molecules dark.

    Positions are the voxels (z, y, x) of the molecules' centres; classes count from 0.
    """

    volume: Volume
    positions: Int64[np.ndarray, "n 3"]
    classes: Int64[np.ndarray, " n"]


def draw_scene(library: MoleculeLibrary, rng: np.random.Generator) -> Scene:
    """Draw a scene of membranes, molecules that do not overlap and unlabelled background; imaged, with noise."""
    density, positions, classes = draw_layout(library.radii, np.arange(len(library.radii)), None, rng)
    for position, class_index in zip(positions, classes, strict=True):
        add(density, random_orientation(library, int(class_index), rng) * np.float32(rng.uniform(0.85, 1.15)), position)
    add_background(density, library, rng)
    volume = draw_imaging(EDGE, rng).noisy_image(density, rng)
    return Scene(standardised(volume), positions, classes)


def label(scene: Scene) -> Int64[np.ndarray, "z y x"]:
    """Label a scene at half resolution: 0 background, 1 + class in a ball at each centre, -1 in the shell around it."""
    labels = np.zeros((EDGE // 2, EDGE // 2, EDGE // 2), np.int64)
    draw_balls(labels, scene.positions, TARGET_RADIUS, np.full(len(scene.classes), IGNORED))
    draw_balls(labels, scene.positions, TARGET_RADIUS / 2, scene.classes + 1)
    return labels


def draw_balls(
    labels: Int64[np.ndarray, "z y x"],
    positions: Int64[np.ndarray, "n 3"],
    radius: float,
    values: Int64[np.ndarray, " n"],
) -> None:
    """Write values in place into balls around positions of a periodic scene.

    Labels have half the scene's resolution; the radius is in their voxels.
    """
    offsets = np.arange(-int(radius) - 1, int(radius) + 2)
    for centre, value in zip((positions + 0.5) / 2 - 0.5, values, strict=True):
        near = np.round(centre).astype(int)[:, None] + offsets
        z, y, x = (near - centre[:, None]) ** 2
        ball = z[:, None, None] + y[:, None] + x <= radius**2
        box = np.ix_(*(near % len(labels)))
        labels[box] = np.where(ball, value, labels[box])


def draw_layout(
    radii: Float64[np.ndarray, " all"],
    kinds: Int64[np.ndarray, " kinds"],
    shares: Float64[np.ndarray, " kinds"] | None,
    rng: np.random.Generator,
) -> tuple[Volume, Int64[np.ndarray, "n 3"], Int64[np.ndarray, " n"]]:
    """Draw membranes, and positions and classes of molecules that touch neither them nor each other.

    Random positions are tried one after another, and kept if there is room.

    Parameters
    ----------
    radii : array, shape (all,)
        Radii of all molecules of a library, in working voxels.
    kinds : array, shape (kinds,)
        The molecules that are tried.
    shares : array, shape (kinds,), optional
        Probability of each; equal by default.
    rng : numpy Generator

    Returns
    -------
    density : array, shape (edge, edge, edge)
        Density of the membranes alone.
    positions : array, shape (n, 3)
    classes : array, shape (n,)
    """
    density = np.zeros((EDGE, EDGE, EDGE), np.float32)
    occupied = np.zeros(density.shape, bool)
    for _ in range(rng.poisson(0.8)):
        occupied |= _add_membrane(density, rng)
    n_attempts = int(rng.uniform(*N_ATTEMPTS))
    positions = rng.integers(0, EDGE, (n_attempts, 3))
    chosen = rng.integers(0, len(kinds), n_attempts) if shares is None else rng.choice(len(kinds), n_attempts, p=shares)
    classes = kinds[chosen]
    # Minimum distance relative to the sum of the radii; molecules that are not round may come closer than spheres.
    closeness = rng.uniform(0.75, 1.15)
    kept: list[int] = []
    for index in range(n_attempts):
        if occupied[tuple(positions[index])]:
            continue
        distances = np.abs(positions[kept] - positions[index])
        distances = np.minimum(distances, EDGE - distances)
        min_distance = closeness * (radii[classes[kept]] + radii[classes[index]])
        if not (np.sqrt((distances**2).sum(axis=1)) < min_distance).any():
            kept.append(index)
    return density, positions[kept], classes[kept]


def random_orientation(library: MoleculeLibrary, class_index: int, rng: np.random.Generator) -> Box:
    """Return a molecule in one of its orientations, rotated by one of the 24 rotations of a cube.

    The rotation is about the molecule's centre, voxel 12, and not about the centre of the box, 11.5.
    """
    box = library.densities[class_index, rng.integers(library.densities.shape[1])][1:, 1:, 1:]
    up = int(rng.integers(6))
    box = np.rot90(box, up, (0, 1)) if up < 4 else np.rot90(box, 1 if up == 4 else 3, (0, 2))
    rotated: Box = np.rot90(box, int(rng.integers(4)), (1, 2)).astype(np.float32)
    return np.pad(rotated, ((1, 0), (1, 0), (1, 0)))


def add(density: Volume, box: Box, position: np.ndarray) -> None:
    """Add a molecule to a periodic density in place, its centre on a voxel (z, y, x)."""
    offsets = np.arange(len(box)) - len(box) // 2
    density[np.ix_(*((centre + offsets) % EDGE for centre in position))] += box


def add_background(density: Volume, library: MoleculeLibrary, rng: np.random.Generator) -> None:
    """Add unlabelled matter in place: molecules of half the size, specks, dense lumps."""
    for _ in range(int(rng.uniform(0, 250))):
        whole = random_orientation(library, int(rng.integers(len(library.radii))), rng)
        half = BOX // 2
        add(density, whole.reshape(half, 2, half, 2, half, 2).mean(axis=(1, 3, 5)), rng.integers(0, EDGE, 3))
    specks = np.zeros_like(density)
    voxels = rng.integers(0, EDGE, (3, int(rng.uniform(0, 0.01 * EDGE**3))))
    specks[tuple(voxels)] = rng.uniform(0.2, 1, voxels.shape[1])
    density += ndimage.gaussian_filter(specks, rng.uniform(0.7, 1.3), mode="wrap") * rng.uniform(0, 12)
    for _ in range(rng.poisson(0.3)):
        centre, sd = rng.integers(0, EDGE, 3), rng.uniform(2, 5)
        offsets = (np.arange(EDGE) - centre[:, None] + EDGE / 2) % EDGE - EDGE / 2
        z, y, x = np.exp(-((offsets / sd) ** 2) / 2).astype(np.float32)
        density += np.float32(rng.uniform(1, 3)) * z[:, None, None] * y[:, None] * x


def _add_membrane(density: Volume, rng: np.random.Generator) -> np.ndarray:
    """Add a sheet or a vesicle of two leaflets in place; return a mask of the membrane and its vicinity."""
    grid = np.arange(EDGE, dtype=np.float32)
    z, y, x = (grid - centre for centre in rng.uniform(0, EDGE, 3))
    if rng.random() < 0.5:
        normal = rng.standard_normal(3)
        a, b, c = normal / np.linalg.norm(normal)
        depth = a * z[:, None, None] + b * y[:, None] + c * x
    else:
        depth = np.sqrt(z[:, None, None] ** 2 + y[:, None] ** 2 + x**2) - rng.uniform(6, 40)
    half_gap, sd = rng.uniform(0.5, 1.2), rng.uniform(0.35, 0.8)
    leaflets = np.exp(-(((np.abs(depth) - half_gap) / sd) ** 2) / 2) * rng.uniform(0.3, 1.2)
    density += leaflets.astype(np.float32)
    return np.asarray(np.abs(depth) < half_gap + 3)


def standardised(volume: Float[np.ndarray, "z y x"]) -> Volume:
    """Standardise, clip at 4 standard deviations, and standardise again, as is done with tomograms."""
    volume = np.clip((volume - volume.mean()) / volume.std(), -CLIP_SD, CLIP_SD)
    return ((volume - volume.mean()) / volume.std()).astype(np.float32)  # type: ignore[no-any-return]
