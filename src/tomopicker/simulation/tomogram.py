"""A whole synthetic tomogram: molecules, scene, tilt series and reconstruction; a layout to follow; its files.

Orientations in files are those of `tomopicker.io.angles`: RELION's rot, tilt and psi in degrees.
"""

import json
from collections.abc import Mapping, Sequence
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
from tomopicker.simulation.molecules import builtin_names, class_name, load_library
from tomopicker.simulation.placement import Rotations
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
    images = simulate_tilt_series(scene.density, settings.imaging, seed, progress)
    truth = scene.truth
    del scene  # The reconstruction needs its memory.
    return SimulatedTomogram(reconstruct(images, settings.imaging, shape, progress), truth, settings)


CENTRED = "centre"


def read_layout(path: Path, shape: Shape, offset: str | None) -> tuple[Positions, int]:
    """Read positions and keep those that lie in the volume.

    Parameters
    ----------
    path : Path
        Any list of positions in voxels.
    shape : Shape
        Of the volume, (z, y, x).
    offset : str or None
        The corner of the volume in the layout: ``X,Y,Z`` in voxels, or ``centre`` for the middle of the positions to
        lie in the middle of the volume. None: the corner is at 0,0,0.

    Returns
    -------
    layout : Positions, (n, 3)
        (x, y, z) in voxels of the volume.
    n_read : int
        How many the file has.

    Raises
    ------
    UsageError
        If the file does not count voxels, the offset cannot be read, or no position lies in the volume.
    """
    table = io.read_table(path)
    if table.unit is not Unit.VOXEL:
        raise UsageError(f"{path}: counts {table.unit.value}; give a text file of x,y,z in voxels")
    moved: Positions = table.coordinates - _corner(table.coordinates, shape, offset)
    inside: Positions = moved[~is_outside(moved, shape)]
    if not len(inside):
        low, high = (",".join(f"{c:.0f}" for c in edge) for edge in (moved.min(axis=0), moved.max(axis=0)))
        raise UsageError(
            f"{path}: no position lies in a tomogram of --shape {','.join(map(str, shape[::-1]))}: they go from {low} "
            f"to {high}; give --positions-offset {CENTRED}, or X,Y,Z of the corner"
        )
    return inside, len(table)


def _corner(positions: Positions, shape: Shape, offset: str | None) -> Float64[np.ndarray, " 3"]:
    """Return the volume's corner in the layout, (x, y, z) in voxels."""
    if offset is None:
        return np.zeros(3)
    if offset == CENTRED:
        middle = (positions.min(axis=0) + positions.max(axis=0)) / 2
        # Whole voxels, so that the layout's own places between voxels are kept.
        corner: Float64[np.ndarray, " 3"] = np.rint(middle - (np.array(shape[::-1]) - 1) / 2)
        return corner
    return np.array(three_numbers(offset, "--positions-offset", f"200,150,100 (voxels), or {CENTRED}"))


CLASS = "class"


def settings_file(folder: Path, name: str) -> Path:
    """Return the path of the file that is written last: if it exists, the tomogram is complete."""
    return folder / "settings" / f"{name}.json"


def write_simulated(folder: Path, name: str, made: SimulatedTomogram) -> None:
    """Write ``NAME.mrc``, ``truth/NAME.csv`` and ``.star``, the same in ``molecules/``, and ``settings/NAME.json``.

    The truth is the targets; ``molecules`` has the others as well. Both have orientation and class.
    """
    scene = made.settings.scene
    voxel_size, frames = scene.voxel_size_angstrom, {name: Frame(scene.shape, scene.voxel_size_angstrom)}
    truth = made.truth
    classes = [scene.target] * len(truth.positions)
    target = _picks(name, truth.positions, truth.orientations, classes, voxel_size)
    others = _picks(
        name, truth.distractor_positions, truth.distractor_orientations, truth.distractor_classes, voxel_size
    )
    io.write_mrc(folder / f"{name}.mrc", made.volume, voxel_size)
    for place, picks in (("truth", target), ("molecules", Picks.concatenate([target, others]))):
        for suffix in (".csv", ".star"):
            io.write_picks(picks, frames, folder / place / f"{name}{suffix}")
    content = {"tomopicker": __version__, "name": name, **asdict(made.settings)}
    write_text(settings_file(folder, name), json.dumps(content, indent=1) + "\n")


def _picks(
    name: str, positions: Positions, orientations: Rotations, classes: Sequence[str], voxel_size: float
) -> Picks:
    plain = Picks.of(name, voxels_to_angstrom(positions, voxel_size))
    columns: dict[str, object] = {CLASS: np.array(classes, dtype=object)}
    columns |= {
        label: np.round(angles, 3) for label, angles in relion_columns(Rotation.from_matrix(orientations)).items()
    }
    return Picks(plain.positions, plain.tomograms, plain.scores, pd.DataFrame(columns))
