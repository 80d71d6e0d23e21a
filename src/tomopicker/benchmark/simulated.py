"""Data sets of a protocol made by the simulator, so that one command reproduces a row from nothing."""

import json
import math
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tomopicker.benchmark.protocol import DataSet, Simulated
from tomopicker.errors import UsageError
from tomopicker.simulation import simulate_tomogram
from tomopicker.simulation.write import settings_file, write_simulated
from tomopicker.wording import number_of

Step = Callable[[str, str, int, int], None]
"""Called with the tomogram's name, the step, and how much of how much is done."""


def missing(data: DataSet) -> list[str]:
    """List the simulated tomograms of a data set that are not on disk.

    Raises `UsageError` if one on disk was made with other settings.
    """
    spec = data.simulate
    if spec is None:
        return []
    names = []
    for number in range(spec.count):
        name = f"TS_{number + 1:04d}"
        # Written last: where it is, the tomogram is complete.
        if (file := settings_file(data.tomograms[0], name)).exists():
            _check_same(file, spec, spec.seed + number)
        else:
            names.append(name)
    return names


def megabytes(data: DataSet) -> float:
    """Give the size on disk of the missing tomograms, in 10⁶ bytes."""
    return 0.0 if data.simulate is None else len(missing(data)) * 4 * math.prod(data.simulate.shape) / 1e6


def simulate_missing(data: DataSet, log: Callable[[str], None], step: Step) -> None:
    """Make the missing tomograms of a data set as ``tomopicker simulate`` does, with a line of log for each.

    Raises `TomoPickerError` if the simulator fails, or one on disk was made with other settings.
    """
    spec = data.simulate
    if spec is None:
        return
    folder = data.tomograms[0]
    for name in missing(data):
        seed = spec.seed + int(name.removeprefix("TS_")) - 1
        made = simulate_tomogram(
            spec.preset, spec.shape[::-1], spec.voxel_size, seed, n_targets=spec.particles,
            progress=partial(step, name),
        )  # fmt: skip
        write_simulated(folder, name, made)
        log(f"{(folder / name).resolve()}.mrc: simulated, {number_of(len(made.positions_voxels), 'particle')}.")


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
