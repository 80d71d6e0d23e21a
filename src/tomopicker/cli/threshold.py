"""Apply another threshold to the results of pick, without scoring again.

[bold]Examples[/bold]

  [cyan]tomopicker threshold picks --target-precision 0.9[/cyan]   fewer, more certain picks
  [cyan]tomopicker threshold picks --threshold 0.2[/cyan]          everything with a probability above 0.2
  [cyan]tomopicker threshold picks[/cyan]                          back to the best expected F1

The STAR and CSV files of every tomogram, the merged ones and [cyan]picks.json[/cyan] are rewritten, and the pictures if
the tomograms still exist. Candidates are kept down to a probability of 0.01.
"""

from tomopicker.cli.groups import SelectionOptions
from tomopicker.cli.options import PicksFolder, Pictures
from tomopicker.cli.progress import Reporter


def command(
    *,
    folder: PicksFolder,
    selection: SelectionOptions,
    pictures: Pictures = True,
    reporter: Reporter,
) -> None:
    """Select again, and print the expected metrics."""
    from tomopicker.output.redraw import change_threshold

    change_threshold(folder, selection.selection(), reporter, pictures=pictures)
