"""``train`` with clicks of any number of kinds: how they are read, and what is refused or said before the training."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tomopicker.cli.check_clicks import check_clicks
from tomopicker.cli.inputs import Counted, read_picks
from tomopicker.cli.kinds import Named, read_by_kind
from tomopicker.cli.plan import check_plan, print_plan
from tomopicker.cli.progress import Reporter
from tomopicker.config import Settings
from tomopicker.folder.find import files_of_picks
from tomopicker.formats.classes import with_kinds
from tomopicker.picks import Picks
from tomopicker.tomogram import Tomogram
from tomopicker.types import VoxelMask
from tomopicker.wording import number_of
from tomopicker.workflow.clicked import without_repeats
from tomopicker.workflow.kinds.clicks import diameters_of, known_negatives
from tomopicker.workflow.kinds.train import settings_of_kinds, with_picks


@dataclass(frozen=True)
class Planned:
    """What is to be trained on; `diameters` are those of single kinds, `usual` that of all others, in Å."""

    tomograms: list[Tomogram]
    clicks: Picks
    validation: list[Tomogram]
    validation_picks: Picks | None
    settings: Settings
    diameters: Mapping[str, float]
    usual: float | None
    rejected: Picks | None
    masks: Mapping[str, VoxelMask]
    device: str | None


def read_kinds(
    files: Named,
    tomograms: list[Tomogram],
    *,
    reporter: Reporter,
    counted: Counted,
    format: str | None,
    class_numbers: bool,
) -> Picks:
    """Read clicks whose kind stands before their file or in a column; `class_numbers` as in `with_kinds`."""

    def read(paths: list[Path]) -> Picks:
        listed = [file for path in paths for file in files_of_picks(path)]
        found = read_picks(
            listed, tomograms, reporter, counted, ignore_unknown=True, format=format, keeps_classes=class_numbers
        )
        return with_kinds(found, class_numbers=class_numbers)

    return read_by_kind(files, read)


def plan_kinds(
    planned: Planned,
    files: Named,
    output: Path,
    reporter: Reporter,
    counted: Counted,
    from_name: str | None,
    *,
    check: bool,
    print: bool,
) -> tuple[Picks, list[str]]:
    """Refuse what the training would refuse, kind by kind, and test the clicks.

    Parameters
    ----------
    planned : Planned
    files : Named
        Of the clicks.
    output : Path
        The model file.
    reporter, counted, from_name
        As for `print_plan`.
    check, print : bool
        Whether to test if clicks lie on particles, and to print the plan.

    Returns
    -------
    clicks : Picks
        Without repeated ones.
    doubts : list of str
        As of `check_clicks`.

    Raises
    ------
    TomoPickerError
        One line that says what to change.
    """
    if planned.diameters and planned.usual is None:
        diameters_of(planned.clicks.kind_names, planned.diameters, None)
    of_kinds = settings_of_kinds(planned.clicks, planned.settings, planned.diameters)
    several, every = len(of_kinds) > 1, [file for listed in files.values() for file in listed]
    kept, doubts = [], []
    for kind, settings in of_kinds.items():
        size, clicks, rejected = settings.particle_diameter, planned.clicks, planned.rejected
        if several:
            clicks, rejected = clicks.of_kind(kind), known_negatives(kind, clicks, rejected, size)
            reporter.say(f"{kind}: {number_of(len(clicks), 'click')}, a particle of {size:g} Å.")
        tomograms = with_picks(planned.tomograms, clicks)
        check_plan(tomograms, clicks, planned.validation, settings, reporter, rejected, planned.masks, planned.device)
        clicks = without_repeats(clicks, size, reporter)
        if print:
            print_plan(
                tomograms, clicks, planned.validation, planned.validation_picks, settings, output, reporter, rejected,
                files.get(kind, every), counted, from_name,
            )  # fmt: skip
        doubts += check_clicks(tomograms, clicks, size, files.get(kind, every), reporter) if check else []
        kept.append(clicks)
    return Picks.concatenate(kept), doubts
