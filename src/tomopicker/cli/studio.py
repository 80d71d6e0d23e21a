"""Click particles in a browser, see picks from the first click, train, review, and save for RELION.

[bold]Examples[/bold]

  [cyan]tomopicker studio tomograms/ --particle-diameter 300[/cyan]
  [cyan]tomopicker studio TS_0001.mrc TS_0002.mrc --project ribosomes[/cyan]
  [cyan]tomopicker studio Tomograms/job010/tomograms.star --other-volume denoised/[/cyan]

A local web application, reachable from this machine only. It prints the link to open and the ssh command that forwards
it to another machine. Nothing is fetched from the network. Press ? in the page for the keys.

[bold]Written[/bold] to the project folder, after every action:

  clicks/KIND/TOMOGRAM.csv, .star     clicked particles; rejected/ holds the rejected places
  models/, picks/KIND/, jobs/         what training and picking write
  saved/KIND/PROGRAM/                 what was saved for RELION 5, Warp, Dynamo or IMOD
  project.json, history.jsonl         kinds and notes; the log behind undo
"""

from pathlib import Path

from tomopicker.cli.groups import DensityOptions
from tomopicker.cli.options import MORE, Device, argument, option
from tomopicker.cli.progress import Reporter
from tomopicker.errors import TomoPickerError
from tomopicker.files import check_writable


def command(
    *,
    tomograms: list[Path] = argument(
        ..., "Tomograms, folders of them, a RELION tomograms.star, or a copick configuration (.json).", "TOMOGRAM"
    ),
    reading: DensityOptions,
    project: Path = option(Path("studio"), "Project folder, where everything is saved.", "--project", "-p", unit="DIR"),
    particle_diameter: float | None = option(
        None, "Diameter of the first kind.", "--particle-diameter", "-d", unit="Å", words="entered in the page",
        min=1, max=1e5,
    ),
    kind: str = option("particle", "Name of that kind.", unit="NAME"),
    other_volume: list[Path] | None = option(
        None,
        "Other volumes of the same tomograms, such as denoised ones, to view under the same clicks; matched by "
        "name. May be repeated.",
        unit="PATH",
    ),
    port: int | None = option(
        None, "Port on this machine.", unit="N", words="last time's, else a free one", panel=MORE, min=0, max=65535,
    ),
    base_path: str = option(
        "", "Path prefix of a proxy such as Open OnDemand.", unit="/PATH", panel=MORE, show_default=False
    ),
    allow_host: list[str] | None = option(
        None, "Host name of a proxy between browser and studio. May be repeated.", unit="NAME", panel=MORE
    ),
    device: Device = None,
    reporter: Reporter,
) -> None:  # fmt: skip
    """Serve the project."""
    try:
        from tomopicker.studio.serve import serve
    except ImportError as error:
        raise TomoPickerError(
            f"the studio needs {error.name}; install it with: pip install 'tomopicker[studio]'"
        ) from error
    from tomopicker.studio.instant import Engine
    from tomopicker.studio.listing import list_tomograms

    check_writable(project, "--project")
    listing = list_tomograms(tomograms, other_volume or (), reading.options)
    first = None if particle_diameter is None else (kind, particle_diameter)
    serve(
        listing, project, Engine(device), reporter.log, kind=first, port=port, base_path=base_path,
        hosts=allow_host or (),
    )  # fmt: skip
