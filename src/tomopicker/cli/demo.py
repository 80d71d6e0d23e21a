"""``tomopicker demo``: the commands of a project, run on simulated tomograms."""

import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tomopicker.cli.options import Overwrite, option
from tomopicker.cli.progress import Reporter
from tomopicker.errors import UsageError
from tomopicker.files import check_writable

if TYPE_CHECKING:
    from tomopicker.tomogram import Tomogram

HELP = """Simulate three small tomograms, then click, train, pick and evaluate, in one to three minutes.

[bold]Example[/bold]

  [cyan]tomopicker demo --output demo[/cyan]

Simulates ribosomes among look-alikes in three tomograms (phase plate), trains from 10 clicks in the first with the
preset [bold]fast[/bold], picks in all, and evaluates the picks in the two others, with those of a ball as template for
comparison. The folder holds everything: tomograms, truth, clicks, model, picks as STAR and CSV, and a picture of a
section with truth and picks."""


def command(
    output: Annotated[Path, option("Folder to write to.", "--output", "-o", unit="DIR")] = Path("demo"),
    overwrite: Overwrite = False,
) -> None:
    """Run the demonstration."""
    from tomopicker.benchmark import demo

    if output.exists() and not output.is_dir():
        raise UsageError(f"{output}: is a file; give --output a folder")
    if output.is_dir() and any(output.iterdir()) and not overwrite:
        raise UsageError(f"{output}: exists already; give --overwrite to use it again, or another --output")
    check_writable(output)
    started = time.monotonic()
    with Reporter(lambda: "run the demo again with --overwrite") as reporter:
        tomograms = demo.simulate(output, reporter)
        clicks = demo.click(output, tomograms[0], reporter)
        model, picks, again = output / "ribosome.model", output / "picks", ["--overwrite"] if overwrite else []
        _run(
            reporter, "train", tomograms[0].path, "--picks", clicks, "--particle-diameter", f"{demo.DIAMETER:g}",
            "--preset", "fast", "--no-check", "--output", model, *again,
        )  # fmt: skip
        _run(reporter, "pick", output / "tomograms", "--model", model, "--output", picks, *again)
        _run(reporter, "evaluate", picks, "--truth", output / "truth", "--exclude", tomograms[0].name)
        demo.compare(output, picks, tomograms, clicks, reporter)
        reporter.log(f"Done in {time.monotonic() - started:.0f} s. Look at {output / 'picture.png'} and {picks}.")
        project = _as_project(output, clicks, tomograms[0], demo.DIAMETER)
        reporter.log(f"Click and review in a browser: tomopicker studio {output / 'tomograms'} --project {project}")


def _run(reporter: Reporter, *arguments: object) -> None:
    """Print a command as a user would type it, and run it."""
    import typer

    from tomopicker.cli.app import run

    words = [str(word) for word in arguments]
    reporter.log(f"\n$ tomopicker {shlex.join(words)}")
    if code := run(words):
        raise typer.Exit(code)


def _as_project(output: Path, clicks: Path, first: "Tomogram", diameter: float) -> Path:
    """Lay the clicks, model and picks of ``tomopicker demo`` out as a project of the studio; give its folder."""
    import shutil

    from tomopicker import io
    from tomopicker.studio.point_files import write_csv
    from tomopicker.studio.points import Point
    from tomopicker.studio.project import Project

    folder, kind = output / "studio", "ribosome"
    shutil.rmtree(folder, ignore_errors=True)  # Of an earlier demo in this folder.
    Project.open(folder, lambda name: first.frame).add_kind(kind, diameter)
    found = io.read_picks(clicks, [first])
    points = tuple(Point(x, y, z, origin="demo") for x, y, z in found.positions.round(3).tolist())
    write_csv(folder, kind, first.name, first.frame, points)
    (folder / "models").mkdir()
    shutil.copy(output / "ribosome.model", folder / "models" / f"{kind}.model")
    shutil.copytree(output / "picks", folder / "picks" / kind)
    return folder
