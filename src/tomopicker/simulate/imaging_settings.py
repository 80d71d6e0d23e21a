"""How a density is imaged and reconstructed, as values."""

from dataclasses import dataclass
from typing import Literal, get_args

from tomopicker.errors import UsageError

TiltScheme = Literal["dose-symmetric", "bidirectional", "continuous"]
"""The order of the tilts: outwards from zero by turns; from zero to one end, then to the other; from end to end."""

Reconstruction = Literal["wbp", "sirt"]


@dataclass(frozen=True)
class ImagingSettings:
    """How a density is imaged and reconstructed.

    Attributes
    ----------
    voxel_size_angstrom : float
    tilt_range_degrees : float
        Tilts from minus to plus the range; the tilt axis is y.
    tilt_step_degrees : float
        Between two tilts.
    tilt_scheme : TiltScheme
        Order of the tilts, dose-symmetric, bidirectional or continuous: later ones have had more dose.
    defocus_um : float
        At the tilt axis, underfocus positive.
    defocus_jitter_um : float
        Standard deviation of the defocus from tilt to tilt.
    defocus_gradient : bool
        A tilted image is farther from focus on one side of the axis than on the other.
    phase_shift_degrees : float
        Of a Volta phase plate; 0 without.
    voltage_kv : float
        Of the electrons.
    spherical_aberration_mm : float
        Of the objective lens.
    amplitude_contrast : float
        Share of the contrast that does not come from phase.
    b_factor_square_angstrom : float
        Envelope exp(-B k² / 4).
    dose_per_square_angstrom : float or None
        Electrons over the whole tilt series; none for no noise and no damage.
    radiation_damage : bool
        Detail fades with the dose.
    dose_weighting : bool
        Each tilt image is weighted by what its dose has left of each frequency.
    tilt_weighting : float
        Each tilt image is weighted by the cosine of its tilt to this power; 0 for equal weights.
    detective_quantum_efficiency : float
        Share of those electrons that count; the rest is lost to the detector and to inelastic scattering.
    path_attenuation : float
        Lamella thickness over the mean free path: a tilt keeps exp(-that / cos tilt) of its electrons.
    gain_error : float
        Standard deviation of a pixel's wrong gain, the same in every tilt image.
    hot_lines : int
        Rows or columns of the camera that count a fifth too much or too little.
    binning_fall_off : float
        Where the blur of camera and binning begins, as a fraction of Nyquist; 1 for none.
    alignment_error_voxels : float
        Standard deviation of the shift of each tilt image, along each of its axes.
    reconstruction : Reconstruction
        wbp, weighted back-projection, or sirt, simultaneous iterative reconstruction.
    ramp_fall_off : float
        Where the ramp filter of a weighted back-projection begins to fall, as a fraction of Nyquist.
    sirt_like_iterations : int
        Above 0: the ramp filter of a weighted back-projection is flattened to what as many rounds of SIRT would give.
    sirt_iterations : int
        Rounds of a SIRT reconstruction.
    """

    voxel_size_angstrom: float
    tilt_range_degrees: float = 60.0
    tilt_step_degrees: float = 3.0
    tilt_scheme: TiltScheme = "dose-symmetric"
    defocus_um: float = 3.5
    defocus_jitter_um: float = 0.1
    defocus_gradient: bool = True
    phase_shift_degrees: float = 0.0
    voltage_kv: float = 300.0
    spherical_aberration_mm: float = 2.7
    amplitude_contrast: float = 0.07
    b_factor_square_angstrom: float = 800.0
    dose_per_square_angstrom: float | None = 100.0
    radiation_damage: bool = True
    dose_weighting: bool = False
    tilt_weighting: float = 0.0
    detective_quantum_efficiency: float = 0.5
    path_attenuation: float = 0.35
    gain_error: float = 0.0
    hot_lines: int = 0
    binning_fall_off: float = 1.0
    alignment_error_voxels: float = 0.3
    reconstruction: Reconstruction = "wbp"
    ramp_fall_off: float = 0.2
    sirt_like_iterations: int = 0
    sirt_iterations: int = 15

    def __post_init__(self) -> None:
        checks: dict[str, tuple[float, float, float, str]] = {
            "voxel size": (self.voxel_size_angstrom, 1.0, 60.0, "Å"),
            "tilt range": (self.tilt_range_degrees, 1.0, 80.0, "degrees"),
            "tilt step": (self.tilt_step_degrees, 0.1, self.tilt_range_degrees, "degrees"),
            "defocus": (self.defocus_um, -5.0, 20.0, "µm"),
            "defocus jitter": (self.defocus_jitter_um, 0.0, 5.0, "µm"),
            "phase shift": (self.phase_shift_degrees, -180.0, 180.0, "degrees"),
            "voltage": (self.voltage_kv, 60.0, 1000.0, "kV"),
            "spherical aberration": (self.spherical_aberration_mm, 0.0, 10.0, "mm"),
            "amplitude contrast": (self.amplitude_contrast, 0.0, 1.0, ""),
            "B factor": (self.b_factor_square_angstrom, 0.0, 1e5, "Å²"),
            "tilt weighting": (self.tilt_weighting, 0.0, 10.0, ""),
            "quantum efficiency": (self.detective_quantum_efficiency, 1e-4, 1.0, ""),
            "path attenuation": (self.path_attenuation, 0.0, 10.0, ""),
            "gain error": (self.gain_error, 0.0, 0.5, ""),
            "hot lines": (self.hot_lines, 0, 1000, ""),
            "alignment error": (self.alignment_error_voxels, 0.0, 20.0, "voxels"),
            "ramp fall-off": (self.ramp_fall_off, 0.0, 0.99, "of Nyquist"),
            "binning fall-off": (self.binning_fall_off, 0.0, 1.0, "of Nyquist"),
            "SIRT-like iterations": (self.sirt_like_iterations, 0, 10000, ""),
            "SIRT iterations": (self.sirt_iterations, 1, 1000, ""),
        }
        if self.dose_per_square_angstrom is not None:
            checks["dose"] = (self.dose_per_square_angstrom, 1e-3, 1e6, "electrons/Å²")
        for name, (value, low, high, unit) in checks.items():
            if not low <= value <= high:
                raise UsageError(f"{name} {value}: must be between {low:g} and {high:g} {unit}".rstrip())
        for name, word, known in (
            ("tilt scheme", self.tilt_scheme, get_args(TiltScheme)),
            ("reconstruction", self.reconstruction, get_args(Reconstruction)),
        ):
            if word not in known:
                raise UsageError(f"{name} {word}: choose one of {', '.join(known)}")
