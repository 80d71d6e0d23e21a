"""Projection of a volume along tilted rays and its adjoint, weighted back-projection; the tilt axis is y.

Every plane (z, x) goes through the same sparse matrix, so one product per tilt serves all of y.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float32, Float64, Int
from scipy import fft, sparse

from tomopicker.types import Shape, Volume

Progress = Callable[[str, int, int], None]
"""Hears what is done, and how much of how much."""


def unheard(what: str, done: int, total: int) -> None:
    """Hear nothing."""


TiltAngles = Float64[np.ndarray, " tilt"]
"""Tilt angles in degrees."""

TiltImages = Float32[np.ndarray, "tilt row column"]
"""A tilt series: one image a tilt, its rows the y of the volume."""


def detector_width(shape: Shape) -> int:
    """Columns of a tilt image that hold every voxel of a volume at any tilt."""
    return int(np.ceil(np.hypot(shape[0], shape[2]))) + 2


def project(density: Volume, tilts_degrees: TiltAngles, progress: Progress = unheard) -> TiltImages:
    """Line integrals of a volume, in voxels, for each tilt.

    Parameters
    ----------
    density : Volume, (z, y, x)
        It goes on beyond its faces in x, mirrored: a lamella does not end at the field of view.
    tilts_degrees : (tilt,)
        Rotation about y; a voxel at (z, x) from the centre lands on column x cos + z sin from the centre.
    progress : callable, optional

    Returns
    -------
    TiltImages, (tilt, y, column)
    """
    n_z, n_y, n_x = density.shape
    width = detector_width((n_z, n_y, n_x))
    planes = np.ascontiguousarray(density.transpose(0, 2, 1)).reshape(n_z * n_x, n_y)
    images = np.empty((len(tilts_degrees), n_y, width), dtype=np.float32)
    for number, (image, tilt) in enumerate(zip(images, tilts_degrees, strict=True)):
        progress("projections", number, len(tilts_degrees))
        cosine, sine = np.cos(np.deg2rad(tilt)), np.sin(np.deg2rad(tilt))
        span = int(np.ceil((width / 2 + n_z / 2 * abs(sine)) / cosine)) + 1
        beyond = max(span - n_x // 2, 0)
        x = np.arange(-beyond, n_x + beyond)
        low, weight = _landing(n_z, x, n_x, width, float(tilt))
        voxel = np.arange(n_z)[:, None] * n_x + _mirror(x, n_x)[None, :]
        rows = np.concatenate([low.ravel(), low.ravel() + 1])
        columns = np.concatenate([voxel.ravel(), voxel.ravel()])
        values = np.concatenate([1.0 - weight.ravel(), weight.ravel()]).astype(np.float32)
        seen = (rows >= 0) & (rows < width)
        matrix = sparse.csr_array((values[seen], (rows[seen], columns[seen])), shape=(width, n_z * n_x))
        image[:] = (matrix @ planes).T
    return images


def back_project(images: TiltImages, tilts_degrees: TiltAngles, shape: Shape, progress: Progress = unheard) -> Volume:
    """Sum of the images smeared back along their rays: the adjoint of `project` inside the field of view.

    Parameters
    ----------
    images : TiltImages, (tilt, y, column)
        Ramp-filtered with `ramp_filter` for a weighted back-projection.
    tilts_degrees : (tilt,)
    shape : Shape
        (z, y, x) of the result.
    progress : callable, optional

    Returns
    -------
    Volume, (z, y, x)
        Multiplied by the mean angle between tilts, so that dense tilts over 180 degrees give the density back.
    """
    n_z, n_y, n_x = shape
    width = images.shape[2]
    planes = np.zeros((n_z * n_x, n_y), dtype=np.float32)
    for number, (image, tilt) in enumerate(zip(images, tilts_degrees, strict=True)):
        progress("back-projections", number, len(tilts_degrees))
        low, weight = _landing(n_z, np.arange(n_x), n_x, width, float(tilt))
        columns = np.stack([low.ravel(), low.ravel() + 1], axis=1).ravel()
        values = np.stack([1.0 - weight.ravel(), weight.ravel()], axis=1).ravel().astype(np.float32)
        starts = np.arange(0, 2 * n_z * n_x + 1, 2)
        matrix = sparse.csr_array((values, columns, starts), shape=(n_z * n_x, width))
        planes += matrix @ np.ascontiguousarray(image.T)
    planes *= np.float32(_angle_step_radians(tilts_degrees))
    return np.ascontiguousarray(planes.reshape(n_z, n_x, n_y).transpose(0, 2, 1))


def ramp_filter(images: TiltImages, fall_off: float) -> TiltImages:
    """Weight the columns' frequencies by |k|, with a smooth end.

    Parameters
    ----------
    images : TiltImages, (tilt, y, column)
    fall_off : float
        Fraction of the Nyquist frequency at which a cosine begins to take the ramp down to zero at Nyquist; a ramp that
        ends abruptly rings, one that falls from zero blurs.

    Returns
    -------
    TiltImages, (tilt, y, column)
    """
    width = images.shape[2]
    margin = min(64, width - 1)
    length = fft.next_fast_len(width + 2 * margin, real=True)
    frequency = np.fft.rfftfreq(length)
    beyond = np.clip((frequency / 0.5 - fall_off) / (1.0 - fall_off), 0.0, 1.0)
    weights = (frequency * 0.5 * (1.0 + np.cos(np.pi * beyond))).astype(np.float32)
    filtered = np.empty_like(images)
    for result, image in zip(filtered, images, strict=True):
        padded = np.pad(image, ((0, 0), (margin, length - width - margin)), mode="symmetric")
        spectrum = fft.rfft(padded, axis=1) * weights
        result[:] = fft.irfft(spectrum, n=length, axis=1)[:, margin : margin + width]
    return filtered


def _landing(
    n_z: int, x: Int[np.ndarray, " x"], n_x: int, width: int, tilt: float
) -> tuple[Int[np.ndarray, "z x"], Float64[np.ndarray, "z x"]]:
    """Left one of the two columns a voxel lands between, and the share of the right one."""
    angle = np.deg2rad(tilt)
    z = np.arange(n_z)
    column = (
        (x - (n_x - 1) / 2)[None, :] * np.cos(angle) + (z - (n_z - 1) / 2)[:, None] * np.sin(angle) + (width - 1) / 2
    )
    low = np.floor(column).astype(np.int64)
    return low, column - low


def _mirror(x: Int[np.ndarray, " x"], n_x: int) -> Int[np.ndarray, " x"]:
    """Fold indices beyond the ends back inside, the end voxels repeated."""
    folded = np.mod(x, 2 * n_x)
    return np.asarray(np.minimum(folded, 2 * n_x - 1 - folded))


def _angle_step_radians(tilts_degrees: TiltAngles) -> float:
    if len(tilts_degrees) < 2:
        return 1.0
    return float(np.deg2rad((tilts_degrees.max() - tilts_degrees.min()) / (len(tilts_degrees) - 1)))
