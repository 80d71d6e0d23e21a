"""Simulate three small tomograms, then click, train, pick and evaluate, in one to three minutes.

[bold]Example[/bold]

  [cyan]tomopicker demo --output demo[/cyan]

Simulates ribosomes among look-alikes in three tomograms (phase plate), trains from 10 clicks in the first, picks in
all, and evaluates the picks in the two others, with those of a ball as template for comparison. The folder holds
everything: tomograms, truth, clicks, model, picks as STAR and CSV, and a picture of a section with truth and picks.
"""

import shlex
import time
from pathlib import Path

import typer

from tomopicker.cli.options import Overwrite, option
from tomopicker.cli.progress import Reporter
from tomopicker.errors import UsageError
from tomopicker.files import check_folder


def command(
    *,
    output: Path = option(Path("demo"), "Output folder.", "--output", "-o", unit="DIR"),
    overwrite: Overwrite = False,
    reporter: Reporter,
) -> None:
    """Run the demonstration."""
    from tomopicker.benchmark import demo
    from tomopicker.studio.exchange import write_project

    check_folder(output)
    if output.is_dir() and any(output.iterdir()) and not overwrite:
        raise UsageError(f"{output}: exists already; give --overwrite to use it again, or another --output")
    started = time.monotonic()
    reporter.advice = lambda: "run the demo again with --overwrite"
    tomograms = demo.simulate(output, reporter)
    clicks = demo.click(output, tomograms[0], reporter)
    model, picks, again = output / "ribosome.model", output / "picks", ["--overwrite"] if overwrite else []
    _run(
        reporter, "train", tomograms[0].path, "--picks", clicks, "--particle-diameter", f"{demo.DIAMETER:g}",
        "--no-check", "--output", model, *again,
    )  # fmt: skip
    _run(reporter, "pick", output / "tomograms", "--model", model, "--output", picks, *again)
    _run(reporter, "evaluate", picks, "--truth", output / "truth", "--exclude", tomograms[0].name)
    demo.compare(output, picks, tomograms, clicks, reporter)
    reporter.log(f"Done in {time.monotonic() - started:.0f} s. Look at {output / 'picture.png'} and {picks}.")
    project = write_project(output / "studio", "ribosome", demo.DIAMETER, clicks, tomograms[0], model, picks)
    reporter.log(f"Click and review in a browser: tomopicker studio {output / 'tomograms'} --project {project}")


def _run(reporter: Reporter, *arguments: object) -> None:
    """Print a command as a user would type it, and run it."""
    from tomopicker.cli.app import run

    words = [str(word) for word in arguments]
    reporter.log(f"\n$ tomopicker {shlex.join(words)}")
    if code := run(words):
        raise typer.Exit(code)
