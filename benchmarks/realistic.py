"""Simulate the realistic, empty and sparse tomograms on which counts and probabilities are evaluated.

    python benchmarks/realistic.py --layout TS_037_cyto_ribosomes.csv --maps maps --output benchmarks/data

Writes one folder per set, each as ``tomopicker simulate`` writes it:

- ``realistic-defocus``, ``realistic-vpp``: three crops of a real layout (480×480×300 voxels), rotated about z and off
  its middle. TS_0001 is for training; TS_0002 is sparser than it, TS_0003 is not.
- ``empty``: 20 tomograms without the target, ten kinds of surroundings with two microscopes.
- ``rare``: 1, 3 and 10 targets in a tomogram, with two microscopes.

``--look`` makes other tomograms of the same kinds (other crops, other seeds), in ``look-…``, on which methods are
developed; those above are only for reported results.
"""

import argparse
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tomopicker.simulation.tomogram import settings_file, simulate_tomogram, write_simulated

TARGET = "4v7r.mrc"
SHAPE = (300, 480, 480)
SMALL = (200, 320, 320)
VOXEL_SIZE = 13.48
MIDDLE = np.array([479.5, 463.5, 249.5])
PRESETS = ("defocus", "vpp")


@dataclass(frozen=True)
class Crop:
    """A crop of the layout: rotated about z, possibly mirrored in y and z, with a corner (x, y, z)."""

    degrees: float
    mirrored: bool
    corner: tuple[int, int, int]

    def of(self, layout: np.ndarray) -> np.ndarray:
        """Return the positions inside the crop, (n, 3) in its voxels."""
        angle = np.deg2rad(self.degrees)
        rotation = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
        flip = np.array([1, -1, -1]) if self.mirrored else np.ones(3)
        moved = ((layout - MIDDLE) * flip) @ rotation.T + MIDDLE - self.corner
        return moved[((moved >= 0) & (moved <= np.array(SHAPE[::-1]) - 1)).all(axis=1)]


REPORTED = (Crop(45, False, (60, 180, 100)), Crop(300, True, (360, 180, 100)), Crop(135, True, (300, 180, 100)))
DEVELOPMENT = (Crop(90, False, (180, 60, 100)), Crop(200, True, (180, 120, 100)), Crop(270, False, (260, 250, 100)))

BARE = {
    "scene.crowd_fraction": 0.0,
    "scene.n_membranes": 0,
    "scene.n_lumps": 0,
    "scene.n_vesicles": 0,
    "scene.n_microtubules": 0,
    "scene.n_actin_filaments": 0,
}
EMPTY: dict[str, dict[str, object]] = {
    "crowd-lookalikes-membranes": {},
    "denser-crowd": {"scene.crowd_fraction": 0.22, "scene.n_membranes": 0},
    "crowd-alone": BARE | {"scene.crowd_fraction": 0.14},
    "membranes-alone": BARE | {"scene.n_membranes": 6, "scene.paired_membranes": 0.5},
    "vacuum": BARE | {"scene.coating_density": 0.0, "scene.curtaining_angstrom": 0.0},
    "carbon": BARE | {"scene.crowd_fraction": 0.45, "scene.coating_density": 0.0},
    "vesicles": BARE | {"scene.n_vesicles": 40, "scene.crowd_fraction": 0.05},
    "granules": BARE | {"scene.n_lumps": 40, "scene.crowd_fraction": 0.1},
    "filaments": BARE | {"scene.n_microtubules": 8, "scene.n_actin_filaments": 40, "scene.crowd_fraction": 0.1},
    "gold-and-ice": {"scene.n_gold_beads": 25, "scene.n_ice_lumps": 6},
}
MOLECULES = {"crowd-lookalikes-membranes", "denser-crowd", "gold-and-ice"}
"""Kinds of empty tomogram with the other molecules; the rest have none."""


def main(argv: Sequence[str] | None = None) -> None:
    """Simulate all sets; existing tomograms are skipped."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layout", type=Path, required=True, help="positions of a real tomogram, x,y,z in voxels")
    parser.add_argument("--maps", type=Path, required=True, help="folder of density maps, 4v7r.mrc among them")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument(
        "--look", action="store_true", help="the tomograms for development instead of those for results"
    )
    parser.add_argument("--sets", nargs="+", default=["realistic", "empty", "rare"], help="which of the sets")
    arguments = parser.parse_args(argv)
    layout = np.loadtxt(arguments.layout, delimiter=",", ndmin=2)[:, :3]
    prefix, crops, seed = ("look-", DEVELOPMENT, 50_000) if arguments.look else ("", REPORTED, 70_000)
    for number, preset in enumerate(PRESETS):
        first = seed + 1000 * number
        if "realistic" in arguments.sets:
            for index, crop in enumerate(crops):
                folder = arguments.output / f"{prefix}realistic-{preset}"
                make(
                    folder, f"TS_{index + 1:04d}", preset, SHAPE, first + index, arguments.maps, layout=crop.of(layout)
                )
        if "empty" in arguments.sets:
            for index, (kind, changes) in enumerate(EMPTY.items()):
                make(
                    arguments.output / f"{prefix}empty", f"{preset}_{kind}", preset, SMALL, first + 100 + index,
                    arguments.maps if kind in MOLECULES else target_alone(arguments.maps, arguments.output),
                    n_targets=0, changes=changes,
                )  # fmt: skip
        if "rare" in arguments.sets:
            for index, particles in enumerate((1, 3, 10)):
                name = f"{preset}_{particles:02d}"
                make(
                    arguments.output / f"{prefix}rare", name, preset, SMALL, first + 200 + index, arguments.maps,
                    n_targets=particles,
                )  # fmt: skip


def target_alone(maps: Path, output: Path) -> Path:
    """Return a folder with the target's map alone, so that nothing else is placed."""
    folder = output / "target-alone"
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(maps / TARGET, folder / TARGET)
    return folder


def make(
    folder: Path,
    name: str,
    preset: str,
    shape: tuple[int, int, int],
    seed: int,
    maps: Path,
    *,
    layout: np.ndarray | None = None,
    n_targets: int | None = None,
    changes: dict[str, object] | None = None,
) -> None:
    """Simulate and write a tomogram, unless it exists."""
    if settings_file(folder, name).exists():
        return
    made = simulate_tomogram(
        preset, shape, VOXEL_SIZE, seed, maps=maps, n_targets=n_targets, layout=layout, changes=changes
    )
    write_simulated(folder, name, made)
    print(
        f"{folder / name}.mrc: {len(made.targets.positions)} targets, {len(made.distractors.positions)} others",
        flush=True,
    )


if __name__ == "__main__":
    main()
