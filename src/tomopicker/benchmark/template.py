"""Template matching: the particle's map in many orientations, filtered as the tomogram was imaged, correlated."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float64
from scipy import fft, ndimage
from scipy.spatial.transform import Rotation

from tomopicker.benchmark.baselines import Cube, ball_mask, normalised_correlation
from tomopicker.benchmark.protocol import Optics, Template
from tomopicker.simulation.molecules import Molecule, builtin_molecule, load_molecule
from tomopicker.simulation.optics import contrast_transfer
from tomopicker.simulation.resample import paste_rotated
from tomopicker.types import Volume

_PHI = 2**0.5
_PSI = 1.533751168755204288118041
"""The positive root of ψ⁴ = ψ + 4."""


def match_template(volume: Volume, voxel_size: float, radius: float, template: Template, optics: Optics) -> Volume:
    """Score every voxel by its normalised cross-correlation with the map in the best orientation, -1 to 1.

    The working volume (z, y, x) has dark protein and mean 0, voxels of `voxel_size` in Å; `radius`, in voxels, is that
    of the particle and of the ball compared.
    """
    if template.map is not None:
        molecule = load_molecule(template.map, voxel_size)
    else:
        molecule = builtin_molecule(template.molecule or "", voxel_size)
    mask = ball_mask(radius)
    return normalised_correlation(volume, oriented(molecule, len(mask), template.orientations, optics), mask)


def oriented(molecule: Molecule, width: int, orientations: int, optics: Optics) -> Iterator[Cube]:
    """Yield the imaged molecule in each orientation: cubes of a width in voxels, protein dark.

    The filter is applied in a box twice as wide, so that it does not wrap round.
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
    """Transfer function of a tilt series about y, for a cube in the order of `scipy.fft.rfftn`.

    0 where |k_z| > |k_x|·tan(tilt range); elsewhere the contrast transfer function at |k|, or -1 (protein is dark)
    without a defocus. Edge of the cube in voxels, voxel size in Å.
    """
    k = fft.fftfreq(box, voxel_size)
    k_z, k_y, k_x = k[:, None, None], k[:, None], fft.rfftfreq(box, voxel_size)
    half_angle = np.deg2rad(optics.tilt_range)
    # At 90° the tangent is as large as floats allow, but not at k_x = 0.
    measured = np.abs(k_z) * np.cos(half_angle) <= np.abs(k_x) * np.sin(half_angle) + 1e-12
    frequency = np.sqrt(k_z**2 + k_y**2 + k_x**2)
    if optics.defocus_um is None:
        contrast = np.full(frequency.shape, -1.0)
    else:
        contrast = contrast_transfer(
            frequency, defocus_um=optics.defocus_um, phase_shift_degrees=optics.phase_shift_degrees,
            voltage_kv=300.0, spherical_aberration_mm=2.7, amplitude_contrast=0.07,
        )  # fmt: skip
    return np.asarray(np.where(measured, contrast, 0.0), dtype=np.float32)


def spread_rotations(n: int) -> Float64[np.ndarray, "n 3 3"]:
    """Spread n rotation matrices evenly: a super-Fibonacci spiral of unit quaternions (Alexa, CVPR 2022).

    Deterministic. Of 400, every orientation is within about 30° of one (half are within 17°).
    """
    step = np.arange(n) + 0.5
    inner, outer = np.sqrt(step / n), np.sqrt(1 - step / n)
    alpha, beta = 2 * np.pi * step / _PHI, 2 * np.pi * step / _PSI
    quaternions = [inner * np.sin(alpha), inner * np.cos(alpha), outer * np.sin(beta), outer * np.cos(beta)]
    return np.asarray(Rotation.from_quat(np.stack(quaternions, axis=1)).as_matrix(), dtype=np.float64)
