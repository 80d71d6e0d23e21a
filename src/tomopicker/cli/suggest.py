"""``tomopicker suggest``: where to click next."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tomopicker.cli.groups import CoordinateOptions, EngineOptions, TomogramOptions
from tomopicker.cli.options import INPUT, MORE, Device, Invert, Mask, Overwrite, ParticleDiameter, Tomograms, option
from tomopicker.cli.progress import EventPrinter, Reporter
from tomopicker.errors import UsageError
from tomopicker.files import check_writable, refuse_to_replace
from tomopicker.wording import number_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tomopicker.fewshot.suggestions import Suggestion
    from tomopicker.picks import Picks

HELP = """Suggest where to click next: the most informative places to label, particle or not.

[bold]Examples[/bold]

  [cyan]tomopicker suggest TS_0001.mrc --picks clicks.csv --particle-diameter 300 --output next.csv[/cyan]
  [cyan]tomopicker suggest TS_0001.mrc --picks clicks.csv --rejected no.csv --particle-diameter 300 -o next.csv[/cyan]
  [cyan]tomopicker suggest TS_0001.mrc --particle-diameter 300 --output start.csv[/cyan]
  [cyan]tomopicker suggest tomograms/ --picks clicks.csv --particle-diameter 300 -o next.csv --engine local[/cyan]

One click is enough; without any, an example of each common kind of object of that size is given to start from. Look at
the places in your viewer, add those on a particle to the clicks, and the others to the rejected picks. The file is
CSV with a column [bold]reason[/bold], in voxels, and is read as clicks are.

The first call computes the features of the tomogram, in some seconds, and caches them for the next. With
[bold]--engine[/bold] workers compute those of several tomograms in parallel."""


def command(
    tomograms: Tomograms,
    particle_diameter: ParticleDiameter,
    output: Annotated[Path, option("CSV file to write.", "--output", "-o", unit="FILE")],
    reading: TomogramOptions,
    coordinates: CoordinateOptions,
    engine: EngineOptions,
    picks: Annotated[
        list[Path] | None, option("Clicks so far; repeat it.", "--picks", "-p", unit="FILE", panel=INPUT)
    ] = None,
    rejected: Annotated[
        list[Path] | None, option("Rejected picks, which are not particles; repeat it.", unit="FILE", panel=INPUT)
    ] = None,
    count: Annotated[int, option("Maximum number of suggestions.", unit="N", min=1)] = 10,
    mask: Mask = None,
    invert: Invert = False,
    cache: Annotated[
        Path | None,
        option(
            "Folder where features are cached.",
            unit="DIR",
            default="TOMOPICKER_CACHE, else the user's cache",
            panel=MORE,
        ),
    ] = None,
    device: Device = None,
    overwrite: Overwrite = False,
) -> None:
    """Parse, compute or look up features, and suggest."""
    if output.suffix.lower() != ".csv":
        raise UsageError(f"{output}: suggestions are written as CSV; give --output a name that ends in .csv")
    refuse_to_replace([output], overwrite)
    if rejected and not picks:
        raise UsageError("--rejected alone does not define the particle; give --picks too")
    on = engine.settings()
    from tomopicker import api
    from tomopicker.cli.groups import read_picks
    from tomopicker.io.masks import masks_of
    from tomopicker.output.find import files_of_picks
    from tomopicker.pipeline.training_data import common_voxel_size

    with Reporter() as reporter:
        check_writable(output.parent)
        opened = reading.open(tomograms, reporter, invert=invert)

        def positions(paths: list[Path] | None) -> "Picks | None":
            if not paths:
                return None
            files = [file for path in paths for file in files_of_picks(path)]
            return read_picks(files, opened, reporter, coordinates.units)

        clicks, others, masks = positions(picks), positions(rejected), masks_of(mask, opened)
        if clicks is not None and not len(clicks):
            raise UsageError(f"{picks[0] if picks else ''}: holds no click in these tomograms")
        if on is not None:
            from tomopicker.io.masks import masks_for

            files = [tomogram.path for tomogram in opened if tomogram.path]
            given_masks = masks_for(mask, files)
            failures = api.features_many(
                files, particle_diameter, engine=on, cache=cache, device=device,
                options=reading.options(invert=invert), mask=given_masks.mode or "auto", masks=given_masks.files,
                on_event=EventPrinter(reporter, with_bar=True),
            )  # fmt: skip
            if failures:
                raise typer.Exit(1)
        common = common_voxel_size(opened, api.settings(particle_diameter, "instant"))
        features = [
            api.features(
                tomogram, particle_diameter, cache=cache, device=device, voxel_size=common, callback=reporter,
                mask=masks.get(tomogram.name, "none" if mask == "none" else "auto"),
                progress=partial(reporter.on_score, tomogram.name),
            )
            for tomogram in opened
        ]  # fmt: skip
        reporter.end_bar()
        found = api.suggest(features, clicks, others, count, callback=reporter)
        api.write_picks(_as_picks(found), {tomogram.name: tomogram.frame for tomogram in opened}, output, "csv")
        for number, each in enumerate(found, 1):
            reporter.log(f"{number:3d}  {each.tomogram}: {each.reason}{_chance(each)}")
        reporter.log(f"{number_of(len(found), 'suggestion')}: {output}")


def _as_picks(found: "Sequence[Suggestion]") -> "Picks":
    import numpy as np
    import pandas as pd

    from tomopicker.picks import Picks

    return Picks(
        np.array([each.position for each in found], dtype=np.float64).reshape(-1, 3),
        np.array([each.tomogram for each in found], dtype=object),
        np.array([each.score for each in found], dtype=np.float64),
        pd.DataFrame({
            "probability": [round(each.probability, 3) for each in found],
            "reason": [each.reason for each in found],
        }),
    )  # fmt: skip


def _chance(each: "Suggestion") -> str:
    return "" if each.probability != each.probability else f" (probability {each.probability:.2f})"
