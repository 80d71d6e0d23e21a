"""Random little tomograms at working scale, with the class of molecule at every position."""

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
"""Of a scene, in working voxels; periodic, so that molecules wrap around."""
TRIED = (60, 260)
"""Number of molecules tried; about half find room."""
TARGET_RADIUS = 3.0
"""Of the ball that carries a molecule's label, in working voxels."""
CLIP_SD = 4.0


@dataclass(frozen=True)
class Scene:
    """A little tomogram with truth: (z, y, x), standardised, molecules dark.

    Positions are the voxels (z, y, x) of their centres, classes count from 0.
    """

    volume: Volume
    positions: Int64[np.ndarray, "n 3"]
    classes: Int64[np.ndarray, " n"]


def draw_scene(library: MoleculeLibrary, rng: np.random.Generator) -> Scene:
    """Draw a scene of membranes, molecules that do not overlap and unlabelled background; imaged, with noise."""
    density = np.zeros((EDGE, EDGE, EDGE), np.float32)
    taken = np.zeros(density.shape, bool)
    for _ in range(rng.poisson(0.8)):
        taken |= add_membrane(density, rng)
    positions, classes = place_molecules(library.radii, np.arange(len(library.radii)), None, taken, rng)
    for position, class_index in zip(positions, classes, strict=True):
        add(density, random_orientation(library, int(class_index), rng) * np.float32(rng.uniform(0.85, 1.15)), position)
    add_background(density, library, rng)
    return Scene(_imaged(density, rng), positions, classes)


def label(scene: Scene) -> Int64[np.ndarray, "z y x"]:
    """Label a scene at half resolution: 0 background, 1 + class in a ball about a centre, -1 in the shell around."""
    half = EDGE // 2
    labels = np.zeros((half, half, half), np.int64)
    draw_balls(labels, scene.positions, TARGET_RADIUS, np.full(len(scene.classes), IGNORED))
    draw_balls(labels, scene.positions, TARGET_RADIUS / 2, scene.classes + 1)
    return labels


def draw_balls(
    labels: Int64[np.ndarray, "z y x"],
    positions: Int64[np.ndarray, "n 3"],
    radius: float,
    values: Int64[np.ndarray, " n"],
) -> None:
    """Write values into balls about positions of a periodic scene, in place.

    Labels have half the scene's resolution; the radius is in their voxels.
    """
    reach = np.arange(-int(radius) - 1, int(radius) + 2)
    for middle, value in zip((positions + 0.5) / 2 - 0.5, values, strict=True):
        near = np.round(middle).astype(int)[:, None] + reach
        z, y, x = (near - middle[:, None]) ** 2
        ball = z[:, None, None] + y[:, None] + x <= radius**2
        box = np.ix_(*(near % len(labels)))
        labels[box] = np.where(ball, value, labels[box])


def place_molecules(
    radii: Float64[np.ndarray, " all"],
    kinds: Int64[np.ndarray, " kinds"],
    shares: Float64[np.ndarray, " kinds"] | None,
    taken: np.ndarray,
    rng: np.random.Generator,
) -> tuple[Int64[np.ndarray, "n 3"], Int64[np.ndarray, " n"]]:
    """Try random positions one after the other, and keep molecules that touch nothing.

    Parameters
    ----------
    radii : array, shape (all,)
        Of every molecule of a library, in working voxels.
    kinds : array, shape (kinds,)
        The molecules that are tried.
    shares : array, shape (kinds,), optional
        How often each is tried, of 1; all alike if left out.
    taken : array of bool
        Voxels where no centre may lie.
    rng : numpy Generator
    """
    tried = int(rng.uniform(*TRIED))
    positions = rng.integers(0, EDGE, (tried, 3))
    chosen = rng.integers(0, len(kinds), tried) if shares is None else rng.choice(len(kinds), tried, p=shares)
    classes = kinds[chosen]
    closeness = rng.uniform(0.75, 1.15)  # Of two spheres: below 1 they may overlap, as molecules that are not round do.
    kept: list[int] = []
    for index in range(tried):
        if taken[tuple(positions[index])]:
            continue
        away = np.abs(positions[kept] - positions[index])
        away = np.minimum(away, EDGE - away)
        least = closeness * (radii[classes[kept]] + radii[classes[index]])
        if not (np.sqrt((away**2).sum(axis=1)) < least).any():
            kept.append(index)
    return positions[kept], classes[kept]


def random_orientation(library: MoleculeLibrary, class_index: int, rng: np.random.Generator) -> Box:
    """Give a molecule in one of its orientations and one of the 24 rotations of a cube.

    The rotation is about the molecule's centre, voxel 12: a cube of 24 rotated whole, about 11.5, would shift it.
    """
    box = library.densities[class_index, rng.integers(library.densities.shape[1])][1:, 1:, 1:]
    up = int(rng.integers(6))
    box = np.rot90(box, up, (0, 1)) if up < 4 else np.rot90(box, 1 if up == 4 else 3, (0, 2))
    rotated: Box = np.rot90(box, int(rng.integers(4)), (1, 2)).astype(np.float32)
    return np.pad(rotated, ((1, 0), (1, 0), (1, 0)))


def add(density: Volume, box: Box, position: np.ndarray) -> None:
    """Add a molecule to a periodic density, its centre on a voxel (z, y, x)."""
    steps = np.arange(len(box)) - len(box) // 2
    density[np.ix_(*((middle + steps) % EDGE for middle in position))] += box


def add_background(density: Volume, library: MoleculeLibrary, rng: np.random.Generator) -> None:
    """Add what is not labelled: molecules of half the size, specks, dense lumps."""
    for _ in range(int(rng.uniform(0, 250))):
        whole = random_orientation(library, int(rng.integers(len(library.radii))), rng)
        half = BOX // 2
        add(density, whole.reshape(half, 2, half, 2, half, 2).mean(axis=(1, 3, 5)), rng.integers(0, EDGE, 3))
    specks = np.zeros_like(density)
    where = rng.integers(0, EDGE, (3, int(rng.uniform(0, 0.01 * EDGE**3))))
    specks[tuple(where)] = rng.uniform(0.2, 1, where.shape[1])
    density += ndimage.gaussian_filter(specks, rng.uniform(0.7, 1.3), mode="wrap") * rng.uniform(0, 12)
    for _ in range(rng.poisson(0.3)):
        middle, sd = rng.integers(0, EDGE, 3), rng.uniform(2, 5)
        away = (np.arange(EDGE) - middle[:, None] + EDGE / 2) % EDGE - EDGE / 2
        z, y, x = np.exp(-((away / sd) ** 2) / 2).astype(np.float32)
        density += np.float32(rng.uniform(1, 3)) * z[:, None, None] * y[:, None] * x


def add_membrane(density: Volume, rng: np.random.Generator) -> np.ndarray:
    """Add a sheet or a vesicle of two leaflets; give the voxels next to it."""
    grid = np.arange(EDGE, dtype=np.float32)
    centre = rng.uniform(0, EDGE, 3)
    z, y, x = (grid - middle for middle in centre)
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


def _imaged(density: Volume, rng: np.random.Generator) -> Float32[np.ndarray, "z y x"]:
    """Image a density, add the noise of the electrons and of an unresolved cytosol, standardise as tomograms are."""
    imaging = draw_imaging(EDGE, rng)
    signal = imaging.image(density)
    electrons = imaging.noise(density.shape, np.exp(rng.uniform(np.log(0.2), np.log(2.0))), rng)
    cytosol = imaging.image(imaging.noise(density.shape, rng.uniform(0.14, 0.42), rng))
    cytosol /= max(float(cytosol.std()), 1e-6)
    volume = signal / signal.std() + np.exp(rng.uniform(np.log(0.2), np.log(2.2))) * electrons
    volume += rng.uniform(0, 0.5) * cytosol
    return standardised(volume)


def standardised(volume: Float[np.ndarray, "z y x"]) -> Volume:
    """Standardise, clip at 4 standard deviations, standardise: as tomograms are."""
    volume = np.clip((volume - volume.mean()) / volume.std(), -CLIP_SD, CLIP_SD)
    return ((volume - volume.mean()) / volume.std()).astype(np.float32)  # type: ignore[no-any-return]
