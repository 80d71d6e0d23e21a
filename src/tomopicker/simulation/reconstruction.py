"""From a tilt series to a volume: weighted back-projection, or SIRT."""

import numpy as np
from jaxtyping import Float64
from scipy import fft

from tomopicker.simulation.projection import Progress, TiltAngles, TiltImages, back_project, no_progress, project
from tomopicker.types import Shape, Volume


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
