"""A whole synthetic tomogram in one call: molecules, scene, tilt series, reconstruction, truth."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tomopicker.simulation.imaging import reconstruct, simulate_tilt_series
from tomopicker.simulation.molecules import builtin_names, class_name, load_library
from tomopicker.simulation.presets import resolve_preset
from tomopicker.simulation.projection import Progress, no_progress
from tomopicker.simulation.scene import Truth, build_scene
from tomopicker.simulation.settings import SimulationSettings
from tomopicker.types import Positions, Shape, Volume


@dataclass(frozen=True, eq=False)
class SimulatedTomogram:
    """A synthetic tomogram (z, y, x), protein dark, with its truth and settings."""

    volume: Volume
    truth: Truth
    settings: SimulationSettings

    @property
    def positions_voxels(self) -> Positions:
        """Centres of mass of the targets, (x, y, z) from the centre of the first voxel."""
        return self.truth.positions

    @property
    def distractor_classes(self) -> tuple[str, ...]:
        """Names of the other molecules, one each."""
        return self.truth.distractor_classes


def simulate_tomogram(
    preset: str,
    shape: Shape,
    voxel_size: float,
    seed: int,
    *,
    maps: Path | None = None,
    n_targets: int | None = None,
    target: str = "ribosome",
    layout: Positions | None = None,
    changes: Mapping[str, object] | None = None,
    progress: Progress = no_progress,
) -> SimulatedTomogram:
    """Make a synthetic tomogram; the same arguments give the same one.

    Parameters
    ----------
    preset : {"vpp", "defocus", "easy", "hard"}
        Phase plate near focus; 2.5-4.5 µm of defocus; phase plate with more dose and little around the targets; defocus
        with less dose and more around them.
    shape : Shape
        (z, y, x) in voxels.
    voxel_size : float
        In Å.
    seed : int
    maps : Path, optional
        A folder of density maps in place of the built-in molecules.
    n_targets : int, optional
        Number of targets (fewer where there is no room); without it, as crowded as yeast cytosol.
    target : str
        Name of the molecule to be picked, or the PDB code of its map; all others are distractors.
    layout : Positions, optional
        Positions of the targets, (x, y, z) in voxels, in place of random ones; all inside the volume.
    changes : mapping of str to object, optional
        Settings that differ from the preset, by name: ``scene.n_gold_beads``, ``imaging.defocus_um``.
    progress : callable, optional

    Returns
    -------
    SimulatedTomogram

    Raises
    ------
    TomoPickerError
        If an argument is invalid or a map cannot be read.
    """
    library = None
    if maps is not None:
        target = class_name(target)
        library = load_library(maps, voxel_size, target=target)
    settings = resolve_preset(
        preset, shape, voxel_size, seed, molecule_names=builtin_names() if library is None else tuple(library),
        n_targets=n_targets, target=target, layout=layout, changes=changes,
    )  # fmt: skip
    progress("molecules", 0, 1)
    scene = build_scene(settings.scene, seed, library, layout, progress)
    series = simulate_tilt_series(scene.density, settings.imaging, seed, progress)
    truth = scene.truth
    del scene  # The reconstruction needs its memory.
    return SimulatedTomogram(reconstruct(series, settings.imaging, shape, progress), truth, settings)
