"""The runs of a benchmark as a job that is mapped over tasks; a task is a run, or several that share candidates."""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tomopicker.benchmark.dataset import OpenDataSet, open_datasets
from tomopicker.benchmark.methods import Method
from tomopicker.benchmark.protocol import Protocol
from tomopicker.benchmark.results import Result
from tomopicker.benchmark.runs import Run, Runner, tasks
from tomopicker.cluster.memory import bytes_for
from tomopicker.cluster.work import Item, Outcome, is_disk_full, is_of_the_machine
from tomopicker.config import resolve
from tomopicker.pipeline.callbacks import Callback, WarningRecorder
from tomopicker.preprocessing.preprocess import working_voxel_size
from tomopicker.wording import number_of

TRAINING_BYTES = 2**30
"""Of a network, its optimiser and a batch, besides what picking takes."""
COST = {"network": 100, "template": 30, "ball": 1, "dog": 1, "external": 1}
"""Of a method, roughly, for the order in which workers get the tasks."""


@dataclass(frozen=True)
class BenchmarkWork:
    """Do runs of a protocol, each with a result of its own below a folder.

    Parameters
    ----------
    protocol : Protocol
        With absolute paths.
    folder : Path
        Of the results.
    device : str, optional
        For networks.
    loaded : Runner, optional
        With the data sets opened, where they are at hand in this process; they are opened again elsewhere.
    """

    protocol: Protocol
    folder: Path
    device: str | None = None
    loaded: Runner | None = field(default=None, repr=False, compare=False)

    def prepare(self) -> Runner:
        """Open the data sets."""
        return self.loaded or Runner(self.protocol, open_datasets(self.protocol), self.folder, self.device)

    def run(self, prepared: Runner, item: Item, callback: Callback) -> Outcome:
        """Do the runs of a task; one that fails is recorded, and the others go on."""
        noted = WarningRecorder(callback)
        lines, failures, elsewhere = [], [], False
        for run in item.argument:
            if prepared.is_done(run):
                continue  # By a worker that died before it could say so.
            changed = prepared.has_changed(run)
            callback.log(f"{run.name}{': again, the protocol has changed' if changed else ''}")
            started = time.monotonic()
            try:
                lines.append(_line(run, prepared.run(run, noted)))
            except Exception as error:
                if is_disk_full(error):
                    raise
                elsewhere |= is_of_the_machine(error)
                failures.append(f"{run.name} failed: {prepared.record_failure(run, error, started).error}")
        if failures:
            return Outcome("failed", "; ".join(failures), noted.warnings, elsewhere=elsewhere)
        return Outcome("done", "\n".join(lines), noted.warnings)

    def memory(self, items: Sequence[Item]) -> int:
        """Estimate what a worker needs, from the largest tomogram."""
        diameter, runner = self.protocol.particle_diameter, self.prepare()
        methods = {run.method.name: run.method for item in items for run in item.argument}
        wanted = {_working_diameter(method, diameter) for method in methods.values()}
        sizes = []
        for tomogram in (each for data in runner.datasets.values() for each in data.tomograms.values()):
            voxels = math.prod(tomogram.shape)
            working = min(working_voxel_size(tomogram.voxel_size, diameter, each) for each in wanted)
            sizes.append(bytes_for(voxels, voxels * (tomogram.voxel_size / working) ** 3, TRAINING_BYTES))
        return max(sizes)

    def give_up(self, item: Item, reason: str) -> None:
        """Record that the runs of a task failed that are not done."""
        runner = self.prepare()
        for run in item.argument:
            if not runner.is_done(run):
                runner.record_failure(run, reason)


def items_of(runs: Sequence[Run], datasets: Mapping[str, OpenDataSet]) -> list[Item]:
    """Make tasks of runs, in their order."""
    found = []
    for group in tasks(runs):
        first = group[0]
        name = first.name if len(group) == 1 else f"{first.dataset}/{first.method.name}"
        voxels = sum(math.prod(each.shape) for each in datasets[first.dataset].tomograms.values())
        found.append(Item(name, voxels * COST[first.method.kind] * (1 + (first.clicks or 0)), tuple(group)))
    return found


def _working_diameter(method: Method, particle_diameter: float) -> float | None:
    """Give how many voxels wide particles are in the volume that a method works at; None: as they are."""
    changes = method.settings if method.kind == "network" else {}
    return resolve(
        {"preset": method.preset, "particle_diameter": particle_diameter, **changes}
    ).preprocess.working_diameter


def _line(run: Run, result: Result) -> str:
    """Say what a run came to: the headline of the tables."""
    unseen = [each.evaluations[0].f1 for each in result.tomograms.values() if each.role == "test"]
    mean = sum(unseen) / len(unseen)
    return f"{run.name}: F1 {mean:.3f} in {number_of(len(unseen), 'unseen tomogram')}, {result.seconds:.1f} s."
