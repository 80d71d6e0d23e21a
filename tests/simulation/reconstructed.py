"""Imaging and reconstruction in one step, as `simulate` does them."""

from tomopicker.simulation.imaging import reconstruct, simulate_tilt_series
from tomopicker.simulation.settings import ImagingSettings
from tomopicker.types import Volume


def image_tomogram(density: Volume, settings: ImagingSettings, seed: int) -> Volume:
    """Image a density (z, y, x) as a tilt series and reconstruct it."""
    z, y, x = density.shape
    return reconstruct(simulate_tilt_series(density, settings, seed), settings, (z, y, x))
