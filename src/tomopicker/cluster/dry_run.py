"""What picking many tomograms would do, and the script of a job: for ``--dry-run``."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

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
    yield from describe_jobs(cluster, memory, len(todo), folder.path)


def describe_jobs(cluster: ClusterSettings | None, memory: int, count: int, folder: Path) -> Iterator[str]:
    """Return the script of a job, if workers are jobs; `memory` in bytes a job, `count` tomograms to do."""
    if cluster is None or cluster.engine not in QUEUES:
        return
    jobs = min(cluster.workers or 4, count)
    yield f"Up to {number_of(jobs, 'job')} of {cluster.engine} like this one, with keys of the run besides:\n"
    yield job_script(cluster, memory, folder).rstrip()
