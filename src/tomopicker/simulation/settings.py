"""Settings of a simulation, each with its limits and meaning, and their change by name.

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
"""Order of the tilts: outwards from zero by turns; from zero to one end, then to the other; from end to end."""
Reconstruction = Literal["wbp", "sirt"]
SAMPLE, IMAGING, FIRST = "Sample", "Imaging", ""
"""Panels of the help; the first has no name."""

Edge = Annotated[int, Field(ge=16)]
Count = Annotated[int, Field(ge=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]
VoxelSize = Annotated[float, Field(ge=1, le=60)]
Dose = Annotated[
    Annotated[float, Field(ge=1e-3, le=1e6)] | None, BeforeValidator(lambda dose: None if dose in {0, "0"} else dose)
]

ARGUMENTS = {
    "scene.shape": "--shape",
    "scene.voxel_size_angstrom": "--voxel-size",
    "scene.target": "--target",
    "scene.n_targets": "--particles",
    "scene.distractors": "--maps",
    "scene.middle_voxels": "--positions",
    "imaging.voxel_size_angstrom": "--voxel-size",
}
"""Settings that follow from an argument of their own."""


@dataclass(frozen=True)
class SceneSettings:
    """What a lamella holds."""

    shape: tuple[Edge, Edge, Edge]
    voxel_size_angstrom: VoxelSize
    thickness_angstrom: Annotated[
        float,
        setting(
            ..., "Of the lamella; vacuum above and below.", unit="Å", gt=0,
            flag=Flag(float, SAMPLE, "half to two thirds of z, or around --positions", name="thickness"),
        ),
    ]  # fmt: skip
    target: str = setting("ribosome", description="Name of the molecule to be picked.")
    n_targets: Count = setting(20, description="Number of targets.")
    distractors: tuple[tuple[str, Count], ...] = setting((), description="Names and counts of the other molecules.")
    touching_fraction: Fraction = setting(
        0.1, description="Fraction of the targets placed in contact with another one."
    )
    clustered_fraction: Fraction = setting(
        0.0,
        description="Fraction of the targets in strings, each in contact with the one before, as polysomes.",
    )
    cluster_size: int = setting(5, ge=1, le=1000, description="Targets in such a string.")
    crowd_fraction: float = setting(
        0.12, ge=0, le=0.6, description="Of the lamella's volume that unresolved small molecules fill."
    )
    n_membranes: Count = setting(2, description="Wide, wavy sheets across the lamella; fewer where they would cross.")
    paired_membranes: Fraction = setting(
        0.0, description="Share of the sheets that are two membranes, as around a cisterna or a nucleus."
    )
    n_vesicles: Count = setting(0, description="Round, of 300 to 700 Å.")
    n_microtubules: Count = setting(0, description="Across the field; fewer if there is no room.")
    n_actin_filaments: Count = setting(0, description="The same.")
    n_lumps: Count = setting(1, description="Dense granules without a shape of their own, of up to 220 Å.")
    n_gold_beads: Count = setting(0, description="Anywhere in the lamella.")
    gold_diameter_angstrom: float = setting(100.0, ge=10, le=1000, description="Of a gold bead.")
    n_ice_lumps: Count = setting(0, description="Ice that settled on the lamella's faces, of 300 to 900 Å.")
    border_voxels: float = setting(6.0, ge=0, description="Distance of centres from the faces in x and y.")
    middle_voxels: float | None = setting(
        None, description="z of the lamella's middle at the centre of the field; None: the volume's."
    )
    lamella_tilt_degrees: float = setting(
        0.0, "Rotation of the lamella out of the volume's xy plane about y, the tilt axis.", unit="°", ge=-45, le=45,
        flag=Flag(float, SAMPLE, "a few, drawn; easy: 0", name="lamella-tilt"),
    )  # fmt: skip
    lamella_pitch_degrees: float = setting(0.0, ge=-45, le=45, description="The same about x.")
    curtaining_angstrom: float = setting(
        0.0, ge=0,
        description="Standard deviation of the depth of the furrows that milling left on both faces; 0 for plane "
        "faces.",
    )  # fmt: skip
    coating_density: float = setting(
        0.0, ge=0, le=20,
        description="Of the grains of metal sputtered on one face against charging, in units of protein; 0 for none.",
    )  # fmt: skip

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
    """How a density is imaged and reconstructed."""

    voxel_size_angstrom: VoxelSize
    tilt_range_degrees: float = setting(
        60.0, "Largest tilt to both sides; the tilt axis is y.", unit="°", ge=1, le=80,
        flag=Flag(float, IMAGING, "60", name="tilt-range"),
    )  # fmt: skip
    tilt_step_degrees: float = setting(
        3.0, "Between two tilts.", unit="°", ge=0.1, flag=Flag(float, IMAGING, "3", name="tilt-step")
    )
    tilt_scheme: TiltScheme = setting(
        "dose-symmetric", "Order of the tilts: later ones are more damaged.", flag=Flag(TiltScheme, IMAGING)
    )
    defocus_um: float = setting(
        3.5, "At the tilt axis, underfocus positive.", unit="µm", ge=-5, le=20,
        flag=Flag(float, IMAGING, "drawn, see Presets", name="defocus"),
    )  # fmt: skip
    defocus_jitter_um: float = setting(
        0.1, ge=0, le=5, description="Standard deviation of the defocus from tilt to tilt."
    )
    defocus_gradient: bool = setting(True, description="The defocus of a tilted image varies across the tilt axis.")
    phase_shift_degrees: float = setting(0.0, ge=-180, le=180, description="Of a Volta phase plate; 0 without.")
    voltage_kv: float = setting(300.0, ge=60, le=1000, description="Of the electrons.")
    spherical_aberration_mm: float = setting(2.7, ge=0, le=10, description="Of the objective lens.")
    amplitude_contrast: Fraction = setting(0.07, description="Share of the contrast that does not come from phase.")
    b_factor_square_angstrom: float = setting(800.0, ge=0, le=1e5, description="Envelope exp(-B k² / 4).")
    dose_per_square_angstrom: Dose = setting(
        100.0, "Of the whole tilt series; 0 or none: neither noise nor damage.", unit="e/Å²",
        flag=Flag(float, IMAGING, "the preset's", name="dose"),
    )  # fmt: skip
    radiation_damage: bool = setting(True, description="Detail fades with the dose.")
    dose_weighting: bool = setting(
        False, description="Each tilt image is weighted by what its dose has left of each frequency."
    )
    tilt_weighting: float = setting(
        0.0, ge=0, le=10,
        description="Each tilt image is weighted by the cosine of its tilt to this power; 0 for equal weights.",
    )  # fmt: skip
    detective_quantum_efficiency: float = setting(
        0.5, ge=1e-4, le=1,
        description="Share of those electrons that are detected; the rest is lost to the detector and to inelastic "
        "scattering.",
    )  # fmt: skip
    path_attenuation: float = setting(
        0.35, ge=0, le=10,
        description="Lamella thickness over the mean free path: a tilt keeps exp(-that / cos tilt) of its electrons.",
    )  # fmt: skip
    gain_error: float = setting(
        0.0, ge=0, le=0.5, description="Standard deviation of a pixel's wrong gain, the same in every tilt image."
    )
    hot_lines: int = setting(
        0, ge=0, le=1000, description="Rows or columns of the camera that count a fifth too much or too little."
    )
    binning_fall_off: Fraction = setting(
        1.0,
        description="Frequency at which the blur of camera and binning begins, as a fraction of Nyquist; 1 for none.",
    )
    alignment_error_voxels: float = setting(
        0.3, ge=0, le=20, description="Standard deviation of the shift of each tilt image, along each of its axes."
    )
    reconstruction: Reconstruction = setting(
        "wbp", "Weighted back-projection, or SIRT, the simultaneous iterative reconstruction.",
        flag=Flag(Reconstruction, IMAGING),
    )  # fmt: skip
    ramp_fall_off: float = setting(
        0.2, ge=0, le=0.99,
        description="Frequency at which the ramp filter of a weighted back-projection begins to fall, as a fraction of "
        "Nyquist.",
    )  # fmt: skip
    sirt_like_iterations: int = setting(
        0, ge=0, le=10000,
        description="Above 0: the ramp filter of a weighted back-projection is flattened to the response of as many "
        "rounds of SIRT.",
    )  # fmt: skip
    sirt_iterations: int = setting(15, ge=1, le=1000, description="Rounds of a SIRT reconstruction.")

    def __post_init__(self) -> None:
        if self.tilt_step_degrees > self.tilt_range_degrees:
            raise UsageError(
                f"imaging.tilt_step_degrees {self.tilt_step_degrees:g}: must be at most the tilt range "
                f"({self.tilt_range_degrees:g}°)"
            )


class Series(Frozen):
    """Simulated tomograms TS_0001, TS_0002, and so on, which differ in their seed."""

    preset: Preset = setting("vpp", "How it is imaged, and what surrounds the target.", flag=Flag(Preset, FIRST))
    count: int = setting(1, "Number of tomograms.", flag=Flag(int, FIRST), ge=1)
    shape: tuple[Edge, Edge, Edge] = setting(
        (320, 320, 112), "Size in voxels.", unit="X,Y,Z", flag=Flag(str, FIRST, "320,320,112")
    )
    voxel_size: VoxelSize = setting(13.48, "Voxel size.", unit="Å", flag=Flag(float, FIRST))
    particles: int | None = setting(
        None, "Targets per tomogram.", flag=Flag(int, FIRST, "as crowded as yeast cytosol"), ge=1
    )
    seed: int = setting(0, "Of the first tomogram; the next have the next.", flag=Flag(int, FIRST), ge=0, le=2**32 - 1)


class Simulation(Series):
    """Tomograms to simulate, and where the molecules come from and lie."""

    maps: Path | None = setting(
        None, "Density maps of the molecules (MRC, protein positive), instead of built-in ones.", unit="DIR",
        flag=Flag(Path, FIRST),
    )  # fmt: skip
    target: str = setting(
        "ribosome", "The molecule whose positions are the truth; with --maps, the name of its file.", unit="NAME",
        flag=Flag(str, FIRST),
    )  # fmt: skip
    positions: Path | None = setting(
        None, "Place the targets at these positions (voxels, x,y,z); those outside are left out.", unit="FILE",
        flag=Flag(Path, FIRST),
    )  # fmt: skip
    positions_offset: str | None = setting(
        None,
        "Corner of the tomogram in --positions, in voxels, or [bold]centre[/bold]: the middle of a larger layout.",
        unit="X,Y,Z", flag=Flag(str, FIRST, "0,0,0"),
    )  # fmt: skip

    @model_validator(mode="after")
    def _consistent(self) -> "Simulation":
        if self.positions is not None and self.particles is not None:
            raise UsageError("--particles and --positions: the file sets the number of particles; give one of them")
        if self.positions is None and self.positions_offset is not None:
            raise UsageError("--positions-offset: locates the tomogram in a file of --positions; give that as well")
        return self


GROUPS: dict[str, type] = {"scene": SceneSettings, "imaging": ImagingSettings}


@dataclass(frozen=True)
class SimulationSettings:
    """Everything a synthetic tomogram was made with, resolved."""

    preset: str
    seed: int
    scene: SceneSettings
    imaging: ImagingSettings


def setting_fields() -> dict[str, FieldInfo]:
    """Return the settings that can be changed by name, ``group.setting``."""
    fields = {f"{group}.{name}": info for group, kind in GROUPS.items() for name, info in fields_of(kind).items()}
    return {name: info for name, info in fields.items() if name not in ARGUMENTS}


def parse_changes(changes: Mapping[str, object]) -> dict[str, dict[str, Any]]:
    """Check names and values of changed settings; give them by group, with the types of their fields.

    `changes` maps ``group.setting`` to a value, or to its text; ``none`` is None.

    Raises `UsageError` if a name is unknown or a value is invalid.
    """
    parsed: dict[str, dict[str, Any]] = {group: {} for group in GROUPS}
    known = setting_fields()
    for name, value in changes.items():
        if name in ARGUMENTS:
            raise UsageError(f"{name}: is given by {ARGUMENTS[name]}")
        if name not in known:
            raise UsageError(f"{name}: no such setting; there are {', '.join(known)}")
        group, _, setting = name.partition(".")
        plain = None if isinstance(value, str) and value.lower() == "none" else value
        with one_line_errors(name):
            field: Any = Annotated[(known[name].annotation, Field(), *known[name].metadata)]
            parsed[group][setting] = TypeAdapter(field).validate_python(plain)
    return parsed


@contextmanager
def one_line_errors(name: str) -> Iterator[None]:
    """Turn pydantic's error about a setting, or a group of settings, into a `UsageError` of one line."""
    try:
        yield
    except ValidationError as error:
        first = error.errors()[0]
        setting = ".".join([name, *map(str, first["loc"])])
        problem = wrong_value(first["type"], first["input"], first["msg"].lower())
        raise UsageError(f"{setting} {first['input']}: {problem}") from error
