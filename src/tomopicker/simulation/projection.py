"""Projections of a volume along tilted rays, and reconstruction by back-projection or SIRT; the tilt axis is y.

Every plane (z, x) goes through the same sparse matrix, so one product serves many y at once. The volume is processed in
slabs of y, so that only one slab is copied for the product.
"""

from collections.abc import Callable, Iterator

import numpy as np
from jaxtyping import Float32, Float64, Int
from scipy import fft, sparse

from tomopicker.types import Shape, Volume

Progress = Callable[[str, int, int], None]
"""Called with the step, and how much of how much is done."""


def no_progress(what: str, done: int, total: int) -> None:
    """Report nothing."""


TiltAngles = Float64[np.ndarray, " tilt"]
"""Tilt angles in degrees."""

TiltImages = Float32[np.ndarray, "tilt row column"]
"""A tilt series: one image a tilt, its rows the y of the volume."""

_SLAB_BYTES = 128 * 2**20
"""Of one slab of y: large enough that making the matrices for each slab costs little."""


def detector_width(shape: Shape) -> int:
    """Columns of a tilt image that hold every voxel of a volume at any tilt."""
    return int(np.ceil(np.hypot(shape[0], shape[2]))) + 2


def project(density: Volume, tilts_degrees: TiltAngles, progress: Progress = no_progress) -> TiltImages:
    """Line integrals of a volume, in voxels, for each tilt.

    A voxel at (z, x) from the centre lands on column x cos θ + z sin θ from the centre. The volume is continued beyond
    its faces in x by mirroring: a lamella does not end at the field of view.
    """
    n_z, n_y, n_x = density.shape
    width = detector_width((n_z, n_y, n_x))
    images = np.zeros((len(tilts_degrees), n_y, width), dtype=np.float32)
    filled = _filled_sections(density)
    slabs = list(slabs_of_y(n_y, (filled.stop - filled.start) * n_x))
    for number, slab in enumerate(slabs):
        planes = np.ascontiguousarray(density[filled, slab].transpose(0, 2, 1)).reshape(-1, slab.stop - slab.start)
        mirrored: Planes | None = None
        for index, tilt in enumerate(tilts_degrees):
            progress("projections", number * len(tilts_degrees) + index, len(slabs) * len(tilts_degrees))
            for copy in _copies_seen(n_z, n_x, width, float(tilt)):
                if copy % 2 and mirrored is None:
                    mirrored = planes.reshape(-1, n_x, planes.shape[1])[:, ::-1].reshape(planes.shape)
                matrix = ray_matrix(filled, n_z, n_x, width, float(tilt), shift=copy * n_x)
                seen = mirrored if copy % 2 and mirrored is not None else planes
                images[index, slab] += (matrix.T @ seen).T
    return images


def back_project(
    images: TiltImages,
    tilts_degrees: TiltAngles,
    shape: Shape,
    progress: Progress = no_progress,
    into: Volume | None = None,
) -> Volume:
    """Sum of the images smeared back along their rays: the adjoint of `project` inside the field of view.

    The images are ramp-filtered for a weighted back-projection. With `into` (z, y, x) the sum is added to it in place.
    """
    n_z, n_y, n_x = shape
    volume = np.zeros(shape, dtype=np.float32) if into is None else into
    slabs = list(slabs_of_y(n_y, n_z * n_x))
    for number, slab in enumerate(slabs):
        planes = np.zeros((n_z * n_x, slab.stop - slab.start), dtype=np.float32)
        for index, (image, tilt) in enumerate(zip(images, tilts_degrees, strict=True)):
            progress("back-projections", number * len(tilts_degrees) + index, len(slabs) * len(tilts_degrees))
            matrix = ray_matrix(slice(0, n_z), n_z, n_x, images.shape[2], float(tilt))
            planes += matrix @ np.ascontiguousarray(image[slab].T)
        volume[:, slab] += planes.reshape(n_z, n_x, -1).transpose(0, 2, 1)
    return volume


def slabs_of_y(n_y: int, voxels_per_row: int) -> Iterator[slice]:
    """Cut y into slabs of equal size and limited memory."""
    rows = max(1, min(n_y, _SLAB_BYTES // (4 * max(voxels_per_row, 1))))
    rows = int(np.ceil(n_y / np.ceil(n_y / rows)))
    for start in range(0, n_y, rows):
        yield slice(start, min(start + rows, n_y))


Planes = Float32[np.ndarray, "voxel row"]
"""A slab of y laid out for the product: one line a voxel of the plane (z, x)."""


def ray_matrix(
    sections: slice, n_z: int, n_x: int, width: int, tilt_degrees: float, shift: int = 0
) -> "sparse.csr_array[np.float32]":
    """Matrix (voxel, column) that takes a row of a tilt image to a plane (z, x) by linear interpolation.

    For some sections of a volume of `n_z` by `n_x` voxels, whose x is shifted by `shift`, and an image of `width`
    columns.
    """
    angle = np.deg2rad(tilt_degrees)
    x = (np.arange(n_x) + shift - (n_x - 1) / 2)[None, :] * np.cos(angle)
    z = (np.arange(sections.start, sections.stop) - (n_z - 1) / 2)[:, None] * np.sin(angle)
    column = (x + z + (width - 1) / 2).ravel()
    low = np.floor(column)
    share = (column - low).astype(np.float32)
    left: Int[np.ndarray, " voxel"] = low.astype(np.int32)
    columns = np.stack([left, left + 1], axis=1)
    values = np.stack([1.0 - share, share], axis=1)
    values[(columns < 0) | (columns >= width)] = 0.0
    np.clip(columns, 0, width - 1, out=columns)
    starts = np.arange(0, 2 * len(column) + 1, 2, dtype=np.int32)
    return sparse.csr_array((values.ravel(), columns.ravel(), starts), shape=(len(column), width))


def _copies_seen(n_z: int, n_x: int, width: int, tilt_degrees: float) -> range:
    """Copies of the volume along x that a tilt image sees; 0 is the volume, odd ones are mirrored."""
    angle = np.deg2rad(tilt_degrees)
    reach = (width / 2 + n_z / 2 * abs(np.sin(angle))) / np.cos(angle) + 1
    side = max(int(np.ceil((reach - n_x / 2) / n_x)), 0)
    return range(-side, side + 1)


def _filled_sections(density: Volume) -> slice:
    """From the first to the last z with anything in it."""
    filled = np.flatnonzero([section.any() for section in density])
    return slice(int(filled[0]), int(filled[-1]) + 1) if len(filled) else slice(0, 1)


def weighted_back_projection(
    images: TiltImages,
    tilts_degrees: TiltAngles,
    shape: Shape,
    fall_off: float,
    sirt_like_iterations: int = 0,
    progress: Progress = no_progress,
) -> Volume:
    """Back-project ramp-filtered images to a volume of a shape (z, y, x).

    Scaled by the mean angle between tilts, so that dense tilts over 180° give the density back. `fall_off` is that of
    `ramp_filter`. With `sirt_like_iterations` above 0 the filter makes the result resemble as many rounds of `sirt`.
    """
    flattening = None
    if sirt_like_iterations:
        flattening = _sirt_response(images.shape[2], tilts_degrees, shape[0], sirt_like_iterations)
    filtered = ramp_filter(images, fall_off, flattening)
    filtered *= np.float32(_angle_step_radians(tilts_degrees))
    return back_project(filtered, tilts_degrees, shape, progress)


def sirt(
    images: TiltImages, tilts_degrees: TiltAngles, shape: Shape, iterations: int, progress: Progress = no_progress
) -> Volume:
    """Simultaneous iterative reconstruction of a volume of a shape (z, y, x).

    Each round back-projects the difference between the images and the volume's projections, each ray divided by its
    length and each voxel by the number of rays through it (Gilbert 1972, normalised as in Gregor and Benson 2008). Few
    rounds are smooth, many are sharp and noisy.
    """
    lengths = shape[0] / np.cos(np.deg2rad(tilts_degrees))[:, None, None]
    volume = np.zeros(shape, dtype=np.float32)
    for number in range(iterations):

        def report(what: str, done: int, total: int, number: int = number) -> None:
            progress(f"{what} of SIRT", number * total + done, iterations * total)

        residual = images - project(volume, tilts_degrees, report) if number else images.copy()
        residual /= (lengths * len(tilts_degrees)).astype(np.float32)
        back_project(residual, tilts_degrees, shape, report, into=volume)
    return volume


def ramp_filter(
    images: TiltImages, fall_off: float, also: Float64[np.ndarray, " frequency"] | None = None
) -> TiltImages:
    """Weight the columns' frequencies by |k|, falling as a cosine from `fall_off` (of Nyquist) to zero at Nyquist.

    An abrupt end rings, a fall from zero blurs. `also` is a further weight for each of `ramp_frequencies`.
    """
    width = images.shape[2]
    frequency, margin, length = ramp_frequencies(width)
    beyond = np.clip((frequency / 0.5 - fall_off) / (1.0 - fall_off), 0.0, 1.0)
    weights = (frequency * 0.5 * (1.0 + np.cos(np.pi * beyond)) * (1.0 if also is None else also)).astype(np.float32)
    filtered = np.empty_like(images)
    for result, image in zip(filtered, images, strict=True):
        padded = np.pad(image, ((0, 0), (margin, length - width - margin)), mode="symmetric")
        spectrum = fft.rfft(padded, axis=1) * weights
        result[:] = fft.irfft(spectrum, n=length, axis=1)[:, margin : margin + width]
    return filtered


def ramp_frequencies(width: int) -> tuple[Float64[np.ndarray, " frequency"], int, int]:
    """Frequencies of padded rows of `width` columns in cycles a voxel, left margin and padded length."""
    margin = min(64, width - 1)
    length = fft.next_fast_len(width + 2 * margin, real=True)
    return np.fft.rfftfreq(length), margin, length


def _sirt_response(
    width: int, tilts_degrees: TiltAngles, depth_voxels: int, iterations: int
) -> Float64[np.ndarray, " frequency"]:
    """Share of each frequency that rounds of SIRT recover: 1 - (1 - e)^n.

    e = 1 / (k · depth · angle) is that of one round, as central sections through the angle thin out with k.
    """
    frequency, _, _ = ramp_frequencies(width)
    angle = np.deg2rad(max(float(np.ptp(tilts_degrees)), 1.0))
    once = np.clip(1.0 / (np.maximum(frequency, 1e-6) * depth_voxels * angle), 0.0, 1.0)
    return np.asarray(1.0 - (1.0 - once) ** iterations)


def _angle_step_radians(tilts_degrees: TiltAngles) -> float:
    if len(tilts_degrees) < 2:
        return 1.0
    return float(np.deg2rad((tilts_degrees.max() - tilts_degrees.min()) / (len(tilts_degrees) - 1)))
