"""``tomopicker benchmark``: pickers measured alike, from a protocol."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tomopicker.cli.groups import EngineOptions
from tomopicker.cli.options import Device, DryRun, argument, option, switch
from tomopicker.cli.progress import EventPrinter, Reporter
from tomopicker.errors import UsageError
from tomopicker.files import check_writable

if TYPE_CHECKING:
    from tomopicker.benchmark.protocol import Protocol
    from tomopicker.cluster.settings import ClusterSettings

CHOICE = "Part of the protocol"

HELP = """Measure pickers: methods × numbers of clicks × seeds on tomograms with truth, as tables and figures.

[bold]Examples[/bold]

  [cyan]tomopicker benchmark protocol.yaml --output results[/cyan]
  [cyan]tomopicker benchmark protocol.yaml --method default-pn --clicks 20 --seed 0 --output results[/cyan]
  [cyan]tomopicker benchmark protocol.yaml --external deepetpicker=picks/deepetpicker --output results[/cyan]
  [cyan]tomopicker benchmark protocol.yaml --output results --engine local --workers 4[/cyan]
  [cyan]tomopicker benchmark --empiar-10988 10988/ --output results[/cyan]

The last runs the experiment of the TomoPicker paper on the data as downloaded. docs/benchmark.md explains the
protocol's file, the methods and the tables.

Each run is written when it is done. Stop at any time and repeat the command: finished runs are skipped, failed ones
repeated. Tables and figures show all results in the folder. With [bold]--engine[/bold] runs go side by side, and
[cyan]tomopicker status results[/cyan] shows from any machine how far they are; the results are the same."""


def command(
    engine: EngineOptions,
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
    if (protocol is None) == (empiar is None):
        raise UsageError("give either a PROTOCOL.yaml or --empiar-10988 DIR")
    if output.exists() and not output.is_dir():
        raise UsageError(f"{output}: is a file; give --output a folder")
    check_writable(output)
    on = engine.settings()
    whole = _read(protocol, empiar, external or [])
    from tomopicker.benchmark import campaign as benchmark_run
    from tomopicker.benchmark.protocol import filter_protocol

    if only_report:
        done, total, page = benchmark_run.report_only(whole, output)
        typer.echo(f"{done} of {total} runs are done. Tables and figures: {page}")
        return
    part = filter_protocol(whole, methods=method or [], datasets=dataset or [], clicks=clicks or [], seeds=seed or [])
    if dry_run:
        typer.echo("\n".join(benchmark_run.dry_run(part, output, device)))
        if on is not None:
            _print_jobs(part, output, on)
        return
    if not simulate:
        benchmark_run.check_simulated(part)
    _run(whole, part, output, device, on)


def _run(
    protocol: "Protocol", part: "Protocol", output: Path, device: str | None, on: "ClusterSettings | None"
) -> None:
    from tomopicker.cluster.benchmark import run_protocol

    with Reporter(lambda: "repeat the command; what is done is kept") as reporter:
        results, page = run_protocol(
            protocol, part, output, device=device, cluster=on, callback=reporter, on_step=reporter.step,
            on_event=EventPrinter(reporter, with_bar=on is not None, noun="task"),
        )  # fmt: skip
        reporter.end_bar()
        failed = sum(result.status == "failed" for result in results)
        reporter.log(f"{len(results) - failed} of {len(results)} runs are done. Tables and figures: {page}")
        if failed:
            reporter.log(f"{failed} failed; {page} lists them, and repeating the command tries them again.")
            raise typer.Exit(1)


def _print_jobs(part: "Protocol", output: Path, on: "ClusterSettings") -> None:
    """Print who would do the runs, and the script of a job, where all tomograms are there."""
    from tomopicker.benchmark.dataset import open_datasets
    from tomopicker.benchmark.runs import plan
    from tomopicker.benchmark.simulated import missing
    from tomopicker.cli.pick_run import print_jobs
    from tomopicker.cluster.benchmark import BenchmarkWork, items_of

    with Reporter() as reporter:
        if any(missing(data) for data in part.datasets.values()):
            reporter.log(f"They would be done {on.words}, after the tomograms are simulated there.")
            return
        items = items_of(plan(part), open_datasets(part))
        reporter.log(f"They would be done {on.words}.")
        print_jobs(on, BenchmarkWork(part, output).memory(items), len(items), output, reporter)


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
