"""The options that say which workers do the work, shared by every command that has many tomograms to do."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from tomopicker.cluster.settings import ClusterSettings

CLUSTER = "Many machines"

Engine = Annotated[
    Literal["local", "slurm", "pbs", "lsf", "sge"] | None,
    typer.Option(
        help="Who does the work: workers of this machine, one for each GPU or as its cores allow, or jobs of a "
        "queueing system.  [dim]\\[default: this process alone][/dim]",
        rich_help_panel=CLUSTER,
        show_default=False,
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(min=1, metavar="N", help="Workers, or jobs, at most.", rich_help_panel=CLUSTER),
]
Job = Annotated[
    list[str] | None,
    typer.Option(
        metavar="OPTIONS",
        help="Options of the queueing system for each job, such as [bold]'--gpus=1 -p gpu'[/bold]; may be given again.",
        rich_help_panel=CLUSTER,
    ),
]
Walltime = Annotated[
    str | None,
    typer.Option(metavar="[D-]HH:MM:SS", help="Of each job.", rich_help_panel=CLUSTER),
]
Cluster = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="YAML file that states all this for your machines, once.", rich_help_panel=CLUSTER
    ),
]
Scheduler = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="File of a Dask scheduler that runs already.", rich_help_panel=CLUSTER),
]
Tls = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Its ca.pem, cert.pem and key.pem.", rich_help_panel=CLUSTER),
]
DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run", help="Print what would be done, and the script of a job; do nothing.", rich_help_panel=CLUSTER
    ),
]


def cluster_from(
    engine: str | None,
    workers: int | None,
    job: list[str] | None,
    walltime: str | None,
    cluster: Path | None,
    scheduler: Path | None,
    tls: Path | None,
) -> "ClusterSettings | None":
    """Resolve the options; None if none is given: the work is done in this process.

    Raises
    ------
    UsageError
        If they cannot be, or what they take is not installed.
    """
    given = (engine, workers, job or None, walltime, cluster, scheduler, tls)
    if all(option is None for option in given):
        return None
    from tomopicker.cluster.engines import check_installed
    from tomopicker.cluster.settings import read_cluster_settings

    flags = {
        "engine": engine, "workers": workers, "job": None if job is None else tuple(job), "walltime": walltime,
        "scheduler": scheduler, "tls": tls,
    }  # fmt: skip
    settings = read_cluster_settings(cluster, flags)
    check_installed(settings)
    return settings
