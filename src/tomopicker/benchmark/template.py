"""Template matching: the particle's map in many orientations, imaged as the tomogram was, compared with every place."""

from collections.abc import Iterator

import numpy as np
from scipy import fft, ndimage

from tomopicker.benchmark.correlation import Cube, ball_mask, normalised_correlation
from tomopicker.benchmark.protocol import Optics, Template
from tomopicker.benchmark.rotations import spread_rotations
from tomopicker.simulate.ctf import contrast_transfer
from tomopicker.simulate.molecules import Molecule, builtin_molecule, load_molecule
from tomopicker.simulate.resample import paste_rotated
from tomopicker.types import Volume


def match_template(volume: Volume, voxel_size: float, radius: float, template: Template, optics: Optics) -> Volume:
    """Score every voxel by its likeness to the map in the orientation that fits best there.

    Parameters
    ----------
    volume : Volume
        Working volume, (z, y, x), protein dark, mean 0.
    voxel_size : float
        Å, of the working volume.
    radius : float
        The particle's, in its voxels: of the ball that is compared.
    template : Template
        Map and number of orientations.
    optics : Optics
        Missing wedge and contrast transfer.

    Returns
    -------
    Volume
        Normalised cross-correlation, -1 to 1.
    """
    molecule = template_molecule(template, voxel_size)
    mask = ball_mask(radius)
    return normalised_correlation(volume, oriented(molecule, len(mask), template.orientations, optics), mask)


def template_molecule(template: Template, voxel_size: float) -> Molecule:
    """Give what is looked for, at a voxel size in Å."""
    if template.map is not None:
        return load_molecule(template.map, voxel_size)
    return builtin_molecule(template.molecule or "", voxel_size)


def oriented(molecule: Molecule, width: int, orientations: int, optics: Optics) -> Iterator[Cube]:
    """Give the molecule in each orientation as a tomogram would show it: cubes, protein dark.

    The filter is applied in a box twice as wide, so that what it spreads does not come back in on the other side.
    """
    box = fft.next_fast_len(2 * max(width, *molecule.density.shape), real=True)
    passed = transfer(box, molecule.voxel_size_angstrom, optics)
    coefficients = ndimage.spline_filter(molecule.density, order=3, output=np.float32, mode="mirror")
    middle = np.full(3, float(box // 2))
    start = box // 2 - width // 2
    cut = slice(start, start + width)
    for rotation in spread_rotations(orientations):
        canvas = np.zeros((box, box, box), dtype=np.float32)
        paste_rotated(canvas, coefficients, middle, rotation)
        shown = fft.irfftn(fft.rfftn(canvas) * passed, canvas.shape)
        yield shown[cut, cut, cut].astype(np.float32)


def transfer(box: int, voxel_size: float, optics: Optics) -> np.ndarray:
    """Give what a tilt series about y passes of each spatial frequency, and with which sign.

    Parameters
    ----------
    box : int
        Edge of a cube in voxels.
    voxel_size : float
        Å.
    optics : Optics

    Returns
    -------
    array, shape (box, box, box // 2 + 1)
        In the order of `scipy.fft.rfftn`: 0 where |k_z| > |k_x|·tan(tilt range); elsewhere the contrast transfer
        function at |k|, or -1 (protein is dark) without a defocus.
    """
    k = fft.fftfreq(box, voxel_size)
    k_z, k_y, k_x = k[:, None, None], k[:, None], fft.rfftfreq(box, voxel_size)
    half_angle = np.deg2rad(optics.tilt_range)
    # At 90° the tangent is as large as floats allow, but not at k_x = 0.
    seen = np.abs(k_z) * np.cos(half_angle) <= np.abs(k_x) * np.sin(half_angle) + 1e-12
    frequency = np.sqrt(k_z**2 + k_y**2 + k_x**2)
    if optics.defocus_um is None:
        contrast = np.full(frequency.shape, -1.0)
    else:
        contrast = contrast_transfer(
            frequency, defocus_um=optics.defocus_um, phase_shift_degrees=optics.phase_shift_degrees,
            voltage_kv=300.0, spherical_aberration_mm=2.7, amplitude_contrast=0.07,
        )  # fmt: skip
    return np.asarray(np.where(seen, contrast, 0.0), dtype=np.float32)
