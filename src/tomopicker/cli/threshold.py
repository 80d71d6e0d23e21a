"""``tomopicker threshold``: other picks from the same scores."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tomopicker.cli.cut import MaxParticles, TargetFdr, TargetPrecision, Threshold, the_cut
from tomopicker.cli.pick_options import Pictures
from tomopicker.errors import TomoPickerError, UsageError
from tomopicker.wording import number_of

if TYPE_CHECKING:
    from tomopicker.cli.progress import Reporter

HELP = """Set another threshold for the candidates that pick left in a folder, without scoring again.

[bold]Examples[/bold]

  [cyan]tomopicker threshold picks --target-precision 0.9[/cyan]   fewer, surer picks
  [cyan]tomopicker threshold picks --threshold 0.2[/cyan]          everything with a probability above 0.2
  [cyan]tomopicker threshold picks[/cyan]                          back to the best expected F1

The STAR and CSV files of every tomogram, the merged ones and [cyan]picks.json[/cyan] are written anew, and the pictures
where the tomograms are still there. Candidates are listed down to a probability of 0.01."""


def command(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Written by tomopicker pick.", show_default=False)],
    threshold: Threshold = None,
    target_precision: TargetPrecision = None,
    target_fdr: TargetFdr = None,
    max_particles: MaxParticles = None,
    pictures: Pictures = True,
) -> None:
    """Parse, cut, and say what is expected."""
    from tomopicker.cli.progress import Reporter
    from tomopicker.folder.layout import RECORD
    from tomopicker.folder.one_tomogram import file_of_kind, picture_of
    from tomopicker.folder.record import read_record
    from tomopicker.folder.recut import recut

    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder; give the one that 'tomopicker pick' wrote")
    cut = the_cut(threshold, target_precision, target_fdr, max_particles)
    with Reporter() as reporter:
        drawn = [path for path in folder.glob("*.png") if pictures]
        entries, remark = recut(folder, cut)
        if remark:
            reporter.warn(remark)
        for name, entry in entries.items():
            expected = entry["expected"]
            reporter.say(
                f"{name}: {entry['picks']} of {entry['candidates']} candidates (threshold {entry['threshold']:.3f}; "
                f"expected precision {expected['precision']:.2f}, recall {expected['recall']:.2f})."
            )
            for kind, own in entry.get("kinds", {}).items():
                expected = own["expected"]
                reporter.say(
                    f"  {kind}: {own['picks']} of {own['candidates']} candidates (threshold {own['threshold']:.3f}; "
                    f"expected precision {expected['precision']:.2f}, recall {expected['recall']:.2f})."
                )
            if not entry["picks"]:
                reporter.warn(f"{name}: no candidate is as sure as that, so there are no picks; ask for less")
        record = read_record(folder / RECORD)
        for name in entries:
            for kind in record["model"].get("kinds", {"": None}):
                if picture_of(folder, file_of_kind(name, kind)) in drawn:
                    _draw_again(folder, name, kind, record, reporter)
        total = sum(entry["picks"] for entry in entries.values())
        of = f"{number_of(total, 'pick')} of {number_of(len(entries), 'tomogram')}"
        reporter.say(f"{of}: {folder / 'picks.star'}")


def _draw_again(folder: Path, name: str, kind: str, record: "dict[str, Any]", reporter: "Reporter") -> None:
    """Draw a tomogram's picks once more, if its file is still there."""
    from tomopicker import formats
    from tomopicker.cluster.pick_tomogram import draw
    from tomopicker.folder.one_tomogram import file_of_kind, files_of, picture_of
    from tomopicker.formats.stored import Stored
    from tomopicker.picks import Picks

    entry, asked, model = record["tomograms"][name], record["settings"], record["model"]
    called, diameter = file_of_kind(name, kind), model["settings"]["particle_diameter"]
    if kind:
        entry, diameter = entry | entry["kinds"][kind], model["kinds"][kind]["particle_diameter"]
    stored = Stored(asked.get("dataset"), asked.get("axes"))
    try:
        tomogram = formats.open_tomogram(
            entry["path"], voxel_size=entry["voxel_size_angstrom"], invert=entry["inverted"], stored=stored
        )
        if tomogram.name != name or list(tomogram.shape) != entry["shape_zyx"]:
            raise TomoPickerError(f"{entry['path']}: is another tomogram now")
        csv = files_of(folder, called)[1]
        picks = formats.read_picks(csv, [tomogram]) if entry["picks"] else Picks.concatenate([])
    except (TomoPickerError, KeyError, TypeError) as error:
        reporter.warn(f"{picture_of(folder, called)}: removed, for it cannot be drawn again ({error})")
        return
    draw(tomogram, picks.positions, diameter, picture_of(folder, called), reporter.warn)
