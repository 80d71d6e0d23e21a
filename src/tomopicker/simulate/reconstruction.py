"""From a tilt series back to a volume: weighted back-projection, or SIRT."""

import numpy as np
from scipy import fft

from tomopicker.simulate.projection import Progress, TiltAngles, TiltImages, back_project, project, unheard
from tomopicker.types import Shape, Volume


def weighted_back_projection(
    images: TiltImages, tilts_degrees: TiltAngles, shape: Shape, fall_off: float, progress: Progress = unheard
) -> Volume:
    """Back-project ramp-filtered images.

    Parameters
    ----------
    images : TiltImages, (tilt, y, column)
    tilts_degrees : (tilt,)
    shape : Shape
        (z, y, x) of the result.
    fall_off : float
        As for `ramp_filter`.
    progress : callable, optional

    Returns
    -------
    Volume, (z, y, x)
        Scaled by the mean angle between tilts, so that dense tilts over 180 degrees give the density back.
    """
    filtered = ramp_filter(images, fall_off)
    filtered *= np.float32(_angle_step_radians(tilts_degrees))
    return back_project(filtered, tilts_degrees, shape, progress)


def sirt(
    images: TiltImages, tilts_degrees: TiltAngles, shape: Shape, iterations: int, progress: Progress = unheard
) -> Volume:
    """Simultaneous iterative reconstruction: the volume whose projections come ever closer to the images.

    Each round back-projects what the images and the volume's projections differ by, each ray divided by its length and
    each voxel by the number of rays through it (Gilbert 1972, in the normalised form of Gregor and Benson 2008).
    Few rounds are smooth, many are sharp and noisy.

    Parameters
    ----------
    images : TiltImages, (tilt, y, column)
    tilts_degrees : (tilt,)
    shape : Shape
        (z, y, x) of the result.
    iterations : int
    progress : callable, optional

    Returns
    -------
    Volume, (z, y, x)
    """
    lengths = shape[0] / np.cos(np.deg2rad(tilts_degrees))[:, None, None]
    volume = np.zeros(shape, dtype=np.float32)
    for number in range(iterations):

        def heard(what: str, done: int, total: int, number: int = number) -> None:
            progress(f"{what} of SIRT", number * total + done, iterations * total)

        residual = images - project(volume, tilts_degrees, heard) if number else images.copy()
        residual /= (lengths * len(tilts_degrees)).astype(np.float32)
        back_project(residual, tilts_degrees, shape, heard, into=volume)
    return volume


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


def _angle_step_radians(tilts_degrees: TiltAngles) -> float:
    if len(tilts_degrees) < 2:
        return 1.0
    return float(np.deg2rad((tilts_degrees.max() - tilts_degrees.min()) / (len(tilts_degrees) - 1)))
