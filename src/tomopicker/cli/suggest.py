"""Suggest where to click next: the most informative places to label, particle or not.

[bold]Examples[/bold]

  [cyan]tomopicker suggest TS_0001.mrc --picks clicks.csv --particle-diameter 300 --output next.csv[/cyan]
  [cyan]tomopicker suggest TS_0001.mrc --picks clicks.csv --negatives no.csv --particle-diameter 300 -o next.csv[/cyan]
  [cyan]tomopicker suggest TS_0001.mrc --particle-diameter 300 --output start.csv[/cyan]
  [cyan]tomopicker suggest tomograms/ --picks clicks.csv --particle-diameter 300 -o next.csv --engine local[/cyan]

One click is enough; without any, an example of each common kind of object of that size is given to start from. Look at
the places in your viewer, add those on a particle to the clicks, and the others to the negatives. The file is
CSV with a column [bold]reason[/bold], in voxels, and is read as clicks are.

The first call computes the features of the tomogram, in some seconds, and caches them for the next. With
[bold]--engine[/bold] workers compute those of several tomograms in parallel.
"""

from pathlib import Path

from tomopicker.cli.groups import CoordinateOptions, DensityOptions, EngineOptions
from tomopicker.cli.options import INPUT, MORE, Device, Mask, Overwrite, Tomograms, option
from tomopicker.cli.progress import Reporter
from tomopicker.errors import UsageError
from tomopicker.files import check_suffix, check_writable, refuse_to_replace
from tomopicker.wording import number_of


def command(
    *,
    tomograms: Tomograms,
    output: Path = option(..., "CSV file to write.", "--output", "-o", unit="FILE"),
    picks: list[Path] | None = option(None, "Clicks; may be repeated.", "--picks", "-p", unit="FILE", panel=INPUT),
    negatives: list[Path] | None = option(
        None, "Positions that only look like the particle; may be repeated.", unit="FILE", panel=INPUT
    ),
    particle_diameter: float = option(
        ..., "Diameter of the particle.", "--particle-diameter", "-d", unit="Å", panel=INPUT
    ),
    reading: DensityOptions,
    coordinates: CoordinateOptions,
    mask: Mask = None,
    count: int = option(10, "Maximum number of suggestions.", unit="N", min=1),
    engine: EngineOptions,
    cache: Path | None = option(
        None, "Folder where features are cached.", unit="DIR", words="TOMOPICKER_CACHE, else the user's cache",
        panel=MORE,
    ),
    device: Device = None,
    overwrite: Overwrite = False,
    reporter: Reporter,
) -> int:  # fmt: skip
    """Compute or look up features, and suggest."""
    check_suffix(output, (".csv",), "the list of suggestions (--output)")
    refuse_to_replace([output], overwrite)
    if negatives and not picks:
        raise UsageError("--negatives alone do not define the particle; give --picks too")
    on = engine.settings()
    check_writable(output.parent)
    opened = reading.open(tomograms, reporter)
    from tomopicker import api
    from tomopicker.fewshot.suggestions import as_picks
    from tomopicker.io.masks import masks_for
    from tomopicker.pipeline.features import features_at_common_scale

    clicks, known = (coordinates.read(paths, opened, reporter) if paths else None for paths in (picks, negatives))
    if picks and not len(clicks or ()):
        raise UsageError(f"{picks[0]}: holds no click in these tomograms")
    files = [tomogram.path for tomogram in opened if tomogram.path]
    masks = masks_for(mask, files)
    if on is not None:
        failures = api.features_many(
            files, particle_diameter, engine=on, cache=cache, device=device, options=reading.options,
            mask=masks.mode or "auto", masks=masks.files, on_event=reporter.print_events(on_workers=True),
        )  # fmt: skip
        if failures:
            return 1
    features = features_at_common_scale(
        opened, particle_diameter, masks=masks, cache=cache, device=device, callback=reporter
    )
    reporter.end_bar()
    found = api.suggest(features, clicks, known, count, callback=reporter)
    api.write_picks(as_picks(found), {tomogram.name: tomogram.frame for tomogram in opened}, output, "csv")
    reporter.log("\n".join(f"{number:3d}  {each.line}" for number, each in enumerate(found, 1)))
    reporter.log(f"{number_of(len(found), 'suggestion')}: {output}")
    return 0
