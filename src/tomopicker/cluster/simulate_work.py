"""Simulating as a job that is mapped over tomograms."""

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
"""Receives the progress of a tomogram: its name, what is done, how much of it, and all."""


def no_step(name: str, what: str, done: int, total: int) -> None:
    """Ignore it."""


@dataclass(frozen=True)
class SimulateWork:
    """Simulate tomograms that differ in their seed, in a folder.

    The shape is (z, y, x) in voxels, the voxel size in Å; `maps` is a folder of density maps, `particles` the number of
    targets, `layout` where they lie, in voxels; `changes` are of the settings. `overwrite` makes again what is there,
    and `progress` receives the progress of a tomogram, in one process.
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
        """Load nothing."""

    def run(self, prepared: None, item: Item, callback: Callback) -> Outcome:
        """Simulate one tomogram; the item's argument is its seed. An error in the settings ends the run."""
        file = self.folder / f"{item.name}.mrc"
        if settings_file(self.folder, item.name).exists() and not self.overwrite:
            return Outcome("skipped", f"{file}: exists already; --overwrite makes it again")
        made = simulate_tomogram(
            self.preset, self.shape, self.voxel_size, item.argument, maps=self.maps, n_targets=self.particles,
            target=self.target, layout=self.layout, changes=self.changes,
            progress=lambda what, done, total: self.progress(item.name, what, done, total),
        )  # fmt: skip
        write_simulated(self.folder, item.name, made)
        wanted, found = made.settings.scene.n_targets, len(made.targets.positions)
        room = "" if found == wanted else f" (there was no room for {wanted - found} more)"
        others = len(made.distractors.positions)
        return Outcome("done", f"{file}: {found} × {made.settings.scene.target}{room} among {others} other molecules.")

    def memory(self, items: Sequence[Item]) -> int:
        """Estimate what a worker needs: all tomograms are of one size."""
        return round(BASE_BYTES + BYTES_PER_VOXEL * math.prod(self.shape))

    def give_up(self, item: Item, reason: str) -> None:
        """Leave it: without its settings file it counts as missing."""


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
        What all tomograms have in common.
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
