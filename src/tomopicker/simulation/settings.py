"""Settings of a simulation, each with its limits and meaning, and their modification by name.

docs/generate.py writes the table of settings in docs/commands/simulate.md from these descriptions.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, TypeAdapter, ValidationError, model_validator
from pydantic.dataclasses import dataclass
from pydantic.fields import FieldInfo

from tomopicker.config import Flag, Frozen, fields_of, setting
from tomopicker.errors import UsageError
from tomopicker.wording import wrong_value

Preset = Literal["vpp", "defocus", "easy", "hard"]
TiltScheme = Literal["dose-symmetric", "bidirectional", "continuous"]
"""Order of the tilts: outwards from zero in both directions; from zero to one end, then the other; end to end."""
Reconstruction = Literal["wbp", "sirt"]
_SAMPLE, _IMAGING, _UNNAMED = "Sample", "Imaging", ""
"""Panels of the command's help."""

Edge = Annotated[int, Field(ge=16)]
Count = Annotated[int, Field(ge=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]
VoxelSize = Annotated[float, Field(ge=1, le=60)]
Dose = Annotated[
    Annotated[float, Field(ge=1e-3, le=1e6)] | None, BeforeValidator(lambda dose: None if dose in {0, "0"} else dose)
]

_ARGUMENTS = {
    "scene.shape": "--shape",
    "scene.voxel_size_angstrom": "--voxel-size",
    "scene.target": "--target",
    "scene.n_targets": "--particles",
    "scene.distractors": "--maps",
    "scene.middle_voxels": "--positions",
    "imaging.voxel_size_angstrom": "--voxel-size",
}
"""Settings that have an argument of their own."""


@dataclass(frozen=True)
class SceneSettings:
    """Contents of a lamella."""

    shape: tuple[Edge, Edge, Edge]
    voxel_size_angstrom: VoxelSize
    thickness_angstrom: Annotated[
        float,
        setting(
            ..., "Thickness of the lamella, with vacuum above and below.", unit="Å", gt=0,
            flag=Flag(float, _SAMPLE, "half to two thirds of z, or around --positions", name="thickness"),
        ),
    ]  # fmt: skip
    target: str = setting("ribosome", "Name of the molecule to be picked.")
    n_targets: Count = setting(20, "Number of targets.")
    distractors: tuple[tuple[str, Count], ...] = setting((), "Names and numbers of the other molecules.")
    touching_fraction: Fraction = setting(0.1, "Fraction of the targets placed in contact with another one.")
    clustered_fraction: Fraction = setting(
        0.0, "Fraction of the targets in strings, each in contact with the previous one, as in polysomes."
    )
    cluster_size: int = setting(5, "Number of targets in a string.", ge=1, le=1000)
    crowd_fraction: float = setting(
        0.12, "Fraction of the lamella's volume filled by unresolved small molecules.", ge=0, le=0.6
    )
    n_membranes: Count = setting(2, "Undulating sheets across the lamella; fewer where they would cross.")
    paired_membranes: Fraction = setting(
        0.0, "Fraction of the sheets that are two membranes, as around a cisterna or a nucleus."
    )
    n_vesicles: Count = setting(0, "Round vesicles, 300 to 700 Å in diameter.")
    n_microtubules: Count = setting(0, "Microtubules across the field of view; fewer if there is no room.")
    n_actin_filaments: Count = setting(0, "Actin filaments across the field of view; fewer if there is no room.")
    n_lumps: Count = setting(1, "Dense, irregular granules of up to 220 Å.")
    n_gold_beads: Count = setting(0, "Gold beads, anywhere in the lamella.")
    gold_diameter_angstrom: float = setting(100.0, "Diameter of a gold bead.", ge=10, le=1000)
    n_ice_lumps: Count = setting(0, "Ice contamination on the lamella's faces, 300 to 900 Å in diameter.")
    border_voxels: float = setting(6.0, "Minimum distance of centres from the faces in x and y.", ge=0)
    middle_voxels: float | None = setting(
        None, "z of the lamella's mid-plane at the centre of the field of view; None: the middle of the volume."
    )
    lamella_tilt_degrees: float = setting(
        0.0, "Rotation of the lamella out of the volume's xy plane about y, the tilt axis.", unit="°", ge=-45, le=45,
        flag=Flag(float, _SAMPLE, "a few, drawn; easy: 0", name="lamella-tilt"),
    )  # fmt: skip
    lamella_pitch_degrees: float = setting(0.0, "Rotation of the lamella about x.", ge=-45, le=45)
    curtaining_angstrom: float = setting(
        0.0, "Standard deviation of the depth of milling furrows on both faces; 0 for flat faces.", ge=0
    )
    coating_density: float = setting(
        0.0, "Density of sputtered metal grains on one face, relative to protein; 0 for none.", ge=0, le=20
    )

    def __post_init__(self) -> None:
        limits = {
            "thickness_angstrom": (self.shape[0] * self.voxel_size_angstrom, "the volume's z"),
            "border_voxels": (min(self.shape) / 2, "half the volume's shortest edge"),
            "curtaining_angstrom": (self.thickness_angstrom / 4, "a quarter of the thickness"),
        }
        for name, (limit, meaning) in limits.items():
            if getattr(self, name) > limit:
                raise UsageError(f"scene.{name} {getattr(self, name):g}: must be at most {limit:g}, {meaning}")


@dataclass(frozen=True)
class ImagingSettings:
    """Imaging and reconstruction of a density."""

    voxel_size_angstrom: VoxelSize
    tilt_range_degrees: float = setting(
        60.0, "Maximum tilt in both directions; the tilt axis is y.", unit="°", ge=1, le=80,
        flag=Flag(float, _IMAGING, "60", name="tilt-range"),
    )  # fmt: skip
    tilt_step_degrees: float = setting(
        3.0, "Tilt increment.", unit="°", ge=0.1, flag=Flag(float, _IMAGING, "3", name="tilt-step")
    )
    tilt_scheme: TiltScheme = setting(
        "dose-symmetric", "Order of the tilts: later ones are more damaged.", flag=Flag(TiltScheme, _IMAGING)
    )
    defocus_um: float = setting(
        3.5, "Defocus at the tilt axis, underfocus positive.", unit="µm", ge=-5, le=20,
        flag=Flag(float, _IMAGING, "drawn, see Presets", name="defocus"),
    )  # fmt: skip
    defocus_jitter_um: float = setting(0.1, "Standard deviation of the defocus from tilt to tilt.", ge=0, le=5)
    defocus_gradient: bool = setting(True, "The defocus of a tilted image varies across the tilt axis.")
    phase_shift_degrees: float = setting(0.0, "Phase shift of a Volta phase plate; 0 without one.", ge=-180, le=180)
    voltage_kv: float = setting(300.0, "Acceleration voltage.", ge=60, le=1000)
    spherical_aberration_mm: float = setting(2.7, "Spherical aberration of the objective lens.", ge=0, le=10)
    amplitude_contrast: Fraction = setting(0.07, "Amplitude contrast, as a fraction of the total.")
    b_factor_square_angstrom: float = setting(800.0, "Envelope exp(-B k² / 4).", ge=0, le=1e5)
    dose_per_square_angstrom: Dose = setting(
        100.0, "Dose of the whole tilt series; 0 or none: neither noise nor damage.", unit="e/Å²",
        flag=Flag(float, _IMAGING, "the preset's", name="dose"),
    )  # fmt: skip
    radiation_damage: bool = setting(True, "Detail fades with the accumulated dose.")
    dose_weighting: bool = setting(False, "Weight each frequency of a tilt image by the amplitude its dose has left.")
    tilt_weighting: float = setting(
        0.0, "Tilt images are weighted by the cosine of the tilt to this power; 0 for equal weights.", ge=0, le=10
    )
    detective_quantum_efficiency: float = setting(
        0.5, "Fraction of the electrons that contribute to the signal; the detector and inelastic scattering lose the "
        "rest.", ge=1e-4, le=1,
    )  # fmt: skip
    path_attenuation: float = setting(
        0.35, "Lamella thickness t over the mean free path; exp(-t / cos tilt) of the electrons are left.",
        ge=0, le=10,
    )  # fmt: skip
    gain_error: float = setting(
        0.0, "Standard deviation of the pixels' gain error, the same in every tilt image.", ge=0, le=0.5
    )
    hot_lines: int = setting(
        0, "Rows or columns of the camera whose counts are a fifth too high or too low.", ge=0, le=1000
    )
    binning_fall_off: Fraction = setting(
        1.0, "Frequency at which the blur of camera and binning begins, as a fraction of Nyquist; 1 for none."
    )
    alignment_error_voxels: float = setting(
        0.3, "Standard deviation of the shift of each tilt image, along each axis.", ge=0, le=20
    )
    reconstruction: Reconstruction = setting(
        "wbp", "Weighted back-projection, or SIRT, the simultaneous iterative reconstruction.",
        flag=Flag(Reconstruction, _IMAGING),
    )  # fmt: skip
    ramp_fall_off: float = setting(
        0.2, "Frequency at which the ramp filter of a weighted back-projection begins to fall, as a fraction of "
        "Nyquist.", ge=0, le=0.99,
    )  # fmt: skip
    sirt_like_iterations: int = setting(
        0, "Above 0: the ramp filter of a weighted back-projection resembles as many iterations of SIRT.",
        ge=0, le=10000,
    )  # fmt: skip
    sirt_iterations: int = setting(15, "Iterations of a SIRT reconstruction.", ge=1, le=1000)

    def __post_init__(self) -> None:
        if self.tilt_step_degrees > self.tilt_range_degrees:
            raise UsageError(
                f"imaging.tilt_step_degrees {self.tilt_step_degrees:g}: must be at most the tilt range "
                f"({self.tilt_range_degrees:g}°)"
            )


class Series(Frozen):
    """Simulated tomograms TS_0001, TS_0002, and so on, which differ in their seeds."""

    preset: Preset = setting("vpp", "Imaging conditions and surroundings of the target.", flag=Flag(Preset, _UNNAMED))
    count: int = setting(1, "Number of tomograms.", flag=Flag(int, _UNNAMED), ge=1)
    shape: tuple[Edge, Edge, Edge] = setting(
        (320, 320, 112), "Size in voxels.", unit="X,Y,Z", flag=Flag(str, _UNNAMED, "320,320,112")
    )
    voxel_size: VoxelSize = setting(13.48, "Voxel size.", unit="Å", flag=Flag(float, _UNNAMED))
    particles: int | None = setting(
        None, "Targets per tomogram.", flag=Flag(int, _UNNAMED, "as crowded as yeast cytosol"), ge=1
    )
    seed: int = setting(
        0, "Seed of the first tomogram; each further tomogram adds 1.", flag=Flag(int, _UNNAMED), ge=0, le=2**32 - 1
    )


class Simulation(Series):
    """Tomograms to simulate, with the source and the positions of their molecules."""

    maps: Path | None = setting(
        None, "Density maps of the molecules (MRC, protein positive), instead of built-in ones.", unit="DIR",
        flag=Flag(Path, _UNNAMED),
    )  # fmt: skip
    target: str = setting(
        "ribosome", "Molecule whose positions are the ground truth; with --maps, the name of its file.", unit="NAME",
        flag=Flag(str, _UNNAMED),
    )  # fmt: skip
    positions: Path | None = setting(
        None, "Place the targets at these positions (voxels, x,y,z); those outside are left out.", unit="FILE",
        flag=Flag(Path, _UNNAMED),
    )  # fmt: skip
    positions_offset: str | None = setting(
        None,
        "Corner of the tomogram in --positions, in voxels, or [bold]centre[/bold] for the middle of a larger layout.",
        unit="X,Y,Z", flag=Flag(str, _UNNAMED, "0,0,0"),
    )  # fmt: skip

    @model_validator(mode="after")
    def _consistent(self) -> "Simulation":
        if self.positions is not None and self.particles is not None:
            raise UsageError("--particles and --positions: the file sets the number of particles; give one of them")
        if self.positions is None and self.positions_offset is not None:
            raise UsageError("--positions-offset: locates the tomogram in a file of --positions; give that as well")
        return self


_GROUPS: dict[str, type] = {"scene": SceneSettings, "imaging": ImagingSettings}


@dataclass(frozen=True)
class SimulationSettings:
    """All settings of a simulated tomogram, resolved."""

    preset: str
    seed: int
    scene: SceneSettings
    imaging: ImagingSettings


def setting_fields() -> dict[str, FieldInfo]:
    """Return the settings that can be overridden by name, ``group.setting``."""
    fields = {f"{group}.{name}": info for group, kind in _GROUPS.items() for name, info in fields_of(kind).items()}
    return {name: info for name, info in fields.items() if name not in _ARGUMENTS}


def parse_changes(changes: Mapping[str, object]) -> dict[str, dict[str, Any]]:
    """Validate overridden settings and return them by group, converted to the types of their fields.

    `changes` maps ``group.setting`` to a value or its text; ``none`` is None.

    Raises `UsageError` if a name is unknown or a value is invalid.
    """
    parsed: dict[str, dict[str, Any]] = {group: {} for group in _GROUPS}
    fields = setting_fields()
    for name, value in changes.items():
        if name in _ARGUMENTS:
            raise UsageError(f"{name}: is set by {_ARGUMENTS[name]}")
        if name not in fields:
            raise UsageError(f"{name}: no such setting; choose one of {', '.join(fields)}")
        group, _, setting = name.partition(".")
        plain = None if isinstance(value, str) and value.lower() == "none" else value
        with one_line_errors(name):
            field: Any = Annotated[(fields[name].annotation, Field(), *fields[name].metadata)]
            parsed[group][setting] = TypeAdapter(field).validate_python(plain)
    return parsed


@contextmanager
def one_line_errors(name: str) -> Iterator[None]:
    """Convert a validation error of a setting, or a group of settings, to a `UsageError` of one line."""
    try:
        yield
    except ValidationError as error:
        first = error.errors()[0]
        setting = ".".join([name, *map(str, first["loc"])])
        problem = wrong_value(first["type"], first["input"], first["msg"].lower())
        raise UsageError(f"{setting} {first['input']}: {problem}") from error
