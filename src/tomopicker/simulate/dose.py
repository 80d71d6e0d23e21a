"""What the electrons leave of the sample: the order of the tilts, and how detail fades with dose."""

import numpy as np
from jaxtyping import Float64

from tomopicker.simulate.projection import TiltAngles
from tomopicker.simulate.settings import ImagingSettings


def tilt_angles(settings: ImagingSettings) -> TiltAngles:
    """Tilt angles in degrees, ascending and symmetric about zero."""
    steps = int(np.floor(settings.tilt_range_degrees / settings.tilt_step_degrees + 1e-6))
    return np.arange(-steps, steps + 1) * settings.tilt_step_degrees


def dose_before(settings: ImagingSettings) -> Float64[np.ndarray, " tilt"]:
    """Electrons/Å² that the sample has had by the middle of each tilt's exposure, for the tilts of `tilt_angles`."""
    tilts = tilt_angles(settings)
    if settings.dose_per_square_angstrom is None:
        return np.zeros(len(tilts))
    if settings.tilt_scheme == "continuous":
        order = np.arange(len(tilts))
    elif settings.tilt_scheme == "bidirectional":
        order = np.lexsort((np.abs(tilts), tilts < 0))
    else:
        # Out from zero: +1, -1, -2, +2, +3, -3 and so on, two at a time on each side (Hagen, Wan and Briggs 2017).
        step = np.rint(np.abs(tilts) / settings.tilt_step_degrees).astype(int)
        first = np.where(step % 2 == 1, tilts > 0, tilts < 0)
        order = np.lexsort((~first, step))
    each = settings.dose_per_square_angstrom / len(tilts)
    rank = np.empty(len(tilts))
    rank[order] = np.arange(len(tilts))
    return np.asarray((rank + 0.5) * each, dtype=np.float64)


def critical_dose(frequency_per_angstrom: Float64[np.ndarray, "..."], voltage_kv: float) -> Float64[np.ndarray, "..."]:
    """Dose in electrons/Å² at which the signal of a spatial frequency has fallen to exp(-1/2) of its amplitude.

    0.24499 k^-1.6649 + 2.8141 at 300 kV, a fifth less at 200 kV (Grant and Grigorieff 2015).
    """
    slower = 0.8 + 0.2 * float(np.clip((voltage_kv - 200.0) / 100.0, 0.0, 1.0))
    frequency = np.maximum(frequency_per_angstrom, 1e-6)
    return np.asarray(slower * (0.24499 * frequency**-1.6649 + 2.8141), dtype=np.float64)


def fading(
    frequency_per_angstrom: Float64[np.ndarray, "..."], dose: float, voltage_kv: float
) -> Float64[np.ndarray, "..."]:
    """Share of the amplitude that is left of each frequency after a dose in electrons/Å²: exp(-dose / 2 Nc(k))."""
    return np.asarray(np.exp(-0.5 * dose / critical_dose(frequency_per_angstrom, voltage_kv)), dtype=np.float64)
