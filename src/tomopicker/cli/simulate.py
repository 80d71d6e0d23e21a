"""Make tomograms with known particles: molecules in a lamella, imaged as a tilt series and reconstructed.

[bold]Examples[/bold]

  [cyan]tomopicker simulate --output vpp --preset vpp --count 3[/cyan]
  [cyan]tomopicker simulate --output hard --preset hard --maps maps --shape 480,464,200[/cyan]
  [cyan]tomopicker simulate --output ts037 --positions TS_037.csv --shape 960,928,500 --preset defocus[/cyan]
  [cyan]tomopicker simulate -o piece --positions TS_37.csv --positions-offset centre --shape 320,320,240[/cyan]
  [cyan]tomopicker simulate --output sirt --reconstruction sirt --set scene.n_gold_beads=20[/cyan]

Writes, in the folder: TS_0001.mrc and so on; [bold]truth/[/bold] with the target's positions, orientations and class
as CSV and as STAR of RELION 5; [bold]molecules/[/bold], the same of everything else as well; [bold]settings/[/bold],
what each was made with.

[bold]--set[/bold] changes any setting of the scene (lamella, membranes, filaments, gold, ice, clusters, cytosol) or of
the imaging (optics, dose, camera, reconstruction); the names are those in settings/*.json, and
docs/commands/simulate.md explains each.

Presets: [bold]vpp[/bold], a phase plate near focus; [bold]defocus[/bold], 2.5-4.5 µm without one; [bold]easy[/bold],
more dose and little besides the target; [bold]hard[/bold], half the dose, more look-alikes, a denser cytosol. The same
seed gives the same tomogram; an existing tomogram is skipped.
"""

from typing import Annotated, Any

from tomopicker.cli.groups import EngineOptions
from tomopicker.cli.options import MORE, OutputFolder, Overwrite, SettingOptions, option
from tomopicker.cli.progress import Reporter
from tomopicker.config import fields_of
from tomopicker.files import check_folder
from tomopicker.parsing import named_values, size_in_voxels
from tomopicker.simulation.settings import Simulation, setting_fields

SMALLEST = 16
"""Minimum edge of a volume, in voxels, that can hold a lamella."""


class SeriesOptions(SettingOptions, fields=fields_of(Simulation)):
    """Options for number, size and preset of the tomograms, and the source of molecules."""

    def __init__(self, **flags: Any) -> None:
        super().__init__(**flags)
        if "shape" in self.given:
            self.given["shape"] = size_in_voxels(self.given["shape"], SMALLEST)[::-1]
        self.series = self.validated(Simulation)


class SimulationOptions(SettingOptions, fields=setting_fields()):
    """Options for the scene and the imaging."""

    def __init__(
        self,
        *,
        settings: Annotated[
            list[str] | None,
            option(
                ..., "Any other setting, such as scene.n_microtubules=2; may be repeated.", "--set",
                unit="NAME=VALUE", panel=MORE,
            ),
        ] = None,
        **flags: Any,
    ) -> None:  # fmt: skip
        super().__init__(**flags)
        self.given |= named_values(settings or [], "scene.n_gold_beads=10", taken=self.given)


def command(
    *,
    output: OutputFolder,
    made: SeriesOptions,
    settings: SimulationOptions,
    engine: EngineOptions,
    overwrite: Overwrite = False,
    reporter: Reporter,
) -> int:  # fmt: skip
    """Simulate the missing tomograms."""
    from tomopicker.cluster.simulate_work import SimulateWork, simulate_series
    from tomopicker.simulation.tomogram import read_layout

    series = made.series
    size, positions = series.shape[::-1], series.positions
    check_folder(output)
    on = engine.settings()
    reporter.advice = lambda: "repeat the command; tomograms that are whole are skipped"
    layout = None if positions is None else read_layout(positions, size, series.positions_offset, reporter.log)
    work = SimulateWork(
        output, series.preset, size, series.voxel_size, series.maps, series.target, series.particles, layout,
        settings.given, overwrite,
    )  # fmt: skip
    seeds = {f"TS_{number + 1:04d}": series.seed + number for number in range(series.count)}
    show = reporter.print_events(on_workers=on is not None)
    return 1 if simulate_series(work, seeds, cluster=on, on_event=show, on_step=reporter.step) else 0
