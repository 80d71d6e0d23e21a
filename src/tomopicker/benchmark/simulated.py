"""Data sets that a protocol asks the simulator for: made once, so that one command reproduces a row from nothing."""

from collections.abc import Callable
from functools import partial

from tomopicker.benchmark.protocol import DataSet
from tomopicker.simulate import simulate_tomogram
from tomopicker.simulate.write import settings_file, write_simulated

Step = Callable[[str, str, int, int], None]
"""Hears the tomogram's name, what is being done, and how much of how much is done."""


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
        If the simulator cannot make them.
    """
    asked = data.simulate
    if asked is None:
        return
    folder = data.tomograms[0]
    for number in range(asked.count):
        name = f"TS_{number + 1:04d}"
        # The file that is written last: with it, the tomogram is whole.
        if settings_file(folder, name).exists():
            continue
        made = simulate_tomogram(
            asked.preset, asked.shape[::-1], asked.voxel_size, asked.seed + number, n_targets=asked.particles,
            progress=partial(step, name),
        )  # fmt: skip
        write_simulated(folder, name, made)
        say(f"{(folder / name).resolve()}.mrc: simulated, {len(made.positions_voxels)} particles.")
