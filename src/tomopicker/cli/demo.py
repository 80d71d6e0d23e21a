"""``tomopicker demo``: the commands of a project, run on tomograms made on the spot."""

import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tomopicker.cli.options import Overwrite, option
from tomopicker.errors import UsageError

if TYPE_CHECKING:
    from tomopicker.cli.progress import Reporter
    from tomopicker.tomogram import Tomogram

HELP = """Make three small tomograms, click, train, pick and judge: the whole road in one to three minutes.

[bold]Example[/bold]

  [cyan]tomopicker demo --output demo[/cyan]

Simulates ribosomes among look-alikes in three tomograms (phase plate), trains from 10 clicks in the first with the
preset [bold]fast[/bold], picks in all, and judges the picks in the two that were not trained on; so are those of a ball
as template, for comparison. Everything is left in the folder to look at: tomograms, truth,
clicks, model, picks as STAR and CSV, and a picture of a section with truth and picks."""

NAMES = ("TS_demo_1", "TS_demo_2", "TS_demo_3")
PRESET, SHAPE, VOXEL_SIZE, TARGETS = "vpp", (64, 192, 192), 13.48, 32
DIAMETER, CLICKS, JITTER_VOXELS, SEED = 300.0, 10, 0.8, 5
TOLERANCE_VOXELS = 10.0


def command(
    output: Annotated[Path, option("Folder to write to.", "--output", "-o", unit="DIR")] = Path("demo"),
    overwrite: Overwrite = False,
) -> None:
    """Run the demonstration."""
    from tomopicker.cli.interrupt import interruptible
    from tomopicker.cli.progress import Reporter
    from tomopicker.files import check_writable

    if output.exists() and not output.is_dir():
        raise UsageError(f"{output}: is a file; give --output a folder")
    if output.is_dir() and any(output.iterdir()) and not overwrite:
        raise UsageError(f"{output}: is there already; give --overwrite to use it again, or another --output")
    check_writable(output)
    started = time.monotonic()
    with Reporter() as reporter, interruptible(lambda: "run the demo again with --overwrite"):
        tomograms = simulate(output, reporter)
        clicks = click(output, tomograms[0], reporter)
        model, picks, again = output / "ribosome.model", output / "picks", ["--overwrite"] if overwrite else []
        _run(
            reporter, "train", tomograms[0].path, "--picks", clicks, "--particle-diameter", f"{DIAMETER:g}",
            "--preset", "fast", "--no-check", "--output", model, *again,
        )  # fmt: skip
        _run(reporter, "pick", output / "tomograms", "--model", model, "--output", picks, *again)
        _run(reporter, "evaluate", picks, "--truth", output / "truth", "--exclude", NAMES[0])
        compare(output, picks, tomograms, clicks, reporter)
        reporter.say(f"Done in {time.monotonic() - started:.0f} s. Look at {output / 'picture.png'} and {picks}.")


def _run(reporter: "Reporter", *arguments: object) -> None:
    """Print a command as a user would type it, and run it."""
    import typer

    from tomopicker.cli.app import run

    words = [str(word) for word in arguments]
    reporter.say(f"\n$ tomopicker {shlex.join(words)}")
    if code := run(words):
        raise typer.Exit(code)


def simulate(output: Path, reporter: "Reporter") -> "list[Tomogram]":
    """Make the tomograms and their truth, and write both."""
    from tomopicker import formats
    from tomopicker.geometry import voxels_to_angstrom
    from tomopicker.picks import Picks
    from tomopicker.simulate import simulate_tomogram

    made = []
    for number, name in enumerate(NAMES, start=1):
        simulated = simulate_tomogram(PRESET, SHAPE, VOXEL_SIZE, SEED + number, n_targets=TARGETS)
        file = output / "tomograms" / f"{name}.mrc"
        formats.write_mrc(file, simulated.volume, VOXEL_SIZE)
        tomogram = formats.open_tomogram(file)
        truth = Picks.of(name, voxels_to_angstrom(simulated.positions_voxels, VOXEL_SIZE))
        formats.write_picks(truth, {name: tomogram.frame}, output / "truth" / f"{name}.csv")
        z, y, x = SHAPE
        others = len(simulated.distractor_classes)
        reporter.say(f"{file}: {x} × {y} × {z} voxels, {len(truth)} ribosomes among {others} other molecules.")
        made.append(tomogram)
    return made


def click(output: Path, first: "Tomogram", reporter: "Reporter") -> Path:
    """Write clicks on some of the first tomogram's particles, off their centres by a normal error."""
    import numpy as np

    from tomopicker import formats
    from tomopicker.picks import Picks

    truth = formats.read_picks(output / "truth" / f"{first.name}.csv", [first])
    rng = np.random.default_rng(SEED)
    chosen = truth.positions[rng.permutation(len(truth))[:CLICKS]]
    moved = chosen + rng.normal(0, JITTER_VOXELS * VOXEL_SIZE, chosen.shape)
    last = (np.array(first.shape[::-1]) - 1) * VOXEL_SIZE
    file = output / f"clicks_{first.name}.csv"
    formats.write_picks(Picks.of(first.name, np.clip(moved, 0, last)), {first.name: first.frame}, file)
    reporter.say(f"{file}: {len(chosen)} clicks.")
    return file


def compare(output: Path, folder: Path, tomograms: "list[Tomogram]", clicks: Path, reporter: "Reporter") -> None:
    """Evaluate a ball as template, whose threshold the same clicks give, and draw a section of an unseen tomogram."""
    from dataclasses import replace

    from tomopicker import formats
    from tomopicker.benchmark.candidates import ball_candidates, threshold_from_clicks
    from tomopicker.folder.compare import gather
    from tomopicker.folder.judge import judge
    from tomopicker.picks import Picks
    from tomopicker.report.figures import PICK_COLOUR, TRUTH_COLOUR, Layer, fullest_section, slice_figure

    first, second, *others = tomograms
    found = gather(folder, [output / "truth"], exclude=[first.name])
    threshold = threshold_from_clicks(
        ball_candidates(first, DIAMETER), formats.read_picks(clicks, [first]), DIAMETER / 2
    )
    every = Picks.concatenate([ball_candidates(tomogram, DIAMETER) for tomogram in (second, *others)])
    ball = replace(found, picks=every.select(every.scores > threshold), candidates=every)
    mean = judge(ball, TOLERANCE_VOXELS, in_angstrom=False, matching="one-to-one").mean
    reporter.say(
        f"\nA ball of the particle's size as template, with a threshold from the same {CLICKS} clicks: precision "
        f"{mean.precision:.3f}, recall {mean.recall:.3f}, F1 {mean.f1:.3f}."
    )
    truth, picks = (part.in_tomogram(second.name).positions for part in (found.truth, found.picks))
    layers = [Layer("truth", truth, TRUTH_COLOUR), Layer("picks", picks, PICK_COLOUR)]
    slice_figure(second, fullest_section(second, truth, DIAMETER), layers, DIAMETER, output / "picture.png")
