"""Picking in many tomograms: finished ones are skipped, the others picked here or by workers, and all merged."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from tomopicker.cluster.jobqueue import describe_jobs
from tomopicker.cluster.journal import Journal
from tomopicker.cluster.mapping import map_tomograms
from tomopicker.cluster.pick_tomogram import PickWork, item_of
from tomopicker.cluster.resources import in_gigabytes
from tomopicker.cluster.work import Event, Item, OnEvent, ignore_event
from tomopicker.errors import TomoPickerError
from tomopicker.io import check_names, naming_remark, tomogram_name
from tomopicker.output.layout import MERGED, RECORDS, read_entries
from tomopicker.output.lock import locked
from tomopicker.output.pick_folder import PickFolder, TomogramFile
from tomopicker.output.summary import Summary, summarise
from tomopicker.pipeline.callbacks import Callback
from tomopicker.training.checkpoint import Model
from tomopicker.wording import number_of, picks_of_tomograms

if TYPE_CHECKING:
    from tomopicker.cluster.settings import ClusterSettings

RETRY_HINT = " (as before; --retry-failed tries it again)"


@dataclass(frozen=True)
class ManyPicked:
    """The result of a run.

    Parameters
    ----------
    failures : dict of str to str
        Error of each tomogram that failed.
    counts : dict of str to int
        Number of picks in each finished tomogram of the folder.
    remark : str or None
        Remark on the merged files.
    summary : Summary or None
        Summary of all tomograms in the folder; None if everything was finished before.
    """

    failures: dict[str, str]
    counts: dict[str, int]
    remark: str | None
    summary: Summary | None

    def lines(self, folder: Path) -> list[str]:
        """Return the summary of three or more tomograms, and a line with the counts."""
        if not self.counts:
            return []
        summary = self.summary.lines if self.summary is not None and len(self.counts) > 2 else []
        picks = picks_of_tomograms(sum(self.counts.values()), len(self.counts))
        return [*summary, f"{picks}: {folder / f'{MERGED}.star'}"]


def pick_into(
    folder: PickFolder,
    files: Sequence[Path],
    model_file: Path,
    model: Model,
    *,
    masks: Mapping[Path, Path] | None = None,
    cluster: "ClusterSettings | None" = None,
    on_event: OnEvent = ignore_event,
    callback: Callback | None = None,
    retry_failed: bool = False,
) -> ManyPicked:
    """Pick in every unfinished tomogram; one that fails does not stop the others.

    Parameters
    ----------
    folder : PickFolder
        Output folder.
    files : sequence of Path
        Tomograms.
    model_file, model : Path and Model
        The model as a file, for workers, and loaded.
    masks : mapping of Path to Path, optional
        File of the mask of each tomogram.
    cluster, on_event, callback
        As for `map_tomograms`.
    retry_failed : bool
        Also pick tomograms that failed before and have not changed since.

    Raises
    ------
    TomoPickerError
        If another run writes to the folder, or the run cannot continue.
    """
    failures: dict[str, str] = {}
    if remark := naming_remark(folder.settings.star_format, [tomogram_name(file) for file in files]):
        on_event(Event("note", "", "", (remark,), total=len(files)))
    todo: list[Item] = []
    for file in files:
        tomogram = TomogramFile(file, (masks or {}).get(file))
        event = _finished_before(folder, tomogram, retry_failed=retry_failed)
        if event is None:
            todo.append(item_of(tomogram))
            continue
        if event.kind == "failed":
            failures[event.tomogram] = event.line.removesuffix(RETRY_HINT)
        on_event(replace(event, total=len(files)))
    names = [name for name in map(tomogram_name, files) if name not in failures]
    check_names(names, folder.settings.star_format, folder.path)  # Together: two may get one name in a STAR file.
    if not todo and (not (folder.path / RECORDS).exists() or folder.read()["merged"]):
        counts = folder.counts
        return ManyPicked(failures, counts, folder.merge() if counts else None, None)
    work = PickWork(folder, model_file, model if cluster is None else None)
    how = "in one process" if cluster is None else cluster.description
    existed = folder.path.exists()
    with locked(folder.path):
        folder.begin()
        with Journal(folder.path, len(todo), how, on_event) as journal:
            try:
                failures |= map_tomograms(work, todo, cluster, journal.write, callback)
            finally:  # Also after a Ctrl-C.
                remark, counts, summary = folder.merge(), folder.counts, summarise(read_entries(folder.path))
                journal.summary = asdict(summary)
    if not existed and not any((folder.path / RECORDS).iterdir()):
        with suppress(OSError):  # Logs of jobs are in a folder of it, which is kept.
            for file in filter(Path.is_file, folder.path.iterdir()):
                file.unlink()
            (folder.path / RECORDS).rmdir()
            folder.path.rmdir()
    return ManyPicked(failures, counts, remark, summary)


def _finished_before(folder: PickFolder, file: TomogramFile, *, retry_failed: bool) -> Event | None:
    """Return the event of a tomogram that needs no picking, without opening it; None if it is to be picked."""
    try:
        folder.check_name(file)
    except TomoPickerError as error:
        return Event("failed", file.name, str(error))
    if folder.is_done(file):
        return Event("skipped", file.name, f"{file.name}: done already, skipped; --overwrite picks it again.")
    if not retry_failed and (error_before := folder.failed_before(file)):
        return Event("failed", file.name, f"{error_before}{RETRY_HINT}")
    return None


def pick_plan(
    files: Sequence[Path],
    folder: PickFolder,
    model_file: Path,
    masks: Mapping[Path, Path],
    cluster: "ClusterSettings | None",
) -> Iterator[str]:
    """Yield the lines of a dry run of `pick_into`."""
    tomograms = [TomogramFile(file, masks.get(file)) for file in files]
    todo = [item_of(file) for file in tomograms if not folder.is_done(file)]
    n_done = len(files) - len(todo)
    already = f" ({n_done} of {len(files)} are done already)" if n_done else ""
    where = "in this process" if cluster is None else cluster.description
    yield f"{number_of(len(todo), 'tomogram')} would be picked {where}{already}; nothing is written."
    if not todo:
        return
    memory = PickWork(folder, model_file).memory(todo)
    largest = max(todo, key=lambda item: item.size)
    yield f"The largest, {largest.name}, needs about {in_gigabytes(memory)} of memory."
    yield from describe_jobs(cluster, memory, len(todo), folder.path)
