"""``tomopicker benchmark``: pickers measured alike, from a protocol."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tomopicker.cli.options import Device
from tomopicker.errors import UsageError

if TYPE_CHECKING:
    from tomopicker.benchmark.protocol import Protocol

CHOICE = "Part of the protocol"

HELP = """Measure pickers: methods × numbers of clicks × seeds on tomograms with truth, as tables and figures.

[bold]Examples[/bold]

  [cyan]tomopicker benchmark protocol.yaml --output results[/cyan]
  [cyan]tomopicker benchmark protocol.yaml --only default-pn --clicks 20 --seed 0 --output results[/cyan]
  [cyan]tomopicker benchmark protocol.yaml --external deepetpicker=picks/deepetpicker --output results[/cyan]
  [cyan]tomopicker benchmark --empiar-10988 10988/ --output results[/cyan]

The last runs the experiment of the TomoPicker paper on the data as downloaded. docs/benchmark.md explains the
protocol's file, the methods and the tables.

Each run is written when it is done. Stop at any time and repeat the command: what is done is skipped, what has failed
is tried again. Tables and figures are made of all results in the folder."""


def command(
    protocol: Annotated[
        Path | None, typer.Argument(metavar="[PROTOCOL.yaml]", help="What to run, on what.", show_default=False)
    ] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Folder of results, to be made or gone on with.")
    ] = Path("benchmark"),
    empiar: Annotated[
        Path | None,
        typer.Option(
            "--empiar-10988",
            metavar="DIR",
            help="In place of a protocol: the paper's experiment, on the folder of VPP and DEF.",
        ),
    ] = None,
    external: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=DIR", help="Judge another program's picks too: a file a tomogram. May be repeated."),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(metavar="METHOD", help="Run this method. May be repeated.", rich_help_panel=CHOICE),
    ] = None,
    dataset: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Run this data set. May be repeated.", rich_help_panel=CHOICE),
    ] = None,
    clicks: Annotated[
        list[int] | None,
        typer.Option(metavar="N", min=1, help="Run this number of clicks. May be repeated.", rich_help_panel=CHOICE),
    ] = None,
    seed: Annotated[
        list[int] | None,
        typer.Option(metavar="SEED", min=0, help="Run this seed. May be repeated.", rich_help_panel=CHOICE),
    ] = None,
    tables: Annotated[
        bool, typer.Option("--tables", help="Run nothing: only make tables and figures of the results that are there.")
    ] = False,
    simulate: Annotated[
        bool, typer.Option("--simulate", help="Make the tomograms that the protocol simulates, where they are missing.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be simulated and run, and write nothing.")
    ] = False,
    device: Device = None,
) -> None:
    """Parse, check all, run, report."""
    from tomopicker.cli.inputs import check_writable

    if (protocol is None) == (empiar is None):
        raise UsageError("give either a PROTOCOL.yaml or --empiar-10988 DIR")
    if output.exists() and not output.is_dir():
        raise UsageError(f"{output}: is a file; give --output a folder")
    check_writable(output)
    asked = _read(protocol, empiar, external or [])
    if tables:
        _report(asked, output)
        return
    from tomopicker.benchmark.protocol import filter_protocol

    part = filter_protocol(asked, methods=only or [], datasets=dataset or [], clicks=clicks or [], seeds=seed or [])
    if dry_run:
        _say_plan(part, output, device)
        return
    _check_simulated(part, simulate)
    _run(asked, part, output, device)


def _say_plan(part: "Protocol", output: Path, device: str | None) -> None:
    """Say what would be made and run; what is there is opened, so that what would be refused is refused."""
    from tomopicker.benchmark.dataset import open_datasets
    from tomopicker.benchmark.protocol import filter_protocol
    from tomopicker.benchmark.runs import Runner, plan
    from tomopicker.benchmark.simulated import megabytes, missing
    from tomopicker.engine.precision import choose_device
    from tomopicker.workflow.listen import Silent

    choose_device(device)
    there = [name for name, data in part.datasets.items() if not missing(data)]
    opened = open_datasets(filter_protocol(part, datasets=there)) if there else {}
    runner = Runner(part, opened, output, Silent(), device)
    for name, data in part.datasets.items():
        if lacking := missing(data):
            folder = data.tomograms[0]
            typer.echo(f"{name}: {len(lacking)} tomograms to be simulated in {folder}, {megabytes(data):.0f} MB.")
    runs = plan(part)
    done = {run.name for run in runs if run.dataset in there and runner.is_done(run)}
    for run in runs:
        typer.echo(f"{run.name}: {'done already' if run.name in done else 'to be run'}")
    typer.echo(f"{len(runs) - len(done)} of {len(runs)} runs are to be done; nothing was written (dry run).")


def _check_simulated(part: "Protocol", simulate: bool) -> None:
    """Refuse to fill a disk unasked."""
    from tomopicker.benchmark.simulated import megabytes, missing

    lacking = {name: len(missing(data)) for name, data in part.datasets.items()}
    if not simulate and any(lacking.values()):
        size = sum(megabytes(data) for data in part.datasets.values())
        named = ", ".join(name for name, count in lacking.items() if count)
        raise UsageError(
            f"{sum(lacking.values())} tomograms of {named} are not there; "
            f"give --simulate to make them ({size:.0f} MB), --dry-run to see where"
        )


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


def _run(protocol: "Protocol", part: "Protocol", output: Path, device: str | None) -> None:
    """Run a part of a protocol, and report all of it that has results."""
    from tomopicker.benchmark.dataset import open_datasets
    from tomopicker.benchmark.protocol import filter_protocol, protocol_text
    from tomopicker.benchmark.runs import Runner, results_of
    from tomopicker.benchmark.simulated import simulate_missing
    from tomopicker.cli.interrupt import interruptible
    from tomopicker.cli.progress import Reporter
    from tomopicker.files import write_text
    from tomopicker.report.benchmark import write_report

    with Reporter() as reporter, interruptible(lambda: "repeat the command; what is done is kept"):
        for data in part.datasets.values():
            simulate_missing(data, reporter.say, reporter.step)
        reporter.end_bar()
        # Besides what is run, what the tables are to show.
        shown = {*part.datasets, *(run.dataset for run, _ in results_of(protocol, output))}
        opened = open_datasets(filter_protocol(protocol, datasets=sorted(shown)))
        write_text(output / "protocol.yaml", protocol_text(protocol, output))
        results = Runner(part, opened, output, reporter, device).run_all()
        reporter.end_bar()
        page = write_report(filter_protocol(protocol, datasets=sorted(shown)), opened, output)
        failed = sum(result.status == "failed" for result in results)
        reporter.say(f"{len(results) - failed} of {len(results)} runs are done. Tables and figures: {page}")
        if failed:
            reporter.say(f"{failed} failed; {page} lists them, and repeating the command tries them again.")
            raise typer.Exit(1)


def _report(protocol: "Protocol", output: Path) -> None:
    from tomopicker.benchmark.dataset import open_datasets
    from tomopicker.benchmark.protocol import filter_protocol
    from tomopicker.benchmark.runs import plan, results_of
    from tomopicker.report.benchmark import write_report

    found = list(results_of(protocol, output))
    done = sum(result.status == "done" for _, result in found)
    if not done:
        raise UsageError(f"{output}: holds no result of this protocol; leave out --tables to make some")
    shown = filter_protocol(protocol, datasets=sorted({run.dataset for run, _ in found}))
    page = write_report(shown, open_datasets(shown), output)
    typer.echo(f"{done} of {len(plan(protocol))} runs are done. Tables and figures: {page}")
