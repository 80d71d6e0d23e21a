"""Deconvolution of the contrast transfer, for the eye alone: a Wiener filter of the mean of a slab."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64
from scipy import fft

from tomopicker.errors import UsageError
from tomopicker.simulation.optics import contrast_transfer

Slab = Float32[np.ndarray, "row column"]

HIGH_PASS_ANGSTROM = 1000.0
"""Period above which the signal is taken to vanish: gradients of ice thickness."""
BORDER = 0.05
"""Mirrored border, as a share of each side, so that one edge is not filtered into the other."""
BOUNDS = {
    "defocus": (0.0, 30.0), "voltage": (50.0, 1000.0), "phase": (0.0, 180.0), "strength": (0.0, 3.0),
    "falloff": (0.0, 5.0),
}  # fmt: skip


@dataclass(frozen=True)
class Deconvolution:
    """What the filter assumes; strength and falloff as IsoNet and Warp have them.

    Parameters
    ----------
    defocus : float
        µm, underfocus positive.
    voltage : float
        kV.
    phase : float
        Degrees, of a phase plate.
    strength, falloff : float
        Of the signal-to-noise ratio: see `gain`.
    """

    defocus: float
    voltage: float = 300.0
    phase: float = 0.0
    strength: float = 1.0
    falloff: float = 1.0

    @classmethod
    def parse(cls, text: str) -> "Deconvolution":
        """Read ``defocus,voltage,phase,strength,falloff``.

        Raises `UsageError` if one is left out, or is beyond its bounds.
        """
        try:
            values = dict(zip(BOUNDS, map(float, text.split(",")), strict=True))
        except ValueError as error:
            raise UsageError(f"a deconvolution has the numbers {', '.join(BOUNDS)}") from error
        for name, value in values.items():
            low, high = BOUNDS[name]
            if not low <= value <= high:
                raise UsageError(f"the {name} of a deconvolution is from {low:g} to {high:g}")
        return cls(**values)

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
        """Filter the mean of a slab; its own mean goes. The plane of a thick slab's mean is what a 3D filter gives it.

        Parameters
        ----------
        slab : array (row, column)
            Finite.
        voxel_size : float
            Å.
        """
        rows, columns = slab.shape
        border = [max(1, round(BORDER * n)) for n in slab.shape]
        sizes = [fft.next_fast_len(n + 2 * b, real=True) for n, b in zip(slab.shape, border, strict=True)]
        around = [(b, size - n - b) for n, b, size in zip(slab.shape, border, sizes, strict=True)]
        spectrum = fft.rfft2(np.pad(slab - slab.mean(), around, mode="symmetric"))
        k = np.hypot(fft.fftfreq(sizes[0], voxel_size)[:, None], fft.rfftfreq(sizes[1], voxel_size)[None])
        spectrum *= self.gain(k).astype(np.float32)
        filtered: Slab = fft.irfft2(spectrum, s=sizes)[border[0] :, border[1] :][:rows, :columns]
        return filtered.astype(np.float32, copy=False)
