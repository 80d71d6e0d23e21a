"""Data sets of a protocol that the simulator makes: which of their tomograms are not there yet."""

import json
import math
from pathlib import Path

from tomopicker.benchmark.protocol import DataSet, Simulated
from tomopicker.errors import UsageError
from tomopicker.simulation.write import settings_file


def missing(data: DataSet) -> dict[str, int]:
    """Give the simulated tomograms of a data set that are not on disk, each with its seed.

    Raises `UsageError` if one on disk was made with other settings.
    """
    spec = data.simulate
    if spec is None:
        return {}
    names = {}
    for number in range(spec.count):
        name = f"TS_{number + 1:04d}"
        # Written last: where it is, the tomogram is complete.
        if (file := settings_file(data.tomograms[0], name)).exists():
            _check_same(file, spec, spec.seed + number)
        else:
            names[name] = spec.seed + number
    return names


def megabytes(data: DataSet) -> float:
    """Give the size on disk of the missing tomograms, in 10⁶ bytes."""
    return 0.0 if data.simulate is None else len(missing(data)) * 4 * math.prod(data.simulate.shape) / 1e6


def _check_same(path: Path, spec: Simulated, seed: int) -> None:
    """Refuse tomograms of another protocol: their results must not be mixed."""
    made = json.loads(path.read_text(encoding="utf-8"))
    scene = made["scene"]
    found = made["preset"], made["seed"], tuple(scene["shape"]), scene["voxel_size_angstrom"], scene["n_targets"]
    particles = scene["n_targets"] if spec.particles is None else spec.particles
    if found != (spec.preset, seed, spec.shape[::-1], spec.voxel_size, particles):
        raise UsageError(
            f"{path}: the tomogram was simulated with other settings than the protocol's; "
            f"remove {path.parent.parent}, or name another folder as tomograms"
        )
