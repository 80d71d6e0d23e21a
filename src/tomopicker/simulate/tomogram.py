"""A whole synthetic tomogram in one call: molecules, scene, tilt series, reconstruction, truth."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tomopicker.simulate.imaging import TiltSeries, reconstruct, take_tilt_series
from tomopicker.simulate.molecules import Molecule, builtin_names, class_name, load_library
from tomopicker.simulate.placement import OtherPositions, OtherRotations, Rotations
from tomopicker.simulate.presets import resolve_preset
from tomopicker.simulate.projection import Progress, unheard
from tomopicker.simulate.scene import Truth, build_scene
from tomopicker.simulate.settings import SimulationSettings
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
    changes: Mapping[str, object] | None = None,
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
        Name of the molecule to be picked, or the PDB code of its map; all others are distractors.
    layout : Positions, optional
        Where the targets are, (x, y, z) in voxels, in place of random places; all inside the volume.
    changes : mapping of str to object, optional
        Settings that are to be other than the preset's, by name: ``scene.n_gold_beads``, ``imaging.defocus_um``.
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
    library = None
    if maps is not None:
        target = class_name(target)
        library = load_library(maps, voxel_size, target=target)
    names = builtin_names() if library is None else tuple(library)
    settings = resolve_preset(
        preset,
        shape,
        voxel_size,
        seed,
        molecule_names=names,
        n_targets=n_targets,
        target=target,
        layout=layout,
        changes=changes,
    )
    progress("molecules", 0, 1)
    truth, series = _photographed(settings, library, layout, progress)
    return SimulatedTomogram(
        volume=reconstruct(series, settings.imaging, shape, progress),
        positions_voxels=truth.positions,
        orientations=truth.orientations,
        distractor_positions_voxels=truth.distractor_positions,
        distractor_orientations=truth.distractor_orientations,
        distractor_classes=truth.distractor_classes,
        settings=settings,
    )


def _photographed(
    settings: SimulationSettings,
    library: Mapping[str, Molecule] | None,
    layout: Positions | None,
    progress: Progress,
) -> tuple[Truth, TiltSeries]:
    """Build a scene and take its tilt series; its density is let go before the reconstruction needs the memory."""
    scene = build_scene(settings.scene, settings.seed, library, layout, progress)
    series = take_tilt_series(scene.density, settings.imaging, settings.seed, progress)
    truth = Truth(
        scene.positions,
        scene.orientations,
        scene.distractor_positions,
        scene.distractor_orientations,
        scene.distractor_classes,
    )
    return truth, series
