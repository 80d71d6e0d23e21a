"""Random little tomograms at working scale, with the kind of molecule at every place: endless data to learn from."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int64
from scipy import ndimage

from tomopicker.data.labels import IGNORED
from tomopicker.pretraining.imaging import random_microscope
from tomopicker.pretraining.molecules import STAMP, Stamps
from tomopicker.types import Volume

Stamp = Float32[np.ndarray, "edge edge edge"]

EDGE = 72
"""Of a scene, in working voxels; it repeats itself at its faces, so that molecules wrap around."""
TRIED = (60, 260)
"""How many molecules are tried to be placed; about half find room."""
TARGET_RADIUS = 3.0
"""Of the ball that carries a molecule's label, in working voxels."""
CLIP_SD = 4.0


@dataclass(frozen=True)
class Scene:
    """A little tomogram with truth.

    Parameters
    ----------
    volume : Volume
        (z, y, x), standardised, molecules dark.
    places : array, shape (n, 3)
        Voxels of their centres, (z, y, x).
    kinds : array, shape (n,)
        Which molecule, counted from 0.
    """

    volume: Volume
    places: Int64[np.ndarray, "n 3"]
    kinds: Int64[np.ndarray, " n"]


def draw_scene(stamps: Stamps, rng: np.random.Generator) -> Scene:
    """Draw a scene: membranes, molecules that do not overlap, a small crowd, dense lumps; imaged, with noise."""
    density = np.zeros((EDGE, EDGE, EDGE), np.float32)
    taken = np.zeros(density.shape, bool)
    for _ in range(rng.poisson(0.8)):
        taken |= _add_membrane(density, rng)
    places, kinds = _place(stamps, taken, rng)
    for place, kind in zip(places, kinds, strict=True):
        _add(density, any_turn(stamps, int(kind), rng) * np.float32(rng.uniform(0.85, 1.15)), place)
    _add_crowd(density, stamps, rng)
    return Scene(_imaged(density, rng), places, kinds)


def label(scene: Scene) -> Int64[np.ndarray, "z y x"]:
    """Label a scene at half its resolution: 0 background, 1 + kind in a ball about a centre, -1 in the shell around."""
    half = EDGE // 2
    labels = np.zeros((half, half, half), np.int64)
    reach = np.arange(-int(TARGET_RADIUS) - 1, int(TARGET_RADIUS) + 2)
    middles = (scene.places + 0.5) / 2 - 0.5
    for radius, values in (
        (TARGET_RADIUS, np.full(len(scene.kinds), IGNORED)),
        (TARGET_RADIUS / 2, scene.kinds + 1),
    ):
        for middle, value in zip(middles, values, strict=True):
            near = np.round(middle).astype(int)[:, None] + reach
            z, y, x = (near - middle[:, None]) ** 2
            ball = z[:, None, None] + y[:, None] + x <= radius**2
            box = np.ix_(*(near % half))
            labels[box] = np.where(ball, value, labels[box])
    return labels


def _place(
    stamps: Stamps, taken: np.ndarray, rng: np.random.Generator
) -> tuple[Int64[np.ndarray, "n 3"], Int64[np.ndarray, " n"]]:
    """Throw molecules in, one after the other, and keep those that touch nothing."""
    tried = int(rng.uniform(*TRIED))
    places, kinds = rng.integers(0, EDGE, (tried, 3)), rng.integers(0, len(stamps.radii), tried)
    closeness = rng.uniform(0.75, 1.15)  # Of two spheres: below 1 they may overlap, as molecules that are not round do.
    kept: list[int] = []
    for index in range(tried):
        if taken[tuple(places[index])]:
            continue
        away = np.abs(places[kept] - places[index])
        away = np.minimum(away, EDGE - away)
        least = closeness * (stamps.radii[kinds[kept]] + stamps.radii[kinds[index]])
        if not (np.sqrt((away**2).sum(axis=1)) < least).any():
            kept.append(index)
    return places[kept], kinds[kept]


def any_turn(stamps: Stamps, kind: int, rng: np.random.Generator) -> Stamp:
    """Give a stamp of a molecule in one of its orientations and one of the 24 turns of a cube.

    The turns are about the molecule's centre, voxel 12. An array of 24 turned whole would turn about 11.5 and lay the
    centre a voxel to one side.
    """
    stamp = stamps.densities[kind, rng.integers(stamps.densities.shape[1])][1:, 1:, 1:]
    up = int(rng.integers(6))
    stamp = np.rot90(stamp, up, (0, 1)) if up < 4 else np.rot90(stamp, 1 if up == 4 else 3, (0, 2))
    turned: Stamp = np.rot90(stamp, int(rng.integers(4)), (1, 2)).astype(np.float32)
    return np.pad(turned, ((1, 0), (1, 0), (1, 0)))


def _add(density: Volume, stamp: Stamp, place: np.ndarray) -> None:
    steps = np.arange(len(stamp)) - len(stamp) // 2
    density[np.ix_(*((middle + steps) % EDGE for middle in place))] += stamp


def _add_crowd(density: Volume, stamps: Stamps, rng: np.random.Generator) -> None:
    """Add what is not labelled: molecules of half the size, specks, dense lumps."""
    for _ in range(int(rng.uniform(0, 250))):
        whole = any_turn(stamps, int(rng.integers(len(stamps.radii))), rng)
        half = STAMP // 2
        _add(density, whole.reshape(half, 2, half, 2, half, 2).mean(axis=(1, 3, 5)), rng.integers(0, EDGE, 3))
    specks = np.zeros_like(density)
    where = rng.integers(0, EDGE, (3, int(rng.uniform(0, 0.01 * EDGE**3))))
    specks[tuple(where)] = rng.uniform(0.2, 1, where.shape[1])
    density += ndimage.gaussian_filter(specks, rng.uniform(0.7, 1.3), mode="wrap") * rng.uniform(0, 12)
    for _ in range(rng.poisson(0.3)):
        middle, sd = rng.integers(0, EDGE, 3), rng.uniform(2, 5)
        away = (np.arange(EDGE) - middle[:, None] + EDGE / 2) % EDGE - EDGE / 2
        z, y, x = np.exp(-((away / sd) ** 2) / 2).astype(np.float32)
        density += np.float32(rng.uniform(1, 3)) * z[:, None, None] * y[:, None] * x


def _add_membrane(density: Volume, rng: np.random.Generator) -> np.ndarray:
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
    microscope = random_microscope(EDGE, rng)
    signal = microscope.image(density)
    electrons = microscope.noise(density.shape, np.exp(rng.uniform(np.log(0.2), np.log(2.0))), rng)
    cytosol = microscope.image(microscope.noise(density.shape, rng.uniform(0.14, 0.42), rng))
    cytosol /= max(float(cytosol.std()), 1e-6)
    volume = signal / signal.std() + np.exp(rng.uniform(np.log(0.2), np.log(2.2))) * electrons
    volume += rng.uniform(0, 0.5) * cytosol
    volume = np.clip((volume - volume.mean()) / volume.std(), -CLIP_SD, CLIP_SD)
    return ((volume - volume.mean()) / volume.std()).astype(np.float32)  # type: ignore[no-any-return]
