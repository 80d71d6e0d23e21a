"""Options for parallel work, shared by every command on many tomograms."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tomopicker.cli.options import OptionGroup, option

if TYPE_CHECKING:
    from tomopicker.cluster.settings import ClusterSettings

CLUSTER = "Many machines"


@dataclass(frozen=True)
class EngineOptions(OptionGroup):
    """Where the work is done."""

    engine: Annotated[
        Literal["local", "slurm", "pbs", "lsf", "sge"] | None,
        option(
            "Where the work is done: by workers on this machine, one for each GPU or as its cores allow, or by jobs of "
            "a queueing system.",
            default="this process alone",
            panel=CLUSTER,
        ),
    ] = None
    workers: Annotated[int | None, option("Maximum number of workers or jobs.", unit="N", panel=CLUSTER, min=1)] = None
    job: Annotated[
        list[str] | None,
        option(
            "Options of the queueing system for each job, such as [bold]'--gpus=1 -p gpu'[/bold]; may be repeated.",
            unit="OPTIONS",
            panel=CLUSTER,
        ),
    ] = None
    walltime: Annotated[str | None, option("Of each job.", unit="[D-]HH:MM:SS", panel=CLUSTER)] = None
    cluster: Annotated[
        Path | None, option("YAML file with these settings for your machines.", unit="FILE", panel=CLUSTER)
    ] = None
    scheduler: Annotated[
        Path | None, option("Scheduler file of a running Dask scheduler.", unit="FILE", panel=CLUSTER)
    ] = None
    tls: Annotated[Path | None, option("Its ca.pem, cert.pem and key.pem.", unit="DIR", panel=CLUSTER)] = None

    def settings(self) -> "ClusterSettings | None":
        """Resolve the options; None if none is given: the work is done in this process.

        Raises
        ------
        UsageError
            If they are invalid, or a package that they need is not installed.
        """
        flags = {
            "engine": self.engine, "workers": self.workers, "job": tuple(self.job) if self.job else None,
            "walltime": self.walltime, "scheduler": self.scheduler, "tls": self.tls,
        }  # fmt: skip
        if self.cluster is None and all(value is None for value in flags.values()):
            return None
        from tomopicker.cluster.engines import check_installed
        from tomopicker.cluster.settings import read_cluster_settings

        settings = read_cluster_settings(self.cluster, flags)
        check_installed(settings)
        return settings
