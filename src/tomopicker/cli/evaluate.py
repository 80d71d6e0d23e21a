"""``tomopicker evaluate``: picks against the truth."""

import re
from pathlib import Path
from typing import Annotated, Literal

import typer

from tomopicker.cli.options import INPUT, Axes, Classes, Dataset, PicksPixelSize, PicksUnit, VoxelSize
from tomopicker.errors import UsageError

HELP = """Judge picks against the truth: precision, recall, F1, and how good they could have been.

[bold]Examples[/bold]

  [cyan]tomopicker evaluate picks --truth truth/ --exclude TS_0001[/cyan]
  [cyan]tomopicker evaluate picks --truth truth/*.csv[/cyan]
  [cyan]tomopicker evaluate TS_0002.csv --truth TS_0002_truth.star --tomograms TS_0002.mrc --tolerance 135A[/cyan]

PICKS is a file or a folder, that of [cyan]tomopicker pick[/cyan] or any other. Truth in a folder is matched to
tomograms by name.

A warning says where picks are no nearer to the truth than anything would be: the truth of another tomogram, another
unit, swapped axes.

A pick is right if it lies within the tolerance of a particle that no other pick has taken:
[bold]one-to-one[/bold]. With [bold]paper[/bold] matching, as in the TomoPicker paper, several picks
may share a particle.

If picks and truth both state [bold]kinds[/bold] of particle, each kind is judged by itself, and a table counts the
particles of each kind by what they were picked as.

[bold]F1 at true N[/bold] (of the N best picks) and [bold]highest F1[/bold] (over all thresholds) choose the threshold
by looking at the truth: they say how good the scores are, not how good the picks are. Leave out tomograms that were
trained on ([cyan]--exclude[/cyan]): they flatter."""


def command(
    picks: Annotated[
        list[Path],
        typer.Argument(
            metavar="PICKS",
            help="File or folder of picks. Further names, as a shell lists them after --truth, are truth or tomograms.",
            show_default=False,
        ),
    ],
    truth: Annotated[
        list[Path],
        typer.Option(metavar="PATH", help="True positions: a file or a folder. May be repeated.", show_default=False),
    ],
    tolerance: Annotated[
        str, typer.Option(metavar="T", help="Largest distance of a match: voxels (10 or 10vox) or Å (135A).")
    ] = "10",
    matching: Annotated[
        Literal["one-to-one", "paper"], typer.Option(help="How picks and particles are paired.")
    ] = "one-to-one",
    exclude: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="A tomogram to leave out. May be repeated.")
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write the figures as JSON.")] = None,
    tomograms: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="PATH",
            help="The tomograms, a folder of them, or a RELION 5 tomograms.star.  [dim]\\[default: as "
            "picks.json beside the picks says][/dim]",
            rich_help_panel=INPUT,
        ),
    ] = None,
    voxel_size: VoxelSize = None,
    dataset: Dataset = None,
    axes: Axes = None,
    picks_unit: PicksUnit = None,
    picks_pixel_size: PicksPixelSize = None,
    classes: Classes = None,
) -> None:
    """Parse, read, match and print."""
    from tomopicker.cli.inputs import Counted
    from tomopicker.cli.judge import content_of, judge, unrelated, write_json
    from tomopicker.cli.judge_kinds import confusion_table, have_kinds, judge_kinds
    from tomopicker.cli.judged_inputs import gather, sorted_paths
    from tomopicker.cli.progress import Reporter
    from tomopicker.cli.tables import evaluation_table
    from tomopicker.formats.stored import AS_FOUND, Stored

    length, in_angstrom = parse_tolerance(tolerance)
    if voxel_size is not None and not 0 < voxel_size < float("inf"):
        raise UsageError(f"--voxel-size {voxel_size:g} cannot be; give it in Å")
    stored = Stored(dataset, axes)
    if stored != AS_FOUND and not tomograms:
        raise UsageError("--dataset and --axes say how files of tomograms are read; give --tomograms too")
    with Reporter() as reporter:
        mine, known, volumes = sorted_paths(picks, truth, tomograms or [])
        found = gather(
            mine, known, reporter,
            tomograms=volumes, voxel_size=voxel_size,
            counted=Counted(picks_unit, picks_pixel_size, tuple(classes or ())),
            exclude=exclude or [], stored=stored,
        )  # fmt: skip
        if in_angstrom and not found.knows_voxel_size:
            raise UsageError(f"--tolerance {tolerance}: is in Å, and the voxel size is not known; give --voxel-size")
        if have_kinds(found):
            of_kinds = judge_kinds(found, length, in_angstrom=in_angstrom, matching=matching, reporter=reporter)
            for kind, each in of_kinds.kinds.items():
                reporter.console.print(evaluation_table(each, kind))
            reporter.console.print(confusion_table(of_kinds.confusion))
            content = of_kinds.to_dict()
        else:
            judged = judge(found, length, in_angstrom=in_angstrom, matching=matching)
            reporter.console.print(evaluation_table(judged))
            if doubt := unrelated(found, judged):
                reporter.warn(doubt)
            content = content_of(judged)
        if json_file is not None:
            write_json(json_file, content)


def parse_tolerance(text: str) -> tuple[float, bool]:
    """Read a tolerance: the number, and whether it is in Å rather than voxels.

    Raises
    ------
    UsageError
        If it is neither.
    """
    read = re.fullmatch(r"\s*([0-9.]+(?:e[+-]?\d+)?)\s*(|v|vox|voxels?|px|pixels?|a|å|ang|angstroms?)\s*", text.lower())
    try:
        length = float(read.group(1)) if read else 0.0
    except ValueError:
        length = 0.0
    if read is None or not 0 < length < float("inf"):
        raise UsageError(f"--tolerance {text}: give voxels such as 10 or 10vox, or Å such as 135A")
    return length, read.group(2).startswith(("a", "å"))
