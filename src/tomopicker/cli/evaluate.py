"""Evaluate picks against ground truth: precision, recall, F1, average precision, position error.

[bold]Examples[/bold]

  [cyan]tomopicker evaluate picks --truth truth/ --exclude TS_0001[/cyan]
  [cyan]tomopicker evaluate picks --truth truth/*.csv[/cyan]
  [cyan]tomopicker evaluate TS_2.csv --truth truth_TS_2.star --tomograms TS_2.mrc --tolerance 135A[/cyan]

PICKS is a file or a folder, written by [cyan]tomopicker pick[/cyan] or not. Truth in a folder is matched to tomograms
by name.

A warning names tomograms whose picks match no better than by chance: the truth of another tomogram, another unit,
swapped axes.

A pick is right if it lies within the tolerance of a particle that no other pick has taken:
[bold]one-to-one[/bold]. With [bold]paper[/bold] matching, as in the TomoPicker paper, several picks
may share a particle.

If picks and truth both state [bold]kinds[/bold] of particle, each kind is evaluated separately, and a confusion table
counts the particles of each kind by the kind they were picked as.

[bold]F1 at true N[/bold] (of the N best picks) and [bold]highest F1[/bold] (over all thresholds) choose the threshold
from the truth: they measure the scores, not the picks. Exclude training tomograms ([cyan]--exclude[/cyan]): they are
optimistic.
"""

from pathlib import Path
from typing import Literal

from tomopicker.cli.groups import CoordinateOptions, TomogramOptions
from tomopicker.cli.options import TomogramList, argument, option
from tomopicker.cli.progress import Reporter
from tomopicker.errors import UsageError
from tomopicker.parsing import parse_tolerance


def command(
    *,
    picks: list[Path] = argument(
        ..., "File or folder of picks. Further names, as a shell lists them after --truth, are truth or tomograms.",
        "PICKS",
    ),
    truth: list[Path] = option(..., "Ground truth: file or folder; may be repeated.", unit="PATH"),
    reading: TomogramOptions,
    coordinates: CoordinateOptions,
    tolerance: str = option("10", "Maximum distance of a match: voxels (10 or 10vox) or Å (135A).", unit="T"),
    matching: Literal["one-to-one", "paper"] = option("one-to-one", "Method of matching picks and particles."),
    exclude: list[str] | None = option(None, "Tomogram to exclude; may be repeated.", unit="NAME"),
    json_file: Path | None = option(None, "Write the metrics as JSON.", "--json", unit="FILE"),
    tomograms: TomogramList = None,
    reporter: Reporter,
) -> None:  # fmt: skip
    """Match, and print the metrics."""
    from tomopicker.output.compare import gather, sorted_paths
    from tomopicker.output.evaluate import Criterion, Evaluations, chance_warning, evaluate_all, write_json
    from tomopicker.output.terminal import evaluation_tables

    length, in_angstrom = parse_tolerance(tolerance)
    if (reading.options.dataset or reading.options.axes) and not tomograms:
        raise UsageError("--dataset and --axes apply to files of tomograms; give --tomograms too")
    mine, known, volumes = sorted_paths(picks, truth, tomograms or [])
    with reporter.showing_warnings():
        found = gather(
            mine, known, tomograms=volumes, reading=reading.options, units=coordinates.units, exclude=exclude or []
        )
    if in_angstrom and not found.knows_voxel_size:
        raise UsageError(f"--tolerance {tolerance}: is in Å, and the voxel size is not known; give --voxel-size")
    with reporter.showing_warnings():
        evaluated = evaluate_all(found, Criterion(length, in_angstrom, matching))
    for table in evaluation_tables(evaluated):
        reporter.console.print(table)
    if isinstance(evaluated, Evaluations) and (doubt := chance_warning(found, evaluated)):
        reporter.warn(doubt)
    if json_file is not None:
        write_json(json_file, evaluated.to_dict())
