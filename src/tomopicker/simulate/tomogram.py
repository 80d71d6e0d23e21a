"""A whole synthetic tomogram in one call: molecules, scene, tilt series, reconstruction, truth."""

from dataclasses import dataclass
from pathlib import Path

from tomopicker.simulate.imaging import image_tomogram
from tomopicker.simulate.molecules import builtin_names, load_library
from tomopicker.simulate.placement import OtherPositions, OtherRotations, Rotations
from tomopicker.simulate.presets import SimulationSettings, resolve_preset
from tomopicker.simulate.projection import Progress, unheard
from tomopicker.simulate.scene import build_scene
from tomopicker.types import Positions, Shape, Volume


@dataclass(frozen=True, eq=False)
class SimulatedTomogram:
    """A synthetic tomogram with its truth.

    Attributes
    ----------
    volume : Volume, (z, y, x)
        Protein dark; relative image contrast per voxel.
    positions_voxels : Positions, (n, 3)
        Centres of mass of the targets, (x, y, z) from the centre of the first voxel.
    orientations : (n, 3, 3)
        Turn (x, y, z) of the molecule into (x, y, z) of the tomogram.
    distractor_positions_voxels, distractor_orientations, distractor_classes
        The same of the other molecules, and their names.
    settings : SimulationSettings
    """

    volume: Volume
    positions_voxels: Positions
    orientations: Rotations
    distractor_positions_voxels: OtherPositions
    distractor_orientations: OtherRotations
    distractor_classes: tuple[str, ...]
    settings: SimulationSettings


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
    progress: Progress = unheard,
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
        A folder of density maps to use in place of the built-in molecules.
    n_targets : int, optional
        How many targets to place (fewer where there is no room); without it, as crowded as yeast cytosol.
    target : str
        Name of the molecule to be picked; all others are distractors.
    layout : Positions, optional
        Where the targets are, (x, y, z) in voxels, in place of random places; all inside the volume.
    progress : callable, optional
        Hears what is done.

    Returns
    -------
    SimulatedTomogram

    Raises
    ------
    TomoPickerError
        If an argument makes no sense or a map cannot be read.
    """
    library = None if maps is None else load_library(maps, voxel_size)
    names = builtin_names() if library is None else tuple(library)
    settings = resolve_preset(
        preset, shape, voxel_size, seed, molecule_names=names, n_targets=n_targets, target=target, layout=layout
    )
    progress("molecules", 0, 1)
    scene = build_scene(settings.scene, seed, library, layout)
    return SimulatedTomogram(
        volume=image_tomogram(scene.density, settings.imaging, seed, progress),
        positions_voxels=scene.positions,
        orientations=scene.orientations,
        distractor_positions_voxels=scene.distractor_positions,
        distractor_orientations=scene.distractor_orientations,
        distractor_classes=scene.distractor_classes,
        settings=settings,
    )
