"""Projection of a volume along tilted rays, and reconstruction by back-projection or SIRT; the tilt axis is y.

All planes (z, x) share one sparse matrix per tilt, so that one product projects many y at once. The volume is processed
in slabs of y to bound temporary memory.
"""

from collections.abc import Callable, Iterator

import numpy as np
from jaxtyping import Float32, Float64
from scipy import fft, sparse

from tomopicker.types import Shape, Volume

Progress = Callable[[str, int, int], None]
"""Receives the name of a step, the amount done, and the total."""


def no_progress(step: str, done: int, total: int) -> None:
    """Report nothing."""


Frequencies = Float64[np.ndarray, "..."]

TiltAngles = Float64[np.ndarray, " tilt"]
"""Tilt angles in degrees."""

TiltImages = Float32[np.ndarray, "tilt row column"]
"""A tilt series; rows are y of the volume."""

_SLAB_BYTES = 128 * 2**20
"""Size of a slab of y, large enough to make the cost of building its matrices negligible."""


def _detector_width(shape: Shape) -> int:
    """Return the number of columns that hold a volume of a shape (z, y, x) at any tilt."""
    return int(np.ceil(np.hypot(shape[0], shape[2]))) + 2


def project(density: Volume, tilts_degrees: TiltAngles, progress: Progress = no_progress) -> TiltImages:
    """Compute the line integrals of a volume (z, y, x), in voxels, for each tilt.

    A voxel at (z, x) from the centre is projected onto column x cos θ + z sin θ from the centre. The volume is extended
    in x by mirroring, since a lamella does not end at the field of view.
    """
    n_z, n_y, n_x = density.shape
    width = _detector_width((n_z, n_y, n_x))
    images = np.zeros((len(tilts_degrees), n_y, width), dtype=np.float32)
    filled = np.flatnonzero(density.any(axis=(1, 2)))
    sections = slice(int(filled[0]), int(filled[-1]) + 1) if len(filled) else slice(0, 1)
    slabs = list(_slabs_of_y(n_y, (sections.stop - sections.start) * n_x))
    for number, slab in enumerate(slabs):
        planes = np.ascontiguousarray(density[sections, slab].transpose(0, 2, 1)).reshape(-1, slab.stop - slab.start)
        mirrored = planes.reshape(-1, n_x, planes.shape[1])[:, ::-1].reshape(planes.shape)
        for index, tilt in enumerate(tilts_degrees):
            progress("projections", number * len(tilts_degrees) + index, len(slabs) * len(tilts_degrees))
            for copy in _copies_in_view(n_z, n_x, width, float(tilt)):
                matrix = _ray_matrix(sections, n_z, n_x, width, float(tilt), shift=copy * n_x)
                images[index, slab] += (matrix.T @ (mirrored if copy % 2 else planes)).T
    return images


def back_project(
    images: TiltImages,
    tilts_degrees: TiltAngles,
    shape: Shape,
    progress: Progress = no_progress,
    into: Volume | None = None,
) -> Volume:
    """Sum the images along their rays: the adjoint of `project` inside the field of view.

    With `into` (z, y, x) the sum is added to that volume in place.
    """
    n_z, n_y, n_x = shape
    volume = np.zeros(shape, dtype=np.float32) if into is None else into
    slabs = list(_slabs_of_y(n_y, n_z * n_x))
    for number, slab in enumerate(slabs):
        planes = np.zeros((n_z * n_x, slab.stop - slab.start), dtype=np.float32)
        for index, (image, tilt) in enumerate(zip(images, tilts_degrees, strict=True)):
            progress("back-projections", number * len(tilts_degrees) + index, len(slabs) * len(tilts_degrees))
            matrix = _ray_matrix(slice(0, n_z), n_z, n_x, images.shape[2], float(tilt))
            planes += matrix @ np.ascontiguousarray(image[slab].T)
        volume[:, slab] += planes.reshape(n_z, n_x, -1).transpose(0, 2, 1)
    return volume


def _slabs_of_y(n_y: int, voxels_per_row: int) -> Iterator[slice]:
    """Divide y into slabs of similar size and at most `_SLAB_BYTES`."""
    rows = max(1, min(n_y, _SLAB_BYTES // (4 * max(voxels_per_row, 1))))
    rows = int(np.ceil(n_y / np.ceil(n_y / rows)))
    for start in range(0, n_y, rows):
        yield slice(start, min(start + rows, n_y))


def _ray_matrix(
    sections: slice, n_z: int, n_x: int, width: int, tilt_degrees: float, shift: int = 0
) -> "sparse.csr_array[np.float32]":
    """Return the matrix (voxel, column) that maps a row of a tilt image to a plane (z, x) by linear interpolation.

    The plane has `sections` of the `n_z`, and `n_x` voxels shifted by `shift` along x; the image has `width` columns.
    """
    angle = np.deg2rad(tilt_degrees)
    x = (np.arange(n_x) + shift - (n_x - 1) / 2)[None, :] * np.cos(angle)
    z = (np.arange(sections.start, sections.stop) - (n_z - 1) / 2)[:, None] * np.sin(angle)
    column = (x + z + (width - 1) / 2).ravel()
    low = np.floor(column)
    weight = (column - low).astype(np.float32)
    columns = low.astype(np.int32)[:, None] + np.arange(2, dtype=np.int32)
    values = np.stack([1.0 - weight, weight], axis=1)
    values[(columns < 0) | (columns >= width)] = 0.0
    np.clip(columns, 0, width - 1, out=columns)
    starts = np.arange(0, 2 * len(column) + 1, 2, dtype=np.int32)
    return sparse.csr_array((values.ravel(), columns.ravel(), starts), shape=(len(column), width))


def _copies_in_view(n_z: int, n_x: int, width: int, tilt_degrees: float) -> range:
    """Return the copies of the volume along x that a tilt image shows; 0 is the volume, odd ones are mirrored."""
    angle = np.deg2rad(tilt_degrees)
    half_view = (width / 2 + n_z / 2 * abs(np.sin(angle))) / np.cos(angle) + 1
    side = max(int(np.ceil((half_view - n_x / 2) / n_x)), 0)
    return range(-side, side + 1)


def weighted_back_projection(
    images: TiltImages,
    tilts_degrees: TiltAngles,
    shape: Shape,
    fall_off: float,
    sirt_like_iterations: int = 0,
    progress: Progress = no_progress,
) -> Volume:
    """Reconstruct a volume of a shape (z, y, x) from ramp-filtered images.

    Scaled by the mean tilt increment, so that dense tilts over 180° restore the density. The ramp |k| falls to zero
    along a cosine from `fall_off`, a fraction of Nyquist, to Nyquist: an abrupt end rings, a fall from zero blurs. With
    `sirt_like_iterations` above 0 it is flattened to resemble as many iterations of `sirt`.
    """
    width = images.shape[2]
    margin = min(64, width - 1)
    length = fft.next_fast_len(width + 2 * margin, real=True)
    frequency = np.fft.rfftfreq(length)
    attenuated = np.clip((frequency / 0.5 - fall_off) / (1.0 - fall_off), 0.0, 1.0)
    weights = frequency * 0.5 * (1.0 + np.cos(np.pi * attenuated))
    if sirt_like_iterations:
        angle = np.deg2rad(max(float(np.ptp(tilts_degrees)), 1.0))
        weights *= sirt_response(frequency * shape[0] * angle, sirt_like_iterations)
    increment = np.deg2rad(np.ptp(tilts_degrees) / (len(tilts_degrees) - 1)) if len(tilts_degrees) > 1 else 1.0
    filtered = np.empty_like(images)
    for result, image in zip(filtered, images, strict=True):
        padded = np.pad(image, ((0, 0), (margin, length - width - margin)), mode="symmetric")
        spectrum = fft.rfft(padded, axis=1) * weights.astype(np.float32)
        result[:] = fft.irfft(spectrum, n=length, axis=1)[:, margin : margin + width]
    filtered *= np.float32(increment)
    return back_project(filtered, tilts_degrees, shape, progress)


def sirt_response(cycles: Frequencies, iterations: int) -> Frequencies:
    """Return the fraction of each frequency that n iterations of SIRT recover: 1 - (1 - e)^n.

    One iteration recovers e = 1 / (k · depth · angle), at most 1, since central sections spread out with k. `cycles` is
    k · depth · angle: cycles across the depth times the angle in radians that the tilts cover.
    """
    once = np.minimum(1.0 / np.maximum(cycles, 1e-6), 1.0)
    return np.asarray(1.0 - (1.0 - once) ** iterations)


def sirt(
    images: TiltImages, tilts_degrees: TiltAngles, shape: Shape, iterations: int, progress: Progress = no_progress
) -> Volume:
    """Reconstruct a volume of a shape (z, y, x) by the simultaneous iterative reconstruction technique.

    Each iteration back-projects the difference between the images and the volume's projections, each ray divided by its
    length and each voxel by the number of rays through it (Gilbert 1972, normalised as in Gregor and Benson 2008). Few
    iterations give a smooth result, many a sharp and noisy one.
    """
    lengths = shape[0] / np.cos(np.deg2rad(tilts_degrees))[:, None, None]
    volume = np.zeros(shape, dtype=np.float32)
    for iteration in range(iterations):

        def report(step: str, done: int, total: int, iteration: int = iteration) -> None:
            progress(f"{step} of SIRT", iteration * total + done, iterations * total)

        residual = images - project(volume, tilts_degrees, report) if iteration else images.copy()
        residual /= (lengths * len(tilts_degrees)).astype(np.float32)
        back_project(residual, tilts_degrees, shape, report, into=volume)
    return volume
