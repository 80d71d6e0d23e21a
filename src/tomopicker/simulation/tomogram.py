"""Simulate a tomogram from molecules to reconstruction, read a layout for it, and write its files.

Orientations in files are those of `tomopicker.io.angles`: RELION's rot, tilt and psi in degrees.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float64
from scipy.spatial.transform import Rotation

from tomopicker import __version__, io
from tomopicker.errors import UsageError
from tomopicker.files import write_text
from tomopicker.geometry import Frame, Unit, is_outside, voxels_to_angstrom
from tomopicker.io.angles import relion_columns
from tomopicker.parsing import three_numbers
from tomopicker.picks import Picks
from tomopicker.simulation.imaging import reconstruct, simulate_tilt_series
from tomopicker.simulation.molecules import Molecule, builtin_names, class_name, load_library
from tomopicker.simulation.placement import PlacedMolecules
from tomopicker.simulation.presets import resolve_preset
from tomopicker.simulation.projection import Progress, no_progress
from tomopicker.simulation.scene import build_scene
from tomopicker.simulation.settings import SimulationSettings
from tomopicker.types import Positions, Shape, Volume


@dataclass(frozen=True, eq=False)
class SimulatedTomogram:
    """A synthetic tomogram (z, y, x), protein dark, with its molecules and settings."""

    volume: Volume
    targets: PlacedMolecules
    distractors: PlacedMolecules
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
    progress: Progress = no_progress,
) -> SimulatedTomogram:
    """Simulate a tomogram; the same arguments give the same result.

    Parameters
    ----------
    preset : {"vpp", "defocus", "easy", "hard"}
        Phase plate near focus; 2.5-4.5 µm of defocus; phase plate with a higher dose and little besides the targets;
        defocus with half the dose and more distractors.
    shape : Shape
        (z, y, x) in voxels.
    voxel_size : float
        In Å.
    seed : int
    maps : Path, optional
        A folder of density maps to use instead of the built-in molecules.
    n_targets : int, optional
        Number of targets (fewer if there is no room). Default: as crowded as yeast cytosol.
    target : str
        Name of the molecule to be picked, or the PDB code of its map; all others are distractors.
    layout : Positions, optional
        Positions of the targets, (x, y, z) in voxels, all inside the volume. Default: random.
    changes : mapping of str to object, optional
        Settings that override the preset, by name: ``scene.n_gold_beads``, ``imaging.defocus_um``.
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
    return simulate(settings, library, layout, progress)


def simulate(
    settings: SimulationSettings,
    library: Mapping[str, Molecule] | None = None,
    layout: Positions | None = None,
    progress: Progress = no_progress,
) -> SimulatedTomogram:
    """Simulate a tomogram from resolved settings; library and layout are those of `build_scene`."""
    progress("molecules", 0, 1)
    scene = build_scene(settings.scene, settings.seed, library, layout, progress)
    images = simulate_tilt_series(scene.density, settings.imaging, settings.seed, progress)
    targets, distractors = scene.targets, scene.distractors
    del scene  # The reconstruction needs its memory.
    volume = reconstruct(images, settings.imaging, settings.scene.shape, progress)
    return SimulatedTomogram(volume, targets, distractors, settings)


_CENTRE = "centre"


def read_layout(path: Path, shape: Shape, offset: str | None, log: Callable[[str], None]) -> Positions:
    """Read the positions of a layout that lie inside the volume.

    Parameters
    ----------
    path : Path
        Any list of positions in voxels.
    shape : Shape
        Shape of the volume, (z, y, x).
    offset : str or None
        Corner of the volume in the layout: ``X,Y,Z`` in voxels, or ``centre`` to centre the positions in the volume.
        None: the corner is at 0,0,0.
    log : callable
        Receives a message if positions are left out.

    Returns
    -------
    Positions, (n, 3)
        (x, y, z) in voxels of the volume.

    Raises
    ------
    UsageError
        If the file is not in voxels, the offset cannot be parsed, or no position lies inside the volume.
    """
    table = io.read_table(path)
    if table.unit is not Unit.VOXEL:
        raise UsageError(f"{path}: is in {table.unit.value}; give a text file of x,y,z in voxels")
    shifted: Positions = table.coordinates - _corner(table.coordinates, shape, offset)
    inside: Positions = shifted[~is_outside(shifted, shape)]
    if not len(inside):
        low, high = (",".join(f"{c:.0f}" for c in edge) for edge in (shifted.min(axis=0), shifted.max(axis=0)))
        raise UsageError(
            f"{path}: no position lies in a tomogram of --shape {','.join(map(str, shape[::-1]))}: they range "
            f"from {low} to {high}; give --positions-offset {_CENTRE}, or X,Y,Z of the corner"
        )
    if len(inside) < len(table):
        log(f"{path}: {len(inside)} of {len(table)} positions lie inside; the others are left out.")
    return inside


def _corner(positions: Positions, shape: Shape, offset: str | None) -> Float64[np.ndarray, " 3"]:
    """Return the volume's corner in the layout, (x, y, z) in voxels."""
    if offset is None:
        return np.zeros(3)
    if offset == _CENTRE:
        middle = (positions.min(axis=0) + positions.max(axis=0)) / 2
        # A whole number of voxels keeps the sub-voxel parts of the layout.
        corner: Float64[np.ndarray, " 3"] = np.rint(middle - (np.array(shape[::-1]) - 1) / 2)
        return corner
    return np.array(three_numbers(offset, "--positions-offset", f"200,150,100 (voxels), or {_CENTRE}"))


def settings_file(folder: Path, name: str) -> Path:
    """Return the path of the file that is written last: if it exists, the tomogram is complete."""
    return folder / "settings" / f"{name}.json"


def write_simulated(folder: Path, name: str, simulated: SimulatedTomogram) -> None:
    """Write ``NAME.mrc``, ``truth/NAME.csv`` and ``.star``, the same in ``molecules/``, and ``settings/NAME.json``.

    ``truth`` has the targets, ``molecules`` all molecules, with orientation and class.
    """
    scene = simulated.settings.scene
    frames = {name: Frame(scene.shape, scene.voxel_size_angstrom)}
    targets, distractors = (
        _picks(name, molecules, scene.voxel_size_angstrom) for molecules in (simulated.targets, simulated.distractors)
    )
    io.write_mrc(folder / f"{name}.mrc", simulated.volume, scene.voxel_size_angstrom)
    for subfolder, picks in (("truth", targets), ("molecules", Picks.concatenate([targets, distractors]))):
        for suffix in (".csv", ".star"):
            io.write_picks(picks, frames, folder / subfolder / f"{name}{suffix}")
    content = {"tomopicker": __version__, "name": name, **asdict(simulated.settings)}
    write_text(settings_file(folder, name), json.dumps(content, indent=1) + "\n")


def _picks(name: str, molecules: PlacedMolecules, voxel_size: float) -> Picks:
    plain = Picks.of(name, voxels_to_angstrom(molecules.positions, voxel_size))
    angles = relion_columns(Rotation.from_matrix(molecules.orientations))
    columns = {label: np.round(values, 3) for label, values in angles.items()}
    extra = pd.DataFrame({"class": np.array(molecules.classes, dtype=object), **columns})
    return Picks(plain.positions, plain.tomograms, plain.scores, extra)
