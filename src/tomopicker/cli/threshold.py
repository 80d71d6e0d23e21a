"""``tomopicker threshold``: other picks from the same scores."""

from pathlib import Path
from typing import Annotated

import typer

from tomopicker.cli.cut import MaxParticles, TargetFdr, TargetPrecision, Threshold, the_cut
from tomopicker.cli.words import number_of
from tomopicker.errors import UsageError

HELP = """Set another threshold for the candidates that pick left in a folder, without scoring again.

[bold]Examples[/bold]

  [cyan]tomopicker threshold picks --target-precision 0.9[/cyan]   fewer, surer picks
  [cyan]tomopicker threshold picks --threshold 0.2[/cyan]          everything with a probability above 0.2
  [cyan]tomopicker threshold picks[/cyan]                          back to the best expected F1

The STAR and CSV files of every tomogram, the merged ones and [cyan]picks.json[/cyan] are written anew. Candidates are
listed down to a probability of 0.01."""


def command(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Written by tomopicker pick.", show_default=False)],
    threshold: Threshold = None,
    target_precision: TargetPrecision = None,
    target_fdr: TargetFdr = None,
    max_particles: MaxParticles = None,
) -> None:
    """Parse, cut, and say what is expected."""
    from tomopicker.cli.progress import Reporter
    from tomopicker.folder.recut import recut

    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder; give the one that 'tomopicker pick' wrote")
    cut = the_cut(threshold, target_precision, target_fdr, max_particles)
    with Reporter() as reporter:
        entries, remark = recut(folder, cut)
        if remark:
            reporter.warn(remark)
        for name, entry in entries.items():
            expected = entry["expected"]
            reporter.say(
                f"{name}: {entry['picks']} of {entry['candidates']} candidates (threshold {entry['threshold']:.3f}; "
                f"expected precision {expected['precision']:.2f}, recall {expected['recall']:.2f})."
            )
            if not entry["picks"]:
                reporter.warn(f"{name}: no candidate is as sure as that, so there are no picks; ask for less")
        total = sum(entry["picks"] for entry in entries.values())
        of = f"{number_of(total, 'pick')} of {number_of(len(entries), 'tomogram')}"
        reporter.say(f"{of}: {folder / 'picks.star'}")
