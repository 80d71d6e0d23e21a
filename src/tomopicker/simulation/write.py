"""A synthetic tomogram as files: the volume, the truth of its targets, all its molecules, and its settings.

Orientations are those of `tomopicker.io.angles`: RELION's rot, tilt and psi in degrees.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.spatial.transform import Rotation

from tomopicker import __version__, io
from tomopicker.files import write_text
from tomopicker.geometry import Frame, voxels_to_angstrom
from tomopicker.io.angles import relion_columns
from tomopicker.picks import Picks
from tomopicker.simulation.placement import Rotations
from tomopicker.simulation.tomogram import SimulatedTomogram
from tomopicker.types import Positions

CLASS = "class"


def settings_file(folder: Path, name: str) -> Path:
    """Give the path of the file that is written last: if it exists, the tomogram is complete."""
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
