"""What a run over many tomograms would do, and the script of a job: for ``--dry-run``."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tomopicker.benchmark.campaign import dry_run, missing
from tomopicker.benchmark.dataset import open_datasets
from tomopicker.benchmark.protocol import Protocol
from tomopicker.benchmark.runs import plan
from tomopicker.cluster.benchmark import BenchmarkWork, items_of
from tomopicker.cluster.jobqueue import job_script
from tomopicker.cluster.pick_tomogram import PickWork, item_of
from tomopicker.cluster.resources import in_gigabytes
from tomopicker.cluster.settings import QUEUES, ClusterSettings
from tomopicker.io import tomogram_name
from tomopicker.output.pick_folder import PickFolder
from tomopicker.wording import number_of


def pick_plan(
    files: Sequence[Path],
    folder: PickFolder,
    model_file: Path,
    masks: Mapping[Path, Path],
    cluster: ClusterSettings | None,
) -> Iterator[str]:
    """Describe a run of pick, line by line; the parameters are those of `pick_into`."""
    todo = [
        item_of(file, masks.get(file))
        for file in files
        if not folder.is_done(tomogram_name(file), file, masks.get(file))
    ]
    done = len(files) - len(todo)
    already = f" ({done} of {len(files)} are done already)" if done else ""
    where = "in this process" if cluster is None else cluster.words
    yield f"{number_of(len(todo), 'tomogram')} would be picked {where}{already}; nothing is written."
    if not todo:
        return
    memory = PickWork(folder, model_file).memory(todo)
    largest = max(todo, key=lambda item: item.size)
    yield f"The largest, {largest.name}, needs about {in_gigabytes(memory)} of memory."
    yield from _jobs(cluster, memory, len(todo), folder.path)


def benchmark_plan(part: Protocol, output: Path, device: str | None, cluster: ClusterSettings | None) -> Iterator[str]:
    """Describe a run of a benchmark, line by line; the parameters are those of `run_protocol`."""
    yield from dry_run(part, output, device)
    if cluster is None:
        return
    if any(missing(data) for data in part.datasets.values()):
        yield f"They would be done {cluster.words}, after the tomograms are simulated there."
        return
    items = items_of(plan(part), open_datasets(part))
    yield f"They would be done {cluster.words}."
    yield from _jobs(cluster, BenchmarkWork(part, output).memory(items), len(items), output)


def _jobs(cluster: ClusterSettings | None, memory: int, count: int, folder: Path) -> Iterator[str]:
    """Give the script of a job, if workers are jobs; `memory` in bytes a job, `count` tomograms to do."""
    if cluster is None or cluster.engine not in QUEUES:
        return
    jobs = min(cluster.workers or 4, count)
    yield f"Up to {number_of(jobs, 'job')} of {cluster.engine} like this one, with keys of the run besides:\n"
    yield job_script(cluster, memory, folder).rstrip()
