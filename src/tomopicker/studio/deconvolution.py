"""Deconvolution of the contrast transfer, for display only: a Wiener filter of the mean of a slab."""

from dataclasses import dataclass, fields
from typing import Annotated

import numpy as np
from jaxtyping import Float32, Float64
from pydantic import Field, TypeAdapter, ValidationError
from scipy import fft

from tomopicker.config import first_problem
from tomopicker.errors import UsageError
from tomopicker.simulation.optics import contrast_transfer

Slab = Float32[np.ndarray, "row column"]

HIGH_PASS_ANGSTROM = 1000.0
"""Period above which there is assumed to be no signal: gradients of ice thickness."""
BORDER_FRACTION = 0.05
"""Width of the mirrored border as a fraction of each side; it keeps opposite edges apart."""


@dataclass(frozen=True)
class Deconvolution:
    """Parameters of the filter; strength and falloff as in IsoNet and Warp.

    Parameters
    ----------
    defocus : float
        µm, underfocus positive.
    voltage : float
        kV.
    phase : float
        Phase shift of a phase plate, degrees.
    strength, falloff : float
        Of the signal-to-noise ratio, see `gain`.
    """

    defocus: Annotated[float, Field(ge=0, le=30)]
    voltage: Annotated[float, Field(ge=50, le=1000)] = 300.0
    phase: Annotated[float, Field(ge=0, le=180)] = 0.0
    strength: Annotated[float, Field(ge=0, le=3)] = 1.0
    falloff: Annotated[float, Field(ge=0, le=5)] = 1.0

    @classmethod
    def parse(cls, text: str) -> "Deconvolution":
        """Read ``defocus,voltage,phase,strength,falloff``.

        Raises `UsageError` if a number is missing or out of bounds.
        """
        names = [field.name for field in fields(cls)]
        try:
            return TypeAdapter(cls).validate_python(dict(zip(names, text.split(","), strict=True)))
        except ValidationError as error:
            raise UsageError(f"a deconvolution: {first_problem(error)}") from error
        except ValueError as error:
            raise UsageError(f"a deconvolution has the numbers {', '.join(names)}") from error

    def gain(self, frequency: Float64[np.ndarray, "..."]) -> Float64[np.ndarray, "..."]:
        """Return c / (c² + 1/SNR) at spatial frequencies (1/Å), c the contrast transfer, positive at low frequency.

        Notes
        -----
        SNR(k) = 1000^strength · (1 - cos(π min(1, k · 1000 Å))) · exp(-200 Å · falloff · k): the model of Warp's
        deconvolution (Tegunov and Cramer, Nature Methods 16, 2019), with its high-pass at a fixed period.
        """
        transfer = -contrast_transfer(
            frequency, defocus_um=self.defocus, phase_shift_degrees=self.phase, voltage_kv=self.voltage
        )
        high_pass = 1 - np.cos(np.pi * np.minimum(1, frequency * HIGH_PASS_ANGSTROM))
        ratio = 1000**self.strength * high_pass * np.exp(-200 * self.falloff * frequency)
        return np.asarray(transfer * ratio / (transfer**2 * ratio + 1), dtype=np.float64)

    def apply(self, slab: Slab, voxel_size: float) -> Slab:
        """Filter the mean of a slab, and subtract its average.

        The mean of a slab is the plane k_z = 0 of its spectrum: a 3D filter would do the same to it.

        Parameters
        ----------
        slab : array (row, column)
            Finite.
        voxel_size : float
            Å.
        """
        rows, columns = slab.shape
        border = [max(1, round(BORDER_FRACTION * n)) for n in slab.shape]
        sizes = [fft.next_fast_len(n + 2 * b, real=True) for n, b in zip(slab.shape, border, strict=True)]
        around = [(b, size - n - b) for n, b, size in zip(slab.shape, border, sizes, strict=True)]
        spectrum = fft.rfft2(np.pad(slab - slab.mean(), around, mode="symmetric"))
        k = np.hypot(fft.fftfreq(sizes[0], voxel_size)[:, None], fft.rfftfreq(sizes[1], voxel_size)[None])
        spectrum *= self.gain(k).astype(np.float32)
        filtered: Slab = fft.irfft2(spectrum, s=sizes)[border[0] :, border[1] :][:rows, :columns]
        return filtered.astype(np.float32, copy=False)
