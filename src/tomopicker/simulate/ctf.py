"""The contrast transfer function of a phase-contrast microscope, with or without a phase plate."""

import numpy as np
from jaxtyping import Float64


def electron_wavelength_angstrom(voltage_kv: float) -> float:
    """De Broglie wavelength with the relativistic correction: 0.0197 Å at 300 kV."""
    volts = voltage_kv * 1e3
    return float(12.2643 / np.sqrt(volts * (1.0 + 0.978466e-6 * volts)))


def contrast_transfer(
    frequency_per_angstrom: Float64[np.ndarray, "..."],
    *,
    defocus_um: float,
    phase_shift_degrees: float,
    voltage_kv: float,
    spherical_aberration_mm: float,
    amplitude_contrast: float,
) -> Float64[np.ndarray, "..."]:
    """Contrast of a weak phase object at a spatial frequency: -1 turns phase fully into darkness.

    Parameters
    ----------
    frequency_per_angstrom : (...)
        Modulus of the spatial frequency in 1/Å.
    defocus_um : float
        Underfocus positive.
    phase_shift_degrees : float
        Of the phase plate; 0 without one.
    voltage_kv, spherical_aberration_mm, amplitude_contrast : float

    Returns
    -------
    (...)
        -sin(π λ Δf k² - π/2 Cs λ³ k⁴ + φ + asin A): negative near k = 0, so protein is dark.
    """
    wavelength = electron_wavelength_angstrom(voltage_kv)
    squared = frequency_per_angstrom**2
    defocus = np.pi * wavelength * (defocus_um * 1e4) * squared
    aberration = 0.5 * np.pi * (spherical_aberration_mm * 1e7) * wavelength**3 * squared**2
    phase = defocus - aberration + np.deg2rad(phase_shift_degrees) + np.arcsin(amplitude_contrast)
    return np.asarray(-np.sin(phase), dtype=np.float64)
