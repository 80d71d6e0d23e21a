"""Untrained pickers: difference of Gaussians, and normalised cross-correlation with a dark ball or a density map.

The map is correlated in many orientations, filtered by the transfer function of the imaging.
"""

from collections.abc import Iterable, Iterator

import numpy as np
from jaxtyping import Bool, Float32, Float64
from scipy import fft, ndimage
from scipy.spatial.transform import Rotation

from tomopicker.benchmark.protocol import Optics, Template
from tomopicker.simulation.molecules import Molecule, builtin_molecule, load_molecule, paste_rotated
from tomopicker.simulation.optics import contrast_transfer
from tomopicker.types import Volume

Cube = Float32[np.ndarray, "side side side"]
"""A template, an odd number of voxels along each axis."""
Ball = Bool[np.ndarray, "side side side"]
"""Mask of the template's voxels that are compared."""

_DOG_RATIO = 1.6
"""Ratio of the two widths that best approximates a Laplacian of Gaussian (Marr and Hildreth, 1980)."""
_NEIGHBOURHOOD_RADIUS = 1.5
"""Radius of the compared neighbourhood, in radii of the ball."""
_MIN_VARIANCE = 1e-6
"""Neighbourhoods with less than this fraction of the volume's variance score 0."""


def difference_of_gaussians(volume: Volume, radius: float) -> Volume:
    """Score dark blobs: highest at the centre of a ball of a radius in voxels, 0 on average."""
    # A Laplacian of Gaussian responds most to a ball of radius √3 σ; the widths of both Gaussians bracket that σ.
    sigma = radius / np.sqrt(3.0)
    narrow = ndimage.gaussian_filter(volume, sigma / np.sqrt(_DOG_RATIO))
    wide = ndimage.gaussian_filter(volume, sigma * np.sqrt(_DOG_RATIO))
    return np.asarray(wide - narrow, dtype=np.float32)


def match_ball(volume: Volume, radius: float) -> Volume:
    """Correlate the neighbourhood of each voxel with a dark ball of a radius in voxels; -1 to 1."""
    mask = ball_mask(_NEIGHBOURHOOD_RADIUS * radius)
    ball = -np.clip(radius + 0.5 - np.sqrt(_squared_distance(len(mask) // 2)), 0, 1).astype(np.float32)
    return normalised_correlation(volume, [ball], mask)


def ball_mask(radius: float) -> Ball:
    """Return a ball of a radius in voxels, in the smallest enclosing cube of odd width."""
    inside: Ball = _squared_distance(int(np.ceil(radius))) <= radius**2
    return inside


def normalised_correlation(volume: Volume, templates: Iterable[Cube], mask: Ball) -> Volume:
    """Compute the maximum normalised cross-correlation of each voxel's neighbourhood over templates, -1 to 1.

    For a template t, scaled to mean 0 and Σt² = 1 over the N voxels of the mask, and a volume v: Σ t·v / (√N·σ), with σ
    the standard deviation of v in the mask around the voxel. The volume (z, y, x) has mean 0 and is padded with zeros;
    the mask is a ball, the same for all orientations, and the templates have its width and centre.
    """
    half = mask.shape[0] // 2
    shape = [fft.next_fast_len(edge + 2 * half, real=True) for edge in volume.shape]
    kept = tuple(slice(0, edge) for edge in volume.shape)
    # The volume is shifted by half a template, so that no sum wraps around.
    padded = np.zeros(shape, dtype=np.float32)
    padded[tuple(slice(half, half + edge) for edge in volume.shape)] = volume

    def correlate(spectrum: np.ndarray, template: Cube) -> Volume:
        product = spectrum * np.conj(fft.rfftn(template, shape))
        result: Volume = fft.irfftn(product, shape)[kept].astype(np.float32, copy=False)
        return result

    spectrum = fft.rfftn(padded)
    voxels, ball = int(mask.sum()), mask.astype(np.float32)
    best = np.full(volume.shape, -np.inf, dtype=np.float32)
    for template in templates:
        np.maximum(best, correlate(spectrum, _standardise(template, mask)), out=best)
    mean = correlate(spectrum, ball) / voxels
    variance = correlate(fft.rfftn(padded * padded), ball) / voxels - mean * mean
    least = _MIN_VARIANCE * float(volume.var())
    best[variance < least] = 0
    np.maximum(variance, least, out=variance)
    return np.asarray(np.clip(best / np.sqrt(voxels * variance), -1, 1), dtype=np.float32)


def _squared_distance(half: int) -> Float64[np.ndarray, "side side side"]:
    squares = np.arange(-half, half + 1.0) ** 2
    return np.asarray(squares[:, None, None] + squares[:, None] + squares)


def _standardise(template: Cube, mask: Ball) -> Cube:
    """Scale a template to mean 0 and sum of squares 1 in the mask, and to 0 outside."""
    centred = np.where(mask, template - template[mask].mean(), 0).astype(np.float32)
    return np.asarray(centred / np.sqrt((centred.astype(np.float64) ** 2).sum()), dtype=np.float32)


_PHI = 2**0.5
_PSI = 1.533751168755204288118041
"""The positive root of ψ⁴ = ψ + 4."""


def match_template(volume: Volume, voxel_size: float, radius: float, template: Template, optics: Optics) -> Volume:
    """Compute the maximum normalised cross-correlation with a map over its orientations, -1 to 1.

    The working volume (z, y, x) has dark protein, mean 0 and a voxel size in Å; `radius`, in voxels, is that of the
    particle and of the ball that is compared.
    """
    if template.map is not None:
        molecule = load_molecule(template.map, voxel_size)
    else:
        molecule = builtin_molecule(template.molecule or "", voxel_size)
    mask = ball_mask(radius)
    return normalised_correlation(volume, oriented(molecule, len(mask), template.orientations, optics), mask)


def oriented(molecule: Molecule, width: int, orientations: int, optics: Optics) -> Iterator[Cube]:
    """Yield the imaged molecule in each orientation: cubes of a width in voxels, protein dark.

    The filter is applied in a box twice as wide, so that it does not wrap around.
    """
    box = fft.next_fast_len(2 * max(width, *molecule.density.shape), real=True)
    filter_ = transfer(box, molecule.voxel_size_angstrom, optics)
    coefficients = ndimage.spline_filter(molecule.density, order=3, output=np.float32, mode="mirror")
    centre = np.full(3, float(box // 2))
    inner = slice(box // 2 - width // 2, box // 2 - width // 2 + width)
    for rotation in spread_rotations(orientations):
        canvas = np.zeros((box, box, box), dtype=np.float32)
        paste_rotated(canvas, coefficients, centre, rotation)
        imaged = fft.irfftn(fft.rfftn(canvas) * filter_, canvas.shape)
        yield imaged[inner, inner, inner].astype(np.float32)


def transfer(box: int, voxel_size: float, optics: Optics) -> np.ndarray:
    """Return the transfer function of a tilt series about y, in the order of `scipy.fft.rfftn`.

    0 where |k_z| > |k_x|·tan(tilt range); elsewhere the contrast transfer function at |k|, or -1 (protein is dark)
    without a defocus. The edge of the box is in voxels, the voxel size in Å.
    """
    k = fft.fftfreq(box, voxel_size)
    k_z, k_y, k_x = k[:, None, None], k[:, None], fft.rfftfreq(box, voxel_size)
    half_angle = np.deg2rad(optics.tilt_range)
    # Products of sine and cosine, since the tangent is infinite at 90°.
    measured = np.abs(k_z) * np.cos(half_angle) <= np.abs(k_x) * np.sin(half_angle) + 1e-12
    frequency = np.sqrt(k_z**2 + k_y**2 + k_x**2)
    if optics.defocus_um is None:
        contrast = np.full(frequency.shape, -1.0)
    else:
        contrast = contrast_transfer(
            frequency, defocus_um=optics.defocus_um, phase_shift_degrees=optics.phase_shift_degrees
        )
    return np.asarray(np.where(measured, contrast, 0.0), dtype=np.float32)


def spread_rotations(n: int) -> Float64[np.ndarray, "n 3 3"]:
    """Return n evenly spread rotation matrices: a super-Fibonacci spiral of unit quaternions (Alexa, CVPR 2022).

    Deterministic. With 400, every orientation is within about 30° of one of them, half within 17°.
    """
    step = np.arange(n) + 0.5
    inner, outer = np.sqrt(step / n), np.sqrt(1 - step / n)
    alpha, beta = 2 * np.pi * step / _PHI, 2 * np.pi * step / _PSI
    quaternions = [inner * np.sin(alpha), inner * np.cos(alpha), outer * np.sin(beta), outer * np.cos(beta)]
    return np.asarray(Rotation.from_quat(np.stack(quaternions, axis=1)).as_matrix(), dtype=np.float64)
