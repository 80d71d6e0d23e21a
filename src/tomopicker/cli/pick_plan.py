"""``pick --dry-run``: which tomograms would be picked, where, and the script of a job."""

from pathlib import Path
from typing import TYPE_CHECKING

from tomopicker.cluster.memory import in_gigabytes
from tomopicker.cluster.pick_work import PickWork, item_of
from tomopicker.cluster.settings import QUEUES
from tomopicker.io import tomogram_name
from tomopicker.wording import number_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tomopicker.cli.progress import Reporter
    from tomopicker.cluster.settings import ClusterSettings
    from tomopicker.output.pick_folder import PickFolder


def print_pick_plan(
    files: list[Path],
    folder: "PickFolder",
    model_file: Path,
    cluster: "ClusterSettings | None",
    reporter: "Reporter",
    *,
    masks: "Mapping[Path, Path]",
) -> None:
    """Print the plan of a run."""
    todo = [
        item_of(file, tomogram_name(file), masks.get(file))
        for file in files
        if not folder.is_done(tomogram_name(file), file, masks.get(file))
    ]
    done = len(files) - len(todo)
    already = f" ({done} of {len(files)} are done already)" if done else ""
    where = "in this process" if cluster is None else cluster.words
    reporter.log(f"{number_of(len(todo), 'tomogram')} would be picked {where}{already}; nothing is written.")
    if not todo:
        return
    memory = PickWork(folder, model_file).memory(todo)
    largest = max(todo, key=lambda item: item.size)
    reporter.log(f"The largest, {largest.name}, needs about {in_gigabytes(memory)} of memory.")
    if cluster is not None:
        print_jobs(cluster, memory, len(todo), folder.path, reporter)


def print_jobs(cluster: "ClusterSettings", memory: int, count: int, folder: Path, reporter: "Reporter") -> None:
    """Print the script of a job, if workers are jobs; `memory` in bytes a job, `count` tomograms to do."""
    if cluster.engine not in QUEUES:
        return
    from tomopicker.cluster.jobqueue import job_script

    jobs = min(cluster.workers or 4, count)
    reporter.log(f"Up to {number_of(jobs, 'job')} of {cluster.engine} like this one, with keys of the run besides:\n")
    reporter.log(job_script(cluster, memory, folder).rstrip())
