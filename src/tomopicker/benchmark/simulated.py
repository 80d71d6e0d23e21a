"""Data sets that a protocol asks the simulator for: made once, so that one command reproduces a row from nothing."""

import json
import math
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tomopicker.benchmark.protocol import DataSet, Simulated
from tomopicker.errors import UsageError
from tomopicker.simulate import simulate_tomogram
from tomopicker.simulate.write import settings_file, write_simulated
from tomopicker.wording import number_of

Step = Callable[[str, str, int, int], None]
"""Hears the tomogram's name, what is being done, and how much of how much is done."""


def missing(data: DataSet) -> list[str]:
    """Name the tomograms of a data set that the simulator is to make, as they are not there.

    Raises
    ------
    UsageError
        If one is there that was made with other settings.
    """
    asked = data.simulate
    if asked is None:
        return []
    names = []
    for number in range(asked.count):
        name = f"TS_{number + 1:04d}"
        # The file that is written last: with it, the tomogram is whole.
        if (there := settings_file(data.tomograms[0], name)).exists():
            _check_same(there, asked, asked.seed + number)
        else:
            names.append(name)
    return names


def megabytes(data: DataSet) -> float:
    """Give the size of the missing tomograms on disk, in 10⁶ bytes."""
    asked = data.simulate
    return 0.0 if asked is None else len(missing(data)) * 4 * math.prod(asked.shape) / 1e6


def simulate_missing(data: DataSet, say: Callable[[str], None], step: Step) -> None:
    """Make the tomograms of a data set that are not there, as ``tomopicker simulate`` does.

    Parameters
    ----------
    data : DataSet
        Nothing is done if it asks for none.
    say : callable
        Hears of each tomogram made.
    step : Step

    Raises
    ------
    TomoPickerError
        If the simulator cannot make them, or made others there before.
    """
    asked = data.simulate
    if asked is None:
        return
    folder = data.tomograms[0]
    for name in missing(data):
        seed = asked.seed + int(name.removeprefix("TS_")) - 1
        made = simulate_tomogram(
            asked.preset, asked.shape[::-1], asked.voxel_size, seed, n_targets=asked.particles,
            progress=partial(step, name),
        )  # fmt: skip
        write_simulated(folder, name, made)
        say(f"{(folder / name).resolve()}.mrc: simulated, {number_of(len(made.positions_voxels), 'particle')}.")


def _check_same(path: Path, asked: Simulated, seed: int) -> None:
    """Refuse tomograms of an earlier protocol: results of the two must not be mixed."""
    made = json.loads(path.read_text(encoding="utf-8"))
    scene = made["scene"]
    there = made["preset"], made["seed"], tuple(scene["shape"]), scene["voxel_size_angstrom"], scene["n_targets"]
    particles = scene["n_targets"] if asked.particles is None else asked.particles
    if there != (asked.preset, seed, asked.shape[::-1], asked.voxel_size, particles):
        raise UsageError(
            f"{path}: tells of a tomogram made with other settings than the protocol's; remove {path.parent.parent}, "
            "or name another folder as tomograms"
        )
