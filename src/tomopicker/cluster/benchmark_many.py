"""A benchmark from protocol to report: simulate what is missing, run what is not done, write tables and figures."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from tomopicker.benchmark.dataset import OpenDataSet, open_datasets
from tomopicker.benchmark.page import write_report
from tomopicker.benchmark.protocol import Protocol, filter_protocol, protocol_text
from tomopicker.benchmark.results import Result
from tomopicker.benchmark.runs import Runner, plan, results_of
from tomopicker.benchmark.simulated import missing
from tomopicker.cluster.benchmark_work import BenchmarkWork, items_of
from tomopicker.cluster.events import Event, OnEvent, both, unheard
from tomopicker.cluster.journal import Journal
from tomopicker.cluster.mapping import map_tomograms
from tomopicker.cluster.simulate_work import OnStep, SimulateWork, no_step
from tomopicker.cluster.work import Item
from tomopicker.files import write_text
from tomopicker.output.running import marked
from tomopicker.pipeline.callbacks import Callback

if TYPE_CHECKING:
    from tomopicker.cluster.settings import ClusterSettings

LOG = "benchmark.log"


def run_protocol(
    protocol: Protocol,
    part: Protocol,
    output: Path,
    *,
    device: str | None = None,
    cluster: "ClusterSettings | None" = None,
    on_event: OnEvent = unheard,
    callback: Callback | None = None,
    on_step: OnStep = no_step,
) -> tuple[list[Result], Path]:
    """Run a part of a protocol, and report all of the protocol that has results.

    Parameters
    ----------
    protocol, part : Protocol
    output : Path
        Folder of results, new or of an earlier run.
    device : str, optional
        For training and scoring.
    cluster : ClusterSettings, optional
        Which workers; one run after another in this process if left out.
    on_event : callable
        Hears each `Event`.
    callback : Callback, optional
        Receives the progress of a run, in one process.
    on_step : callable
        Hears how a simulation goes, in one process.

    Returns
    -------
    results : list of Result
        Of the part, failures included.
    page : Path
        The HTML report.

    Raises
    ------
    TomoPickerError
        If another process writes to the folder, or it makes no sense to go on.
    """
    _simulate(part, cluster, on_event, on_step)
    # Besides what is run, what the tables are to show.
    shown = sorted({*part.datasets, *(run.dataset for run, _ in results_of(protocol, output))})
    opened = open_datasets(filter_protocol(protocol, datasets=shown))
    with marked(output):
        write_text(output / "protocol.yaml", protocol_text(protocol, output))
        results = run_all(part, opened, output, device=device, cluster=cluster, on_event=on_event, callback=callback)
        return results, write_report(filter_protocol(protocol, datasets=shown), opened, output)


def run_all(
    part: Protocol,
    opened: Mapping[str, OpenDataSet],
    output: Path,
    *,
    device: str | None = None,
    cluster: "ClusterSettings | None" = None,
    on_event: OnEvent = unheard,
    callback: Callback | None = None,
) -> list[Result]:
    """Do every run of a protocol that is not done; give all results, failures included. See `run_protocol`."""
    runs = plan(part)
    runner = Runner(part, opened, output, device)
    done = {run.name for run in runs if runner.is_done(run)}
    todo = items_of([run for run in runs if run.name not in done], opened)
    for run in runs:
        if run.name in done:
            on_event(Event("skipped", run.name, f"{run.name}: done before", total=len(todo)))
    if todo:
        work = BenchmarkWork(part, output.absolute(), device, runner if cluster is None else None)
        output.mkdir(parents=True, exist_ok=True)
        how = "in one process" if cluster is None else cluster.words
        with Journal(output, len(todo), how, "task", LOG) as journal:
            map_tomograms(work, todo, cluster, both(journal.hear, on_event), callback)
    return [result for _, result in results_of(part, output)]


def _simulate(part: Protocol, cluster: "ClusterSettings | None", on_event: OnEvent, on_step: OnStep) -> None:
    for data in part.datasets.values():
        spec, lacking = data.simulate, missing(data)
        if spec is None or not lacking:
            continue
        shape = spec.shape[::-1]
        work = SimulateWork(
            data.tomograms[0], spec.preset, shape, spec.voxel_size, None, "ribosome", spec.particles, None, {},
            overwrite=False, **({"progress": on_step} if cluster is None else {}),
        )  # fmt: skip
        data.tomograms[0].mkdir(parents=True, exist_ok=True)
        map_tomograms(work, [Item(name, 1, seed) for name, seed in lacking.items()], cluster, on_event)
