"""What ``convert`` reads: picks from one file or several, and the geometry of their tomograms."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from tomopicker import formats
from tomopicker.cli.frames import check_known, frames_from_flags, named_tables, stated_frames, with_bin_factor
from tomopicker.cli.inputs import Counted, read_picks, unit_named
from tomopicker.cli.progress import Reporter
from tomopicker.errors import UsageError
from tomopicker.formats.registry import Format
from tomopicker.formats.tomogram_names import join_names, matches
from tomopicker.formats.volumes.arrays import DEFAULT_OPTIONS, ReadOptions
from tomopicker.geometry import Frame, PickTable, Unit
from tomopicker.picks import Picks


@dataclass(frozen=True)
class Known:
    """What the flags say of the tomograms.

    Parameters
    ----------
    tomograms : sequence of Path
        Their files, folders of them, or a tomograms.star.
    voxel_size : float, optional
        Å.
    shape_xyz : tuple of int, optional
        Voxels.
    bin_factor : float, optional
        Pixels of the tilt series in the width of a voxel.
    stored : ReadOptions
        How the files of tomograms are read.
    recorded : mapping of str to Frame
        Geometry as the record of the folder of picks states it.
    """

    tomograms: Sequence[Path] = ()
    voxel_size: float | None = None
    shape_xyz: tuple[int, int, int] | None = None
    bin_factor: float | None = None
    stored: ReadOptions = DEFAULT_OPTIONS
    recorded: Mapping[str, Frame] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for flag, value in {"--voxel-size": self.voxel_size, "--bin-factor": self.bin_factor}.items():
            if value is not None and not 0 < value < float("inf"):
                raise UsageError(f"{flag} {value:g} cannot be; give a positive number")
        if self.stored != DEFAULT_OPTIONS and not self.tomograms:
            raise UsageError("--dataset and --axes say how files of tomograms are read; give --tomograms too")


def read_all(
    sources: Sequence[Path],
    from_name: str | None,
    counted: Counted,
    shift: tuple[float, float, float],
    known: Known,
    entry: Format,
    target: Path,
    reporter: Reporter,
) -> tuple[Picks, dict[str, Frame]]:
    """Read picks to be written to `target` in the format `entry`, and the frames of their tomograms.

    Raises
    ------
    TomoPickerError
        If a size that either format needs is not known, or two files hold picks of one tomogram.
    """
    tables = [_table(path, counted, from_name) for path in sources]
    frames = _frames(tables, known, entry, target, reporter)
    frames = frames if known.bin_factor is None else with_bin_factor(frames, known.bin_factor)
    here = _of_known(sources, tables, list(frames), reporter)
    parts = [
        read_picks(
            [path],
            frames,
            reporter,
            counted,
            ignore_unknown=True,
            format=from_name,
            shift=shift,
            keeps_classes=True,
        )
        for path in here
    ]
    _refuse_twice(here, [part.tomogram_names for part in parts])
    return Picks.concatenate(parts), frames


def _of_known(
    sources: Sequence[Path], tables: Sequence[PickTable], known: Sequence[str], reporter: Reporter
) -> list[Path]:
    """List the files that have picks of the tomograms at hand, all if none has; the others are named in a warning."""
    theirs = {path: set(table.tomograms.tolist()) for path, table in zip(sources, tables, strict=True)}
    here = [path for path, names in theirs.items() if any(not name or matches(name, known) for name in names)]
    for path in sources:
        if here and path not in here:
            of = join_names(sorted(theirs[path]))
            reporter.warn(f"{path}: left out, it has picks of tomograms that were not given: {of}")
    return here or list(sources)


def _table(source: Path, counted: Counted, format_name: str | None) -> PickTable:
    """Read what a file states, in the unit that the flags say."""
    table = formats.read_table(source, format_name)
    meant = unit_named(counted.unit) or (
        Unit.PIXEL if counted.pixel_size is not None and table.unit is Unit.VOXEL else table.unit
    )
    return replace(table, unit=meant)


def _frames(
    tables: Sequence[PickTable], known: Known, entry: Format, target: Path, reporter: Reporter
) -> dict[str, Frame]:
    """Find the geometry of the tomograms, or say which flag gives what is missing."""
    if known.tomograms:
        return stated_frames(known.tomograms, known.voxel_size, reporter, known.stored)
    if known.recorded and known.voxel_size is None and known.shape_xyz is None:
        return dict(known.recorded)
    stated = {name: frame for table in tables for name, frame in table.frames.items()}
    if all(set(stated) >= set(table.tomograms.tolist()) for table in tables):
        return stated
    needs = {what: f"{target}: {entry.name} counts {entry.unit} from the {entry.origin}" for what in entry.needs}
    check_known(
        tables, known.voxel_size, known.shape_xyz,
        also_voxel_size=needs.get("voxel size"), also_shape=needs.get("shape"),
    )  # fmt: skip
    return frames_from_flags(named_tables(tables), known.voxel_size, known.shape_xyz)


def _refuse_twice(sources: Sequence[Path], tomograms: Sequence[Sequence[str]]) -> None:
    """Refuse a folder that holds picks of a tomogram in two files: they would be counted twice."""
    seen: dict[str, Path] = {}
    for source, names in zip(sources, tomograms, strict=True):
        for name in names:
            if name in seen:
                raise UsageError(
                    f"{source}: {seen[name].name} beside it has picks of '{name}' too; give one file as IN"
                )
            seen[name] = source
