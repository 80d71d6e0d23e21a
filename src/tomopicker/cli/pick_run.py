"""The run of ``pick``, with a line for each tomogram and a summary at the end; and its plan, for ``--dry-run``."""

from pathlib import Path
from typing import TYPE_CHECKING

from tomopicker.cli.progress import EventPrinter, Reporter
from tomopicker.cluster.pick_tomogram import PickWork, item_of
from tomopicker.cluster.resources import in_gigabytes
from tomopicker.cluster.settings import QUEUES
from tomopicker.io import tomogram_name
from tomopicker.wording import number_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tomopicker.cluster.pick_many import ManyPicked
    from tomopicker.cluster.settings import ClusterSettings
    from tomopicker.output.pick_folder import PickFolder
    from tomopicker.training.checkpoint import Model


def pick_files(
    files: list[Path],
    model_file: Path,
    model: "Model",
    folder: "PickFolder",
    reporter: Reporter,
    *,
    masks: "Mapping[Path, Path] | None" = None,
    cluster: "ClusterSettings | None" = None,
    retry_failed: bool = False,
) -> int:
    """Pick each unfinished tomogram, print the progress, and return the number of failures."""
    from tomopicker.cluster.pick_many import pick_into

    found = pick_into(
        folder, files, model_file, model, masks=masks, cluster=cluster, retry_failed=retry_failed,
        on_event=EventPrinter(reporter, with_bar=cluster is not None), callback=reporter,
    )  # fmt: skip
    reporter.end_bar()
    print_end(found, folder.path, reporter)
    if found.counts and folder.settings.pictures:
        write_report(folder.path, reporter)
    return len(found.failures)


def write_report(folder: Path, reporter: Reporter) -> None:
    """Write the report of a folder; a failure is a warning, as the picks do not depend on it."""
    from tomopicker.output import picks_report

    try:
        reporter.log(f"Report: {picks_report.write_report(folder)}")
    except Exception as error:
        reporter.warn(f"{folder / picks_report.REPORT}: not written ({' '.join(str(error).split())})")


def print_end(found: "ManyPicked", folder: Path, reporter: Reporter) -> None:
    """Print the summary of a run."""
    if found.remark:
        reporter.warn(found.remark)
    if not found.counts:
        return
    if found.summary is not None and len(found.counts) > 2:
        for line in found.summary.lines:
            reporter.log(line)
    of = f"{number_of(sum(found.counts.values()), 'pick')} of {number_of(len(found.counts), 'tomogram')}"
    reporter.log(f"{of}: {folder / 'picks.star'}")


def print_pick_plan(
    files: list[Path],
    folder: "PickFolder",
    model_file: Path,
    cluster: "ClusterSettings | None",
    reporter: Reporter,
    *,
    masks: "Mapping[Path, Path]",
) -> None:
    """Print the plan of a run."""
    todo = [
        item_of(file, masks.get(file))
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


def print_jobs(cluster: "ClusterSettings", memory: int, count: int, folder: Path, reporter: Reporter) -> None:
    """Print the script of a job, if workers are jobs; `memory` in bytes a job, `count` tomograms to do."""
    if cluster.engine not in QUEUES:
        return
    from tomopicker.cluster.jobqueue import job_script

    jobs = min(cluster.workers or 4, count)
    reporter.log(f"Up to {number_of(jobs, 'job')} of {cluster.engine} like this one, with keys of the run besides:\n")
    reporter.log(job_script(cluster, memory, folder).rstrip())
