"""The run of ``pick``, with a line for each tomogram and a summary at the end."""

from pathlib import Path
from typing import TYPE_CHECKING

from tomopicker.cli.run_printer import EventPrinter
from tomopicker.wording import number_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tomopicker.cli.progress import Reporter
    from tomopicker.cluster.pick_many import ManyPicked
    from tomopicker.cluster.settings import ClusterSettings
    from tomopicker.output.pick_folder import PickFolder
    from tomopicker.training.checkpoint import Model


def pick_files(
    files: list[Path],
    model_file: Path,
    model: "Model",
    folder: "PickFolder",
    reporter: "Reporter",
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


def write_report(folder: Path, reporter: "Reporter") -> None:
    """Write the report of a folder; a failure is a warning, as the picks do not depend on it."""
    from tomopicker.output import picks_report

    try:
        reporter.log(f"Report: {picks_report.write_report(folder)}")
    except Exception as error:
        reporter.warn(f"{folder / picks_report.REPORT}: not written ({' '.join(str(error).split())})")


def print_end(found: "ManyPicked", folder: Path, reporter: "Reporter") -> None:
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
