"""``tomopicker threshold``: other picks from the same scores."""

from pathlib import Path
from typing import Annotated

from tomopicker.cli.groups import SelectionOptions
from tomopicker.cli.options import Pictures, argument
from tomopicker.cli.progress import Reporter
from tomopicker.errors import UsageError
from tomopicker.wording import number_of

HELP = """Apply another threshold to the results of pick, without scoring again.

[bold]Examples[/bold]

  [cyan]tomopicker threshold picks --target-precision 0.9[/cyan]   fewer, more certain picks
  [cyan]tomopicker threshold picks --threshold 0.2[/cyan]          everything with a probability above 0.2
  [cyan]tomopicker threshold picks[/cyan]                          back to the best expected F1

The STAR and CSV files of every tomogram, the merged ones and [cyan]picks.json[/cyan] are rewritten, and the pictures if
the tomograms still exist. Candidates are kept down to a probability of 0.01."""


def command(
    folder: Annotated[Path, argument("Written by tomopicker pick.", "DIR")],
    selection: SelectionOptions,
    pictures: Pictures = True,
) -> None:
    """Parse, select again, and print the expected metrics."""
    from tomopicker.output.layout import RECORD, file_of_kind, picture_of
    from tomopicker.output.record import read_record
    from tomopicker.output.reselect import draw_again, reselect

    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder; give the one that 'tomopicker pick' wrote")
    cut = selection.cut()
    with Reporter() as reporter:
        drawn = [path for path in folder.glob("*.png") if pictures]
        entries, remark = reselect(folder, cut)
        if remark:
            reporter.warn(remark)
        for name, entry in entries.items():
            of_kinds = {f"  {kind}": own for kind, own in entry.get("kinds", {}).items()}
            for title, own in {name: entry, **of_kinds}.items():
                expected = own["expected"]
                reporter.log(
                    f"{title}: {own['picks']} of {own['candidates']} candidates (threshold {own['threshold']:.3f}; "
                    f"expected precision {expected['precision']:.2f}, recall {expected['recall']:.2f})."
                )
            if not entry["picks"]:
                reporter.warn(f"{name}: no candidate passes this threshold, so there are no picks; choose a lower one")
        record = read_record(folder / RECORD)
        for name in entries:
            for kind in record["model"].get("kinds", {"": None}):
                was_drawn = picture_of(folder, file_of_kind(name, kind)) in drawn
                if was_drawn and (problem := draw_again(folder, name, record, kind)):
                    reporter.warn(problem)
        _write_report_again(folder, reporter, pictures=pictures)
        total = sum(entry["picks"] for entry in entries.values())
        of = f"{number_of(total, 'pick')} of {number_of(len(entries), 'tomogram')}"
        reporter.log(f"{of}: {folder / 'picks.star'}")


def _write_report_again(folder: Path, reporter: Reporter, *, pictures: bool) -> None:
    """Write the page of the new picks where there was one; without pictures, remove that of the old ones."""
    from tomopicker.cli.pick_run import write_report
    from tomopicker.output.picks_report import REPORT

    if not (folder / REPORT).exists():
        return
    if pictures:
        write_report(folder, reporter)
    else:
        (folder / REPORT).unlink()
