"""What a scene holds, as values."""

from dataclasses import dataclass

from tomopicker.errors import UsageError
from tomopicker.types import Shape


@dataclass(frozen=True)
class SceneSettings:
    """What a lamella holds.

    Attributes
    ----------
    shape : Shape
        (z, y, x) in voxels.
    voxel_size_angstrom : float
    thickness_angstrom : float
        Of the lamella; vacuum above and below.
    middle_voxels : float or None
        z of the lamella's middle at the centre of the field; None: the volume's.
    lamella_tilt_degrees : float
        How far the lamella is turned out of the volume's xy plane about y, the tilt axis.
    lamella_pitch_degrees : float
        The same about x.
    curtaining_angstrom : float
        Standard deviation of the depth of the furrows that milling left on both faces; 0 for plane faces.
    coating_density : float
        Of the grains of metal sputtered on one face against charging, in units of protein; 0 for none.
    target : str
        Name of the molecule whose places are the truth.
    n_targets : int
        How many of it.
    distractors : tuple of (str, int)
        Names and counts of the other molecules.
    touching_fraction : float
        Share of the targets placed right beside another one.
    clustered_fraction : float
        Share of the targets that come in strings, each right beside the one before, as on one messenger.
    cluster_size : int
        Targets in such a string.
    crowd_fraction : float
        Of the lamella's volume that unresolved small molecules fill.
    n_membranes : int
        Wide, wavy sheets that stand in the lamella; fewer where they would cross.
    paired_membranes : float
        Share of the sheets that are two membranes, as around a cisterna or a nucleus.
    n_vesicles : int
        Round, of 300 to 700 Å.
    n_microtubules : int
        Across the field, as far as there is room.
    n_actin_filaments : int
        The same.
    n_lumps : int
        Dense granules without a shape of their own, of up to 220 Å.
    n_gold_beads : int
        Anywhere in the lamella.
    gold_diameter_angstrom : float
        Of a gold bead.
    n_ice_lumps : int
        Ice that settled on the lamella's faces, of 300 to 900 Å.
    border_voxels : float
        Centres stay this far from the faces in x and y.
    """

    shape: Shape
    voxel_size_angstrom: float
    thickness_angstrom: float
    target: str = "ribosome"
    n_targets: int = 20
    distractors: tuple[tuple[str, int], ...] = ()
    touching_fraction: float = 0.1
    clustered_fraction: float = 0.0
    cluster_size: int = 5
    crowd_fraction: float = 0.12
    n_membranes: int = 2
    paired_membranes: float = 0.0
    n_vesicles: int = 0
    n_microtubules: int = 0
    n_actin_filaments: int = 0
    n_lumps: int = 1
    n_gold_beads: int = 0
    gold_diameter_angstrom: float = 100.0
    n_ice_lumps: int = 0
    border_voxels: float = 6.0
    middle_voxels: float | None = None
    lamella_tilt_degrees: float = 0.0
    lamella_pitch_degrees: float = 0.0
    curtaining_angstrom: float = 0.0
    coating_density: float = 0.0

    def __post_init__(self) -> None:
        if len(self.shape) != 3 or min(self.shape) < 16:
            raise UsageError(f"shape {self.shape}: (z, y, x) of at least 16 voxels a side is needed")
        if not 1.0 <= self.voxel_size_angstrom <= 60.0:
            raise UsageError(f"voxel size {self.voxel_size_angstrom} Å: must be between 1 and 60 Å")
        if not 0.0 < self.thickness_angstrom <= self.shape[0] * self.voxel_size_angstrom:
            raise UsageError(f"lamella of {self.thickness_angstrom:g} Å: must be thinner than the volume's z")
        counts = {
            name: getattr(self, name)
            for name in ("n_targets", "n_membranes", "n_vesicles", "n_microtubules", "n_actin_filaments", "n_lumps",
                         "n_gold_beads", "n_ice_lumps")
        } | dict(self.distractors)  # fmt: skip
        for name, count in counts.items():
            if count < 0:
                raise UsageError(f"{name} {count}: a scene cannot hold a negative number of things")
        limits = {
            "touching_fraction": (0.0, 1.0),
            "clustered_fraction": (0.0, 1.0),
            "paired_membranes": (0.0, 1.0),
            "crowd_fraction": (0.0, 0.6),
            "cluster_size": (1, 1000),
            "gold_diameter_angstrom": (10.0, 1000.0),
            "border_voxels": (0.0, min(self.shape) / 2),
            "lamella_tilt_degrees": (-45.0, 45.0),
            "lamella_pitch_degrees": (-45.0, 45.0),
            "coating_density": (0.0, 20.0),
            "curtaining_angstrom": (0.0, self.thickness_angstrom / 4),
        }
        for name, (low, high) in limits.items():
            if not low <= getattr(self, name) <= high:
                raise UsageError(f"{name} {getattr(self, name)}: must be between {low:g} and {high:g}")
