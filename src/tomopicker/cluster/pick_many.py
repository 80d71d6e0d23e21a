"""Picking in many tomograms: finished ones are skipped, the rest is picked here or by workers, one process merges."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from tomopicker.cluster.journal import Journal
from tomopicker.cluster.mapping import map_tomograms
from tomopicker.cluster.pick_tomogram import PickWork, item_of
from tomopicker.cluster.work import Event, Item, OnEvent, ignore_event
from tomopicker.errors import TomoPickerError
from tomopicker.io import check_names, naming_remark, tomogram_name
from tomopicker.output.layout import MERGED, RECORDS, read_entries
from tomopicker.output.lock import locked
from tomopicker.output.pick_folder import PickFolder
from tomopicker.output.summary import Summary, summarise
from tomopicker.pipeline.callbacks import Callback
from tomopicker.training.checkpoint import Model
from tomopicker.wording import number_of

if TYPE_CHECKING:
    from tomopicker.cluster.settings import ClusterSettings


@dataclass(frozen=True)
class ManyPicked:
    """The result of a run.

    Parameters
    ----------
    failures : dict of str to str
        Why each tomogram that failed did.
    counts : dict of str to int
        Picks of every finished tomogram of the folder.
    remark : str or None
        About the merged files.
    summary : Summary or None
        Of all tomograms in the folder; None if nothing was to be done.
    """

    failures: dict[str, str]
    counts: dict[str, int]
    remark: str | None
    summary: Summary | None

    def lines(self, folder: Path) -> list[str]:
        """Describe the picks of the folder: the summary of three or more tomograms, and the counts."""
        if not self.counts:
            return []
        summary = self.summary.lines if self.summary is not None and len(self.counts) > 2 else []
        of = f"{number_of(sum(self.counts.values()), 'pick')} of {number_of(len(self.counts), 'tomogram')}"
        return [*summary, f"{of}: {folder / f'{MERGED}.star'}"]


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
    """Pick in every tomogram that is not done; one that fails does not stop the others.

    Parameters
    ----------
    folder : PickFolder
        Where picks go.
    model_file, model : Path and Model
        The model where workers read it, and at hand.
    masks : mapping of Path to Path, optional
        The file of each tomogram's mask.
    cluster, on_event, callback
        As of `map_tomograms`.
    retry_failed : bool
        Whether to try again what failed before and has not changed since.

    Raises
    ------
    TomoPickerError
        If another run writes to the folder, or the run cannot go on.
    """
    failures: dict[str, str] = {}
    if remark := naming_remark(folder.settings.star_format, [tomogram_name(file) for file in files]):
        on_event(Event("note", "", "", (remark,), total=len(files)))
    todo: list[Item] = []
    for file, mask in ((file, (masks or {}).get(file)) for file in files):
        name = tomogram_name(file)
        event = _settled(folder, file, name, mask, failures, retry_failed=retry_failed)
        if event is None:
            todo.append(item_of(file, mask))
        else:
            on_event(replace(event, total=len(files)))
    named = [name for name in map(tomogram_name, files) if name not in failures]
    check_names(named, folder.settings.star_format, folder.path)  # Together: two may become one in a STAR file.
    if not todo and (not (folder.path / RECORDS).exists() or folder.read()["merged"]):
        counts = folder.counts
        return ManyPicked(failures, counts, folder.merge() if counts else None, None)
    work = PickWork(folder, model_file, model if cluster is None else None)
    how = "in one process" if cluster is None else cluster.words
    was_there = folder.path.exists()
    with locked(folder.path):
        folder.begin()
        with Journal(folder.path, len(todo), how, on_event) as journal:
            try:
                failures |= map_tomograms(work, todo, cluster, journal.write, callback)
            finally:  # Also after a Ctrl-C.
                remark, counts, summary = folder.merge(), folder.counts, summarise(read_entries(folder.path))
                journal.summary = summary.record
    if not was_there and not any((folder.path / RECORDS).iterdir()):
        with suppress(OSError):
            _remove(folder.path)
    return ManyPicked(failures, counts, remark, summary)


def _remove(folder: Path) -> None:
    for file in folder.iterdir():
        if file.is_file():
            file.unlink()
    (folder / RECORDS).rmdir()
    folder.rmdir()


def _settled(
    folder: PickFolder, file: Path, name: str, mask: Path | None, failures: dict[str, str], *, retry_failed: bool
) -> Event | None:
    """Return the event of a tomogram that needs no picking, without opening it; None if it is to be picked."""
    try:
        folder.check_name(name, file)
    except TomoPickerError as error:
        failures[name] = str(error)
        return Event("failed", name, str(error))
    if folder.is_done(name, file, mask):
        return Event("skipped", name, f"{name}: done already, skipped; --overwrite picks it again.")
    if not retry_failed and (error_before := folder.failed_before(name, file, mask)):
        failures[name] = error_before
        return Event("failed", name, f"{error_before} (as before; --retry-failed tries it again)")
    return None
