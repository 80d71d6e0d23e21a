"""A benchmark from protocol to report: simulate what is missing, run what is not done, write tables and figures.

The job is done for each task: a run, or several that share candidates. `benchmark_plan` is the ``--dry-run``.
"""

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tomopicker.benchmark.campaign import dry_run, missing
from tomopicker.benchmark.dataset import OpenDataSet, open_datasets
from tomopicker.benchmark.methods import Method
from tomopicker.benchmark.page import write_report
from tomopicker.benchmark.protocol import Protocol, filter_protocol, protocol_text
from tomopicker.benchmark.results import Result
from tomopicker.benchmark.runs import Run, Runner, plan, results_of, tasks
from tomopicker.cluster.jobqueue import describe_jobs
from tomopicker.cluster.journal import Journal
from tomopicker.cluster.mapping import map_tomograms
from tomopicker.cluster.resources import bytes_for
from tomopicker.cluster.simulate_work import OnStep, SimulateWork, no_step, simulate_series
from tomopicker.cluster.work import (
    Event,
    Item,
    OnEvent,
    Outcome,
    ignore_event,
    is_disk_full,
    is_of_machine,
)
from tomopicker.config import resolve
from tomopicker.files import write_text
from tomopicker.output.lock import locked
from tomopicker.pipeline.callbacks import Callback
from tomopicker.preprocessing.preprocess import working_voxel_size
from tomopicker.wording import number_of

if TYPE_CHECKING:
    from tomopicker.cluster.settings import ClusterSettings

LOG = "benchmark.log"
TRAINING_BYTES = 2**30
"""Memory of a network, its optimiser and a batch, in addition to that for picking."""
COST = {"network": 100, "template": 30, "ball": 1, "dog": 1, "external": 1}
"""Approximate relative cost of each kind of method, which orders the tasks."""


def run_protocol(
    protocol: Protocol,
    part: Protocol,
    output: Path,
    *,
    device: str | None = None,
    cluster: "ClusterSettings | None" = None,
    on_event: OnEvent = ignore_event,
    callback: Callback | None = None,
    on_step: OnStep = no_step,
) -> tuple[list[Result], Path]:
    """Run a part of a protocol, and report all of its results.

    Parameters
    ----------
    output : Path
        Folder of results, new or of an earlier run.
    device : str, optional
        Device for training and scoring.
    cluster, on_event, callback
        As for `map_tomograms`.
    on_step : callable
        Receives the progress of a simulation, in one process.

    Returns
    -------
    results : list of Result
        Results of the part, including failures.
    page : Path
        HTML report.

    Raises
    ------
    TomoPickerError
        If another process writes to the folder, or the run cannot continue.
    """
    _simulate(part, cluster, on_event, on_step)
    # The report also has data sets with results of earlier runs.
    shown = sorted({*part.datasets, *(run.dataset for run, _ in results_of(protocol, output))})
    opened = open_datasets(filter_protocol(protocol, datasets=shown))
    with locked(output):
        write_text(output / "protocol.yaml", protocol_text(protocol, output))
        results = run_all(part, opened, output, device=device, cluster=cluster, on_event=on_event, callback=callback)
        return results, write_report(filter_protocol(protocol, datasets=shown), opened, output)


def benchmark_plan(
    part: Protocol, output: Path, device: str | None, cluster: "ClusterSettings | None"
) -> Iterator[str]:
    """Yield the lines of a dry run of `run_protocol`, which has the same parameters."""
    yield from dry_run(part, output, device)
    if cluster is None:
        return
    if any(missing(data) for data in part.datasets.values()):
        yield f"They would be done {cluster.description}, after the tomograms are simulated there."
        return
    items = items_of(plan(part), open_datasets(part))
    yield f"They would be done {cluster.description}."
    yield from describe_jobs(cluster, BenchmarkWork(part, output).memory(items), len(items), output)


def run_all(
    part: Protocol,
    opened: Mapping[str, OpenDataSet],
    output: Path,
    *,
    device: str | None = None,
    cluster: "ClusterSettings | None" = None,
    on_event: OnEvent = ignore_event,
    callback: Callback | None = None,
) -> list[Result]:
    """Do the unfinished runs of a protocol; return all results, including failures. See `run_protocol`."""
    runs = plan(part)
    runner = Runner(part, opened, output, device)
    done = {run.name for run in runs if runner.is_done(run)}
    todo = items_of([run for run in runs if run.name not in done], opened)
    for run in runs:
        if run.name in done:
            on_event(Event("skipped", run.name, f"{run.name}: done before", total=len(todo)))
    if todo:
        work = BenchmarkWork(part, output, device, runner if cluster is None else None)
        output.mkdir(parents=True, exist_ok=True)
        how = "in one process" if cluster is None else cluster.description
        with Journal(output, len(todo), how, on_event, "task", LOG) as journal:
            map_tomograms(work, todo, cluster, journal.write, callback)
    return [result for _, result in results_of(part, output)]


def _simulate(part: Protocol, cluster: "ClusterSettings | None", on_event: OnEvent, on_step: OnStep) -> None:
    for data in part.datasets.values():
        spec, seeds = data.simulate, missing(data)
        if spec is None or not seeds:
            continue
        shape = spec.shape[::-1]
        work = SimulateWork(
            data.tomograms[0], spec.preset, shape, spec.voxel_size, None, "ribosome", spec.particles, None, {},
            overwrite=False,
        )  # fmt: skip
        simulate_series(work, seeds, cluster=cluster, on_event=on_event, on_step=on_step)


@dataclass(frozen=True)
class BenchmarkWork:
    """Do runs of a protocol, whose results are in a folder.

    Parameters
    ----------
    device : str, optional
        Device for networks.
    loaded : Runner, optional
        Runner with open data sets, for this process; workers open their own.
    """

    protocol: Protocol
    folder: Path
    device: str | None = None
    loaded: Runner | None = field(default=None, repr=False, compare=False)

    def prepare(self) -> Runner:
        """Open the data sets."""
        return self.loaded or Runner(self.protocol, open_datasets(self.protocol), self.folder, self.device)

    def run(self, prepared: Runner, item: Item, callback: Callback) -> Outcome:
        """Do the runs of a task; one that fails is recorded and does not stop the others."""
        lines, failures, elsewhere = [], [], False
        for run in item.argument:
            if prepared.is_done(run):
                continue  # Done by a worker that died before it could report.
            changed = prepared.has_changed(run)
            callback.log(f"{run.name}{': again, the protocol has changed' if changed else ''}")
            started = time.monotonic()
            try:
                lines.append(_line(run, prepared.run(run, callback)))
            except Exception as error:
                if is_disk_full(error):
                    raise
                elsewhere |= is_of_machine(error)
                failures.append(f"{run.name} failed: {prepared.record_failure(run, error, started).error}")
        if failures:
            return Outcome("failed", "; ".join(failures), elsewhere=elsewhere)
        return Outcome("done", "\n".join(lines))

    def memory(self, items: Sequence[Item]) -> int:
        """Estimate the bytes that a worker needs, from the largest tomogram."""
        diameter, runner = self.protocol.particle_diameter, self.prepare()
        methods = {run.method.name: run.method for item in items for run in item.argument}
        widths = {_working_diameter(method, diameter) for method in methods.values()}
        sizes = []
        for tomogram in (tomogram for data in runner.datasets.values() for tomogram in data.tomograms.values()):
            working = min(working_voxel_size(tomogram.voxel_size, diameter, width) for width in widths)
            sizes.append(bytes_for(tomogram, working, TRAINING_BYTES))
        return max(sizes)

    def give_up(self, item: Item, reason: str) -> None:
        """Record the unfinished runs of a task as failed."""
        runner = self.prepare()
        for run in item.argument:
            if not runner.is_done(run):
                runner.record_failure(run, reason)


def items_of(runs: Sequence[Run], datasets: Mapping[str, OpenDataSet]) -> list[Item]:
    """Group runs into tasks, in their order."""
    items = []
    for group in tasks(runs):
        first = group[0]
        name = first.name if len(group) == 1 else f"{first.dataset}/{first.method.name}"
        voxels = sum(math.prod(tomogram.shape) for tomogram in datasets[first.dataset].tomograms.values())
        items.append(Item(name, voxels * COST[first.method.kind] * (1 + (first.clicks or 0)), tuple(group)))
    return items


def _working_diameter(method: Method, particle_diameter: float) -> float | None:
    """Return the particle diameter in working voxels of a method; None if it does not rescale."""
    changes = method.settings if method.kind == "network" else {}
    return resolve(
        {"preset": method.preset, "particle_diameter": particle_diameter, **changes}
    ).preprocess.working_diameter


def _line(run: Run, result: Result) -> str:
    """Return a line with the mean F1 of a run."""
    unseen = [own.evaluations[0].f1 for own in result.tomograms.values() if own.role == "test"]
    mean = sum(unseen) / len(unseen)
    return f"{run.name}: F1 {mean:.3f} in {number_of(len(unseen), 'unseen tomogram')}, {result.seconds:.1f} s."
