"""``tomopicker benchmark``: pickers measured alike, from a protocol."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tomopicker.cli.options import Device, DryRun, argument, option, switch
from tomopicker.errors import UsageError

if TYPE_CHECKING:
    from tomopicker.benchmark.protocol import Protocol

CHOICE = "Part of the protocol"

HELP = """Measure pickers: methods × numbers of clicks × seeds on tomograms with truth, as tables and figures.

[bold]Examples[/bold]

  [cyan]tomopicker benchmark protocol.yaml --output results[/cyan]
  [cyan]tomopicker benchmark protocol.yaml --method default-pn --clicks 20 --seed 0 --output results[/cyan]
  [cyan]tomopicker benchmark protocol.yaml --external deepetpicker=picks/deepetpicker --output results[/cyan]
  [cyan]tomopicker benchmark --empiar-10988 10988/ --output results[/cyan]

The last runs the experiment of the TomoPicker paper on the data as downloaded. docs/benchmark.md explains the
protocol's file, the methods and the tables.

Each run is written when it is done. Stop at any time and repeat the command: finished runs are skipped, failed ones
repeated. Tables and figures show all results in the folder."""


def command(
    protocol: Annotated[Path | None, argument("What to run, on what.", "[PROTOCOL.yaml]")] = None,
    output: Annotated[
        Path, option("Folder of results, new or of an earlier run.", "--output", "-o", unit="DIR")
    ] = Path("benchmark"),
    empiar: Annotated[
        Path | None,
        option(
            "Instead of a protocol: the paper's experiment, on the folder of VPP and DEF.", "--empiar-10988", unit="DIR"
        ),
    ] = None,
    external: Annotated[
        list[str] | None,
        option("Evaluate another program's picks too, a file per tomogram; may be repeated.", unit="NAME=DIR"),
    ] = None,
    method: Annotated[
        list[str] | None, option("Run this method; may be repeated.", unit="METHOD", panel=CHOICE)
    ] = None,
    dataset: Annotated[
        list[str] | None, option("Run this data set; may be repeated.", unit="NAME", panel=CHOICE)
    ] = None,
    clicks: Annotated[
        list[int] | None, option("Run this number of clicks; may be repeated.", unit="N", panel=CHOICE, min=1)
    ] = None,
    seed: Annotated[
        list[int] | None, option("Run this seed; may be repeated.", unit="SEED", panel=CHOICE, min=0)
    ] = None,
    only_report: Annotated[
        bool, switch("Run nothing: only make tables and figures of the results that exist.", "--report-only")
    ] = False,
    simulate: Annotated[
        bool, switch("Make the tomograms that the protocol simulates, where they are missing.", "--simulate")
    ] = False,
    dry_run: DryRun = False,
    device: Device = None,
) -> None:
    """Parse, check all, run, report."""
    from tomopicker.files import check_writable

    if (protocol is None) == (empiar is None):
        raise UsageError("give either a PROTOCOL.yaml or --empiar-10988 DIR")
    if output.exists() and not output.is_dir():
        raise UsageError(f"{output}: is a file; give --output a folder")
    check_writable(output)
    asked = _read(protocol, empiar, external or [])
    from tomopicker.benchmark import campaign as benchmark_run
    from tomopicker.benchmark.protocol import filter_protocol

    if only_report:
        done, total, page = benchmark_run.report_only(asked, output)
        typer.echo(f"{done} of {total} runs are done. Tables and figures: {page}")
        return
    part = filter_protocol(asked, methods=method or [], datasets=dataset or [], clicks=clicks or [], seeds=seed or [])
    if dry_run:
        typer.echo("\n".join(benchmark_run.dry_run(part, output, device)))
        return
    if not simulate:
        benchmark_run.check_simulated(part)
    _run(asked, part, output, device)


def _run(protocol: "Protocol", part: "Protocol", output: Path, device: str | None) -> None:
    from tomopicker.benchmark.campaign import run_protocol
    from tomopicker.cli.interrupt import interruptible
    from tomopicker.cli.progress import Reporter

    with Reporter() as reporter, interruptible(lambda: "repeat the command; what is done is kept"):
        results, page = run_protocol(protocol, part, output, reporter, reporter.step, device)
        reporter.end_bar()
        failed = sum(result.status == "failed" for result in results)
        reporter.say(f"{len(results) - failed} of {len(results)} runs are done. Tables and figures: {page}")
        if failed:
            reporter.say(f"{failed} failed; {page} lists them, and repeating the command tries them again.")
            raise typer.Exit(1)


def _read(path: Path | None, empiar: Path | None, external: list[str]) -> "Protocol":
    """Read the protocol, and add to it the folders of other programs."""
    from tomopicker.benchmark.empiar import empiar_10988
    from tomopicker.benchmark.protocol import add_external, read_protocol

    protocol = read_protocol(path) if path is not None else empiar_10988(empiar or Path())
    folders = {}
    for each in external:
        name, equals, folder = each.partition("=")
        if not (name and equals and folder):
            raise UsageError(f"--external {each}: give NAME=DIR, such as deepetpicker=picks/deepetpicker")
        folders[name] = Path(folder).absolute()
    return add_external(protocol, folders)
