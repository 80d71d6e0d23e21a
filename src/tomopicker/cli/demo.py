"""``tomopicker demo``: the whole road on tomograms made on the spot."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tomopicker.errors import UsageError

if TYPE_CHECKING:
    from tomopicker.cli.judged_inputs import Compared
    from tomopicker.cli.progress import Reporter
    from tomopicker.picks import Picks
    from tomopicker.tomogram import Tomogram
    from tomopicker.types import Positions

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
KIND = "ribosome"


def command(
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Folder to write to.")] = Path("demo"),
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Use the folder even if it holds something.")] = False,
) -> None:
    """Run the demonstration."""
    from tomopicker.cli.inputs import check_writable
    from tomopicker.cli.interrupt import interruptible
    from tomopicker.cli.progress import Reporter

    if output.exists() and not output.is_dir():
        raise UsageError(f"{output}: is a file; give --output a folder")
    if output.is_dir() and any(output.iterdir()) and not overwrite:
        raise UsageError(f"{output}: is there already; give --overwrite to use it again, or another --output")
    check_writable(output)
    started = time.monotonic()
    with (
        Reporter() as reporter,
        interruptible(lambda: "run the demo again with --overwrite"),
    ):
        tomograms = simulate(output, reporter)
        clicks = click(output, reporter)
        picks = train_and_pick(output, tomograms, clicks, reporter)
        show(output, picks, reporter)
        reporter.say(f"Done in {time.monotonic() - started:.0f} s. Look at {output / 'picture.png'} and {picks}.")
        project = prepare_studio(output, picks)
        reporter.say(f"Click and review in a browser: tomopicker studio {output / 'tomograms'} --project {project}")


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


def click(output: Path, reporter: "Reporter") -> Path:
    """Click some of the first tomogram's particles as a hand does: a little beside the centre."""
    import numpy as np

    from tomopicker import formats
    from tomopicker.picks import Picks

    first = formats.open_tomogram(output / "tomograms" / f"{NAMES[0]}.mrc")
    frames = {first.name: first.frame}
    truth = formats.read_picks(output / "truth" / f"{first.name}.csv", frames)
    rng = np.random.default_rng(SEED)
    chosen = truth.positions[rng.permutation(len(truth))[:CLICKS]]
    moved = chosen + rng.normal(0, JITTER_VOXELS * VOXEL_SIZE, chosen.shape)
    last = (np.array(first.shape[::-1]) - 1) * VOXEL_SIZE
    file = output / f"clicks_{first.name}.csv"
    formats.write_picks(Picks.of(first.name, np.clip(moved, 0, last)), frames, file)
    reporter.say(f"{file}: {len(chosen)} clicks.")
    return file


def train_and_pick(output: Path, tomograms: "list[Tomogram]", clicks: Path, reporter: "Reporter") -> Path:
    """Train on the first tomogram, pick in all; give the folder of the picks."""
    from tomopicker import formats
    from tomopicker.cli.pick_run import pick_files
    from tomopicker.cli.settings import settings_from
    from tomopicker.cli.train import train_and_save
    from tomopicker.folder.pick_folder import PickFolder
    from tomopicker.folder.settings import PickSettings
    from tomopicker.picking.selection import Cut

    settings = settings_from(None, preset="fast", particle_diameter=DIAMETER)
    model_file = output / "ribosome.model"
    first = tomograms[0]
    model = train_and_save([first], formats.read_picks(clicks, [first]), settings, model_file, reporter)
    asked = PickSettings(Cut(), None, "relion5", False, None, False, None)
    folder = PickFolder.open(output / "picks", model_file, model, asked, overwrite=True)
    files = [tomogram.path for tomogram in tomograms if tomogram.path is not None]
    if pick_files(files, model_file, model, folder, reporter):
        raise typer.Exit(1)
    return folder.path


def prepare_studio(output: Path, picks: Path) -> Path:
    """Lay the demo's clicks, model and picks out as a project of the studio; give its folder."""
    import shutil

    from tomopicker import formats
    from tomopicker.studio.point_files import write_csv
    from tomopicker.studio.points import Point
    from tomopicker.studio.project import Project

    folder = output / "studio"
    first = formats.open_tomogram(output / "tomograms" / f"{NAMES[0]}.mrc")
    clicks = formats.read_picks(output / f"clicks_{first.name}.csv", [first])
    shutil.rmtree(folder, ignore_errors=True)  # Of an earlier demo in this folder.
    Project.open(folder, lambda name: first.frame).add_kind(KIND, DIAMETER)
    points = tuple(Point(x, y, z, origin="demo") for x, y, z in clicks.positions.round(3).tolist())
    write_csv(folder, KIND, first.name, first.frame, points)
    (folder / "models").mkdir()
    shutil.copy(output / "ribosome.model", folder / "models" / f"{KIND}.model")
    shutil.copytree(picks, folder / "picks" / KIND)
    return folder


def show(output: Path, picks: Path, reporter: "Reporter") -> None:
    """Judge the unseen tomograms, and draw a section of one of them."""
    from tomopicker import formats
    from tomopicker.cli.judge import judge
    from tomopicker.cli.judged_inputs import gather
    from tomopicker.cli.tables import evaluation_table
    from tomopicker.report.figures import PICK_COLOUR, TRUTH_COLOUR, Layer, fullest_section, slice_figure

    found = gather(picks, [output / "truth"], reporter, exclude=NAMES[:1])
    reporter.say(f"\nTomograms that were not trained on ({NAMES[0]} was):")
    reporter.console.print(evaluation_table(judge(found, TOLERANCE_VOXELS, in_angstrom=False, matching="one-to-one")))
    ball = judge(_with_ball(found, output), TOLERANCE_VOXELS, in_angstrom=False, matching="one-to-one").mean
    reporter.say(
        f"A ball of the particle's size as template, with a threshold from the same {CLICKS} clicks: precision "
        f"{ball.precision:.3f}, recall {ball.recall:.3f}, F1 {ball.f1:.3f}.\n"
    )
    tomogram = formats.open_tomogram(output / "tomograms" / f"{NAMES[1]}.mrc")
    truth, mine = (_positions(part, tomogram.name) for part in (found.truth, found.picks))
    layers = [Layer("truth", truth, TRUTH_COLOUR), Layer("picks", mine, PICK_COLOUR)]
    slice_figure(tomogram, fullest_section(tomogram, truth, DIAMETER), layers, DIAMETER, output / "picture.png")


def _with_ball(found: "Compared", output: Path) -> "Compared":
    """Put in place of the picks those of a ball as template, which learns nothing but its threshold."""
    from dataclasses import replace

    from tomopicker import formats
    from tomopicker.benchmark.candidates import ball_candidates, threshold_from_clicks
    from tomopicker.picks import Picks

    first, *others = (formats.open_tomogram(output / "tomograms" / f"{name}.mrc") for name in NAMES)
    clicks = formats.read_picks(output / f"clicks_{first.name}.csv", [first])
    threshold = threshold_from_clicks(ball_candidates(first, DIAMETER), clicks, DIAMETER / 2)
    every = Picks.concatenate([ball_candidates(tomogram, DIAMETER) for tomogram in others])
    return replace(found, picks=every.select(every.scores > threshold), candidates=every)


def _positions(picks: "Picks", name: str) -> "Positions":
    return picks.in_tomogram(name).positions
