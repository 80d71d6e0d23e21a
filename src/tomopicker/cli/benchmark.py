"""Measure pickers: methods × numbers of clicks × seeds on tomograms with truth, as tables and figures.

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
[cyan]tomopicker status results[/cyan] shows from any machine how far they are; the results are the same.
"""

from pathlib import Path

from tomopicker.benchmark.protocol import Part, add_external, filter_protocol, read_protocol
from tomopicker.cli.groups import EngineOptions
from tomopicker.cli.options import Device, DryRun, SettingOptions, argument, option
from tomopicker.cli.progress import Reporter
from tomopicker.config import fields_of
from tomopicker.errors import UsageError
from tomopicker.files import check_folder
from tomopicker.parsing import named_values


class PartOptions(SettingOptions, fields=fields_of(Part)):
    """Options that restrict the runs of the protocol."""


def command(
    *,
    protocol: Path | None = argument(None, "Protocol: methods and data sets.", "[PROTOCOL.yaml]"),
    output: Path = option(
        Path("benchmark"), "Results folder, new or of an earlier run.", "--output", "-o", unit="DIR"
    ),
    empiar: Path | None = option(
        None, "Run the paper's experiment instead of a protocol, on the folder with VPP and DEF.", "--empiar-10988",
        unit="DIR",
    ),
    external: list[str] | None = option(
        None, "Also evaluate picks of another program, one file per tomogram; may be repeated.", unit="NAME=DIR"
    ),
    part: PartOptions,
    report_only: bool = option(
        False, "Run nothing; only make tables and figures of existing results.", "--report-only"
    ),
    simulate: bool = option(
        False, "Simulate missing tomograms of the protocol.", "--simulate"
    ),
    engine: EngineOptions,
    dry_run: DryRun = False,
    device: Device = None,
    reporter: Reporter,
) -> int:  # fmt: skip
    """Run everything that is not finished, and report."""
    if (protocol is None) == (empiar is None):
        raise UsageError("give either a PROTOCOL.yaml or --empiar-10988 DIR")
    check_folder(output)
    on = engine.settings()
    from tomopicker.benchmark import campaign
    from tomopicker.benchmark.empiar import empiar_10988
    from tomopicker.cluster.benchmark import benchmark_plan, run_protocol

    whole = read_protocol(protocol) if protocol is not None else empiar_10988(empiar or Path())
    folders = named_values(external or [], "deepetpicker=picks/deepetpicker", "--external")
    whole = add_external(whole, {name: Path(folder).absolute() for name, folder in folders.items()})
    if report_only:
        done, total, page = campaign.report_only(whole, output)
        reporter.log(f"{done} of {total} runs are done. Tables and figures: {page}")
        return 0
    chosen = filter_protocol(whole, **part.given)
    if dry_run:
        for line in benchmark_plan(chosen, output, device, on):
            reporter.log(line)
        return 0
    if not simulate:
        campaign.check_simulated(chosen)
    reporter.advice = lambda: "repeat the command; what is done is kept"
    results, page = run_protocol(
        whole, chosen, output, device=device, cluster=on, callback=reporter, on_step=reporter.step,
        on_event=reporter.print_events(on_workers=on is not None, noun="task"),
    )  # fmt: skip
    reporter.end_bar()
    failed = sum(result.status == "failed" for result in results)
    reporter.log(f"{len(results) - failed} of {len(results)} runs are done. Tables and figures: {page}")
    if failed:
        reporter.log(f"{failed} failed; {page} lists them, and repeating the command tries them again.")
    return 1 if failed else 0
