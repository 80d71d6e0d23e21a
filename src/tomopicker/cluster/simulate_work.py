"""Simulation as a job for each tomogram."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tomopicker.cluster.mapping import map_tomograms
from tomopicker.cluster.work import Item, OnEvent, Outcome
from tomopicker.pipeline.callbacks import Callback
from tomopicker.simulation.tomogram import settings_file, simulate_tomogram, write_simulated
from tomopicker.types import Positions, Shape

if TYPE_CHECKING:
    from tomopicker.cluster.settings import ClusterSettings

BASE_BYTES, BYTES_PER_VOXEL = 600 * 2**20, 40.0
OnStep = Callable[[str, str, int, int], None]
"""Called with the progress of a tomogram: its name, the present step, and its numbers of parts done and in total."""


def no_step(name: str, step: str, done: int, total: int) -> None:
    """Ignore the progress."""


@dataclass(frozen=True)
class SimulateWork:
    """Simulate tomograms that differ in their seed.

    Parameters
    ----------
    folder : Path
        Output folder.
    preset : str
    shape : tuple of int
        (z, y, x) in voxels.
    voxel_size : float
        Å.
    maps : Path or None
        Folder of density maps.
    target : str
        Name of the target molecule.
    particles : int or None
        Number of targets.
    layout : Positions or None
        Positions of the targets in voxels.
    changes : dict
        Changes of the settings of the preset.
    overwrite : bool
        Replace existing tomograms.
    progress : callable
        Receives the progress of each tomogram, in one process.
    """

    folder: Path
    preset: str
    shape: Shape
    voxel_size: float
    maps: Path | None
    target: str
    particles: int | None
    layout: Positions | None
    changes: dict[str, Any]
    overwrite: bool
    progress: OnStep = no_step

    def prepare(self) -> None:
        """Do nothing."""

    def run(self, prepared: None, item: Item, callback: Callback) -> Outcome:
        """Simulate one tomogram, whose seed is the item's argument; an error in the settings ends the run."""
        file = self.folder / f"{item.name}.mrc"
        if settings_file(self.folder, item.name).exists() and not self.overwrite:
            return Outcome("skipped", f"{file}: exists already; --overwrite makes it again")
        simulated = simulate_tomogram(
            self.preset, self.shape, self.voxel_size, item.argument, maps=self.maps, n_targets=self.particles,
            target=self.target, layout=self.layout, changes=self.changes,
            progress=lambda step, done, total: self.progress(item.name, step, done, total),
        )  # fmt: skip
        write_simulated(self.folder, item.name, simulated)
        scene, n_placed = simulated.settings.scene, len(simulated.targets.positions)
        n_missing = scene.n_targets - n_placed
        room = f" (there was no room for {n_missing} more)" if n_missing else ""
        others = len(simulated.distractors.positions)
        return Outcome("done", f"{file}: {n_placed} × {scene.target}{room} among {others} other molecules.")

    def memory(self, items: Sequence[Item]) -> int:
        """Estimate the bytes that a worker needs: all tomograms have one size."""
        return round(BASE_BYTES + BYTES_PER_VOXEL * math.prod(self.shape))

    def give_up(self, item: Item, reason: str) -> None:
        """Do nothing: without its settings file the tomogram counts as missing."""


def simulate_series(
    work: SimulateWork,
    seeds: Mapping[str, int],
    *,
    cluster: "ClusterSettings | None",
    on_event: OnEvent,
    on_step: OnStep,
) -> dict[str, str]:
    """Simulate tomograms in this process or on workers.

    Parameters
    ----------
    work : SimulateWork
        Parameters common to all tomograms.
    seeds : mapping of str to int
        Seed of each tomogram, by name.
    cluster, on_event
        As for `map_tomograms`.
    on_step : callable
        Receives the progress of each tomogram; not used with workers.

    Returns
    -------
    dict of str to str
        The error of each tomogram that failed.
    """
    work.folder.mkdir(parents=True, exist_ok=True)
    items = [Item(name, math.prod(work.shape), seed) for name, seed in seeds.items()]
    return map_tomograms(replace(work, progress=on_step) if cluster is None else work, items, cluster, on_event)
