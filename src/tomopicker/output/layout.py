"""Names of the files in a folder of picks."""

from pathlib import Path

RECORD = "picks.json"
RECORDS = "records"
"""A folder: the record of each tomogram, written by the process that picked it."""
CANDIDATES = "candidates"
"""A folder: the candidates of each tomogram."""
MERGED, IMPORT_LIST, OPTIMISATION_SET = "picks", "relion5_import", "optimisation_set"
"""The files of all tomograms together, without a suffix."""
RUN, RUNNING, LOG = "run.json", ".running", "pick.log"
"""The state of the last run, the lock file of a running one, and the log with a line for each tomogram."""


def record_file(folder: Path, name: str) -> Path:
    """Give where the record of a tomogram is."""
    return folder / RECORDS / f"{name}.json"


def files_of(folder: Path, name: str) -> tuple[Path, Path, Path]:
    """Give where a tomogram's picks are, as STAR and as CSV, and where its candidates are."""
    return folder / f"{name}.star", folder / f"{name}.csv", folder / CANDIDATES / f"{name}.csv"


def picture_of(folder: Path, name: str) -> Path:
    """Give where the picture of a tomogram's picks is, if one was drawn."""
    return folder / f"{name}.png"


def file_of_kind(name: str, kind: str) -> str:
    """Name the files of one kind of several: a tomogram's, or the merged ones."""
    return f"{name}.{kind}" if kind else name
