"""The options that name the workers, shared by every command that does many tomograms."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tomopicker.cli.options import OptionGroup, option

if TYPE_CHECKING:
    from tomopicker.cluster.settings import ClusterSettings

CLUSTER = "Many machines"


@dataclass(frozen=True)
class EngineOptions(OptionGroup):
    """Who does the work."""

    engine: Annotated[
        Literal["local", "slurm", "pbs", "lsf", "sge"] | None,
        option(
            "Who does the work: workers of this machine, one for each GPU or as its cores allow, or jobs of a queueing "
            "system.",
            default="this process alone",
            panel=CLUSTER,
        ),
    ] = None
    workers: Annotated[int | None, option("Workers, or jobs, at most.", unit="N", panel=CLUSTER, min=1)] = None
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
        Path | None, option("YAML file that states all this for your machines, once.", unit="FILE", panel=CLUSTER)
    ] = None
    scheduler: Annotated[
        Path | None, option("File of a Dask scheduler that runs already.", unit="FILE", panel=CLUSTER)
    ] = None
    tls: Annotated[Path | None, option("Its ca.pem, cert.pem and key.pem.", unit="DIR", panel=CLUSTER)] = None

    def settings(self) -> "ClusterSettings | None":
        """Resolve the options; None if none is given: the work is done in this process.

        Raises
        ------
        UsageError
            If they cannot be, or what they take is not installed.
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
